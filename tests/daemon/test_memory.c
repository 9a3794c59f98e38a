/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that follows need: given back when it is not needed, limits that move, and who decides when a heap is full. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/trigger.h"
#include "shm/object.h"
#include "shm/units.h"
#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define HEAP_BYTES (256 * MIB)
#define SECOND_NS UINT64_C(1000000000)

static struct daemon *d;
static struct raw c, admin;
static struct raw_thread t;
static uint32_t bytes_type;

static struct shm_grant newest_run(void)
{
    uint32_t last = at_load_acquire(&t.m->mail[SHM_GRANT_LARGE].published) - 1;

    return shm_mutator_ring(t.m, SHM_GRANT_LARGE)[last % shm_ring_capacity(SHM_GRANT_LARGE)];
}

static char *bytes_of(struct shm_grant run)
{
    return c.arena + 8 * (uint64_t)run.start;
}

static uint32_t define_bytes(struct raw *client)
{
    RAW(define, TYPE_DEFINE, type_define);

    define_body.name = (char *)"bytes";
    define_body.element_bytes = 1;
    wire_reply *reply = raw_ask(client, &define);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(TYPE_DEFINED));
    uint32_t id = reply->type_defined->id;
    wire_reply_free(reply);
    return id;
}

static void open_heap(uint64_t bytes, const char *options)
{
    d = daemon_start("[daemon]\nthreads = 2\ntrigger_deadline = 300ms\n");
    raw_start(&admin, d, "admin");
    raw_start(&c, d, "client");
    c.options = options;
    raw_open(&c, "h", bytes);
    raw_attach(&t, &c, "one");
    bytes_type = define_bytes(&c);
}

static void tear_down(void)
{
    raw_close(&c);
    raw_close(&admin);
    daemon_stop(d);
}

/* ---- what a thread does ---- */

static void take_all(struct raw_thread *th, enum shm_grant_class class)
{
    at_store_release(&th->m->mail[class].taken, at_load_acquire(&th->m->mail[class].published));
}

/* Garbage of the next collection: taken and never filled. */
static enum mmgc_error waste(struct raw_thread *th, uint64_t bytes)
{
    enum mmgc_error code = raw_grant(th, SHM_GRANT_LARGE, bytes);

    take_all(th, SHM_GRANT_LARGE);
    return code;
}

static void name(const char *name, uint32_t ref)
{
    RAW(set, NAME_SET, name_set);

    set_body.name = (char *)name;
    set_body.ref = ref;
    ck_assert_int_eq(raw_try(&c, &set), MMGC_E_OK);
}

/* Of what raw_grant() has just brought: an object with a name. */
static void fill(const char *called, uint64_t bytes)
{
    struct shm_grant run = newest_run();

    *(volatile uint64_t *)bytes_of(run) = object_header(bytes_type, (uint32_t)(bytes - 64));
    take_all(&t, SHM_GRANT_LARGE);
    name(called, run.start + 1);
}

static enum mmgc_error keep(const char *called, uint64_t bytes)
{
    enum mmgc_error code = raw_grant(&t, SHM_GRANT_LARGE, bytes);

    if (code == MMGC_E_OK)
        fill(called, bytes);
    return code;
}

static enum mmgc_error reserve(uint64_t bytes)
{
    RAW(grant, GRANT, grant);

    grant_body.thread = t.id;
    grant_body.grant_class = SHM_GRANT_BLOCKS;
    grant_body.bytes = bytes;
    grant_body.reserve = true;
    grant_body.mail_serial = ++t.mail_serial;
    raw_send(&c, &grant);
    return raw_grant_wait(&t, SHM_GRANT_BLOCKS);
}

static uint64_t reserved_bytes(uint32_t from)
{
    uint32_t published = at_load_acquire(&t.m->mail[SHM_GRANT_BLOCKS].published);
    uint64_t bytes = 0;

    for (uint32_t i = from; i != published; i++)
        bytes += 8 * (uint64_t)shm_mutator_ring(t.m, SHM_GRANT_BLOCKS)[i % shm_ring_capacity(SHM_GRANT_BLOCKS)].granules;
    return bytes;
}

/* ---- what can be seen of the heap ---- */

struct sizes {
    uint64_t limit, used, committed, resident;
};

static struct sizes sizes(void)
{
    RAW(info, HEAP_INFO, heap_info);

    info_body.name = (char *)"h";
    wire_reply *reply = raw_ask(&admin, &info);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HEAP_FACTS));
    const wire_heap_facts *facts = reply->heap_facts;
    struct sizes s = { facts->limit_bytes, facts->row->used_bytes, facts->committed_bytes, facts->resident_bytes };
    wire_reply_free(reply);
    return s;
}

static uint64_t collect(void)
{
    uint64_t number = raw_collect_begin(&c, "h");

    raw_collect_wait(&c, number);
    return mm_now_ns();
}

static uint64_t limit_now(void)
{
    return at_load_relaxed(&c.control->limit_bytes);
}

/* ---- giving back ---- */

START_TEST(what_a_collection_freed_is_the_systems_within_a_second)
{
    int zeroed = 0;

    open_heap(HEAP_BYTES, NULL);
    for (int i = 0; i < 12; i++) {
        ck_assert_int_eq(waste(&t, 16 * MIB), MMGC_E_OK);
        memset(bytes_of(newest_run()) + 8, 0xee, MIB);
    }
    ck_assert_uint_ge(sizes().resident, 192 * MIB);
    ck_assert_int_eq(waste(&t, 4096), MMGC_E_OK); /* the last one taken is not given up yet */
    uint64_t done_ns = collect();
    while (sizes().resident > 32 * MIB && mm_now_ns() - done_ns < 5 * SECOND_NS)
        usleep(10000);
    uint64_t took_ns = mm_now_ns() - done_ns;
    ck_assert_msg(took_ns < SECOND_NS, "%llu MiB resident, %llu used after %llu ms",
                  (unsigned long long)(sizes().resident >> 20), (unsigned long long)(sizes().used >> 20),
                  (unsigned long long)(took_ns / 1000000));
    ck_assert_uint_le(sizes().committed, 32 * MIB);
    for (int i = 0; i < 10; i++) { /* and it comes back, zero */
        ck_assert_int_eq(waste(&t, 16 * MIB), MMGC_E_OK);
        const uint64_t *words = (const uint64_t *)bytes_of(newest_run());
        zeroed += (newest_run().flags & SHM_GRANT_ZEROED) != 0;
        for (uint64_t at = 0; (newest_run().flags & SHM_GRANT_ZEROED) != 0 && at < 16 * MIB / 8; at++)
            if (words[at] != 0)
                ck_abort_msg("grant %d, word %llu", i, (unsigned long long)at);
    }
    ck_assert_int_ge(zeroed, 8);
}
END_TEST

START_TEST(what_lives_stays)
{
    char *objects[10];

    open_heap(HEAP_BYTES, NULL);
    for (int i = 0; i < 10; i++) {
        char called[8];
        ck_assert_int_eq(waste(&t, 10 * MIB), MMGC_E_OK);
        snprintf(called, sizeof(called), "k%d", i);
        ck_assert_int_eq(keep(called, 3 * MIB), MMGC_E_OK);
        objects[i] = bytes_of(newest_run()) + 8;
        memset(objects[i], i + 1, 3 * MIB - 64);
    }
    uint64_t done_ns = collect();
    while (sizes().resident > 90 * MIB && mm_now_ns() - done_ns < 5 * SECOND_NS)
        usleep(10000);
    ck_assert_uint_ge(sizes().resident, 30 * MIB);
    ck_assert_uint_le(sizes().resident, 90 * MIB);
    for (int i = 0; i < 10; i++) {
        for (uint64_t at = 0; at < 3 * MIB - 64; at++)
            if (objects[i][at] != i + 1)
                ck_abort_msg("object %d, byte %llu", i, (unsigned long long)at);
    }
}
END_TEST

START_TEST(a_busy_heap_keeps_its_memory)
{
    uint64_t most = 0, least = UINT64_MAX, begun_ns = mm_now_ns(), collections;

    open_heap(64 * MIB, NULL);
    collections = at_load_relaxed(&c.control->collections);
    for (int i = 0; mm_now_ns() - begun_ns < 2 * SECOND_NS; i++) {
        ck_assert_int_eq(waste(&t, MIB), MMGC_E_OK);
        if (i < 100 || i % 50 != 0)
            continue;
        uint64_t now = sizes().resident;
        most = MM_MAX(most, now);
        least = MM_MIN(least, now);
    }
    ck_assert_uint_gt(at_load_relaxed(&c.control->collections), collections + 3);
    ck_assert_msg(least >= most - 2 * MIB, "%llu to %llu MiB", (unsigned long long)(least >> 20),
                  (unsigned long long)(most >> 20));
}
END_TEST

/* ---- limits ---- */

static enum mmgc_error resize(struct raw *client, const char *heap, uint64_t bytes)
{
    RAW(request, HEAP_RESIZE, heap_resize);

    request_body.heap = (char *)heap;
    request_body.limit_bytes = bytes;
    return raw_try(client, &request);
}

static void *allocate(void *stop)
{
    struct raw other;
    struct raw_thread th;
    enum mmgc_error code = MMGC_E_OK;

    raw_start(&other, d, "other");
    raw_open(&other, "h", 0);
    raw_attach(&th, &other, "two");
    while (!at_load_relaxed((_Atomic bool *)stop) && (code == MMGC_E_OK || code == MMGC_E_NOMEM))
        code = waste(&th, 512 * 1024);
    raw_close(&other);
    return code == MMGC_E_OK || code == MMGC_E_NOMEM ? NULL : (void *)mmgc_error_name(code);
}

/* What one who allocates sees of a new limit, in two seconds: all that it may use in use, and never more at the end. */
static void follows(uint64_t bytes)
{
    uint64_t begun_ns = mm_now_ns(), most = 0;

    ck_assert_int_eq(resize(&admin, "h", bytes), MMGC_E_OK);
    ck_assert_uint_eq(limit_now(), bytes);
    while (sizes().committed > bytes && mm_now_ns() - begun_ns < 2 * SECOND_NS)
        (void)waste(&t, MIB);
    for (int i = 0; i < 300; i++) {
        (void)waste(&t, MIB);
        struct sizes now = sizes();
        ck_assert_uint_le(now.used, bytes);
        ck_assert_uint_le(now.resident, bytes);
        most = MM_MAX(most, now.used);
    }
    ck_assert_uint_ge(most, bytes / 2);
}

START_TEST(limits_move_while_clients_allocate)
{
    static _Atomic bool stop;
    pthread_t other;
    void *error;

    open_heap(128 * MIB, "limit=64M");
    ck_assert_uint_eq(limit_now(), 64 * MIB);
    ck_assert_int_eq(pthread_create(&other, NULL, allocate, &stop), 0);
    follows(16 * MIB);
    follows(96 * MIB);
    follows(8 * MIB);
    follows(128 * MIB);
    at_store_relaxed(&stop, true);
    pthread_join(other, &error);
    ck_assert_msg(error == NULL, "%s", (const char *)error);
}
END_TEST

START_TEST(a_limit_below_what_lives_waits_for_deaths)
{
    open_heap(64 * MIB, NULL);
    for (int i = 0; i < 8; i++) {
        char called[8];
        snprintf(called, sizeof(called), "k%d", i);
        ck_assert_int_eq(keep(called, 4 * MIB), MMGC_E_OK);
    }
    ck_assert_int_eq(resize(&admin, "h", 16 * MIB), MMGC_E_OK);
    ck_assert_int_eq(waste(&t, MIB), MMGC_E_NOMEM);
    ck_assert_int_eq(reserve(MIB), MMGC_E_RESERVE);
    ck_assert_uint_ge(sizes().used, 32 * MIB);
    for (int i = 0; i < 6; i++) {
        char called[8];
        snprintf(called, sizeof(called), "k%d", i);
        name(called, 0);
    }
    ck_assert_int_eq(waste(&t, 4 * MIB), MMGC_E_OK);
    ck_assert_uint_le(sizes().used, 16 * MIB);
    ck_assert_int_eq(resize(&admin, "h", 64 * MIB), MMGC_E_OK);
    ck_assert_int_eq(waste(&t, 20 * MIB), MMGC_E_OK);
}
END_TEST

START_TEST(who_waits_is_served_when_the_limit_grows)
{
    open_heap(64 * MIB, "limit=8M plan=nogc");
    ck_assert_int_eq(keep("a", 6 * MIB), MMGC_E_OK);
    ck_assert_int_eq(waste(&t, 3 * MIB), MMGC_E_NOMEM);
    ck_assert_int_eq(reserve(3 * MIB), MMGC_E_RESERVE);
    ck_assert_int_eq(resize(&admin, "h", 32 * MIB), MMGC_E_OK);
    ck_assert_int_eq(waste(&t, 3 * MIB), MMGC_E_OK);
    uint32_t from = at_load_acquire(&t.m->mail[SHM_GRANT_BLOCKS].published);
    ck_assert_int_eq(reserve(3 * MIB), MMGC_E_OK);
    ck_assert_uint_ge(reserved_bytes(from), 3 * MIB);
}
END_TEST

START_TEST(impossible_limits_are_refused)
{
    open_heap(64 * MIB, NULL);
    ck_assert_int_eq(resize(&admin, "h", 0), MMGC_E_INVALID);
    ck_assert_int_eq(resize(&admin, "h", 64 * MIB + 1), MMGC_E_INVALID);
    ck_assert_int_eq(resize(&admin, "h", UINT64_MAX), MMGC_E_INVALID);
    ck_assert_int_eq(resize(&admin, "nowhere", MIB), MMGC_E_NO_HEAP);
    ck_assert_int_eq(resize(&admin, "", MIB), MMGC_E_ORDER);
    ck_assert_uint_eq(limit_now(), 64 * MIB);
    ck_assert_int_eq(resize(&c, "", 3 * MIB), MMGC_E_OK); /* its own, rounded up */
    ck_assert_uint_eq(limit_now(), 4 * MIB);
}
END_TEST

/* ---- dynamic ---- */

START_TEST(the_spare_follows_the_square_root)
{
    uint64_t spare = trigger_spare_bytes(100 * MIB, 100 * MIB, 1000 * MIB);

    ck_assert_uint_ge(spare, 195 * MIB);
    ck_assert_uint_le(spare, 210 * MIB);
    ck_assert_uint_ge(trigger_spare_bytes(400 * MIB, 100 * MIB, 1000 * MIB), 2 * spare - 8 * MIB);
    ck_assert_uint_le(trigger_spare_bytes(400 * MIB, 100 * MIB, 1000 * MIB), 2 * spare + 8 * MIB);
    ck_assert_uint_eq(trigger_spare_bytes(100 * MIB, 0, 1000 * MIB), 50 * MIB);
    ck_assert_uint_eq(trigger_spare_bytes(0, 0, 0), 8 * MIB);
    ck_assert_uint_ge(trigger_spare_bytes(MM_ARENA_MAX_BYTES, UINT64_C(1) << 40, 1), MM_ARENA_MAX_BYTES);
}
END_TEST

START_TEST(a_dynamic_limit_follows_what_lives_up_and_down)
{
    uint64_t low, high;
    char called[8];

    open_heap(512 * MIB, "gc_trigger=dynamic:16M,400M");
    ck_assert_uint_eq(limit_now(), 64 * MIB);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(waste(&t, MIB), MMGC_E_OK);
    low = limit_now();
    for (int i = 0; i < 48; i++) {
        snprintf(called, sizeof(called), "k%d", i);
        ck_assert_int_eq(keep(called, 4 * MIB), MMGC_E_OK);
        usleep(1000);
    }
    (void)collect();
    high = limit_now();
    ck_assert_uint_ge(high, 288 * MIB); /* half as much again, at the least */
    ck_assert_uint_le(high, 400 * MIB);
    for (int i = 0; i < 48; i++) {
        snprintf(called, sizeof(called), "k%d", i);
        name(called, 0);
    }
    for (int i = 0; i < 8; i++) {
        usleep(20000); /* little is allocated */
        ck_assert_int_eq(waste(&t, MIB), MMGC_E_OK);
        (void)collect();
    }
    ck_assert_uint_le(limit_now(), 64 * MIB);
    ck_assert_uint_ge(limit_now(), 16 * MIB);
    ck_assert_uint_ge(low, 16 * MIB);
    usleep(1000000);
    ck_assert_uint_le(sizes().resident, 64 * MIB);
    ck_assert_int_eq(resize(&admin, "h", 64 * MIB), MMGC_E_UNSUPPORTED);
}
END_TEST

START_TEST(a_dynamic_heap_fails_nobody_below_its_maximum)
{
    char called[8];
    int i;

    open_heap(256 * MIB, "gc_trigger=dynamic:8M,128M limit=8M");
    ck_assert_uint_eq(limit_now(), 8 * MIB);
    ck_assert_int_eq(reserve(32 * MIB), MMGC_E_OK);
    ck_assert_uint_ge(reserved_bytes(0), 32 * MIB);
    take_all(&t, SHM_GRANT_BLOCKS);
    ck_assert_int_eq(waste(&t, 100 * MIB), MMGC_E_OK);
    ck_assert_int_eq(waste(&t, 4096), MMGC_E_OK);
    for (i = 0; i < 100; i++) {
        snprintf(called, sizeof(called), "k%d", i);
        enum mmgc_error code = keep(called, 2 * MIB);
        if (code != MMGC_E_OK) {
            ck_assert_int_eq(code, MMGC_E_NOMEM);
            break;
        }
    }
    ck_assert_int_ge(i, 60);
    ck_assert_int_le(i, 64);
    ck_assert_uint_eq(limit_now(), 128 * MIB);
    ck_assert_int_eq(waste(&t, 129 * MIB), MMGC_E_TOO_LARGE);
    ck_assert_int_eq(reserve(129 * MIB), MMGC_E_RESERVE);
    ck_assert_int_eq(reserve(16 * MIB), MMGC_E_RESERVE);
}
END_TEST

/* ---- delegated ---- */

static enum mmgc_error delegate(struct raw *client)
{
    RAW(request, DELEGATE, delegate);

    request_body.heap = (char *)"h";
    return raw_try(client, &request);
}

static enum mmgc_error decide(struct raw *client, uint32_t decision, uint64_t limit_bytes)
{
    RAW(request, DECIDE, decide);

    request_body.heap = (char *)"h";
    request_body.decision = decision;
    request_body.limit_bytes = limit_bytes;
    return raw_try(client, &request);
}

static void await_pressure(uint64_t wanted)
{
    wire_reply *reply = raw_receive(&admin, NULL);

    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(PRESSURE));
    ck_assert_uint_eq(reply->serial, 0);
    ck_assert_str_eq(reply->pressure->heap, "h");
    ck_assert_uint_eq(reply->pressure->limit_bytes, limit_now());
    ck_assert_uint_eq(reply->pressure->wanted_bytes, wanted);
    ck_assert_uint_le(reply->pressure->used_bytes, limit_now());
    wire_reply_free(reply);
}

/* Full, and the admin its delegate: of 8 MiB, 6 live or are garbage. */
static void open_delegated(bool garbage)
{
    open_heap(64 * MIB, "gc_trigger=delegated limit=8M");
    ck_assert_int_eq(delegate(&admin), MMGC_E_OK);
    ck_assert_int_eq(garbage ? waste(&t, 6 * MIB) : keep("a", 6 * MIB), MMGC_E_OK);
}

static uint64_t collections(void)
{
    return at_load_acquire(&c.control->collections);
}

START_TEST(a_delegate_has_it_collected)
{
    open_delegated(true);
    raw_grant_send(&t, SHM_GRANT_LARGE, 4 * MIB);
    await_pressure(4 * MIB);
    ck_assert_uint_eq(collections(), 0);
    ck_assert_int_eq(decide(&admin, DECIDE_COLLECT, 0), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_LARGE), MMGC_E_OK);
    ck_assert_uint_eq(collections(), 1);
}
END_TEST

START_TEST(a_delegate_is_asked_again_after_a_collection_in_vain)
{
    open_delegated(false);
    raw_grant_send(&t, SHM_GRANT_LARGE, 4 * MIB);
    await_pressure(4 * MIB);
    ck_assert_int_eq(decide(&admin, DECIDE_COLLECT, 0), MMGC_E_OK);
    await_pressure(4 * MIB);
    ck_assert_uint_eq(collections(), 1);
    ck_assert_int_eq(decide(&admin, DECIDE_LIMIT, 16 * MIB), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_LARGE), MMGC_E_OK);
    ck_assert_uint_eq(collections(), 1);
}
END_TEST

START_TEST(a_delegate_lets_it_grow)
{
    open_delegated(false);
    raw_grant_send(&t, SHM_GRANT_LARGE, 8 * MIB);
    await_pressure(8 * MIB);
    ck_assert_int_eq(decide(&admin, DECIDE_LIMIT, 10 * MIB), MMGC_E_OK); /* not enough */
    await_pressure(8 * MIB);
    ck_assert_uint_eq(limit_now(), 10 * MIB);
    ck_assert_int_eq(decide(&admin, DECIDE_LIMIT, 64 * MIB + 1), MMGC_E_INVALID);
    ck_assert_int_eq(decide(&admin, DECIDE_LIMIT, 16 * MIB), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_LARGE), MMGC_E_OK);
    ck_assert_uint_eq(collections(), 0);
    ck_assert_int_eq(decide(&admin, DECIDE_LIMIT, 64 * MIB), MMGC_E_OK); /* unasked */
    ck_assert_int_eq(reserve(32 * MIB), MMGC_E_OK);
    ck_assert_uint_ge(reserved_bytes(0), 32 * MIB);
}
END_TEST

START_TEST(a_limit_that_is_no_higher_is_a_collection)
{
    open_delegated(true);
    raw_grant_send(&t, SHM_GRANT_LARGE, 4 * MIB);
    await_pressure(4 * MIB);
    ck_assert_int_eq(decide(&admin, DECIDE_LIMIT, 6 * MIB), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_LARGE), MMGC_E_OK);
    ck_assert_uint_eq(collections(), 1);
    ck_assert_uint_eq(limit_now(), 6 * MIB);
}
END_TEST

START_TEST(a_delegate_refuses)
{
    open_delegated(true);
    raw_grant_send(&t, SHM_GRANT_LARGE, 4 * MIB);
    await_pressure(4 * MIB);
    ck_assert_int_eq(decide(&admin, DECIDE_REFUSE, 0), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_LARGE), MMGC_E_NOMEM);
    ck_assert_uint_eq(collections(), 0);
    raw_grant_send(&t, SHM_GRANT_LARGE, 4 * MIB); /* that was about one; this is another */
    await_pressure(4 * MIB);
    ck_assert_int_eq(decide(&admin, DECIDE_COLLECT, 0), MMGC_E_OK);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_LARGE), MMGC_E_OK);
}
END_TEST

START_TEST(a_delegate_that_does_not_answer_is_passed_over)
{
    uint64_t begun_ns = mm_now_ns();

    open_delegated(true);
    ck_assert_int_eq(waste(&t, 4 * MIB), MMGC_E_OK);
    ck_assert_uint_ge(mm_now_ns() - begun_ns, 300 * UINT64_C(1000000));
    ck_assert_uint_eq(collections(), 1);
    await_pressure(4 * MIB);
    ck_assert_int_eq(decide(&admin, DECIDE_COLLECT, 0), MMGC_E_OK); /* late: a collection nobody waits for */
    raw_collect_wait(&c, 2);
    ck_assert_int_eq(decide(&admin, DECIDE_REFUSE, 0), MMGC_E_OK);
    ck_assert_int_eq(waste(&t, MIB), MMGC_E_OK);
}
END_TEST

START_TEST(a_delegate_that_dies_is_missed_at_once)
{
    struct raw next;

    open_delegated(true);
    raw_grant_send(&t, SHM_GRANT_LARGE, 4 * MIB);
    await_pressure(4 * MIB);
    raw_close(&admin);
    ck_assert_int_eq(raw_grant_wait(&t, SHM_GRANT_LARGE), MMGC_E_OK);
    ck_assert_uint_eq(collections(), 1);
    ck_assert_int_eq(waste(&t, 3 * MIB), MMGC_E_OK);
    ck_assert_int_eq(waste(&t, 3 * MIB), MMGC_E_OK); /* nobody is asked */
    ck_assert_uint_eq(collections(), 2);
    raw_start(&next, d, "next");
    ck_assert_int_eq(delegate(&next), MMGC_E_OK);
    raw_close(&next);
    raw_start(&admin, d, "admin");
}
END_TEST

START_TEST(there_is_one_delegate_of_a_heap_that_wants_one)
{
    open_delegated(true);
    ck_assert_int_eq(delegate(&admin), MMGC_E_OK); /* it is already */
    ck_assert_int_eq(delegate(&c), MMGC_E_LIMIT);
    ck_assert_int_eq(decide(&c, DECIDE_COLLECT, 0), MMGC_E_ORDER);
    ck_assert_int_eq(decide(&admin, DECISIONS, 0), MMGC_E_INVALID);
    tear_down();
    open_heap(64 * MIB, NULL);
    ck_assert_int_eq(delegate(&admin), MMGC_E_UNSUPPORTED);
    ck_assert_int_eq(decide(&admin, DECIDE_COLLECT, 0), MMGC_E_ORDER);
}
END_TEST

START_TEST(the_heaps_end_is_its_delegates)
{
    RAW(destroy, HEAP_DESTROY, heap_destroy);

    open_delegated(true);
    destroy_body.name = (char *)"h";
    destroy_body.force = true;
    ck_assert_int_eq(raw_try(&c, &destroy), MMGC_E_OK);
    ck_assert_int_eq(raw_last_word(&admin), MMGC_E_HEAP_GONE);
}
END_TEST

static Suite *memory_suite(void)
{
    Suite *suite = suite_create("memory");
    TCase *back = tcase_create("given back"), *limits = tcase_create("limits"), *dynamic = tcase_create("dynamic"),
          *delegated = tcase_create("delegated"), *sums = tcase_create("sums");

    tcase_add_checked_fixture(back, NULL, tear_down);
    tcase_add_test(back, what_a_collection_freed_is_the_systems_within_a_second);
    tcase_add_test(back, what_lives_stays);
    tcase_add_test(back, a_busy_heap_keeps_its_memory);
    suite_add_tcase(suite, back);
    tcase_add_checked_fixture(limits, NULL, tear_down);
    tcase_add_test(limits, limits_move_while_clients_allocate);
    tcase_add_test(limits, a_limit_below_what_lives_waits_for_deaths);
    tcase_add_test(limits, who_waits_is_served_when_the_limit_grows);
    tcase_add_test(limits, impossible_limits_are_refused);
    suite_add_tcase(suite, limits);
    tcase_add_test(sums, the_spare_follows_the_square_root);
    suite_add_tcase(suite, sums);
    tcase_add_checked_fixture(dynamic, NULL, tear_down);
    tcase_add_test(dynamic, a_dynamic_limit_follows_what_lives_up_and_down);
    tcase_add_test(dynamic, a_dynamic_heap_fails_nobody_below_its_maximum);
    suite_add_tcase(suite, dynamic);
    tcase_add_checked_fixture(delegated, NULL, tear_down);
    tcase_add_test(delegated, a_delegate_has_it_collected);
    tcase_add_test(delegated, a_delegate_is_asked_again_after_a_collection_in_vain);
    tcase_add_test(delegated, a_delegate_lets_it_grow);
    tcase_add_test(delegated, a_limit_that_is_no_higher_is_a_collection);
    tcase_add_test(delegated, a_delegate_refuses);
    tcase_add_test(delegated, a_delegate_that_does_not_answer_is_passed_over);
    tcase_add_test(delegated, a_delegate_that_dies_is_missed_at_once);
    tcase_add_test(delegated, there_is_one_delegate_of_a_heap_that_wants_one);
    tcase_add_test(delegated, the_heaps_end_is_its_delegates);
    suite_add_tcase(suite, delegated);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, memory_suite);
}
