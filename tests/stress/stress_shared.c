/* SPDX-License-Identifier: Apache-2.0 */
/* stress_shared: several processes build one table of chains without a lock, by compare-and-swap alone. Each adds links at
 * the head of a random chain and takes its own out again by replacing what stands before them (a persistent list); so most of
 * what is allocated is garbage soon, made by one process out of another's objects. Each knows which links are its own and in
 * which order, and finds exactly these. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/entry.h"
#include "tests/support/inspect.h"
#include "tests/support/stress.h"

#define CLIENTS 3u
#define CHAINS 64u
#define OWN_MAX 12u /* links that a client has in one chain */
#define BODY_MAX 200u
#define SECONDS_ALL 10.0 /* of all cases together */
#define HEAP_BYTES (UINT64_C(16) << 20)
#define CHECK_EVERY 16u

struct table {       /* the named root */
    mmgc_ref chains; /* array of references to struct chain_link */
    uint32_t reserved;
    uint64_t added, removed; /* atomic */
};
struct chain_link {
    mmgc_ref next, body;
    uint32_t owner, serial;
};

struct own { /* one chain, as its owner knows it: serials, oldest first */
    uint32_t serials[OWN_MAX];
    uint32_t count;
};
struct shared_case {
    const char *socket, *plan, *options;
    bool exact;
    uint64_t seed;
    double seconds;
};
struct shared_pauses { /* what the case has seen */
    uint64_t young, full;
};
struct client {
    struct entry e;
    mmgc_type link_type, table_type;
    mmgc_handle table;
    struct rng rng;
    uint32_t owner, serial;
    struct own own[CHAINS];
    uint64_t added, removed;
};

/* ---- links --------------------------------------------------------------------------------------------------------- */

static struct table *get_table(struct client *c)
{
    return mmgc_handle_get(c->e.t, c->table);
}

static mmgc_ref *get_chains(struct client *c)
{
    return mmgc_get(c->e.t, get_table(c), chains);
}

static char body_byte(uint32_t owner, uint32_t serial, uint32_t i)
{
    return (char)(owner * 31 + serial * 7 + i);
}

static uint32_t body_length(uint32_t owner, uint32_t serial)
{
    return (owner * 131 + serial * 17) % BODY_MAX;
}

static void check_link(struct client *c, const struct chain_link *link)
{
    const char *body = mmgc_get(c->e.t, link, body);
    EXPECT(body != NULL && mmgc_length(body) == body_length(link->owner, link->serial),
           "link %" PRIu32 ".%" PRIu32 " at %p has another body", link->owner, link->serial,
           (const void *)link);
    for (uint32_t i = 0; i < mmgc_length(body); i++)
        EXPECT(body[i] == body_byte(link->owner, link->serial, i),
               "byte %" PRIu32 " of the body of %" PRIu32 ".%" PRIu32 " differs", i, link->owner,
               link->serial);
}

static void *new_or_fail(struct client *c, mmgc_type type)
{
    void *p = mmgc_new(c->e.t, type);
    EXPECT(p != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(c->e.t)));
    return p;
}

/* ---- operations ---------------------------------------------------------------------------------------------------- */

static void add(struct client *c, uint32_t chain)
{
    struct mmgc_thread *t = c->e.t;
    struct own *own = &c->own[chain];
    mmgc_scope scope = mmgc_scope_open(t);
    struct held held = entry_hold(&c->e, new_or_fail(c, c->link_type));
    uint32_t serial = c->serial++, length = body_length(c->owner, serial);
    char *body = mmgc_new_array(t, c->e.types.of[SHADOW_BYTES], length);
    EXPECT(body != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(t)));
    struct chain_link *link = entry_held(&c->e, &held);
    link->owner = c->owner;
    link->serial = serial;
    for (uint32_t i = 0; i < length; i++)
        body[i] = body_byte(c->owner, serial, i);
    mmgc_set(t, link, body, body);
    mmgc_ref *chains = get_chains(c);
    struct chain_link *head;
    do {
        head = mmgc_load(t, &chains[chain]);
        mmgc_set(t, link, next, head);
    } while (!mmgc_compare_and_swap(t, chains, &chains[chain], head, link));
    mmgc_scope_close(t, scope);
    own->serials[own->count++] = serial;
    c->added++;
    __atomic_fetch_add(&get_table(c)->added, 1, __ATOMIC_RELAXED);
}

/* How many links stand before the one with @serial of this client's. */
static uint32_t links_before(struct client *c, struct chain_link *head, uint32_t serial)
{
    uint32_t n = 0;
    for (struct chain_link *link = head; link != NULL; link = mmgc_get(c->e.t, link, next), n++)
        if (link->owner == c->owner && link->serial == serial)
            return n;
    mate_fail(__FILE__, __LINE__, "link %" PRIu32 ".%" PRIu32 " is gone", c->owner, serial);
}

/* @count fresh links in a row, made into a copy of the first @count of @head, with @rest behind. No safepoint. */
static struct chain_link *copy_before(struct client *c, struct chain_link *fresh,
                                      struct chain_link *head, uint32_t count, struct chain_link *rest)
{
    struct mmgc_thread *t = c->e.t;
    struct chain_link *to = fresh;
    if (count == 0)
        return rest;
    for (uint32_t i = 0; i < count; i++) {
        to->owner = head->owner;
        to->serial = head->serial;
        mmgc_set(t, to, body, mmgc_get(t, head, body));
        head = mmgc_get(t, head, next);
        if (i + 1 < count)
            to = mmgc_get(t, to, next);
    }
    mmgc_set(t, to, next, rest);
    return fresh;
}

/* The fresh links are made first and hang on one root, so that from reading the head to replacing it nothing collects. */
static void take_out(struct client *c, uint32_t chain)
{
    struct mmgc_thread *t = c->e.t;
    struct own *own = &c->own[chain];
    uint32_t which = rng_below(&c->rng, own->count), serial = own->serials[which], fresh_count = 0;
    mmgc_scope scope = mmgc_scope_open(t);
    struct held fresh = { 0 };
    for (;;) {
        mmgc_ref *chains = get_chains(c);
        struct chain_link *head = mmgc_load(t, &chains[chain]), *link = head;
        uint32_t before = links_before(c, head, serial);
        if (before > fresh_count) {
            struct chain_link *more = new_or_fail(c, c->link_type);
            mmgc_set(t, more, next, entry_held(&c->e, &fresh));
            fresh = entry_hold(&c->e, more);
            fresh_count++;
            continue;
        }
        for (uint32_t i = 0; i < before; i++)
            link = mmgc_get(t, link, next);
        /* a longer row than needed: its beginning is left as garbage */
        struct chain_link *row = entry_held(&c->e, &fresh);
        for (uint32_t i = fresh_count; i > before; i--)
            row = mmgc_get(t, row, next);
        struct chain_link *copy = copy_before(c, row, head, before, mmgc_get(t, link, next));
        if (mmgc_compare_and_swap(t, chains, &chains[chain], head, copy))
            break;
        fresh = (struct held){ 0 }; /* what was written into them is out of date */
        fresh_count = 0;
        mmgc_scope_close(t, scope);
        scope = mmgc_scope_open(t);
    }
    mmgc_scope_close(t, scope);
    memmove(&own->serials[which], &own->serials[which + 1], (--own->count - which) * sizeof(uint32_t));
    c->removed++;
    __atomic_fetch_add(&get_table(c)->removed, 1, __ATOMIC_RELAXED);
}

/* All links are whole, and this client's are exactly those it knows, newest first. */
static void check_chain(struct client *c, uint32_t chain)
{
    mmgc_ref *chains = get_chains(c);
    uint32_t left = c->own[chain].count;
    for (struct chain_link *link = mmgc_load(c->e.t, &chains[chain]); link != NULL;
         link = mmgc_get(c->e.t, link, next)) {
        check_link(c, link);
        if (link->owner != c->owner)
            continue;
        EXPECT(left > 0 && c->own[chain].serials[left - 1] == link->serial,
               "chain %" PRIu32 " has link %" PRIu32 ".%" PRIu32 " where another belongs (%" PRIu32
               " left)",
               chain, c->owner, link->serial, left);
        left--;
    }
    EXPECT(left == 0, "chain %" PRIu32 " lacks %" PRIu32 " links of %" PRIu32, chain, left, c->owner);
}

static void step(struct client *c)
{
    uint32_t chain = rng_below(&c->rng, CHAINS);
    struct own *own = &c->own[chain];
    if (own->count < OWN_MAX && (own->count == 0 || rng_one_in(&c->rng, 2)))
        add(c, chain);
    else
        take_out(c, chain);
    if (rng_one_in(&c->rng, CHECK_EVERY))
        check_chain(c, rng_below(&c->rng, CHAINS));
}

/* ---- clients ------------------------------------------------------------------------------------------------------- */

static void claim_table(struct client *c)
{
    struct mmgc_thread *t = c->e.t;
    mmgc_scope scope = mmgc_scope_open(t);
    struct held held = entry_hold(&c->e, new_or_fail(c, c->table_type));
    void *chains = mmgc_new_array(t, c->e.types.of[SHADOW_REFS], CHAINS), *first;
    struct table *table = entry_held(&c->e, &held);
    EXPECT(chains != NULL, "no memory for the chains");
    mmgc_set(t, table, chains, chains);
    EXPECT_OK(mmgc_name_claim(t, "table", table, &first));
    EXPECT_OK(mmgc_handle_new(t, first, &c->table));
    mmgc_scope_close(t, scope);
}

static void be_client(struct mate *mate, void *arg)
{
    static struct client client; /* large */
    struct client *c = &client;
    const struct shared_case *shared = arg;
    c->owner = mate->number;
    c->rng = rng_from(shared->seed * CREW_MAX + mate->number);
    entry_open(&c->e, &(struct entry_options){ .socket = shared->socket,
                                               .heap = "shared",
                                               .plan = shared->plan,
                                               .options = shared->options,
                                               .max_bytes = stress_heap_bytes(shared->plan, HEAP_BYTES),
                                               .name = "shared",
                                               .exact = shared->exact });
    EXPECT_OK(MMGC_DEFINE_TYPE(c->e.heap, table, &c->table_type, chains));
    EXPECT_OK(MMGC_DEFINE_TYPE(c->e.heap, chain_link, &c->link_type, next, body));
    EXPECT_OK(mmgc_enter(c->e.t));
    claim_table(c);
    for (uint64_t end = mm_now_ns() + (uint64_t)(shared->seconds * 1e9); mm_now_ns() < end;) {
        for (unsigned i = 0; i < 100; i++)
            step(c);
        if (rng_one_in(&c->rng, 40))
            EXPECT_OK(mmgc_gc(c->e.t));
        mmgc_leave(c->e.t);
        EXPECT_OK(mmgc_enter(c->e.t));
    }
    for (uint32_t i = 0; i < CHAINS; i++)
        check_chain(c, i);
    mmgc_leave(c->e.t);
    at_store_relaxed(&mate->numbers[0], c->added);
    at_store_relaxed(&mate->numbers[1], c->removed);
    mate_say(mate, 1);
    mate_listen(mate, 1); /* all have ended: now nothing changes any more */
    EXPECT_OK(mmgc_enter(c->e.t));
    for (uint32_t i = 0; i < CHAINS; i++)
        check_chain(c, i);
    at_store_relaxed(&mate->numbers[2], get_table(c)->added);
    at_store_relaxed(&mate->numbers[3], get_table(c)->removed);
    mmgc_leave(c->e.t);
    entry_close(&c->e);
}

/* ---- the case ------------------------------------------------------------------------------------------------------ */

static struct shared_pauses run_case(struct shared_case c)
{
    struct daemon *daemon = daemon_start(NULL);
    struct crew crew;
    struct inspect ask;
    uint64_t added = 0, removed = 0;
    c.socket = daemon_socket(daemon);
    crew_init(&crew);
    for (uint32_t i = 0; i < CLIENTS; i++)
        crew_start(&crew, be_client, &c);
    for (uint32_t i = 0; i < CLIENTS; i++)
        mate_await(&crew.mates[i], 1, c.seconds + 60);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        added += crew.mates[i].numbers[0];
        removed += crew.mates[i].numbers[1];
        mate_tell(&crew.mates[i], 1);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        mate_join(&crew.mates[i], 60);
        ck_assert_uint_eq(crew.mates[i].numbers[2], added);
        ck_assert_uint_eq(crew.mates[i].numbers[3], removed);
    }
    inspect_open(&ask, c.socket);
    inspect_verify(&ask, "shared");
    uint64_t young = inspect_pauses(&ask, "shared", "young") + inspect_pauses(&ask, "shared", "refcount");
    struct shared_pauses pauses = { young, inspect_pauses(&ask, "shared", "full") };
    inspect_close(&ask);
    crew_fini(&crew);
    daemon_stop(daemon);
    fprintf(stderr, "plan %s (%s), %s: %" PRIu64 " added, %" PRIu64 " taken out, %" PRIu64 " collections, %" PRIu64 " young\n",
            c.plan, c.options, c.exact ? "exact" : "ambiguous", added, removed, pauses.full + pauses.young, pauses.young);
    return pauses;
}

START_TEST(chains_built_by_compare_and_swap_have_every_link_of_every_client)
{
    struct shared_pauses pauses =
        run_case((struct shared_case){ .plan = stress_plan(_i / 2),
                                       .options = stress_options(stress_plan(_i / 2), 100 + (uint64_t)_i),
                                       .exact = _i % 2 == 1,
                                       .seed = stress_seed(100 + (uint64_t)_i),
                                       .seconds = stress_seconds_each(SECONDS_ALL, stress_plan_count() * 2) });
    ck_assert_uint_gt(pauses.full + pauses.young, 0);
}
END_TEST

START_TEST(each_young_collection_passes_a_second_trace)
{
    struct shared_pauses pauses =
        run_case((struct shared_case){ .plan = stress_generational_plan(_i / 2),
                                       .options = "sanity=on stress_factor=256K",
                                       .exact = _i % 2 == 1,
                                       .seed = stress_seed(150 + (uint64_t)_i),
                                       .seconds = stress_seconds_each(SECONDS_ALL, stress_plan_count() * 2) });
    ck_assert_uint_gt(pauses.young, 10); /* the others are those that the clients ask for */
}
END_TEST

static Suite *shared_suite(void)
{
    Suite *suite = suite_create("stress_shared");
    TCase *chains = tcase_create("chains");
    stress_limit(chains, SECONDS_ALL + 90);
    tcase_add_loop_test(chains, chains_built_by_compare_and_swap_have_every_link_of_every_client, 0,
                        stress_plan_count() * 2);
    tcase_add_loop_test(chains, each_young_collection_passes_a_second_trace, 0, stress_generational_count() * 2);
    suite_add_tcase(suite, chains);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, shared_suite);
}
