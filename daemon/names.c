/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - Names: rows sorted by name, each with a slot in the array of references.
 *   N1  words[slot] of every row is not 0; every other word below high is
 *   N2  the three arrays grow together, so a free slot always has a place in free_slots */
#include "daemon/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void names_init(struct names *n, size_t limit)
{
    *n = (struct names){ .limit = limit };
}

void names_fini(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->rows[i].name);
    free(n->rows);
    free(n->words);
    free(n->free_slots);
    *n = (struct names){ 0 };
}

/* The first index whose name is not less than @name; *ret_found says whether it is @name. */
static size_t find_index(const struct names *n, const char *name, bool *ret_found)
{
    size_t low = 0, high = n->count;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(n->rows[middle].name, name);
        if (order < 0) {
            low = middle + 1;
        } else {
            *ret_found |= order == 0;
            high = middle;
        }
    }
    return low;
}

size_t names_after(const struct names *n, const char *name)
{
    bool found;
    size_t index = find_index(n, name, &found);

    return index + (found ? 1 : 0);
}

uint32_t names_get(const struct names *n, const char *name)
{
    bool found;
    size_t index = find_index(n, name, &found);

    return found ? at_load_relaxed(&n->words[n->rows[index].slot]) : 0;
}

static int grow(struct names *n)
{
    size_t capacity = MM_MIN(MM_MAX(n->capacity * 2, (size_t)64), n->limit);

    if (n->count == n->limit)
        return -ENOSPC;
    struct name_row *rows = reallocarray(n->rows, capacity, sizeof(rows[0]));
    if (rows == NULL)
        return -ENOMEM;
    n->rows = rows;
    uint32_t *free_slots = reallocarray(n->free_slots, capacity, sizeof(free_slots[0]));
    if (free_slots == NULL)
        return -ENOMEM;
    n->free_slots = free_slots;
    _Atomic uint32_t *words = reallocarray(n->words, capacity, sizeof(words[0]));
    if (words == NULL)
        return -ENOMEM;
    n->words = words;
    n->capacity = capacity;
    return 0;
}

static int add_row(struct names *n, size_t index, const char *name, uint32_t ref)
{
    if (n->count == n->capacity) {
        int r = grow(n);
        if (r < 0)
            return r;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;
    uint32_t slot = n->free_count > 0 ? n->free_slots[--n->free_count] : n->high++;
    memmove(n->rows + index + 1, n->rows + index, (n->count - index) * sizeof(n->rows[0]));
    n->rows[index] = (struct name_row){ copy, slot };
    n->count++;
    at_store_relaxed(&n->words[slot], ref);
    return 0;
}

static void remove_row(struct names *n, size_t index)
{
    uint32_t slot = n->rows[index].slot;

    at_store_relaxed(&n->words[slot], 0);
    n->free_slots[n->free_count++] = slot;
    free(n->rows[index].name);
    n->count--;
    memmove(n->rows + index, n->rows + index + 1, (n->count - index) * sizeof(n->rows[0]));
}

int names_set(struct names *n, const char *name, uint32_t ref)
{
    bool found;
    size_t index = find_index(n, name, &found);

    if (!found)
        return ref == 0 ? 0 : add_row(n, index, name, ref);
    if (ref == 0)
        remove_row(n, index);
    else
        at_store_relaxed(&n->words[n->rows[index].slot], ref);
    return 0;
}
