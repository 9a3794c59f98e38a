/* SPDX-License-Identifier: Apache-2.0 */
/* cache_mmgc's work on Redis: GET and SET over a Unix socket, one connection a process. Usage: the top of cache.h; WHERE is the socket. */
#include <hiredis/hiredis.h>

#define CACHE_PIPELINES
#include "cache_phases.h"

struct cache {
    redisContext *redis;
};

static void ask(struct cache *c, int count, const char **words, const size_t *lengths)
{
    if (redisAppendCommandArgv(c->redis, count, words, lengths) != REDIS_OK)
        cache_fail(c->redis->errstr);
}

static redisReply *answer(struct cache *c)
{
    void *reply;
    if (redisGetReply(c->redis, &reply) != REDIS_OK)
        cache_fail(c->redis->errstr);
    if (((redisReply *)reply)->type == REDIS_REPLY_ERROR)
        cache_fail(((redisReply *)reply)->str);
    return reply;
}

static void cache_ask_get(struct cache *c, uint64_t key)
{
    ask(c, 2, (const char *[]){ "GET", (const char *)&key }, (size_t[]){ 3, sizeof key });
}

static uint32_t cache_take_get(struct cache *c, char *into)
{
    redisReply *reply = answer(c);
    uint32_t bytes = 0;
    if (reply->type == REDIS_REPLY_STRING && reply->len <= CACHE_MAX_BYTES) {
        bytes = (uint32_t)reply->len;
        memcpy(into, reply->str, bytes);
    }
    freeReplyObject(reply);
    return bytes;
}

static void cache_ask_put(struct cache *c, uint64_t key, const char *value, uint32_t bytes)
{
    ask(c, 3, (const char *[]){ "SET", (const char *)&key, value }, (size_t[]){ 3, sizeof key, bytes });
}

static void cache_take_put(struct cache *c)
{
    freeReplyObject(answer(c));
}

int main(int argc, char **argv)
{
    struct cache_run run = cache_run_of(argc, argv);
    struct cache c = { redisConnectUnix(run.where) };
    if (!c.redis || c.redis->err)
        cache_fail(c.redis ? c.redis->errstr : "no memory");
    cache_main(&run, &c);
    redisFree(c.redis);
    return 0;
}
