/* SPDX-License-Identifier: Apache-2.0 */
/* Handover through Redis, over its Unix socket: A stores the graph, B fetches it.
 * Usage: handover_redis SOCKET rebuilt|in-place|hash NODES
 *   rebuilt    one value, the flat form; SET and GET with hiredis, B makes nodes from malloc of it
 *   in-place   one value; B reads GET's answer from the socket straight to where it is used, past hiredis, which reads 16 KiB at a time
 *              and copies what it has read
 *   hash       a field a node, HSET and HMGET of BATCH nodes a command, DEPTH commands at once: B fetches what it follows,
 *              level by level                                                                                             */
#include <hiredis/hiredis.h>

#include "handover_copy.h"

enum { BATCH = 256, DEPTH = 16, NUMBER_MAX = 12 };

static const char *path;
static redisContext *redis; /* of this process */
static uint32_t count;

static void join(void)
{
    redis = redisConnectUnix(path);
    if (!redis || redis->err)
        handover_die(redis ? redis->errstr : "no memory");
}

/* A reply of @kind, or the end. */
static redisReply *checked(redisReply *reply, int kind)
{
    if (!reply)
        handover_die(redis->errstr);
    if (reply->type != kind)
        handover_die(reply->type == REDIS_REPLY_ERROR ? reply->str : "Redis answers something else");
    return reply;
}

/* ---- one value ---- */

static void set(const struct flat_node *flat, uint32_t nodes)
{
    redisReply *reply = redisCommand(redis, "SET graph %b", flat, nodes * sizeof *flat);
    freeReplyObject(checked(reply, REDIS_REPLY_STATUS));
}

static void own_a_build(uint32_t nodes)
{
    uint32_t made = 0;
    struct own_node *root = own_build(0, nodes);
    struct flat_node *flat = flat_new(nodes);
    own_flatten(root, flat, &made);
    set(flat, nodes);
    free(flat);
}

static void flat_a_build(uint32_t nodes)
{
    uint32_t made = 0;
    struct flat_node *flat = flat_new(nodes);
    flat_build(flat, &made, 0, nodes);
    set(flat, nodes);
    free(flat);
}

static void *own_b_ask(void)
{
    redisReply *reply = checked(redisCommand(redis, "GET graph"), REDIS_REPLY_STRING);
    if (reply->len != count * sizeof(struct flat_node))
        handover_die("the value has another length");
    struct own_node *root = own_rebuild((const struct flat_node *)(const void *)reply->str, count);
    freeReplyObject(reply);
    return root;
}

/* The answer is "$LENGTH\r\n", the value, "\r\n". */
static void *flat_b_ask(void)
{
    static const char get[] = "*2\r\n$3\r\nGET\r\n$5\r\ngraph\r\n";
    struct flat_node *flat = flat_new(count);
    char head[32], end[2];
    int head_bytes = snprintf(head, sizeof head, "$%zu\r\n", count * sizeof *flat);
    char got[sizeof head];
    write_all(redis->fd, get, sizeof get - 1);
    read_all(redis->fd, got, (size_t)head_bytes);
    if (memcmp(got, head, (size_t)head_bytes) != 0)
        handover_die("Redis answers something else");
    read_all(redis->fd, flat, count * sizeof *flat);
    read_all(redis->fd, end, sizeof end);
    return flat;
}

/* ---- a field a node ---- */

struct command { /* HSET or HMGET of up to BATCH nodes */
    int arguments;
    const char *text[2 + 2 * BATCH];
    size_t bytes[2 + 2 * BATCH];
    char numbers[BATCH][NUMBER_MAX];
    int nodes;
};

static void command_begin(struct command *c, const char *verb)
{
    c->arguments = 2;
    c->nodes = 0;
    c->text[0] = verb;
    c->bytes[0] = strlen(verb);
    c->text[1] = "graph";
    c->bytes[1] = 5;
}

static void command_add(struct command *c, uint32_t at)
{
    char *number = c->numbers[c->nodes++];
    c->text[c->arguments] = number;
    c->bytes[c->arguments++] = (size_t)snprintf(number, NUMBER_MAX, "%u", at);
}

static void command_add_node(struct command *c, const struct flat_node *node)
{
    c->text[c->arguments] = (const char *)node;
    c->bytes[c->arguments++] = sizeof *node;
}

static void command_send(struct command *c)
{
    if (redisAppendCommandArgv(redis, c->arguments, c->text, c->bytes) != REDIS_OK)
        handover_die(redis->errstr);
}

static redisReply *next_reply(int kind)
{
    void *reply = NULL;
    if (redisGetReply(redis, &reply) != REDIS_OK)
        handover_die(redis->errstr);
    return checked(reply, kind);
}

static void skip_replies(int replies)
{
    while (replies-- > 0)
        freeReplyObject(next_reply(REDIS_REPLY_INTEGER));
}

static void hash_a_build(uint32_t nodes)
{
    static struct command c;
    struct flat_node *flat = flat_new(nodes);
    uint32_t made = 0;
    int sent = 0;
    flat_build(flat, &made, 0, nodes);
    for (uint32_t at = 0; at < nodes;) {
        command_begin(&c, "HSET");
        for (; at < nodes && c.nodes < BATCH; at++) {
            command_add(&c, at);
            command_add_node(&c, &flat[at]);
        }
        command_send(&c);
        if (++sent == DEPTH) {
            skip_replies(sent);
            sent = 0;
        }
    }
    skip_replies(sent);
    free(flat);
}

static struct flat_node node_of(const redisReply *reply)
{
    struct flat_node node;
    if (reply->type != REDIS_REPLY_STRING || reply->len != sizeof node)
        handover_die("a node is not there");
    memcpy(&node, reply->str, sizeof node);
    return node;
}

static struct flat_node fetch(uint32_t at)
{
    redisReply *reply = checked(redisCommand(redis, "HGET graph %u", at), REDIS_REPLY_STRING);
    struct flat_node node = node_of(reply);
    freeReplyObject(reply);
    return node;
}

static void *hash_b_ask(void)
{
    static struct flat_node root;
    root = fetch(0);
    return &root;
}

static uint64_t hash_peek(void *root)
{
    return fetch(((struct flat_node *)root)->left).key;
}

struct level { /* of the walk: the nodes to be fetched */
    uint32_t *at, count;
};

static void level_add(struct level *level, uint32_t at)
{
    if (at)
        level->at[level->count++] = at;
}

/* Adds up a node and lists what it refers to. */
static uint64_t visit(const struct flat_node *node, struct level *next)
{
    level_add(next, node->left);
    level_add(next, node->right);
    return node->key ^ node->value;
}

/* Fetches up to DEPTH commands' nodes of @level from @*from on, and visits them. */
static uint64_t visit_some(const struct level *level, uint32_t *from, struct level *next)
{
    static struct command c;
    uint64_t sum = 0;
    int sent = 0;
    while (*from < level->count && sent < DEPTH) {
        command_begin(&c, "HMGET");
        while (*from < level->count && c.nodes < BATCH)
            command_add(&c, level->at[(*from)++]);
        command_send(&c);
        sent++;
    }
    for (; sent > 0; sent--) {
        redisReply *reply = next_reply(REDIS_REPLY_ARRAY);
        for (size_t i = 0; i < reply->elements; i++) {
            struct flat_node node = node_of(reply->element[i]);
            sum += visit(&node, next);
        }
        freeReplyObject(reply);
    }
    return sum;
}

static uint64_t hash_walk(void *root)
{
    struct level level = { .at = must(malloc(count * sizeof(uint32_t))) };
    struct level next = { .at = must(malloc(count * sizeof(uint32_t))) };
    uint64_t sum = visit(root, &level);
    while (level.count > 0) {
        next.count = 0;
        for (uint32_t from = 0; from < level.count;)
            sum += visit_some(&level, &from, &next);
        struct level done = level;
        level = next;
        next = done;
    }
    free(level.at);
    free(next.at);
    return sum;
}

static const struct {
    const char *name;
    struct handover_way way;
} ways[] = {
    { "rebuilt",
      { .open = join,
        .build = own_a_build,
        .join = join,
        .ask = own_b_ask,
        .peek = own_peek,
        .walk = own_walk,
        .drop = own_drop } },
    { "in-place",
      { .open = join,
        .build = flat_a_build,
        .join = join,
        .ask = flat_b_ask,
        .peek = flat_peek,
        .walk = flat_walk,
        .drop = free } },
    { "hash",
      { .open = join, .build = hash_a_build, .join = join, .ask = hash_b_ask, .peek = hash_peek, .walk = hash_walk } },
};

int main(int argc, char **argv)
{
    if (argc != 4)
        handover_die("usage: handover_redis SOCKET rebuilt|in-place|hash NODES");
    path = argv[1];
    count = (uint32_t)atoi(argv[3]);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(argv[2], ways[i].name) == 0)
            return handover_run(&ways[i].way, count);
    handover_die("no way is called so");
}
