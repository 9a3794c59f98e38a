/* SPDX-License-Identifier: Apache-2.0 */
/* A graph that is stowed lies packed in the order in which it is walked, and is the same graph.
 *   MMGC_SEED=N replays a run of the random one */
#include "tests/plans/graph.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(24) << 20)
#define NODES 6000u
#define LEAST_PACKETS 24u
#define ELEMENTS 40000u                      /* more than so many packets take */
#define LIST_GAP 7u                          /* objects between two of the list */

static struct fake_world w;
static struct objects o;
static uint32_t nodes[NODES];

static bool stows(const struct plan *plan)
{
    return plan->constraints.trace == PLAN_TRACE_EVACUATE;
}

static void open_small(const struct plan *plan, unsigned workers)
{
    struct heap_config config = { .plan = plan->name, .max_bytes = HEAP_BYTES, .options.sanity = true };

    fake_world_open_with(&w, &config, workers);
    objects_define(&o, &w);
    (void)fake_mutator_new(&w);
}

static struct heap_collection stow_all(struct heap_stow *stows, size_t count)
{
    struct heap_stop stop = fake_stop(&w);

    stop.stows = stows;
    stop.stow_count = count;
    return fake_collect_as(&w, &stop);
}

static struct heap_stow stow_one(uint32_t root)
{
    struct heap_stow stow = { .root = root };

    (void)stow_all(&stow, 1);
    return stow;
}

/* A node every so many objects, some of which live: in a shuffled order of NODES. */
static void make_scattered(void)
{
    uint32_t keep = 0;

    for (uint32_t i = 0; i < NODES; i++) {
        nodes[i] = fake_new(w.mutators[0], o.node, 0);
        HOLDS(nodes[i] != 0);
        for (uint32_t k = 0; k < LIST_GAP; k++) {
            uint32_t other = fake_new(w.mutators[0], o.node, 0);
            HOLDS(other != 0);
            if (k % 4 == 0) {
                node_set(&w, other, keep, 0, 0);
                keep = other;
            }
        }
    }
    fake_root(&w, 0, keep);
    rng = 42;
    for (uint32_t i = NODES - 1; i > 0; i--) {
        uint32_t k = below(i + 1), swap = nodes[i];
        nodes[i] = nodes[k];
        nodes[k] = swap;
    }
}

static void make_list(void)
{
    make_scattered();
    for (uint32_t i = 0; i < NODES; i++)
        node_set(&w, nodes[i], i + 1 < NODES ? nodes[i + 1] : 0, 0, i);
    fake_root(&w, 0, nodes[0]);
}

/* A binary tree by number: children of i are 2i + 1 and 2i + 2. */
static void make_tree(void)
{
    make_scattered();
    for (uint32_t i = 0; i < NODES; i++)
        node_set(&w, nodes[i], 2 * i + 1 < NODES ? nodes[2 * i + 1] : 0, 2 * i + 2 < NODES ? nodes[2 * i + 2] : 0, i);
    fake_root(&w, 0, nodes[0]);
}

struct walk {
    uint32_t before, seen, breaks;           /* the object before, how many, how often it was not right behind that */
};

static void walk_to(struct walk *walk, uint32_t granule)
{
    walk->breaks += walk->before != 0 && granule != walk->before + NODE_BYTES / MM_GRANULE_BYTES;
    walk->before = granule;
    walk->seen++;
}

static void walk_list(struct walk *walk, uint32_t granule)
{
    for (; granule != 0; granule = fake_ref(&w, granule, 0)) {
        HOLDS(node_value(&w, granule) == walk->seen);
        walk_to(walk, granule);
    }
}

static void walk_tree(struct walk *walk, uint32_t granule, uint64_t number)
{
    if (granule == 0)
        return;
    HOLDS(node_value(&w, granule) == number);
    walk_to(walk, granule);
    walk_tree(walk, fake_ref(&w, granule, 0), 2 * number + 1);
    walk_tree(walk, fake_ref(&w, granule, 1), 2 * number + 2);
}

static uint32_t blocks_of(uint32_t objects)
{
    return objects * NODE_BYTES / MM_BLOCK_BYTES + 1;
}

START_TEST(a_list_lies_packed_in_its_order)
{
    const struct plan *plan = plans[_i / 2];

    if (!stows(plan))
        return;
    open_small(plan, _i % 2 == 0 ? 1 : 4);
    make_list();
    (void)fake_collect(&w);
    struct walk before = { 0 }, after = { 0 };
    walk_list(&before, fake_root_word(&w, 0, 1));
    struct heap_stow stow = stow_one(fake_root_word(&w, 0, 1));
    walk_list(&after, fake_root_word(&w, 0, 1));
    ck_assert(stow.done && !stow.cut);
    ck_assert_uint_eq(stow.now, fake_root_word(&w, 0, 1));
    ck_assert_uint_eq(stow.objects, NODES);
    ck_assert_uint_eq(stow.bytes, (uint64_t)NODES * NODE_BYTES);
    ck_assert_uint_eq(stow.moved_objects, NODES);
    ck_assert_uint_eq(stow.moved_bytes, stow.bytes);
    ck_assert_uint_eq(after.seen, NODES);
    ck_assert_uint_lt(after.breaks, blocks_of(NODES)); /* the ends of blocks, and nowhere else */
    ck_assert(before.breaks > after.breaks || plan->constraints.generational || plan == &plan_semispace);
    fake_verify_clean(&w);
    fake_world_close(&w);
}
END_TEST

START_TEST(a_tree_lies_depth_first)
{
    const struct plan *plan = plans[_i / 2];

    if (!stows(plan))
        return;
    open_small(plan, _i % 2 == 0 ? 1 : 4);
    make_tree();
    struct walk after = { 0 };
    struct heap_stow stow = stow_one(nodes[0]);
    walk_tree(&after, stow.now, 0);
    ck_assert_uint_eq(after.seen, NODES);
    ck_assert_uint_eq(stow.moved_objects, NODES);
    ck_assert_uint_lt(after.breaks, blocks_of(NODES));
    fake_world_close(&w);
}
END_TEST

/* An array longer than a packet takes, whose elements each begin a list of three. */
START_TEST(a_long_array_is_gone_through_in_order)
{
    const struct plan *plan = plans[_i / 2];

    if (!stows(plan))
        return;
    open_small(plan, _i % 2 == 0 ? 1 : 4);
    make_scattered();
    uint32_t array = fake_new(w.mutators[0], o.refs, NODES / 3);
    for (uint32_t i = 0; i < NODES; i++)
        node_set(&w, nodes[i], i % 3 != 2 ? nodes[i + 1] : 0, 0, i);
    for (uint32_t i = 0; i < NODES / 3; i++)
        fake_set(&w, array, i, nodes[3 * i]);
    fake_root(&w, 0, array);
    struct walk after = { 0 };
    struct heap_stow stow = stow_one(array);
    for (uint32_t i = 0; i < NODES / 3; i++)
        walk_list(&after, fake_ref(&w, stow.now, i));
    ck_assert_uint_eq(after.seen, NODES);
    ck_assert_uint_eq(stow.objects, NODES + 1);
    ck_assert_uint_lt(after.breaks, blocks_of(NODES) + 2);
    fake_world_close(&w);
}
END_TEST

START_TEST(what_is_pinned_stays_and_is_walked_through)
{
    const struct plan *plan = plans[_i / 2];

    if (!stows(plan))
        return;
    open_small(plan, _i % 2 == 0 ? 1 : 4);
    make_list();
    fake_root(&w, 1, nodes[NODES / 2]); /* ambiguous */
    struct walk after = { 0 };
    struct heap_stow stow = stow_one(fake_root_word(&w, 0, 1));
    walk_list(&after, fake_root_word(&w, 0, 1));
    ck_assert_uint_eq(after.seen, NODES);
    ck_assert_uint_eq(stow.objects, NODES);
    ck_assert_uint_lt(stow.moved_objects, NODES);
    ck_assert_uint_gt(stow.moved_objects, NODES - MM_BLOCK_BYTES / NODE_BYTES); /* where whole blocks stay, the others in that one do */
    if (plan->copies_to[BLOCK_COPY] == 0 && plan->copies_to[BLOCK_NURSERY] == 0) {
        ck_assert_uint_eq(stow.moved_objects, NODES - 1);
        ck_assert_uint_lt(after.breaks, blocks_of(NODES) + 2);
    }
    uint32_t at = stow.now;
    for (uint32_t i = 0; i < NODES / 2; i++)
        at = fake_ref(&w, at, 0);
    ck_assert_uint_eq(at, nodes[NODES / 2]);
    fake_verify_clean(&w);
    fake_world_close(&w);
}
END_TEST

START_TEST(each_of_several_is_packed_and_told_for_itself)
{
    const struct plan *plan = plans[_i];

    if (!stows(plan))
        return;
    open_small(plan, 4);
    make_scattered();
    for (uint32_t i = 0; i < NODES; i++)
        node_set(&w, nodes[i], i + 2 < NODES ? nodes[i + 2] : 0, 0, i / 2);
    fake_root(&w, 0, nodes[0]);
    fake_root(&w, 0, nodes[1]);
    struct heap_stow both[] = { { .root = nodes[1] }, { .root = nodes[0] }, { .root = nodes[0] }, { .root = 0 }, { .root = UINT32_MAX } };
    (void)stow_all(both, MM_ARRAY_LEN(both));
    for (uint32_t i = 0; i < 2; i++) {
        struct walk after = { 0 };
        walk_list(&after, both[i].now);
        ck_assert_uint_eq(both[i].objects, NODES / 2);
        ck_assert_uint_eq(both[i].moved_objects, NODES / 2);
        ck_assert_uint_lt(after.breaks, blocks_of(NODES));
    }
    ck_assert_uint_eq(both[2].now, both[1].now);
    ck_assert_uint_eq(both[2].moved_objects, 0);
    ck_assert(both[3].done && both[3].now == 0 && both[4].done && both[4].now == 0);
    fake_world_close(&w);
}
END_TEST

/* Packets for next to nothing: the graph is the same, and what could not be kept in order is said to be cut. */
START_TEST(without_packets_it_is_whole_but_cut)
{
    const struct plan *plan = plans[_i];

    if (!stows(plan))
        return;
    open_small(plan, 1);
    engine_set_packet_limit(w.engine, LEAST_PACKETS * PACKET_BYTES);
    uint32_t array = fake_new(w.mutators[0], o.refs, ELEMENTS);
    HOLDS(array != 0);
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        uint32_t node = fake_new(w.mutators[0], o.node, 0);
        HOLDS(node != 0);
        node_set(&w, node, 0, 0, i);
        fake_set(&w, array, i, node);
    }
    fake_root(&w, 0, array);
    struct heap_stow stow = stow_one(array);
    for (uint32_t i = 0; i < ELEMENTS; i++)
        HOLDS(node_value(&w, fake_ref(&w, stow.now, i)) == i);
    ck_assert(stow.done && stow.cut);
    fake_verify_clean(&w);
    fake_world_close(&w);
}
END_TEST

/* What is asked for while a concurrent collection marks is done by it, or left to the next. */
START_TEST(a_cycle_under_way_ends_first)
{
    const struct plan *plan = plans[_i];

    if (!stows(plan) || !plan->constraints.concurrent || plan->constraints.counts)
        return;
    open_small(plan, 2);
    make_list();
    fake_cycle_begin(&w);
    fake_cycle_mark(&w);
    struct heap_stow first = stow_one(fake_root_word(&w, 0, 1));
    if (heap_cycle(w.heap) == HEAP_CYCLE_SWEEPING)
        (void)fake_cycle_sweep(&w, NULL);
    struct heap_stow then = first.done ? first : stow_one(fake_root_word(&w, 0, 1));
    struct walk after = { 0 };
    walk_list(&after, fake_root_word(&w, 0, 1));
    ck_assert(then.done);
    ck_assert_uint_eq(after.seen, NODES);
    ck_assert_uint_eq(then.moved_objects, NODES);
    ck_assert_uint_lt(after.breaks, blocks_of(NODES));
    fake_world_close(&w);
}
END_TEST

START_TEST(plans_that_do_not_evacuate_pass_it_over)
{
    const struct plan *plan = plans[_i];

    if (!plan->constraints.trace || stows(plan))
        return;
    open_small(plan, 2);
    ck_assert(!heap_plan_stows(w.heap));
    uint32_t node = fake_new(w.mutators[0], o.node, 0);
    fake_root(&w, 0, node);
    struct heap_stow stow = stow_one(node);
    ck_assert(!stow.done && stow.objects == 0);
    fake_world_close(&w);
}
END_TEST

/* Random graphs of all shapes, roots of both kinds, any object for a root, between young collections and with threads that come and go. */
START_TEST(a_random_graph_stays_what_it_is)
{
    const struct plan *plan = plans[_i / 2];
    const char *seed = getenv("MMGC_SEED");
    uint64_t number = seed != NULL ? strtoull(seed, NULL, 0) : mm_now_ns() % UINT64_C(1000000000000), moved = 0;

    if (!stows(plan))
        return;
    fprintf(stderr, "MMGC_SEED=%" PRIu64 "\n", number);
    graph_begin(number, UINT64_C(12) << 20);
    struct heap_config config = { .plan = plan->name, .max_bytes = UINT64_C(12) << 20, .options = { .sanity = true, .immix_always_defrag = below(2) == 0 } };
    fake_world_open_with(&world, &config, _i % 2 == 0 ? 1 : 4);
    objects_define(&types, &world);
    for (unsigned i = 0; i < 3; i++)
        fake_mutator_new(&world)->lines_bytes = 1 + below(300000);
    for (uint32_t round = 0; round < 12; round++) {
        for (uint32_t i = 0; i < 4000; i++)
            step();
        uint32_t live = mark();
        forget_the_dead();
        publish_roots();
        if (below(3) == 0) {
            (void)fake_collect_young(&world);
            follow_moves();
            publish_roots();
        }
        struct heap_stow rows[] = { { .root = shadows[random_reachable()].granule }, { .root = shadows[random_reachable()].granule } };
        struct heap_stop stop = fake_stop(&world);
        stop.stows = rows;
        stop.stow_count = MM_ARRAY_LEN(rows);
        struct heap_collection c = fake_collect_as(&world, &stop);
        AGREES(c.kind == HEAP_PAUSE_FULL && c.live_objects == live);
        AGREES(rows[0].done && rows[0].moved_objects <= rows[0].objects && rows[1].done && rows[1].moved_objects <= rows[1].objects);
        moved += rows[0].moved_objects;
        follow_moves();
        compare_all();
        fake_verify_clean(&world);
    }
    ck_assert_uint_gt(moved, 0);
    fake_world_close(&world);
    graph_end();
}
END_TEST

/* Roots that are nobody's, headers that claim what is not there: the work ends, and what no client touched is as it was. */
START_TEST(forged_roots_and_headers_end)
{
    const struct plan *plan = plans[_i];

    if (!stows(plan))
        return;
    struct heap_config config = { .plan = plan->name, .max_bytes = HEAP_BYTES };
    fake_world_open_with(&w, &config, 2);
    objects_define(&o, &w);
    (void)fake_mutator_new(&w);
    make_list();
    rng = 7;
    for (uint32_t i = 0; i < NODES; i += 3)
        *(uint64_t *)fake_at(&w, nodes[i] - 1) = below(2) == 0 ? object_header(o.refs, below(9000)) : object_header_moved(below(1 << 20));
    struct heap_stow rows[64];
    for (uint32_t i = 0; i < MM_ARRAY_LEN(rows); i++)
        rows[i] = (struct heap_stow){ .root = below(2) == 0 ? below(1u << 22) : nodes[below(NODES)] + below(2) };
    struct heap_stop stop = fake_stop(&w);
    struct heap_collection c;
    stop.stows = rows;
    stop.stow_count = MM_ARRAY_LEN(rows);
    ck_assert_int_eq(heap_collect_stw(w.heap, w.engine, &stop, &c), 0);
    ck_assert(rows[63].done);
    fake_world_close(&w);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("stow");
    TCase *tc = tcase_create("stow");

    tcase_set_timeout(tc, 100);
    tcase_add_loop_test(tc, a_list_lies_packed_in_its_order, 0, 2 * PLAN_COUNT);
    tcase_add_loop_test(tc, a_tree_lies_depth_first, 0, 2 * PLAN_COUNT);
    tcase_add_loop_test(tc, a_long_array_is_gone_through_in_order, 0, 2 * PLAN_COUNT);
    tcase_add_loop_test(tc, what_is_pinned_stays_and_is_walked_through, 0, 2 * PLAN_COUNT);
    tcase_add_loop_test(tc, each_of_several_is_packed_and_told_for_itself, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, without_packets_it_is_whole_but_cut, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_cycle_under_way_ends_first, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, plans_that_do_not_evacuate_pass_it_over, 0, PLAN_COUNT);
    tcase_add_loop_test(tc, a_random_graph_stays_what_it_is, 0, 2 * PLAN_COUNT);
    tcase_add_loop_test(tc, forged_roots_and_headers_end, 0, PLAN_COUNT);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
