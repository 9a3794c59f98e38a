/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/fixture.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "client/grant.h"
#include "client/span.h"
#include "shm/object.h"
#include "shm/units.h"

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) /* it makes a step of a thousand */
#define STEPS 1
#else
#define STEPS 0
#endif

static const uint32_t span_sizes[] = { 256, 1024, 0 };

static void setup_in(void)
{
    setup();
    ck_assert_ok(mmgc_enter(t));
}

static void setup_cells(void)
{
    fixture_allocator = SHM_ALLOCATOR_CELLS;
    setup_in();
}

static void setup_read_only(void)
{
    struct mmgc_heap_options options = { .read_only = true };

    fixture_open(&options, NULL);
    ck_assert_ok(mmgc_enter(t));
}

static uint64_t offset_of(const void *object)
{
    return (uint64_t)((const char *)object - t->base);
}

static bool all_zero(const void *bytes, size_t count)
{
    const char *p = bytes;

    return count == 0 || (p[0] == 0 && memcmp(p, p + 1, count - 1) == 0);
}

/* ---- what the daemon could find at any instruction: soundness S6, S7 ---------------------------------------------- */

#if STEPS
static uint64_t size_of(uint64_t header)
{
    const struct shm_type_row *row = &fake->control->types[object_header_type(header)];

    return object_bytes(row->fixed_bytes, row->element_bytes, object_header_length(header));
}

/* Parses [start, limit) of a span as the daemon would; false: something stands there that is neither zero nor an object. */
static bool parses(uint64_t start, uint64_t limit, uint64_t *ret_objects)
{
    uint32_t types = at_load_acquire(&fake->control->type_count);

    while (start < limit) {
        uint64_t header = at_load_relaxed((_Atomic uint64_t *)(void *)(fake->arena + start));
        uint32_t type = object_header_type(header);
        if (header == 0) {
            start += MM_GRANULE_BYTES;
            continue;
        }
        if (type == 0 || type >= types || !object_header_is_sound(header, false)) /* nobody has asked for a hash */
            return false;
        start += size_of(header);
        (*ret_objects)++;
    }
    return start == limit;
}

/* Checks one class of thread 1 by its words as they stand: finished spans to their end, the current one to limit. */
static bool mutator_parses(enum shm_grant_class class, uint64_t *ret_objects)
{
    struct shm_mutator *m = fake_mutator(fake, 1);
    struct shm_bump *bump = shm_mutator_bump(m, class);
    char *limit = __atomic_load_n(&bump->limit, __ATOMIC_ACQUIRE);
    uint32_t taken = at_load_acquire(&m->mail[class].taken), capacity = shm_ring_capacity(class);
    uint64_t at = limit == NULL ? 0 : (uint64_t)(limit - t->base);

    for (uint32_t i = taken > 3 ? taken - 3 : 0; i < taken; i++) {
        const struct shm_grant *g = &shm_mutator_ring(m, class)[i % capacity];
        uint64_t start = (uint64_t)g->start << 3, end = start + ((uint64_t)g->granules << 3);
        if (!parses(start, end, ret_objects))
            return false;
    }
    if (taken == at_load_acquire(&m->mail[class].published))
        return true;
    const struct shm_grant *g = &shm_mutator_ring(m, class)[taken % capacity];
    uint64_t start = (uint64_t)g->start << 3, end = start + ((uint64_t)g->granules << 3);
    return at < start || at > end || parses(start, at, ret_objects);
}

#endif

START_TEST(objects_are_zero_and_apart)
{
    char *last = NULL;

    at_store_relaxed(&fake->span_bytes, span_sizes[_i]);
    for (int i = 0; i < 20000; i++) {
        struct node *n = mmgc_new(t, node_type);
        ck_assert_ptr_nonnull(n);
        ck_assert(all_zero(n, sizeof(*n)));
        memset(n, 0x5a, sizeof(*n));
        ck_assert_uint_eq(offset_of(n) % 8, 0);
        if (last != NULL)
            ck_assert((char *)n >= last + sizeof(*n) + 8 || (char *)n < last);
        ck_assert_uint_eq(((uint64_t *)n)[-1], node_type->header);
        last = (char *)n;
    }
}
END_TEST

START_TEST(arrays_of_any_size_are_zero_and_know_their_length)
{
    uint32_t length = 0;

    at_store_relaxed(&fake->span_bytes, 1024);
    for (int i = 0; i < 3000; i++) {
        length = (length * 5 + 7) % 20000;
        uint32_t bytes = length * 4 > 60000 && i % 50 != 0 ? length / 40 : length;
        char *a = mmgc_new_array(t, bytes_type, bytes);
        ck_assert_ptr_nonnull(a);
        ck_assert_uint_eq(mmgc_length(a), bytes);
        ck_assert(all_zero(a, bytes));
        memset(a, 0x77, bytes);
        ck_assert_str_eq(mmgc_type_name(t, a), "byte[]");
    }
    ck_assert_uint_gt(at_load_relaxed(&fake->grants[SHM_GRANT_BLOCKS]), 0);
    ck_assert_uint_gt(at_load_relaxed(&fake->grants[SHM_GRANT_LARGE]), 0);
}
END_TEST

START_TEST(spans_said_to_be_zero_are_not_zeroed_again)
{
    at_store_relaxed(&fake->zeroed, true);
    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    ck_assert_ptr_eq(t->limit, t->end);
    char *large = mmgc_new_array(t, bytes_type, 100000);
    ck_assert(all_zero(large, 100000));
}
END_TEST

#if STEPS
static unsigned long traps, broken_at, parsed;

static void on_trap(int signal)
{
    uint64_t objects = 0;

    traps++;
    enum shm_grant_class class = fixture_allocator == SHM_ALLOCATOR_CELLS ? SHM_GRANT_CELLS : SHM_GRANT_LINES,
                         last = class == SHM_GRANT_LINES ? SHM_GRANT_BLOCKS : SHM_GRANT_CLASSES - 1;
    for (; class <= last; class++)
        if (!mutator_parses(class, &objects) && broken_at == 0)
            broken_at = traps;
    parsed += objects;
}

/* The processor traps after each instruction from here on, or no longer. */
static inline __attribute__((always_inline)) void single_step(bool on)
{
    if (on)
        __asm__ volatile("subq $128, %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\taddq $128, %%rsp"
                         :
                         :
                         : "memory", "cc");
    else
        __asm__ volatile("subq $128, %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\taddq $128, %%rsp"
                         :
                         :
                         : "memory", "cc");
}

/* A daemon that looks after a kill at any instruction finds memory that parses, although all payloads are garbage. */
START_TEST(killed_at_any_instruction_what_limit_claims_parses)
{
    struct sigaction action = { .sa_handler = on_trap };

    at_store_relaxed(&fake->span_bytes, span_sizes[_i]);
    ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
    bool cells = fixture_allocator == SHM_ALLOCATOR_CELLS; /* of few sizes: each one's first slab is a long wait */
    for (uint32_t i = 0; i < 150; i++) {
        uint32_t length = cells ? i % 3 * 40 : i * 7919 % (i % 8 == 0 ? 3000 : 120);
        single_step(true);
        char *a = mmgc_new_array(t, bytes_type, length);
        single_step(false);
        ck_assert_ptr_nonnull(a);
        memset(a, 0xff, length);
    }
    ck_assert_uint_gt(traps, 10000);
    ck_assert_uint_gt(parsed, 0);
    ck_assert_uint_eq(broken_at, 0);
}
END_TEST
#endif

START_TEST(small_holes_are_for_small_objects)
{
    at_store_relaxed(&fake->span_bytes, 256);
    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    uint32_t taken = at_load_relaxed(&mutator()->mail[SHM_GRANT_LINES].taken);
    char *middle = mmgc_new_array(t, bytes_type, 1000); /* does not fit a line */
    ck_assert_ptr_nonnull(middle);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->mail[SHM_GRANT_LINES].taken), taken);
    ck_assert((char *)middle >= mutator()->bumps[SHM_GRANT_BLOCKS].end - MM_BLOCK_BYTES &&
              middle < mutator()->bumps[SHM_GRANT_BLOCKS].end);
}
END_TEST

/* ---- asking ------------------------------------------------------------------------------------------------------ */

START_TEST(the_next_slab_is_asked_for_before_the_last_runs_out)
{
    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    uint32_t asked = at_load_relaxed(&fake->grants[SHM_GRANT_LINES]);
    uint64_t first = at_load_relaxed(&fake->last_grant_bytes[SHM_GRANT_LINES]);

    for (int i = 0; i < 200000; i++)
        ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    ck_assert_uint_gt(at_load_relaxed(&fake->grants[SHM_GRANT_LINES]), asked);
    ck_assert_uint_gt(at_load_relaxed(&fake->last_grant_bytes[SHM_GRANT_LINES]),
                      first); /* a fast thread: larger slabs */
    ck_assert_uint_le(at_load_relaxed(&fake->last_grant_bytes[SHM_GRANT_LINES]), FAKE_ARENA_BYTES / 16);
}
END_TEST

START_TEST(one_request_of_a_class_is_under_way)
{
    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    uint64_t granted =
        (uint64_t)at_load_relaxed(&mutator()->mail[SHM_GRANT_LINES].published) * MM_BLOCK_BYTES;
    (void)usleep(20000); /* whatever was asked ahead is answered */
    uint32_t asked = at_load_relaxed(&fake->grants[SHM_GRANT_LINES]);
    at_store_release(&fake->hold_grants, true);
    while (at_load_relaxed(&mutator()->mail[SHM_GRANT_LINES].taken) + 1 <
           at_load_relaxed(&mutator()->mail[SHM_GRANT_LINES].published))
        ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    (void)usleep(20000);
    ck_assert_uint_le(at_load_relaxed(&fake->grants[SHM_GRANT_LINES]), asked + 1);
    at_store_release(&fake->hold_grants, false);
    ck_assert_uint_gt(granted, 0);
}
END_TEST

static void *release_later(void *arg)
{
    (void)usleep(50000);
    if (at_load_acquire(&fake_mutator(fake, 1)->state) != SHM_PARKED)
        return arg;
    at_store_release(&fake->hold_grants, false);
    return NULL;
}

START_TEST(who_waits_for_what_has_come_meanwhile_asks_for_no_more)
{
    struct thread *th = thread_of(t);
    struct grant_ask ask = { .class = SHM_GRANT_LINES, .min_bytes = MM_LINE_BYTES };

    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    while (at_load_acquire(&mutator()->mail[SHM_GRANT_LINES].answered) != th->slabs[SHM_GRANT_LINES].mail_serial)
        (void)usleep(100);
    (void)span_ahead(th, SHM_GRANT_LINES);
    uint32_t asked = at_load_relaxed(&fake->grants[SHM_GRANT_LINES]), seen = th->slabs[SHM_GRANT_LINES].seen;
    th->slabs[SHM_GRANT_LINES].seen--; /* as if it had come after that look */
    ck_assert_ok(grant_wait(th, &ask));
    ck_assert_uint_eq(at_load_relaxed(&fake->grants[SHM_GRANT_LINES]), asked);
    th->slabs[SHM_GRANT_LINES].seen = seen;
    ck_assert_ok(grant_wait(th, &ask)); /* now there is nothing more */
    ck_assert_uint_eq(at_load_relaxed(&fake->grants[SHM_GRANT_LINES]), asked + 1);
}
END_TEST

START_TEST(waiting_for_memory_is_parked_with_roots)
{
    pthread_t thread;
    void *wrong;

    at_store_release(&fake->hold_grants, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, release_later, fake), 0);
    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    (void)pthread_join(thread, &wrong);
    ck_assert_ptr_null(wrong);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->state), SHM_IN);
}
END_TEST

/* ---- failing ----------------------------------------------------------------------------------------------------- */

START_TEST(a_full_heap_is_null_and_an_error_and_not_for_ever)
{
    at_store_release(&fake->grant_error, MMGC_E_NOMEM);
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_null(mmgc_new(t, node_type));
        ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_NOMEM);
    }
    ck_assert_ptr_null(mmgc_new_array(t, bytes_type, 1000));
    ck_assert_ptr_null(mmgc_new_array(t, bytes_type, 100000));
    at_store_release(&fake->grant_error, MMGC_E_STALLED);
    ck_assert_ptr_null(mmgc_new(t, node_type));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_STALLED);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->state), SHM_IN);
    at_store_release(&fake->grant_error, MMGC_E_OK);
    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    ck_assert_ptr_nonnull(mmgc_new_array(t, bytes_type, 100000));
}
END_TEST

START_TEST(the_arena_ends_in_an_error)
{
    uint64_t objects = 0;

    while (mmgc_new_array(t, bytes_type, 4000) != NULL)
        objects++;
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_NOMEM);
    ck_assert_uint_gt(objects * 4008, FAKE_ARENA_BYTES / 2);
}
END_TEST

START_TEST(what_cannot_be_is_refused_at_once)
{
    uint32_t asked = at_load_relaxed(&fake->grants[SHM_GRANT_LARGE]);

    ck_assert_ptr_null(mmgc_new_array(t, bytes_type, UINT32_MAX));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_TOO_LARGE);
    ck_assert_ptr_null(mmgc_new_array(t, refs_type, UINT32_MAX));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_TOO_LARGE);
    ck_assert_uint_eq(at_load_relaxed(&fake->grants[SHM_GRANT_LARGE]), asked);
    mmgc_leave(t);
    ck_assert_ptr_null(mmgc_new(t, node_type));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_NOT_IN);
}
END_TEST

START_TEST(a_lost_daemon_ends_allocating_and_the_thread_is_out)
{
    struct node *n;
    int count = 0;

    fake_drop_all(fake);
    (void)usleep(20000);
    while ((n = mmgc_new(t, node_type)) != NULL)
        count++;
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_DISCONNECTED);
    ck_assert_int_lt(count, 1000000);
    ck_assert_uint_eq(at_load_relaxed(&mutator()->state), SHM_OUT);
    ck_assert_ptr_null(mmgc_new(t, node_type));
}
END_TEST

START_TEST(a_read_only_heap_allocates_nothing)
{
    ck_assert_ptr_null(mmgc_new(t, node_type));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_READ_ONLY);
    ck_assert_int_eq(mmgc_reserve(t, 100), MMGC_E_READ_ONLY);
    ck_assert_uint_eq(at_load_relaxed(&fake->grants[SHM_GRANT_LINES]), 0);
}
END_TEST

/* ---- reserving --------------------------------------------------------------------------------------------------- */

static uint32_t grants_seen(void)
{
    return at_load_relaxed(&fake->grants[0]) + at_load_relaxed(&fake->grants[1]) +
           at_load_relaxed(&fake->grants[2]);
}

START_TEST(what_is_reserved_neither_fails_nor_asks_nor_parks)
{
    static const uint32_t sizes[] = { 16384 - 8, 8, 9000, 16384 - 8, 200, 16000, 3000, 16384 - 8 };
    uint64_t left = 4u << 20;

    if (_i == 1)
        ck_assert_ptr_nonnull(mmgc_new(t, node_type)); /* with a span begun */
    ck_assert_ok(mmgc_reserve(t, left));
    (void)usleep(20000);
    uint32_t seen = grants_seen();
    at_store_release(&fake->grant_error, MMGC_E_NOMEM);
    at_store_release(&fake->control->epoch, 1); /* and nobody would answer a poll */
    for (int i = 0;; i++) {
        uint32_t length = sizes[i % 8];
        uint64_t bytes = mmgc_size(bytes_type, length);
        if (bytes > left)
            break;
        char *a = mmgc_new_array(t, bytes_type, length);
        ck_assert_ptr_nonnull(a);
        ck_assert(all_zero(a, length));
        memset(a, 1, length);
        left -= bytes;
    }
    while (left >= mmgc_size(node_type, 0)) {
        ck_assert_ptr_nonnull(mmgc_new(t, node_type));
        left -= mmgc_size(node_type, 0);
    }
    ck_assert_uint_eq(grants_seen(), seen);
    at_store_release(&fake->control->epoch, 2);
}
END_TEST

START_TEST(a_reservation_too_large_or_not_to_be_had_is_an_error)
{
    ck_assert_int_eq(mmgc_reserve(t, (4u << 20) + 1), MMGC_E_RESERVE);
    at_store_release(&fake->grant_error, MMGC_E_NOMEM);
    ck_assert_int_eq(mmgc_reserve(t, 1000), MMGC_E_NOMEM);
    ck_assert_ok(mmgc_reserve(t, 0));
    at_store_release(&fake->grant_error, MMGC_E_OK);
    ck_assert_ok(mmgc_reserve(t, 100000));
    uint32_t seen = grants_seen();
    ck_assert_ok(mmgc_reserve(t, 100000)); /* what lies in the ring is enough */
    ck_assert_uint_eq(grants_seen(), seen);
    mmgc_leave(t);
    ck_assert_ok(mmgc_reserve(t, 1u << 20)); /* from outside, too */
    ck_assert_uint_eq(at_load_relaxed(&mutator()->state), SHM_OUT);
    ck_assert_ok(mmgc_enter(t));
}
END_TEST

static Suite *alloc_suite(void)
{
    Suite *suite = suite_create("alloc");
    TCase *alloc = tcase_create("alloc"), *cells = tcase_create("cells"), *reading = tcase_create("read_only");

    tcase_add_checked_fixture(alloc, setup_in, teardown);
    tcase_add_loop_test(alloc, objects_are_zero_and_apart, 0, 3);
    tcase_add_test(alloc, arrays_of_any_size_are_zero_and_know_their_length);
    tcase_add_test(alloc, spans_said_to_be_zero_are_not_zeroed_again);
#if STEPS
    tcase_add_loop_test(alloc, killed_at_any_instruction_what_limit_claims_parses, 0, 3);
#endif
    tcase_add_test(alloc, small_holes_are_for_small_objects);
    tcase_add_test(alloc, the_next_slab_is_asked_for_before_the_last_runs_out);
    tcase_add_test(alloc, one_request_of_a_class_is_under_way);
    tcase_add_test(alloc, who_waits_for_what_has_come_meanwhile_asks_for_no_more);
    tcase_add_test(alloc, waiting_for_memory_is_parked_with_roots);
    tcase_add_test(alloc, a_full_heap_is_null_and_an_error_and_not_for_ever);
    tcase_add_test(alloc, the_arena_ends_in_an_error);
    tcase_add_test(alloc, what_cannot_be_is_refused_at_once);
    tcase_add_test(alloc, a_lost_daemon_ends_allocating_and_the_thread_is_out);
    tcase_add_loop_test(alloc, what_is_reserved_neither_fails_nor_asks_nor_parks, 0, 2);
    tcase_add_test(alloc, a_reservation_too_large_or_not_to_be_had_is_an_error);
    suite_add_tcase(suite, alloc);
    tcase_add_checked_fixture(cells, setup_cells, teardown);
#if STEPS
    tcase_add_loop_test(cells, killed_at_any_instruction_what_limit_claims_parses, 0, 2);
#endif
    tcase_add_test(cells, what_cannot_be_is_refused_at_once);
    suite_add_tcase(suite, cells);
    tcase_add_checked_fixture(reading, setup_read_only, teardown);
    tcase_add_test(reading, a_read_only_heap_allocates_nothing);
    suite_add_tcase(suite, reading);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, alloc_suite);
}
