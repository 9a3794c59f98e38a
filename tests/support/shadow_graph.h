/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shadow graph: what shadow.c's operations work on: the roots, the model, and the walk that compares both worlds.
 *   G1  the model changes in the same step as the heap; between two steps they are equal
 *   G2  no heap pointer is kept in malloc memory: only in handles, names, locals and the stack array that raw points at  */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/shadow.h"
#include "tests/support/stress.h"

#define HANDLES 24u
#define NAMES 6u
#define LOCALS 48u
#define SCOPES 8u
#define RAWS 16u

struct root {
    struct shadow_object *o;
    union {
        mmgc_handle handle;
        mmgc_local local;
        uint32_t inside; /* how far into the object a raw root points */
    };
};

struct shadow {
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    struct shadow_types types;
    struct shadow_config config;
    char label[32];
    bool exact;
    struct rng rng;
    struct shadow_object *all;
    uint64_t bytes; /* of all, in the heap; those nothing refers to included, until they are pruned */
    uint32_t walk;
    uint64_t collections; /* at the last comparison */
    struct root handles[HANDLES], names[NAMES], locals[LOCALS], raws[RAWS];
    bool made[HANDLES]; /* the handle is there, though it may hold nothing */
    uint32_t local_count;
    struct {
        mmgc_scope scope;
        uint32_t first; /* local that was made in it */
    } scopes[SCOPES];
    uint32_t scope_count;
    char **raw;                   /* on the stack of shadow_run(); the values of raws[] */
    struct shadow_object **stack; /* of a walk */
    size_t stack_count, stack_capacity;
    struct shadow_tally tally;
};

struct found { /* an object in both worlds; nothing: {NULL, NULL} */
    struct shadow_object *o;
    char *p;
};

/* roots: handles, names, raw pointers, locals, in this order; the last are as many as there are now */
uint32_t graph_root_count(const struct shadow *s);
struct root *graph_root(struct shadow *s, uint32_t i);
/* Mostly into one that is empty: what hangs on another goes, and graphs would stay small. */
void graph_root_put(struct shadow *s, struct found f);
void graph_root_clear(struct shadow *s, uint32_t i);
void graph_handle_drop(struct shadow *s, uint32_t i);
void graph_forget_raws(struct shadow *s); /* the thread is going outside */

/* An object some way down from a random root. No safepoint. */
struct found graph_pick(struct shadow *s);
void graph_set_ref(struct shadow *s, struct found from, uint32_t ref, struct found to);
/* The same, first, of an object just made. */
void graph_init_ref(struct shadow *s, struct found from, uint32_t ref, struct found to);

/* Frees the models of what cannot be reached any more. */
void graph_prune(struct shadow *s);
void graph_free_unvisited(struct shadow *s); /* by the walk numbered s->walk */
/* Cuts here and there until what is left is small enough. */
void graph_keep_in_budget(struct shadow *s);

uint64_t graph_collections(const struct shadow *s);
/* From all roots, in both worlds; no safepoint in between, so addresses hold still. */
void graph_compare(struct shadow *s);
void graph_compare_if_collected(struct shadow *s);
