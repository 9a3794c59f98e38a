/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shadow: one thread's random object graph in a heap, and the same graph as a model in private memory. Random operations
 * change both alike; a comparison walks both from all roots and finds any object lost, torn, mixed up, freed too early or
 * doubled. What only garbage shows (never freed) is seen by the heap's size staying within bounds.
 *   Roots    handles, names (<label>.0 ...), local roots in scopes and, if the thread is not exact, pointers on its stack, also
 *            ones into the inside of objects and one past their end
 *   Threads  a shadow belongs to the thread it was last attached to
 *   Failing  as a mate does, with EXPECT()                                                                               */
#include <stdbool.h>
#include <stdint.h>

#include "tests/support/shadow_object.h"

struct shadow;
struct shadow_config {
    const char *label; /* copied; what its names begin with: unique in the heap */
    uint64_t seed;
    uint64_t budget_bytes; /* that it keeps reachable, about */
    bool sleeps;           /* goes outside and sleeps at times */
    bool collects;         /* asks for collections at times */
};
struct shadow_tally {
    uint64_t steps, compared, compared_objects, collections_seen;
};

struct shadow *shadow_new(const struct shadow_config *config);
void shadow_free(struct shadow *s);
/* The thread has been attached, or attached again: of the roots only the names are left, and, with @same_heap (the heap has stayed
 * open), the handles. Defines the types. */
void shadow_attach(struct shadow *s, struct mmgc_heap *heap, struct mmgc_thread *t, bool exact,
                   bool same_heap);
/* Goes inside, does @steps random operations, compares whenever there was a collection, goes outside. */
void shadow_run(struct shadow *s, unsigned steps);
/* Compares everything, from outside. */
void shadow_compare(struct shadow *s);
/* Takes away its names and handles: all it had is garbage. From outside. */
void shadow_drop(struct shadow *s);
const struct shadow_tally *shadow_tally(const struct shadow *s);
