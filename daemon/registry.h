/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Registry: the heaps by name, in order, so that a list can be paged.
 *   Owner    the server; holds one reference a heap        Threads  loop                                   */
#include <stddef.h>

struct shared_heap;

struct registry {
    struct shared_heap **rows;                /* sorted by name */
    size_t count, capacity;
};

struct shared_heap *registry_find(const struct registry *r, const char *name);        /* borrowed, or NULL */
int registry_add(struct registry *r, struct shared_heap *heap);   /* takes a reference. 0, -ENOMEM; the name is not there */
void registry_remove(struct registry *r, struct shared_heap *heap);                   /* drops it; absent is fine */
size_t registry_after(const struct registry *r, const char *name);     /* index of the first name greater than @name */
void registry_fini(struct registry *r);
