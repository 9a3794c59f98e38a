/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c - Registry: a sorted array; heaps are few and are made rarely, lists are read in order. */
#include "daemon/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/shared_heap.h"

/* The first index whose name is not less than @name; *ret_found says whether it is @name. */
static size_t find_index(const struct registry *r, const char *name, bool *ret_found)
{
    size_t low = 0, high = r->count;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(r->rows[middle]->name, name);
        if (order < 0) {
            low = middle + 1;
        } else {
            *ret_found |= order == 0;
            high = middle;
        }
    }
    return low;
}

struct shared_heap *registry_find(const struct registry *r, const char *name)
{
    bool found;
    size_t index = find_index(r, name, &found);

    return found ? r->rows[index] : NULL;
}

int registry_add(struct registry *r, struct shared_heap *heap)
{
    bool found;
    size_t index = find_index(r, heap->name, &found);

    MM_ASSERT(!found);
    if (r->count == r->capacity) {
        size_t capacity = MM_MAX(r->capacity * 2, (size_t)16);
        struct shared_heap **rows = reallocarray(r->rows, capacity, sizeof(rows[0]));
        if (rows == NULL)
            return -ENOMEM;
        r->rows = rows;
        r->capacity = capacity;
    }
    memmove(r->rows + index + 1, r->rows + index, (r->count - index) * sizeof(r->rows[0]));
    r->rows[index] = shared_heap_ref(heap);
    r->count++;
    return 0;
}

void registry_remove(struct registry *r, struct shared_heap *heap)
{
    bool found;
    size_t index = find_index(r, heap->name, &found);

    if (!found || r->rows[index] != heap)
        return;
    r->count--;
    memmove(r->rows + index, r->rows + index + 1, (r->count - index) * sizeof(r->rows[0]));
    shared_heap_unref(heap);
}

size_t registry_after(const struct registry *r, const char *name)
{
    bool found;
    size_t index = find_index(r, name, &found);

    return index + (found ? 1 : 0);
}

void registry_fini(struct registry *r)
{
    MM_ASSERT(r->count == 0);
    free(r->rows);
    *r = (struct registry){ 0 };
}
