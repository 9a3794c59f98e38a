/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shapes: code as programs write it, in which a compiler may keep an object's base and 32-bit reference across a call and
 * not its address (soundness S2). Built by each compiler at each level; test_shapes.c looks at what parking finds. */
#include <mmgc/mmgc.h>

#define SHAPES_COUNT 14u
#define SHAPES_EXPECTED 4u

struct shape_node {
    mmgc_ref left, right;
    int64_t value;
};
struct shape_world {
    struct mmgc_thread *t;
    mmgc_type node, refs;
    const mmgc_ref *slot;                    /* malloc memory: references to a list of nodes, ... */
    const mmgc_ref *array;                   /* ... and to an array of references */
    mmgc_handle handle;                      /* of the first node */
    /* Parks and looks. Every object named by @expected must be found. */
    void (*checkpoint)(struct shape_world *world, uint32_t count, const mmgc_ref *expected);
    mmgc_ref expected[SHAPES_EXPECTED];
};
typedef int64_t shape_run(struct shape_world *world);
struct shape {
    const char *name;
    shape_run *run;
};
