/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Objects: the types that tests of plans share. A node is two references and a number. */
#include "plans/plan.h"
#include "tests/support/fake_mutator.h"
#include "tests/support/runner.h"

/* ck_assert() writes a file each time it holds; this one is for loops. */
#define HOLDS(x) \
    do { \
        if (!(x)) \
            ck_abort_msg("%s:%d: %s", __FILE__, __LINE__, #x); \
    } while (0)

#define NODE_BYTES 24u                       /* header included */

struct objects {
    uint32_t node;                           /* references at 0 and 4, a number at 8 */
    uint32_t refs;                           /* an array of references */
    uint32_t bytes;                          /* an array of bytes */
    uint32_t pairs;                          /* a reference, a number, then elements of { number, reference } */
    uint32_t wide;                           /* 400 bytes, references at 0 and 396 */
};

static inline bool has_pages(const struct plan *plan) /* each object takes a page at least */
{
    return plan->constraints.allocator == SHM_ALLOCATOR_PAGES;
}
/* What the last collection freed may be granted from here on: of plans that close it first, after one more. */
static inline void end_of_term(struct fake_world *w, const struct plan *plan)
{
    if (plan->constraints.closes_pages)
        (void)fake_collect(w);
}

static inline void objects_define(struct objects *o, struct fake_world *w)
{
    static const uint32_t zero[] = { 0 }, both[] = { 0, 4 }, second[] = { 4 }, ends[] = { 0, 396 };

    o->node = fake_type(w, &(struct shm_type_layout){ "node", 16, 0, 2, 0, both, NULL });
    o->refs = fake_type(w, &(struct shm_type_layout){ "refs", 0, 4, 0, 1, NULL, zero });
    o->bytes = fake_type(w, &(struct shm_type_layout){ "bytes", 0, 1, 0, 0, NULL, NULL });
    o->pairs = fake_type(w, &(struct shm_type_layout){ "pairs", 8, 8, 1, 1, zero, second });
    o->wide = fake_type(w, &(struct shm_type_layout){ "wide", 400, 0, 2, 0, ends, NULL });
}
static inline void node_set(struct fake_world *w, uint32_t node, uint32_t left, uint32_t right, uint64_t value)
{
    fake_set(w, node, 0, left);
    fake_set(w, node, 1, right);
    ((uint64_t *)fake_at(w, node))[1] = value;
}
static inline uint64_t node_value(struct fake_world *w, uint32_t node)
{
    return ((const uint64_t *)fake_at(w, node))[1];
}
