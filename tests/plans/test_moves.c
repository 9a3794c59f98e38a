/* SPDX-License-Identifier: Apache-2.0 */
/* What a collection tells of the objects that it moved, beside a model that knows where they were.
 *   MMGC_SEED=N replays a run */
#include "tests/plans/graph.h"
#include "tests/support/runner.h"

#define ROUNDS 12u
#define STEPS 4000u
#define HEAP_BYTES (UINT64_C(12) << 20)
#define GRANULES (HEAP_BYTES / MM_GRANULE_BYTES)

struct told {
    struct heap_moves moves;
    struct shm_move *rows;
    uint32_t calls;
    bool short_of_room;
};
static uint32_t where_to[GRANULES]; /* by granule, what was told; 0: nothing */
static uint32_t sizes[GRANULES];

static struct shm_move *room(void *context, uint64_t count)
{
    struct told *told = context;

    told->calls++;
    if (told->short_of_room)
        return NULL;
    told->rows = calloc(count, sizeof(*told->rows));
    return told->rows;
}

static struct heap_collection collect(struct told *told, bool whole)
{
    struct heap_stop stop = fake_stop(&world);

    told->moves = (struct heap_moves){ .room = room, .context = told };
    stop.moves = &told->moves;
    stop.whole = whole;
    return fake_collect_as(&world, &stop);
}

/* No two leave the same place, and none stays. */
static void read_rows(const struct told *told)
{
    memset(where_to, 0, sizeof(where_to));
    for (uint64_t i = 0; i < at_load_relaxed(&told->moves.count); i++) {
        const struct shm_move *row = &told->rows[i];
        AGREES(row->from != 0 && row->from < GRANULES && row->to != 0 && row->to < GRANULES);
        AGREES(where_to[row->from] == 0 && row->from != row->to);
        where_to[row->from] = row->to;
        sizes[row->from] = row->granules;
    }
}

static void compare_moves(const uint32_t *before)
{
    for (uint32_t i = 1; i <= shadow_count; i++) {
        const struct shadow *s = &shadows[i];
        if (!s->live)
            continue;
        uint32_t told = where_to[before[i]];
        AGREES(s->granule == (told != 0 ? told : before[i]));
        AGREES(told == 0 || sizes[before[i]] == payload_granules(s) + 1);
    }
}

static uint64_t collect_and_compare(void)
{
    static uint32_t before[MODEL_MAX];
    struct told told = { 0 };

    (void)mark();
    forget_the_dead();
    publish_roots();
    for (uint32_t i = 1; i <= shadow_count; i++)
        before[i] = shadows[i].granule;
    struct heap_collection c = collect(&told, below(3) == 0);
    ck_assert_uint_le(told.calls, 1);
    AGREES(at_load_relaxed(&told.moves.count) <= told.moves.capacity);
    AGREES(at_load_relaxed(&told.moves.count) == c.moved_objects);
    read_rows(&told);
    follow_moves();
    compare_moves(before);
    compare_all();
    free(told.rows);
    return c.moved_objects;
}

static void open_world(const struct plan *plan, unsigned workers)
{
    const char *seed = getenv("MMGC_SEED");
    uint64_t number = seed != NULL ? strtoull(seed, NULL, 0) : mm_now_ns() % UINT64_C(1000000000000);

    fprintf(stderr, "MMGC_SEED=%" PRIu64 "\n", number);
    graph_begin(number, HEAP_BYTES);
    struct heap_config config = { .plan = plan->name,
                                  .max_bytes = HEAP_BYTES,
                                  .options = { .sanity = true, .immix_always_defrag = true, .immix_defrag_every_block = below(2) == 0 } };
    fake_world_open_with(&world, &config, workers);
    objects_define(&types, &world);
    for (unsigned i = 0; i < 3; i++)
        fake_mutator_new(&world)->lines_bytes = 1 + below(300000);
}

static void close_world(void)
{
    fake_world_close(&world);
    graph_end();
}

START_TEST(every_move_is_told_and_no_other)
{
    const struct plan *plan = plans[_i / 2];
    uint64_t moved = 0;

    if (plan->constraints.trace == PLAN_TRACE_NONE)
        return;
    open_world(plan, _i % 2 == 0 ? 1 : 4);
    /* Some plans move in whole collections alone, and these come by chance. */
    for (uint32_t round = 0; round < ROUNDS || (plan->constraints.moves && moved == 0 && round < 10 * ROUNDS); round++) {
        for (uint32_t i = 0; i < STEPS; i++)
            step();
        moved += collect_and_compare();
    }
    ck_assert(plan->constraints.moves == (moved > 0));
    close_world();
}
END_TEST

START_TEST(without_room_they_are_counted)
{
    const struct plan *plan = plans[_i];
    uint64_t moved = 0;

    if (!plan->constraints.moves)
        return;
    open_world(plan, 2);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct told told = { .short_of_room = true };
        for (uint32_t i = 0; i < STEPS; i++)
            step();
        (void)mark();
        forget_the_dead();
        publish_roots();
        struct heap_collection c = collect(&told, true);
        moved += c.moved_objects;
        ck_assert_uint_eq(at_load_relaxed(&told.moves.count), c.moved_objects);
        ck_assert_uint_eq(told.moves.capacity, 0);
        ck_assert(told.calls == 1 || at_load_relaxed(&told.moves.count) == 0);
        follow_moves();
        compare_all();
    }
    ck_assert_uint_gt(moved, 0);
    close_world();
}
END_TEST

/* Objects that stay under ambiguous roots, with headers that say that they moved. */
START_TEST(forged_headers_fill_no_more_than_the_room)
{
    struct told told = { 0 };
    const struct plan *plan = plans[_i];

    if (plan->constraints.trace != PLAN_TRACE_EVACUATE)
        return;
    open_world(plan, 2);
    for (uint32_t i = 0; i < STEPS; i++)
        step();
    (void)mark();
    forget_the_dead();
    publish_roots();
    for (uint32_t i = 1; i <= shadow_count; i++)
        if (shadows[i].live && below(2) == 0)
            *(uint64_t *)fake_at(&world, shadows[i].granule - 1) = object_header_moved(below(2) == 0 ? 7 : below(GRANULES));
    struct heap_stop stop = fake_stop(&world);
    struct heap_collection c;
    told.moves = (struct heap_moves){ .room = room, .context = &told };
    stop.moves = &told.moves;
    (void)heap_collect_stw(world.heap, world.engine, &stop, &c);
    uint64_t rows = MM_MIN(at_load_relaxed(&told.moves.count), told.moves.capacity);
    for (uint64_t i = 0; i < rows; i++)
        AGREES(told.rows[i].from < GRANULES && told.rows[i].to < GRANULES);
    free(told.rows);
    close_world();
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("moves");
    TCase *tc = tcase_create("moves");

    tcase_set_timeout(tc, 100);
    tcase_add_loop_test(tc, every_move_is_told_and_no_other, 0, 2 * PLAN_COUNT);
    tcase_add_loop_test(tc, without_room_they_are_counted, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, forged_headers_fill_no_more_than_the_room, 0, PLAN_COUNT);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
