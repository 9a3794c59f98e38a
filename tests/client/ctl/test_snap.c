/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot as it is read: objects of every shape, the graph, ways and dominators against what trying says; and files that lie. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/snap/dominators.h"
#include "client/ctl/snap/paths.h"
#include "tests/client/ctl/snap_world.h"
#include "tests/support/runner.h"

#define GRAPHS 200
#define NODES 40
#define SPOILT 4000
#define SEED UINT64_C(88172645463325252)

static struct snap_world *w;
static struct snap *s;
static uint64_t seed;

static uint32_t below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 20) % n;
}

static void set_up(void)
{
    seed = SEED;
    w = snap_world_new();
}

static void tear_down(void)
{
    s = snap_free(s);
    w = snap_world_free(w);
}

static void open_world(void)
{
    size_t count;
    unsigned char *bytes = snap_world_bytes(w, &count);
    const char *wrong = snap_world_open(bytes, count, &s);

    free(bytes);
    ck_assert_msg(wrong == NULL, "%s", wrong);
}

/* ---- objects ---- */

START_TEST(objects_of_every_shape_are_found)
{
    static const uint32_t places[] = { SNAP_WORLD_LINES, SNAP_WORLD_CELLS, SNAP_WORLD_LARGE, SNAP_WORLD_IMMORTAL };
    uint32_t refs[4], found = 0;
    struct snap_object o;

    for (int i = 0; i < 4; i++)
        refs[i] = snap_world_add(w, places[i], i == 2 ? SNAP_WORLD_ROW : SNAP_WORLD_NODE, 10000);
    open_world();
    for (uint64_t at = 0; snap_object_next(s, at, &o); at = o.ref + 1)
        ck_assert_uint_eq(o.ref, refs[found++]);
    ck_assert_uint_eq(found, 4);
    ck_assert(snap_object(s, refs[2], &o));
    ck_assert_uint_eq(o.length, 10000);
    ck_assert_uint_eq(o.bytes, 8 + 40000);
    ck_assert_str_eq(snap_type(s, o.type)->name, "row");
    ck_assert(!snap_object(s, refs[0] + 1, &o));
    ck_assert(!snap_object(s, 0, &o));
    ck_assert(!snap_object(s, UINT32_MAX, &o));
}
END_TEST

START_TEST(a_place_within_an_object_names_it)
{
    uint32_t node = snap_world_add(w, SNAP_WORLD_LINES, SNAP_WORLD_ROW, 20), large = snap_world_add(w, SNAP_WORLD_LARGE, SNAP_WORLD_ROW, 10000);
    struct snap_object o;

    open_world();
    ck_assert(snap_object_around(s, node + 5, &o));
    ck_assert_uint_eq(o.ref, node);
    ck_assert(snap_object_around(s, large + 4900, &o)); /* in the second block */
    ck_assert_uint_eq(o.ref, large);
    ck_assert(!snap_object_around(s, node + 11, &o)); /* behind it */
    ck_assert(!snap_object_around(s, 3 * MM_BLOCK_GRANULES + 7, &o));
}
END_TEST

START_TEST(references_say_their_kinds_and_what_they_keep)
{
    uint32_t a = snap_world_add(w, SNAP_WORLD_LINES, SNAP_WORLD_NODE, 0), weak = snap_world_add(w, SNAP_WORLD_LINES, SNAP_WORLD_WEAK, 0);
    struct snap_object o;
    struct snap_ref refs[4];

    for (uint32_t i = 0; i < 3; i++)
        snap_world_set(w, weak, i, a);
    open_world();
    ck_assert(snap_object(s, weak, &o));
    ck_assert_uint_eq(snap_refs(s, &o, 0, refs, 4), 3);
    ck_assert(refs[0].kind == SHM_REF_WEAK && !refs[0].keeps && refs[0].at == 0 && refs[0].to == a);
    ck_assert(refs[1].kind == SHM_REF_EPHEMERON && !refs[1].keeps && refs[1].at == 4); /* the key */
    ck_assert(refs[2].kind == SHM_REF_EPHEMERON && refs[2].keeps && refs[2].at == 8); /* the value */
    ck_assert_uint_eq(snap_refs(s, &o, 2, refs, 4), 1);
}
END_TEST

START_TEST(immortal_objects_are_roots_of_their_own)
{
    uint32_t object = snap_world_add(w, SNAP_WORLD_IMMORTAL, SNAP_WORLD_NODE, 0);

    open_world();
    ck_assert_uint_eq(snap_root_count(s), 1);
    struct shm_snapshot_root root = snap_root(s, 0);
    ck_assert_uint_eq(root.object, object);
    ck_assert_uint_eq(snap_owner(s, root.owner).kind, SNAP_IMMORTAL);
}
END_TEST

START_TEST(an_object_within_another_is_none_of_the_graph)
{
    uint32_t outer = snap_world_add(w, SNAP_WORLD_LINES, SNAP_WORLD_BYTES, 64);
    struct snap_graph *g;
    struct snap_object o;
    size_t count;

    unsigned char *bytes = snap_world_bytes(w, &count);
    struct shm_snapshot *header = (void *)bytes;
    uint64_t *bits = (void *)(bytes + header->sections[SHM_SNAPSHOT_OBJECTS].offset), inner = SNAP_WORLD_NODE;
    memcpy(bytes + header->sections[SHM_SNAPSHOT_BYTES].offset + 3 * MM_GRANULE_BYTES, &inner, sizeof(inner));
    bits[0] |= 1u << 4;
    ck_assert_ptr_null(snap_world_open(bytes, count, &s));
    free(bytes);
    ck_assert(snap_object(s, outer + 3, &o));
    ck_assert_ptr_null(snap_graph_new(&g, s));
    ck_assert_uint_eq(g->objects, 1);
    ck_assert_uint_eq(snap_graph_node(g, outer + 3), SNAP_NONE);
    snap_graph_free(g);
}
END_TEST

/* ---- the graph, by trying ---- */

static void make_graph(void)
{
    uint32_t refs[NODES], count = 5 + below(NODES - 5);

    for (uint32_t i = 0; i < count; i++)
        refs[i] = snap_world_add(w, below(2) == 0 ? SNAP_WORLD_LINES : SNAP_WORLD_CELLS, SNAP_WORLD_NODE, 0);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < 2; k++)
            snap_world_set(w, refs[i], k, below(4) == 0 ? 0 : refs[below(count)]);
    for (uint32_t i = 1 + below(6); i > 0; i--)
        snap_world_root(w, below(SNAP_WORLD_OWNERS), SHM_SNAPSHOT_STRONG, refs[below(count)]);
}

/* What @from reaches without @but. */
static void reach(const struct snap_graph *g, uint32_t from, uint32_t but, bool *seen)
{
    if (from == but || seen[from])
        return;
    seen[from] = true;
    for (uint32_t i = g->out.first[from]; i < g->out.first[from + 1]; i++)
        reach(g, g->out.to[i], but, seen);
}

static uint64_t bytes_reached(const struct snap_graph *g, uint32_t but)
{
    bool seen[NODES + 16] = { false };
    uint64_t bytes = 0;

    reach(g, snap_graph_root(g), but, seen);
    for (uint32_t i = 0; i < g->nodes; i++)
        bytes += seen[i] ? snap_graph_bytes(g, i) : 0;
    return bytes;
}

START_TEST(what_a_node_retains_is_what_is_lost_without_it)
{
    for (int round = 0; round < GRAPHS; round++) {
        struct snap_graph *g;
        tear_down();
        w = snap_world_new();
        make_graph();
        open_world();
        ck_assert_ptr_null(snap_graph_new(&g, s));
        ck_assert_uint_eq(g->broken, 0);
        struct snap_dominators *d = snap_dominators_new(g);
        uint64_t all = bytes_reached(g, SNAP_NONE);
        for (uint32_t node = 0; node < g->nodes; node++)
            ck_assert_msg((d->up[node] == SNAP_NONE ? 0 : d->bytes[node]) == all - bytes_reached(g, node), "graph %d, node %u of %u", round, node, g->nodes);
        struct snap_retained *types = snap_retained_by_type(g, d);
        ck_assert_uint_eq(types[SNAP_WORLD_NODE].bytes, all); /* all are of one type */
        ck_assert_uint_eq(types[SNAP_WORLD_NODE].own_bytes, all);
        free(types);
        snap_dominators_free(d);
        snap_graph_free(g);
    }
}
END_TEST

static bool has_edge(const struct snap_graph *g, uint32_t from, uint32_t to)
{
    for (uint32_t i = g->out.first[from]; i < g->out.first[from + 1]; i++)
        if (g->out.to[i] == to)
            return true;
    return false;
}

START_TEST(ways_go_over_edges_and_none_is_longer_than_it_must_be)
{
    for (int round = 0; round < GRAPHS; round++) {
        struct snap_graph *g;
        struct snap_paths p;
        tear_down();
        w = snap_world_new();
        make_graph();
        open_world();
        ck_assert_ptr_null(snap_graph_new(&g, s));
        uint32_t target = below(g->objects);
        ck_assert(snap_paths_find(&p, g, &target, 1));
        for (uint32_t node = 0; node < g->nodes; node++) {
            bool seen[NODES + 16] = { false };
            reach(g, node, SNAP_NONE, seen);
            ck_assert_int_eq(p.next[node] != SNAP_NONE, seen[target]);
            if (node == target || !seen[target])
                continue;
            ck_assert(has_edge(g, node, p.next[node]));
            ck_assert_uint_eq(p.steps[node], p.steps[p.next[node]] + 1);
            for (uint32_t i = g->out.first[node]; i < g->out.first[node + 1]; i++)
                ck_assert(p.next[g->out.to[i]] == SNAP_NONE || p.steps[node] <= p.steps[g->out.to[i]] + 1);
        }
        snap_paths_fini(&p);
        snap_graph_free(g);
    }
}
END_TEST

START_TEST(what_two_clients_hold_is_no_ones)
{
    uint32_t shared = snap_world_add(w, SNAP_WORLD_LINES, SNAP_WORLD_NODE, 0), own = snap_world_add(w, SNAP_WORLD_LINES, SNAP_WORLD_NODE, 0),
             threads = snap_world_add(w, SNAP_WORLD_LINES, SNAP_WORLD_NODE, 0);
    struct snap_graph *g;

    snap_world_set(w, own, 0, shared);
    snap_world_root(w, 2, SHM_SNAPSHOT_STRONG, own);
    snap_world_root(w, 3, SHM_SNAPSHOT_STRONG, shared);
    snap_world_root(w, 4, SHM_SNAPSHOT_LOCAL, threads);
    snap_world_root(w, 3, SHM_SNAPSHOT_WEAK, threads); /* holds nothing */
    open_world();
    ck_assert_ptr_null(snap_graph_new(&g, s));
    struct snap_dominators *d = snap_dominators_new(g);
    ck_assert_uint_eq(d->objects[snap_graph_owner(g, 2)], 2); /* its own, and its thread's */
    ck_assert_uint_eq(d->objects[snap_graph_owner(g, 4)], 1);
    ck_assert_uint_eq(d->objects[snap_graph_owner(g, 3)], 0);
    ck_assert_uint_eq(d->up[snap_graph_node(g, shared)], snap_graph_root(g));
    ck_assert_uint_eq(d->up[snap_graph_owner(g, 4)], snap_graph_owner(g, 2));
    snap_dominators_free(d);
    snap_graph_free(g);
}
END_TEST

/* ---- files that lie ---- */

START_TEST(a_file_that_is_cut_short_is_refused)
{
    size_t count;
    unsigned char *bytes = snap_world_sample(&count);

    for (size_t shorter = 0; shorter < count; shorter += shorter < 2048 ? 1 : 997)
        ck_assert_ptr_nonnull(snap_world_open(bytes, shorter, &s));
    ck_assert_ptr_null(snap_world_open(bytes, count, &s));
    free(bytes);
}
END_TEST

/* Bits, words and bytes are spoilt, most of them in the tables; whatever is still taken for a snapshot is read from end to end. */
START_TEST(a_file_that_lies_harms_nobody)
{
    size_t count;
    unsigned char *good = snap_world_sample(&count), *bytes = malloc(count);
    uint32_t tables = (uint32_t)((const struct shm_snapshot *)(void *)good)->sections[SHM_SNAPSHOT_BYTES].offset;
    unsigned taken = 0;

    for (int i = 0; i < SPOILT; i++) {
        memcpy(bytes, good, count);
        for (uint32_t k = 1 + below(4); k > 0; k--) {
            uint32_t word = below(3) == 0 ? UINT32_MAX : below(1u << (1 + below(24))), at = below(below(3) == 0 ? (uint32_t)count - 4 : tables);
            if (below(2) == 0)
                bytes[at] ^= (unsigned char)(1u << below(8));
            else
                memcpy(&bytes[at - at % 4], &word, sizeof(word));
        }
        if (snap_world_open(bytes, count, &s) != NULL)
            continue;
        taken++;
        snap_world_read_all(s);
        s = snap_free(s);
    }
    fprintf(stderr, "# %u of %d were taken\n", taken, SPOILT);
    ck_assert_uint_gt(taken, SPOILT / 20);
    ck_assert_uint_lt(taken, SPOILT - SPOILT / 20);
    free(bytes);
    free(good);
}
END_TEST

static Suite *snap_suite(void)
{
    Suite *suite = suite_create("snap");
    TCase *tc = tcase_create("snap");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, objects_of_every_shape_are_found);
    tcase_add_test(tc, a_place_within_an_object_names_it);
    tcase_add_test(tc, references_say_their_kinds_and_what_they_keep);
    tcase_add_test(tc, immortal_objects_are_roots_of_their_own);
    tcase_add_test(tc, an_object_within_another_is_none_of_the_graph);
    tcase_add_test(tc, what_a_node_retains_is_what_is_lost_without_it);
    tcase_add_test(tc, ways_go_over_edges_and_none_is_longer_than_it_must_be);
    tcase_add_test(tc, what_two_clients_hold_is_no_ones);
    tcase_add_test(tc, a_file_that_is_cut_short_is_refused);
    tcase_add_test(tc, a_file_that_lies_harms_nobody);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, snap_suite);
}
