/* SPDX-License-Identifier: Apache-2.0 */
/* References that are not strong, under every plan, in each way that it collects: whole, young, in a cycle. */
#include <stdio.h>
#include <string.h>

#include "plans/heap/state.h"
#include "plans/plan.h"
#include "tests/plans/objects.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)
#define HEAP_BYTES (16 * MIB)
#define REF(kind, offset) ((uint32_t)SHM_REF_##kind << SHM_REF_KIND_SHIFT | (offset))

enum way { WHOLE, YOUNG, CYCLE, WAYS };

static struct fake_world world;
static struct objects types;
static struct fake_mutator *mutator;
static enum way way;
static uint32_t holder, weaks, ephemerons, queue_type;

/* Words of a holder. */
enum { STRONG, WEAK, SOFT, STAMP, PHANTOM, SPARE, KEY, VALUE, QUEUE, LINK };

static const uint32_t holder_refs[] = { REF(STRONG, 0),     REF(WEAK, 4),   REF(SOFT, 8), REF(PHANTOM, 16),
                                        REF(EPHEMERON, 24), REF(QUEUE, 32), REF(LINK, 36) };
static const uint32_t weak_refs[] = { REF(WEAK, 0) }, ephemeron_refs[] = { REF(EPHEMERON, 0) }, zero[] = { 0 };

/* The pairs of plan and way that there are. Plans that count clear in whole collections alone. */
static struct {
    const struct plan *plan;
    enum way way;
} pairs[PLAN_COUNT * WAYS];
static int pair_count;

static void find_pairs(void)
{
    for (unsigned i = 0; i < PLAN_COUNT; i++) {
        const struct plan_constraints *c = &plans[i]->constraints;
        for (enum way w = WHOLE; w < WAYS; w++)
            if (c->trace != PLAN_TRACE_NONE && (w == WHOLE || (!c->counts && (w == YOUNG ? c->generational : c->concurrent)))) {
                pairs[pair_count].plan = plans[i];
                pairs[pair_count++].way = w;
            }
    }
}

static void open_world(int loop, unsigned workers)
{
    struct heap_config config = {
        .plan = pairs[loop].plan->name,
        .max_bytes = HEAP_BYTES,
        .options = { .sanity = true, .soft_ms_per_mib = 1000, .immix_always_defrag = true, .immix_defrag_every_block = true },
    };

    way = pairs[loop].way;
    fake_world_open_with(&world, &config, workers);
    objects_define(&types, &world);
    holder = fake_type(&world, &(struct shm_type_layout){ "holder", 40, 0, 7, 0, holder_refs, NULL });
    weaks = fake_type(&world, &(struct shm_type_layout){ "weaks", 0, 4, 0, 1, NULL, weak_refs });
    ephemerons = fake_type(&world, &(struct shm_type_layout){ "ephemerons", 0, 8, 0, 1, NULL, ephemeron_refs });
    queue_type = fake_type(&world, &(struct shm_type_layout){ "queue", 4, 0, 1, 0, zero, NULL });
    mutator = fake_mutator_new(&world);
}

static void close_world(void)
{
    fake_verify_clean(&world);
    fake_world_close(&world);
}

static struct heap_collection collect(void)
{
    return way == WHOLE ? fake_collect(&world) : way == YOUNG ? fake_collect_young(&world) : fake_cycle(&world);
}

static struct heap_collection collect_in_need(void)
{
    struct heap_stop stop = fake_stop(&world);

    stop.emergency = stop.whole = true;
    return fake_collect_as(&world, &stop);
}

static uint32_t make(uint32_t type, uint32_t length)
{
    uint32_t o = fake_new(mutator, type, length);

    ck_assert_uint_ne(o, 0);
    return o;
}

static uint32_t node(uint64_t value)
{
    uint32_t n = make(types.node, 0);

    node_set(&world, n, 0, 0, value);
    return n;
}

static void set(uint32_t object, uint32_t word, uint32_t ref)
{
    fake_set(&world, object, word, ref);
}

static uint32_t get(uint32_t object, uint32_t word)
{
    return fake_ref(&world, object, word);
}

/* What exact root @i refers to now. */
static uint32_t root(uint32_t i)
{
    return fake_root_word(&world, 0, i);
}

static uint32_t stamp_now(void)
{
    return (uint32_t)(mm_now_ns() >> 27);
}

START_TEST(a_weak_reference_follows_what_lives_and_forgets_what_does_not)
{
    open_world(_i, 2);
    uint32_t h = make(holder, 0), many = make(weaks, 5000), live = node(1);
    fake_root(&world, 0, h);
    fake_root(&world, 0, many);
    fake_root(&world, 0, live);
    set(h, WEAK, live);
    for (uint32_t i = 0; i < 5000; i++)
        set(many, i, i % 3 == 0 ? live : i % 3 == 1 ? node(2) : 0);
    struct heap_collection c = collect();
    ck_assert_uint_eq(c.cleared_refs, 1667);
    ck_assert_uint_eq(get(root(0), WEAK), root(2));
    for (uint32_t i = 0; i < 5000; i++)
        HOLDS(get(root(1), i) == (i % 3 == 0 ? root(2) : 0));
    ck_assert_uint_eq(node_value(&world, root(2)), 1);
    ck_assert_uint_eq(c.forged_refs, 0);
    close_world();
}
END_TEST

START_TEST(what_is_old_and_weakly_refers_to_what_is_new_forgets_it_as_well)
{
    open_world(_i, 1);
    uint32_t h = make(holder, 0);
    fake_root(&world, 0, h);
    (void)fake_collect(&world); /* old */
    set(root(0), WEAK, node(1));
    set(root(0), STRONG, node(2));
    set(root(0), SOFT, get(root(0), STRONG));
    (void)collect();
    ck_assert_uint_eq(get(root(0), WEAK), 0);
    ck_assert_uint_eq(get(root(0), SOFT), get(root(0), STRONG));
    ck_assert_uint_eq(node_value(&world, get(root(0), STRONG)), 2);
    close_world();
}
END_TEST

START_TEST(weak_handles_and_watches_follow_and_are_cleared)
{
    open_world(_i, 2);
    uint32_t live = node(1), dead = node(2), kept = node(3);
    fake_root(&world, 0, live);
    uint32_t follows = fake_row(&world, SHM_ROW_WEAK, live), cleared = fake_row(&world, SHM_ROW_WEAK, dead);
    uint32_t watch = fake_row(&world, SHM_ROW_WATCHED, live), gone = fake_row(&world, SHM_ROW_WATCHED, dead);
    uint32_t strong = fake_row(&world, SHM_ROW_STRONG, kept), beside = fake_row(&world, SHM_ROW_WEAK, kept);
    uint32_t ended = fake_row(&world, SHM_ROW_FREE, dead);
    struct heap_collection c = collect();
    ck_assert_uint_eq(c.cleared_refs, 2);
    ck_assert_uint_eq(fake_row_word(&world, follows), root(0));
    ck_assert_uint_eq(fake_row_word(&world, watch), root(0));
    ck_assert(!fake_row_cleared(&world, follows) && !fake_row_cleared(&world, watch));
    ck_assert(fake_row_cleared(&world, cleared) && fake_row_cleared(&world, gone));
    ck_assert_uint_eq(fake_row_word(&world, cleared), 0);
    ck_assert_uint_eq(fake_row_word(&world, gone), 0);
    ck_assert_uint_eq(fake_row_word(&world, beside), fake_row_word(&world, strong));
    ck_assert_uint_eq(node_value(&world, fake_row_word(&world, strong)), 3);
    ck_assert(!fake_row_cleared(&world, ended));
    close_world();
}
END_TEST

START_TEST(leases_keep_what_they_lease_where_it_is)
{
    open_world(_i, 1);
    uint32_t n = node(7), m = node(8), r = node(9);
    (void)node(10);
    (void)fake_row(&world, SHM_ROW_SHARED, n);
    (void)fake_row(&world, SHM_ROW_EXCLUSIVE, m);
    (void)fake_row(&world, SHM_ROW_REVOKED, r);
    (void)collect();
    ck_assert_uint_eq(fake_row_word(&world, 0), n);
    ck_assert_uint_eq(node_value(&world, n), 7);
    ck_assert_uint_eq(node_value(&world, m), 8);
    ck_assert_uint_eq(node_value(&world, r), 9);
    close_world();
}
END_TEST

START_TEST(soft_references_that_were_used_lately_stay_while_there_is_room)
{
    open_world(_i, 2);
    uint32_t used = make(holder, 0), unused = make(holder, 0);
    fake_root(&world, 0, used);
    fake_root(&world, 0, unused);
    set(used, SOFT, node(1));
    set(unused, SOFT, node(2));
    ((uint32_t *)fake_at(&world, used))[STAMP] = stamp_now();
    ((uint32_t *)fake_at(&world, unused))[STAMP] = stamp_now() - 1000; /* 134 s; the heap keeps them for 16 at the most */
    uint32_t row = fake_row(&world, SHM_ROW_SOFT, node(3)), old = fake_row(&world, SHM_ROW_SOFT, node(4));
    at_store_relaxed(&world.table_notes[old].since_ns, 1);
    (void)collect();
    ck_assert_uint_eq(node_value(&world, get(root(0), SOFT)), 1);
    ck_assert_uint_eq(get(root(1), SOFT), 0);
    ck_assert_uint_eq(node_value(&world, fake_row_word(&world, row)), 3);
    ck_assert(fake_row_cleared(&world, old));
    close_world();
}
END_TEST

START_TEST(in_need_every_soft_reference_is_cleared)
{
    open_world(_i, 1);
    uint32_t used = make(holder, 0);
    fake_root(&world, 0, used);
    set(used, SOFT, node(1));
    ((uint32_t *)fake_at(&world, used))[STAMP] = stamp_now() - 1; /* it was not used in this moment */
    uint32_t row = fake_row(&world, SHM_ROW_SOFT, node(3));
    at_store_relaxed(&world.table_notes[row].since_ns, mm_now_ns() - 1000000000);
    (void)collect_in_need();
    ck_assert_uint_eq(get(root(0), SOFT), 0);
    ck_assert(fake_row_cleared(&world, row));
    close_world();
}
END_TEST

#define CHAIN 40u

START_TEST(an_ephemerons_value_lives_while_its_key_does)
{
    open_world(_i, 2);
    uint32_t table = make(ephemerons, CHAIN + 3), key = node(0), cyclic = node(77);
    fake_root(&world, 0, table);
    fake_root(&world, 0, key);
    /* a chain, each value the next one's key, in the order that is worst for who looks from the first to the last */
    for (uint32_t i = 0, k = key; i < CHAIN; i++) {
        uint32_t value = node(i + 1);
        set(table, 2 * (CHAIN - 1 - i), k);
        set(table, 2 * (CHAIN - 1 - i) + 1, value);
        k = value;
    }
    /* the key is reached by its own value alone; the value is reached otherwise; neither */
    uint32_t value = node(78), kept = node(79);
    set(value, 0, cyclic);
    set(table, 2 * CHAIN, cyclic);
    set(table, 2 * CHAIN + 1, value);
    fake_root(&world, 0, kept);
    set(table, 2 * CHAIN + 2, node(80));
    set(table, 2 * CHAIN + 3, kept);
    set(table, 2 * CHAIN + 4, node(81));
    set(table, 2 * CHAIN + 5, node(82));
    struct heap_collection c = collect();
    table = root(0);
    for (uint32_t i = 0, k = root(1); i < CHAIN; i++, k = get(table, 2 * (CHAIN - i) + 1)) {
        HOLDS(get(table, 2 * (CHAIN - 1 - i)) == k);
        HOLDS(node_value(&world, k) == i);
    }
    for (uint32_t i = 2 * CHAIN; i < 2 * CHAIN + 6; i++)
        ck_assert_uint_eq(get(table, i), 0);
    ck_assert_uint_eq(node_value(&world, root(2)), 79);
    ck_assert_uint_eq(c.cleared_refs, 6);
    close_world();
}
END_TEST

START_TEST(what_was_cleared_is_announced_once_in_its_queue)
{
    open_world(_i, 2);
    uint32_t queue = make(queue_type, 0), all = make(types.refs, 100);
    fake_root(&world, 0, queue);
    fake_root(&world, 0, all);
    for (uint32_t i = 0; i < 100; i++) {
        uint32_t h = make(holder, 0);
        set(all, i, h);
        set(h, QUEUE, queue);
        set(h, WEAK, i % 2 == 0 ? node(i) : all);
        set(h, SOFT, i % 2 == 0 ? node(i) : all);
    }
    (void)collect();
    uint32_t found = 0, link;
    for (uint32_t h = get(root(0), 0); h != 0; h = link, found++) {
        HOLDS(get(h, WEAK) == 0 && get(h, QUEUE) == 0);
        HOLDS(found < 50);
        link = get(h, LINK);
    }
    ck_assert_uint_eq(found, 50);
    set(root(0), 0, 0);
    for (uint32_t i = 0; i < 100; i++)
        HOLDS((get(get(root(1), i), QUEUE) != 0) == (i % 2 != 0));
    (void)fake_collect(&world);
    ck_assert_uint_eq(get(root(0), 0), 0);
    close_world();
}
END_TEST

START_TEST(references_are_cleared_in_the_documented_order)
{
    open_world(_i, 2);
    uint32_t h = make(holder, 0), guarded = make(holder, 0), child = node(2);
    fake_root(&world, 0, h);
    set(guarded, STRONG, child);
    set(guarded, WEAK, node(3));
    set(h, WEAK, child);
    set(h, SOFT, child);
    set(h, PHANTOM, child);
    set(h, KEY, child);
    set(h, VALUE, node(4));
    uint32_t guard = fake_row(&world, SHM_ROW_GUARDED, guarded), weak = fake_row(&world, SHM_ROW_WEAK, guarded);
    struct heap_collection c = collect();
    /* weak and soft ones before finalization, phantom ones not; what is finalized is whole */
    ck_assert_int_eq(fake_row_kind(&world, guard), SHM_ROW_READY);
    ck_assert(fake_row_cleared(&world, weak));
    ck_assert_uint_eq(c.readied, 1);
    ck_assert_uint_eq(get(root(0), WEAK) | get(root(0), SOFT) | get(root(0), KEY) | get(root(0), VALUE), 0);
    guarded = fake_row_word(&world, guard);
    child = get(guarded, STRONG);
    ck_assert_uint_eq(get(root(0), PHANTOM), child);
    ck_assert_uint_eq(node_value(&world, child), 2);
    ck_assert_uint_eq(node_value(&world, get(guarded, WEAK)), 3);
    /* it is taken: a root no longer, and nothing else holds it */
    at_store_relaxed(&world.table_tags[guard], shm_row_tag(SHM_ROW_FREE, 1));
    at_store_relaxed(&world.table_words[guard], 0);
    (void)fake_collect(&world);
    ck_assert_uint_eq(get(root(0), PHANTOM), 0);
    close_world();
}
END_TEST

START_TEST(a_guarded_object_that_lives_stays_guarded_and_one_that_was_resurrected_is_guarded_no_more)
{
    open_world(_i, 1);
    uint32_t n = node(1), m = node(2);
    fake_root(&world, 0, n);
    uint32_t live = fake_row(&world, SHM_ROW_GUARDED, n), dead = fake_row(&world, SHM_ROW_GUARDED, m);
    (void)collect();
    ck_assert_int_eq(fake_row_kind(&world, live), SHM_ROW_GUARDED);
    ck_assert_uint_eq(fake_row_word(&world, live), root(0));
    ck_assert_int_eq(fake_row_kind(&world, dead), SHM_ROW_READY);
    ck_assert_uint_eq(node_value(&world, fake_row_word(&world, dead)), 2);
    (void)fake_collect(&world); /* ready is a root */
    ck_assert_uint_eq(node_value(&world, fake_row_word(&world, dead)), 2);
    close_world();
}
END_TEST

START_TEST(forged_weak_references_and_queues_do_no_harm)
{
    open_world(_i, 2);
    uint32_t h = make(holder, 0), other = make(holder, 0);
    fake_root(&world, 0, h);
    fake_root(&world, 0, other);
    for (uint32_t word = WEAK; word <= LINK; word++) {
        set(h, word, 0x12345670u + word);
        set(other, word, UINT32_MAX - word);
    }
    set(other, WEAK, h + 1); /* within an object */
    set(other, QUEUE, other);
    uint32_t forged[SHM_ROW_KINDS];
    for (unsigned kind = SHM_ROW_STRONG; kind < SHM_ROW_KINDS; kind++)
        forged[kind] = fake_row(&world, kind, UINT32_MAX - kind);
    for (int i = 0; i < 3; i++) {
        struct heap_stop stop = fake_stop(&world);
        struct heap_collection c;
        stop.whole = true;
        ck_assert_int_eq(heap_collect_stw(world.heap, world.engine, &stop, &c), 0);
    }
    ck_assert(fake_row_cleared(&world, forged[SHM_ROW_WEAK]) || fake_row_word(&world, forged[SHM_ROW_WEAK]) == 0);
    fake_world_close(&world);
}
END_TEST

START_TEST(what_a_cycle_finds_by_a_weak_reference_alone_is_kept_by_an_entry)
{
    open_world(_i, 2);
    if (way == CYCLE) {
        uint32_t h = make(holder, 0);
        fake_root(&world, 0, h);
        uint32_t weak = node(5);
        set(h, WEAK, weak);
        fake_cycle_begin(&world);
        fake_cycle_mark(&world);
        struct shm_log_entry keep = { weak, SHM_LOG_KEEP, 0 };
        heap_log_drain(world.heap, &keep, 1);
        set(h, STRONG, weak);
        (void)fake_cycle_finish(&world);
        ck_assert_uint_eq(get(root(0), WEAK), weak);
        ck_assert_uint_eq(get(root(0), STRONG), weak);
        ck_assert_uint_eq(node_value(&world, weak), 5);
    }
    close_world();
}
END_TEST

/* ---- the same at random, against a model ---- */

#define MODEL 3000u
#define MODEL_ROOTS 20u

static struct {
    uint32_t granule, strong, weak, key, value, phantom;
    bool live;
} model[MODEL];
static uint64_t rng;

static uint32_t below(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)((rng >> 32) * n >> 32);
}

static bool model_mark(uint32_t i)
{
    bool any = false;

    for (; i != 0 && !model[i].live; i = model[i].strong)
        any = model[i].live = true;
    return any;
}

static void model_reach(void)
{
    bool again = true;

    for (uint32_t i = 1; i <= MODEL_ROOTS; i++)
        model_mark(i);
    while (again) {
        again = false;
        for (uint32_t i = 1; i < MODEL; i++)
            if (model[i].live && model[i].key != 0 && model[model[i].key].live)
                again = model_mark(model[i].value) || again;
    }
}

static uint32_t granule_if_live(uint32_t i)
{
    return model[i].live ? model[i].granule : 0;
}

static void store(uint32_t i, uint32_t word, uint32_t to)
{
    set(model[i].granule, word, model[to].granule);
}

static void model_make(void)
{
    memset(model, 0, sizeof(model));
    for (uint32_t i = 1; i < MODEL; i++)
        model[i].granule = make(holder, 0);
    for (uint32_t i = 1; i < MODEL; i++) {
        store(i, STRONG, model[i].strong = below(3) == 0 ? 1 + below(MODEL - 1) : 0);
        store(i, WEAK, model[i].weak = 1 + below(MODEL - 1));
        store(i, PHANTOM, model[i].phantom = 1 + below(MODEL - 1));
        store(i, KEY, model[i].key = below(2) == 0 ? 1 + below(MODEL - 1) : 0);
        store(i, VALUE, model[i].value = model[i].key == 0 ? 0 : 1 + below(MODEL - 1));
    }
    for (uint32_t i = 1; i <= MODEL_ROOTS; i++)
        fake_root(&world, 0, model[i].granule);
}

/* Where everything is now, from the roots on. */
static void model_follow(uint32_t i, uint32_t granule)
{
    static uint32_t stack[2 * MODEL];
    static bool seen[MODEL];
    uint32_t depth = 0;

    memset(seen, 0, sizeof(seen));
    (void)i;
    (void)granule;
    for (uint32_t k = 1; k <= MODEL_ROOTS; k++) {
        model[k].granule = root(k - 1);
        seen[k] = true;
        stack[depth++] = k;
    }
    while (depth > 0) {
        uint32_t at = stack[--depth];
        const uint32_t to[] = { model[at].strong, model[model[at].key].live ? model[at].value : 0 };
        const uint32_t words[] = { STRONG, VALUE };
        for (unsigned k = 0; k < 2; k++) {
            if (to[k] == 0 || seen[to[k]])
                continue;
            seen[to[k]] = true;
            model[to[k]].granule = get(model[at].granule, words[k]);
            HOLDS(model[to[k]].granule != 0);
            stack[depth++] = to[k];
        }
    }
}

START_TEST(a_random_graph_of_all_kinds_agrees_with_its_model)
{
    rng = mm_now_ns() | 1;
    fprintf(stderr, "seed %llu\n", (unsigned long long)rng);
    open_world(_i / 2, _i % 2 == 0 ? 1 : 4);
    model_make();
    model_reach();
    struct heap_collection c = collect();
    ck_assert_uint_eq(c.forged_refs, 0);
    model_follow(0, 0);
    for (uint32_t i = 1; i < MODEL; i++) {
        if (!model[i].live)
            continue;
        HOLDS(get(model[i].granule, WEAK) == granule_if_live(model[i].weak));
        HOLDS(get(model[i].granule, PHANTOM) == granule_if_live(model[i].phantom));
        HOLDS(get(model[i].granule, KEY) == granule_if_live(model[i].key));
        HOLDS(get(model[i].granule, VALUE) == (model[model[i].key].live && model[i].key != 0 ? model[model[i].value].granule : 0));
    }
    close_world();
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("references");
    TCase *tc = tcase_create("every plan"), *random = tcase_create("random");

    find_pairs();
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_weak_reference_follows_what_lives_and_forgets_what_does_not, 0, pair_count);
    tcase_add_loop_test(tc, what_is_old_and_weakly_refers_to_what_is_new_forgets_it_as_well, 0, pair_count);
    tcase_add_loop_test(tc, weak_handles_and_watches_follow_and_are_cleared, 0, pair_count);
    tcase_add_loop_test(tc, leases_keep_what_they_lease_where_it_is, 0, pair_count);
    tcase_add_loop_test(tc, soft_references_that_were_used_lately_stay_while_there_is_room, 0, pair_count);
    tcase_add_loop_test(tc, in_need_every_soft_reference_is_cleared, 0, pair_count);
    tcase_add_loop_test(tc, an_ephemerons_value_lives_while_its_key_does, 0, pair_count);
    tcase_add_loop_test(tc, what_was_cleared_is_announced_once_in_its_queue, 0, pair_count);
    tcase_add_loop_test(tc, references_are_cleared_in_the_documented_order, 0, pair_count);
    tcase_add_loop_test(tc, a_guarded_object_that_lives_stays_guarded_and_one_that_was_resurrected_is_guarded_no_more, 0, pair_count);
    tcase_add_loop_test(tc, forged_weak_references_and_queues_do_no_harm, 0, pair_count);
    tcase_add_loop_test(tc, what_a_cycle_finds_by_a_weak_reference_alone_is_kept_by_an_entry, 0, pair_count);
    suite_add_tcase(s, tc);
    tcase_set_timeout(random, 60);
    tcase_add_loop_test(random, a_random_graph_of_all_kinds_agrees_with_its_model, 0, 2 * pair_count);
    suite_add_tcase(s, random);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
