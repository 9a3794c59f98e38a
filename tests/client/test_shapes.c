/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/fixture.h"

#include <string.h>

#include "client/roots.h"
#include "shm/object.h"
#include "tests/client/shapes.h"

/* One table a compiler and a level: meson.build makes the list, SHAPES_TABLES(X). */
#define SHAPES_DECLARE(table) extern const struct shape table[SHAPES_COUNT];
SHAPES_TABLES(SHAPES_DECLARE)
#define SHAPES_ROW(table) { #table, table },
static const struct build {
    const char *name;
    const struct shape *shapes;
} builds[] = { SHAPES_TABLES(SHAPES_ROW) };

static uint32_t checks, lost;

/* ThreadSanitizer would see a race with the fake, which filled these bytes before it granted them. */
__attribute__((no_sanitize("thread"))) static uint64_t payload_granules(mmgc_ref ref)
{
    uint64_t header =
        at_load_relaxed((_Atomic uint64_t *)(void *)(fake->arena + ((uint64_t)ref.granule << 3) - 8));
    const struct shm_type_row *row = &fake->control->types[object_header_type(header)];

    return (object_bytes(row->fixed_bytes, row->element_bytes, object_header_length(header)) - 8) >> 3;
}

static bool is_root(mmgc_ref ref)
{
    uint32_t count = at_load_relaxed(&mutator()->root_count);
    uint64_t granules = payload_granules(ref);

    for (uint32_t i = 0; i < count; i++)
        if (mutator()->roots[i] >= ref.granule && mutator()->roots[i] <= ref.granule + granules)
            return true;
    return false;
}

/* Parks as a safepoint would; only then it looks, through the daemon's mapping, so that no address helps. */
__attribute__((noinline)) static void checkpoint(struct shape_world *w, uint32_t count,
                                                 const mmgc_ref *expected)
{
    if (roots_publish(thread_of(w->t)) != MMGC_OK)
        lost++;
    for (uint32_t i = 0; i < count; i++) {
        checks++;
        lost += !is_root(expected[i]);
    }
}

/* What earlier calls left on the stack must not be found by chance. */
__attribute__((noinline)) static void wipe_stack(void)
{
    char wiped[65536];

    memset(wiped, 0, sizeof(wiped));
    mmgc_keep(wiped);
}

static mmgc_ref refs[4];
static struct shape_world world;

__attribute__((noinline)) static void make_world(void)
{
    struct node *last = NULL;
    mmgc_ref *array = mmgc_new_array(t, refs_type, 9);

    refs[3] = mmgc_ref_of(t, array);
    for (int i = 3; i-- > 0;) {
        struct node *n = mmgc_new(t, node_type);
        n->value = i;
        mmgc_set(t, n, left, last);
        mmgc_store(t, array, &array[i], n);
        refs[i] = mmgc_ref_of(t, n);
        last = n;
    }
    world = (struct shape_world){
        .t = t,
        .node = node_type,
        .refs = refs_type,
        .slot = refs,
        .array = &refs[3],
        .checkpoint = checkpoint,
    };
    ck_assert_ok(mmgc_handle_new(t, last, &world.handle));
}

START_TEST(parking_finds_what_is_used_after_a_call)
{
    const struct build *build = &builds[_i / (int)SHAPES_COUNT];
    const struct shape *shape = &build->shapes[_i % (int)SHAPES_COUNT];

    static_assert(sizeof(struct shape_node) == sizeof(struct node), "the same type");
    ck_assert_ok(mmgc_enter(t));
    make_world();
    wipe_stack();
    (void)shape->run(&world);
    ck_assert_uint_gt(checks, 0);
    ck_assert_msg(lost == 0, "%s, %s: %u of %u lost", build->name, shape->name, lost, checks);
}
END_TEST

static Suite *shapes_suite(void)
{
    Suite *suite = suite_create("shapes");
    TCase *shapes = tcase_create("shapes");

    tcase_add_checked_fixture(shapes, setup, teardown);
    tcase_add_loop_test(shapes, parking_finds_what_is_used_after_a_call, 0,
                        (int)(MM_ARRAY_LEN(builds) * SHAPES_COUNT));
    suite_add_tcase(suite, shapes);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, shapes_suite);
}
