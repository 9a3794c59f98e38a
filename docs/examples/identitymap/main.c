/* SPDX-License-Identifier: Apache-2.0 */
/* identitymap: two tables of the same objects, which a collector moves: one keyed by address, which follows the moves, one keyed by
 * identity hash, which need not. Objects get numbers in both, the heap is collected while more come and some go, and each number is
 * looked up again after each collection.
 *
 *   identitymap [--socket PATH] [--plan PLAN] [--objects N] [--rounds N]                                             */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address_map.h"
#include "hash_map.h"

struct node {
    mmgc_ref next;
    uint64_t number;
};
struct options {
    const char *socket, *plan;
    uint64_t objects, rounds;
};
struct world {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node, bytes;
    mmgc_local list;
    struct address_map addresses;
    struct hash_map hashes;
    uint64_t made;
};

static int failed(const char *what, int code)
{
    fprintf(stderr, "identitymap: %s: %s: %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    return 1;
}

static int world_open(struct world *w, const struct options *o)
{
    struct mmgc_heap_options options = {
        .create = true, .max_bytes = UINT64_C(64) << 20, .plan = o->plan, .options = "immix_always_defrag=on immix_defrag_every_block=on nursery=fixed:2M"};
    struct mmgc_thread_options exact = {.exact = true}; /* its pointers are in local roots: nothing is kept in place for it */

    int r = mmgc_connect(o->socket, "identitymap", &w->client);
    if (r == MMGC_OK)
        r = mmgc_heap_open(w->client, "identitymap", &options, &w->heap);
    if (r == MMGC_OK)
        r = MMGC_DEFINE_TYPE(w->heap, node, &w->node, next);
    if (r == MMGC_OK)
        r = mmgc_type_bytes(w->heap, &w->bytes);
    if (r == MMGC_OK)
        r = address_map_open(&w->addresses, w->heap);
    if (r == MMGC_OK)
        r = hash_map_open(&w->hashes, 4096);
    if (r == MMGC_OK)
        r = mmgc_attach(w->heap, &exact, &w->t);
    return r;
}

static void world_close(struct world *w)
{
    address_map_close(&w->addresses);
    hash_map_close(&w->hashes, w->heap);
    mmgc_detach(w->t);
    mmgc_heap_close(w->heap);
    mmgc_disconnect(w->client);
}

/* [safepoint] One more object, in the list and in both tables, and something that soon is garbage. */
static int add_one(struct world *w)
{
    if (mmgc_new_array(w->t, w->bytes, 500) == NULL)
        return mmgc_thread_error(w->t);
    struct node *n = mmgc_new(w->t, w->node);
    if (n == NULL)
        return mmgc_thread_error(w->t);
    n->number = ++w->made;
    mmgc_init(w->t, n, next, (struct node *)mmgc_local_get(w->t, w->list));
    mmgc_local_set(w->t, w->list, n);
    int r = address_map_put(&w->addresses, w->t, n, n->number);
    return r == MMGC_OK ? hash_map_put(&w->hashes, w->t, n, n->number) : r;
}

/* Every third object leaves the list and the second table, which holds on to it. The first hears of it when it dies. */
static int let_go(struct world *w)
{
    struct node *n = mmgc_local_get(w->t, w->list);
    int r = MMGC_OK;

    for (struct node *next; r == MMGC_OK && n != NULL && (next = mmgc_get(w->t, n, next)) != NULL; n = mmgc_get(w->t, n, next)) {
        if (next->number % 3 != 0)
            continue;
        r = hash_map_remove(&w->hashes, w->t, w->heap, next);
        mmgc_set(w->t, n, next, mmgc_get(w->t, next, next));
    }
    return r;
}

/* Both tables know each object of the list by its number. */
static int check(struct world *w, uint64_t *ret_count)
{
    *ret_count = 0;
    for (struct node *n = mmgc_local_get(w->t, w->list); n != NULL; n = mmgc_get(w->t, n, next), (*ret_count)++) {
        uint64_t by_address = 0, by_hash = 0;
        bool first = false, second = false;
        int r = address_map_get(&w->addresses, w->t, n, &first, &by_address);
        if (r == MMGC_OK)
            r = hash_map_get(&w->hashes, w->t, n, &second, &by_hash);
        if (r != MMGC_OK)
            return failed("looking up", r);
        if (!first || !second || by_address != n->number || by_hash != n->number) {
            fprintf(stderr, "identitymap: object %" PRIu64 " is %" PRIu64 " by address and %" PRIu64 " by hash\n", n->number,
                    first ? by_address : 0, second ? by_hash : 0);
            return 1;
        }
    }
    return 0;
}

static int run_round(struct world *w, const struct options *o, uint64_t *ret_count)
{
    int r = MMGC_OK;

    for (uint64_t i = 0; r == MMGC_OK && i < o->objects; i++)
        r = add_one(w);
    if (r == MMGC_OK)
        r = let_go(w);
    if (r == MMGC_OK)
        r = mmgc_gc(w->t);
    if (r == MMGC_OK)
        r = address_map_follow(&w->addresses, w->t);
    return r == MMGC_OK ? check(w, ret_count) : failed("a round", r);
}

static int run(struct world *w, const struct options *o)
{
    uint64_t count = 0;
    int status = 0;

    int r = mmgc_enter(w->t);
    if (r != MMGC_OK)
        return failed("entering", r);
    w->list = mmgc_local_new(w->t, NULL);
    for (uint64_t round = 0; status == 0 && round < o->rounds; round++)
        status = run_round(w, o, &count);
    mmgc_leave(w->t);
    if (status == 0)
        printf("%" PRIu64 " objects of %" PRIu64 ": all found by address and by hash; by address %zu entries, %" PRIu64
               " moves followed, %" PRIu64 " deaths\n",
               count, w->made, w->addresses.count, w->addresses.followed, w->addresses.died);
    return status;
}

static bool parse(int argc, char **argv, struct options *o)
{
    enum { SOCKET = 256, PLAN, OBJECTS, ROUNDS };
    static const struct option known[] = {{"socket", required_argument, NULL, SOCKET}, {"plan", required_argument, NULL, PLAN},
                                          {"objects", required_argument, NULL, OBJECTS}, {"rounds", required_argument, NULL, ROUNDS}, {0}};

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;)
        switch (c) {
        case SOCKET: o->socket = optarg; break;
        case PLAN: o->plan = optarg; break;
        case OBJECTS: o->objects = strtoull(optarg, NULL, 10); break;
        case ROUNDS: o->rounds = strtoull(optarg, NULL, 10); break;
        default: return false;
        }
    return optind == argc && o->objects > 0;
}

int main(int argc, char **argv)
{
    struct options o = {.objects = 5000, .rounds = 4};
    struct world w = {0};

    if (!parse(argc, argv, &o)) {
        fputs("usage: identitymap [--socket PATH] [--plan PLAN] [--objects N] [--rounds N]\n", stderr);
        return 2;
    }
    int r = world_open(&w, &o);
    int status = r == MMGC_OK ? run(&w, &o) : failed("opening the heap", r);
    world_close(&w);
    return status;
}
