/* SPDX-License-Identifier: Apache-2.0 */
/* shapes.c - Shapes: compiled several times, each with another SHAPES_TABLE. Nothing here keeps anything by hand. */
#include "tests/client/shapes.h"

extern const struct shape SHAPES_TABLE[SHAPES_COUNT];

/* All that is asked of the world is known by reference alone: no address of an object is on its way there. */
static void check(struct shape_world *w, mmgc_ref expected)
{
    w->expected[0] = expected;
    w->checkpoint(w, 1, w->expected);
}

static int64_t used_after(struct shape_world *w)
{
    struct shape_node *n = mmgc_load(w->t, w->slot);

    check(w, *w->slot);
    return n->value;
}

static int64_t used_before_and_after(struct shape_world *w)
{
    struct shape_node *n = mmgc_load(w->t, w->slot);
    int64_t before = n->value++;

    check(w, *w->slot);
    return before + n->value;
}

static int64_t null_is_possible(struct shape_world *w)
{
    struct shape_node *n = mmgc_load(w->t, w->slot);

    check(w, *w->slot);
    return n != NULL ? n->value : -1;
}

static int64_t two_at_once(struct shape_world *w)
{
    struct shape_node *a = mmgc_load(w->t, &w->slot[0]), *b = mmgc_load(w->t, &w->slot[1]);

    w->expected[0] = w->slot[0];
    w->expected[1] = w->slot[1];
    w->checkpoint(w, 2, w->expected);
    return a->value - b->value;
}

static int64_t dereferenced_by_hand(struct shape_world *w)
{
    mmgc_ref ref = *w->slot;
    struct shape_node *n = mmgc_deref(w->t, ref);

    check(w, ref);
    return n->value + ref.granule;
}

static int64_t stored_after(struct shape_world *w)
{
    struct shape_node *a = mmgc_load(w->t, &w->slot[0]), *b = mmgc_load(w->t, &w->slot[1]);

    w->expected[0] = w->slot[0];
    w->expected[1] = w->slot[1];
    w->checkpoint(w, 2, w->expected);
    mmgc_set(w->t, a, right, b);
    return 0;
}

static int64_t reference_of_it_stored_after(struct shape_world *w)
{
    struct shape_node *n = mmgc_load(w->t, w->slot);
    mmgc_ref copy = mmgc_ref_of(w->t, n);

    check(w, *w->slot);
    n->right = copy;
    return copy.granule;
}

static int64_t down_a_list(struct shape_world *w)
{
    int64_t sum = 0;

    for (struct shape_node *n = mmgc_load(w->t, w->slot); n != NULL; n = mmgc_get(w->t, n, left)) {
        w->expected[0] = mmgc_ref_of(w->t, n);
        w->checkpoint(w, 1, w->expected);
        sum += n->value;
    }
    return sum;
}

__attribute__((noinline)) static int64_t tree_sum(struct shape_world *w, struct shape_node *n)
{
    if (n == NULL)
        return 0;
    int64_t below = tree_sum(w, mmgc_get(w->t, n, left));
    w->expected[0] = mmgc_ref_of(w->t, n);
    w->checkpoint(w, 1, w->expected);
    return below + n->value;
}

static int64_t up_a_recursion(struct shape_world *w)
{
    return tree_sum(w, mmgc_load(w->t, w->slot));
}

static int64_t elements_one_by_one(struct shape_world *w)
{
    mmgc_ref *array = mmgc_load(w->t, w->array);
    uint32_t length = mmgc_length(array);
    int64_t sum = 0;

    for (uint32_t i = 0; i < length; i++) {
        check(w, *w->array);
        sum += array[i].granule;
    }
    return sum;
}

static int64_t a_fresh_one(struct shape_world *w)
{
    struct shape_node *n = mmgc_new(w->t, w->node);

    w->expected[0] = mmgc_ref_of(w->t, n);
    w->checkpoint(w, 1, w->expected);
    n->value = 7;
    return n->value;
}

static int64_t a_fresh_one_beside_an_old_one(struct shape_world *w)
{
    struct shape_node *old = mmgc_load(w->t, w->slot);
    struct shape_node *n = mmgc_new(w->t, w->node);

    w->expected[0] = *w->slot;
    w->expected[1] = mmgc_ref_of(w->t, n);
    w->checkpoint(w, 2, w->expected);
    mmgc_set(w->t, n, left, old);
    return n->value;
}

static int64_t exchanged(struct shape_world *w)
{
    struct shape_node *a = mmgc_load(w->t, w->slot);
    struct shape_node *b = mmgc_get(w->t, a, left);
    mmgc_ref ref = mmgc_ref_of(w->t, b);
    struct shape_node *was = mmgc_exchange(w->t, a, &a->left, NULL);

    check(w, ref);
    int64_t value = was->value;
    mmgc_set(w->t, a, left, was);
    return value;
}

static int64_t from_a_handle(struct shape_world *w)
{
    struct shape_node *n = mmgc_handle_get(w->t, w->handle);

    check(w, *w->slot);
    return n->value;
}

const struct shape SHAPES_TABLE[SHAPES_COUNT] = {
    { "used after", used_after },
    { "used before and after", used_before_and_after },
    { "null is possible", null_is_possible },
    { "two at once", two_at_once },
    { "dereferenced by hand", dereferenced_by_hand },
    { "stored after", stored_after },
    { "reference of it stored after", reference_of_it_stored_after },
    { "down a list", down_a_list },
    { "up a recursion", up_a_recursion },
    { "elements one by one", elements_one_by_one },
    { "a fresh one", a_fresh_one },
    { "a fresh one beside an old one", a_fresh_one_beside_an_old_one },
    { "exchanged", exchanged },
    { "from a handle", from_a_handle },
};
