/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Entry: a mate's way into a heap: connected, opened, one thread attached. Every step EXPECTs success. */
#include <mmgc/mmgc.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/support/shadow_object.h"

struct entry_options {
    const char *socket, *heap, *plan;
    uint64_t max_bytes, limit_bytes; /* of the heap, if it has to be made; 0: the daemon's default */
    const char *options; /* mmgc_heap_options.options, the same way; NULL: none */
    const char *name;                /* of client and thread, as people see them */
    bool exact;
};
struct entry {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t; /* outside; of the thread that opened */
    struct shadow_types types;
    mmgc_handle board; /* see board.h; {0}: not looked for yet */
    bool exact;
};
void entry_open(struct entry *e, const struct entry_options *options);
void entry_close(struct entry *e);
uint64_t entry_collections(const struct entry *e);

/* A pointer across a safepoint: the pointer itself, or, of an exact thread, what its local root has now. */
struct held {
    void *p;
    mmgc_local local;
};
static inline struct held entry_hold(struct entry *e, void *p)
{
    return (struct held){ .p = p,
                          .local = e->exact && p != NULL ? mmgc_local_new(e->t, p) : (mmgc_local){ 0 } };
}
static inline void *entry_held(struct entry *e, const struct held *held)
{
    return e->exact && held->p != NULL ? mmgc_local_get(e->t, held->local) : held->p;
}
