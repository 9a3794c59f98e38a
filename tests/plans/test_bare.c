/* SPDX-License-Identifier: Apache-2.0 */
/* Every plan lives in one static region: with malloc trapped, and with nearly every system call. */
#include "plans/bare.h"

#include <errno.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/plans/counts.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"
#include "tests/support/trap.h"

#define MIB (UINT64_C(1) << 20)
#define HEAP_BYTES (8 * MIB)
#define ROUNDS 3u
#define MANY 3000u

static alignas(MM_PAGE_BYTES) char region[64 * MIB];
static struct fake_world world;
static struct objects types;
static uint32_t holder_type;                 /* a weak reference, and an ephemeron */
static struct fake_mutator *mutators[2];

/* Check asks for memory to say so. */
#define REQUIRE(x) \
    do { \
        if (!(x)) { \
            trap_arm(false); \
            ck_abort_msg("%s:%d: %s", __FILE__, __LINE__, #x); \
        } \
    } while (0)

static struct bare_config config_of(int plan)
{
    return (struct bare_config){ .heap = { .plan = plans[plan]->name, .max_bytes = HEAP_BYTES, .options.sanity = true },
                                 .use = { .mutators = MM_ARRAY_LEN(mutators), .types = 8, .root_rows = FAKE_ROWS_MAX + 1,
                                          .root_words = FAKE_ROWS_MAX * FAKE_ROW_WORDS + FAKE_TABLE_ROWS, .sanity = true },
                                 .packet_bytes = MIB };
}

static size_t region_bytes(int plan)
{
    struct bare_config config = config_of(plan);
    size_t bytes = fake_bare_bytes(&config);

    ck_assert_uint_gt(bytes, HEAP_BYTES);
    ck_assert_uint_le(bytes, sizeof(region));
    return bytes;
}

/* ---- a life ---- */

static bool collects(void)
{
    return heap_plan_collects(world.heap);
}

/* A list of nodes with an array of bytes each now and then. 0: the heap is full. */
static uint32_t make_list(struct fake_mutator *m, uint32_t head, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = fake_new(m, types.node, 0), bytes = i % 10 == 0 ? fake_new(m, types.bytes, i % 1000) : 0;
        if (node == 0)
            return 0;
        node_set(&world, node, head, bytes, i);
        head = node;
    }
    return head;
}

static void list_is(uint32_t head, uint32_t count)
{
    for (uint32_t i = count; i-- > 0; head = fake_ref(&world, head, 0))
        REQUIRE(head != 0 && node_value(&world, head) == i);
}

static void cycle(void)
{
    if (heap_plan_counts(world.heap)) {
        if (heap_cycle(world.heap) == HEAP_CYCLE_COUNTING)
            (void)counts_finish(&world);
        counts_begin_trace(&world);
        counts_mark_some(&world, true); /* leaves gray objects */
        counts_mark_some(&world, false);
        counts_end_trace(&world);
    } else if (heap_plan_is_concurrent(world.heap)) {
        (void)fake_cycle(&world);
    }
}

/* Counting goes on after a pause of plans that count. */
static void settle(void)
{
    if (heap_cycle(world.heap) == HEAP_CYCLE_COUNTING)
        (void)counts_finish(&world);
}

static uint32_t kept_count(int plan)
{
    return has_pages(plans[plan]) ? 200 : MANY;
}

/* Every field of what was kept is stored to: the log gets long where there is one. */
static void log_much(uint32_t head)
{
    for (; head != 0; head = fake_ref(&world, head, 0))
        fake_set(&world, head, 1, fake_ref(&world, head, 1));
}

static void churn(int plan, uint32_t count)
{
    for (unsigned i = 0; i < 4 && collects(); i++) {
        uint32_t kept = fake_root_word(&world, 0, 0), holder = fake_new(mutators[0], holder_type, 0);
        for (unsigned k = 0; k < 2; k++)
            (void)make_list(mutators[k], 0, count / 2);
        uint32_t large = fake_new(mutators[i % 2], types.refs, 20000);
        for (uint32_t at = 0; large != 0 && at < 20000; at++)
            fake_set(&world, large, at, kept);
        REQUIRE(holder != 0);
        fake_set(&world, holder, 0, make_list(mutators[0], 0, 1)); /* nobody else has it */
        fake_set(&world, holder, 2, kept);
        fake_set(&world, holder, 3, holder);
        fake_roots_clear(&world);
        fake_root(&world, 0, kept);
        fake_root(&world, 0, holder);
        uint32_t row = fake_row(&world, SHM_ROW_WEAK, fake_ref(&world, holder, 0));
        if (large != 0)
            fake_root(&world, 1, large); /* ambiguous */
        log_much(kept);
        if (i == 2)
            cycle();
        else if (i == 3)
            (void)fake_collect(&world);
        else
            (void)fake_collect_young(&world);
        settle();
        list_is(fake_root_word(&world, 0, 0), count);
        holder = fake_root_word(&world, 0, 1);
        REQUIRE(fake_ref(&world, holder, 2) == fake_root_word(&world, 0, 0) && fake_ref(&world, holder, 3) == holder);
        REQUIRE(i != 3 || (fake_ref(&world, holder, 0) == 0 && fake_row_cleared(&world, row)));
    }
    end_of_term(&world, plans[plan]);
}

/* What a heap may ever be asked, but by a daemon. */
static void live(int plan, size_t bytes)
{
    static const uint32_t weak[] = { SHM_REF_WEAK << SHM_REF_KIND_SHIFT, SHM_REF_EPHEMERON << SHM_REF_KIND_SHIFT | 8 };
    struct bare_config config = config_of(plan);
    struct heap_histogram_row rows[16];
    uint32_t count = kept_count(plan);

    REQUIRE(fake_world_open_bare(&world, &config, region, bytes) == 0);
    size_t at_first = store_usage(world.bare.store).used;
    objects_define(&types, &world);
    holder_type = fake_type(&world, &(struct shm_type_layout){ "holder", 16, 0, 2, 0, weak, NULL });
    for (unsigned i = 0; i < MM_ARRAY_LEN(mutators); i++)
        REQUIRE((mutators[i] = fake_mutator_new(&world)) != NULL);
    uint32_t head = make_list(mutators[0], 0, count);
    REQUIRE(head != 0);
    fake_root(&world, 0, head);
    churn(plan, count);
    fake_verify_clean(&world);
    struct heap_stop stop = fake_stop(&world);
    REQUIRE(heap_histogram_stw(world.heap, world.engine, &stop, rows) == 0 && rows[types.node].objects >= count);
    while (fake_new(mutators[1], types.node, 0) != 0) /* full */
        ;
    list_is(fake_root_word(&world, 0, 0), count);
    if (collects()) {
        stop.emergency = true;
        (void)fake_collect(&world);
        end_of_term(&world, plans[plan]);
        REQUIRE(fake_new(mutators[1], types.node, 0) != 0);
    }
    fake_verify_clean(&world);
    while (world.mutator_count > 0)
        fake_mutator_kill(world.mutators[0]);
    struct store_usage usage = store_usage(world.bare.store);
    REQUIRE(usage.refused == 0 && usage.used >= at_first && usage.high <= usage.capacity);
    fake_world_close(&world); /* asserts that the store is empty */
    REQUIRE(world.bare.store == NULL);
}

START_TEST(heaps_live_in_a_region_one_after_another_without_an_allocator)
{
    size_t bytes = region_bytes(_i);

    memset(region, 0x5a, sizeof(region)); /* what was there before does not matter */
    trap_arm(true);
    for (unsigned round = 0; round < ROUNDS; round++)
        live(_i, bytes);
    trap_arm(false);
}
END_TEST

START_TEST(heaps_live_without_system_calls)
{
    size_t bytes = region_bytes(_i);
    int status;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    return; /* a sanitizer makes its own */
#endif
    pid_t child = fork();
    if (child == 0) {
        if (!trap_system_calls())
            _exit(77);
        trap_arm(true);
        live(_i, bytes);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        return;
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x: signal %d (%d: a system call)", status, WTERMSIG(status), SIGSYS);
}
END_TEST

/* ---- too little room ---- */

static void *fill_store(struct store *store)
{
    void *all = NULL, *piece;

    for (size_t bytes = sizeof(region); bytes > 0; bytes /= 2)
        while ((piece = store_alloc(store, bytes)) != NULL) {
            *(void **)piece = all;
            all = piece;
        }
    return all;
}

static void drain_store(struct store *store, void *all)
{
    while (all != NULL) {
        void *next = *(void **)all;
        store_free(store, all);
        all = next;
    }
}

START_TEST(a_region_too_small_is_refused_and_a_larger_one_does)
{
    struct bare_config config = config_of(_i);
    size_t bytes = region_bytes(_i), step = bytes / 32 / MM_PAGE_BYTES * MM_PAGE_BYTES;
    unsigned good = 0, small = 0;

    trap_arm(true);
    REQUIRE(bare_region_bytes(&(struct bare_config){ .heap = { .plan = "none", .max_bytes = HEAP_BYTES } }) == 0);
    REQUIRE(bare_region_bytes(&(struct bare_config){ .heap = { .plan = plans[_i]->name } }) == 0);
    REQUIRE(fake_world_open_bare(&world, &config, region + 64, bytes) == -EINVAL);
    REQUIRE(fake_world_open_bare(&world, &config, region, bytes - 64) == -EINVAL);
    for (size_t less = 0; less < bytes; less += step) {
        int r = fake_world_open_bare(&world, &config, region, bytes - less);
        REQUIRE(r == (small > 0 ? -ENOMEM : r) && (r == 0 || r == -ENOMEM)); /* from where on it is too small, it stays so */
        small += r < 0;
        good += r == 0;
        if (r == 0)
            fake_world_close(&world);
    }
    trap_arm(false);
    ck_assert_uint_gt(good, 0);
    ck_assert_uint_gt(small, 0);
}
END_TEST

static uint32_t list_in_roots(int plan)
{
    uint32_t head = make_list(mutators[0], 0, kept_count(plan));

    REQUIRE(head != 0);
    fake_roots_clear(&world);
    fake_root(&world, 0, head);
    return head;
}

/* A full store: no mutator, no type, no collection; all is as it was, and goes on when there is room again. */
START_TEST(out_of_room_is_an_error_with_nothing_lost)
{
    static const uint32_t zero[] = { 0 };
    const struct shm_type_layout layout = { "late", 8, 0, 1, 0, zero, NULL };
    struct bare_config config = config_of(_i);
    struct heap_collection c;
    uint32_t id = 0;

    size_t bytes = region_bytes(_i);
    trap_arm(true);
    REQUIRE(fake_world_open_bare(&world, &config, region, bytes) == 0);
    objects_define(&types, &world);
    REQUIRE((mutators[0] = fake_mutator_new(&world)) != NULL);
    uint32_t count = heap_type_count(world.heap);
    for (unsigned round = 0; round < 3; round++) {
        list_in_roots(_i);
        struct heap_stop stop = fake_stop(&world);
        void *all = fill_store(world.bare.store);
        size_t used = store_usage(world.bare.store).used;
        REQUIRE(fake_mutator_new(&world) == NULL);
        REQUIRE(heap_mutator_new(world.heap) == NULL);
        REQUIRE(heap_type_define(world.heap, &layout, &id) == -ENOMEM && heap_type_count(world.heap) == count);
        REQUIRE(heap_collect_stw(world.heap, world.engine, &stop, &c) == (collects() ? -ENOMEM : -ENOTSUP));
        REQUIRE(heap_verify_stw(world.heap, world.engine, &stop, &(struct heap_verdict){ 0 }) == -ENOMEM);
        REQUIRE(store_usage(world.bare.store).used == used);
        drain_store(world.bare.store, all);
        list_is(fake_root_word(&world, 0, 0), kept_count(_i));
        if (collects())
            REQUIRE(fake_collect(&world).live_objects >= kept_count(_i));
        list_is(fake_root_word(&world, 0, 0), kept_count(_i));
        fake_verify_clean(&world);
    }
    REQUIRE(heap_type_define(world.heap, &layout, &id) == 0 && id == count + 1);
    fake_world_close(&world);
    trap_arm(false);
}
END_TEST

/* A store that has about room for the records and for little else: whatever fails, fails whole. */
START_TEST(every_step_may_find_the_store_full)
{
    struct bare_config config = config_of(_i);
    size_t bytes = region_bytes(_i);
    unsigned failed = 0, done = 0;

    trap_arm(true);
    for (unsigned round = 0; round < 40; round++) {
        struct heap_collection c = { 0 };
        REQUIRE(fake_world_open_bare(&world, &config, region, bytes) == 0);
        objects_define(&types, &world);
        REQUIRE((mutators[0] = fake_mutator_new(&world)) != NULL);
        void *all = fill_store(world.bare.store), *some = NULL;
        for (unsigned i = 0; i < round && all != NULL; i++) { /* room of many sizes, the smallest first */
            some = all;
            all = *(void **)all;
            store_free(world.bare.store, some);
        }
        list_in_roots(_i);
        struct heap_stop stop = fake_stop(&world);
        stop.whole = round % 2 == 0;
        int r = heap_collect_stw(world.heap, world.engine, &stop, &c);
        REQUIRE(r == 0 || r == (collects() ? -ENOMEM : -ENOTSUP));
        failed += r < 0;
        done += r == 0;
        list_is(fake_root_word(&world, 0, 0), kept_count(_i));
        drain_store(world.bare.store, all);
        settle();
        fake_verify_clean(&world);
        list_is(fake_root_word(&world, 0, 0), kept_count(_i));
        fake_world_close(&world);
    }
    trap_arm(false);
    ck_assert_uint_gt(failed, 0);
    if (heap_private_bytes(plans[_i]->name, 1) != 0 && plans[_i]->constraints.trace != PLAN_TRACE_NONE)
        ck_assert_uint_gt(done, 0);
}
END_TEST

/* ---- the trap ---- */

START_TEST(the_trap_catches_malloc)
{
    trap_arm(true);
    void *volatile piece = malloc(16);
    free(piece);
}
END_TEST

START_TEST(the_trap_catches_what_the_library_asks_for)
{
    struct store *store;
    trap_arm(true);
    (void)store_new(&store, MIB);
}
END_TEST

START_TEST(the_trap_catches_a_thread)
{
    struct bare_config config = config_of(0);
    struct engine *engine;
    if (bare_open(&world.bare, &config, region, region_bytes(0)) != 0)
        return;
    trap_arm(true);
    (void)engine_new_with(&engine, &(struct engine_config){ .workers = 1, .store = world.bare.store });
}
END_TEST

START_TEST(the_trap_catches_a_system_call)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (trap_system_calls())
            (void)getppid();
        else
            (void)raise(SIGSYS);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}
END_TEST

START_TEST(the_trap_says_what_it_has_caught)
{
    char said[64] = "";
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        trap_arm(true);
        struct store *store;
        (void)store_new(&store, MIB);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_int_gt(read(ends[0], said, sizeof(said) - 1), 0);
    ck_assert_str_eq(said, "trapped: mmap64\n");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("bare");
    TCase *tc = tcase_create("bare");
    tcase_add_loop_test(tc, heaps_live_in_a_region_one_after_another_without_an_allocator, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, heaps_live_without_system_calls, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_region_too_small_is_refused_and_a_larger_one_does, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, out_of_room_is_an_error_with_nothing_lost, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, every_step_may_find_the_store_full, 0, PLAN_COUNT);
    suite_add_tcase(s, tc);
    tc = tcase_create("trap");
    tcase_add_test_raise_signal(tc, the_trap_catches_malloc, SIGABRT);
    tcase_add_test_raise_signal(tc, the_trap_catches_what_the_library_asks_for, SIGABRT);
    tcase_add_test_raise_signal(tc, the_trap_catches_a_thread, SIGABRT);
    tcase_add_test(tc, the_trap_catches_a_system_call);
    tcase_add_test(tc, the_trap_says_what_it_has_caught);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    setenv("MM_HEAP_CHECK", "1", 0);
    return runner_main(argc, argv, suite);
}
