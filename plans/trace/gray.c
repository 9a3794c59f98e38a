/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/trace/gray.h"

#include <string.h>

#include "plans/work/store.h"

#define FIRST 4096u

void gray_init(struct gray *g, struct store *store)
{
    *g = (struct gray){ .store = store };
    pthread_mutex_init(&g->lock, NULL);
}

void gray_fini(struct gray *g)
{
    store_free(g->store, g->items);
    store_free(g->store, g->slices);
    pthread_mutex_destroy(&g->lock);
}

void gray_taken_fini(struct gray_taken *t, struct store *store)
{
    store_free(store, t->items);
    store_free(store, t->slices);
}

void gray_clear(struct gray *g)
{
    g->count = g->slice_count = 0;
    g->rescan = false;
    at_store_relaxed(&g->lost, 0);
}

void gray_swap(struct gray *g, struct gray_taken *t)
{
    struct gray_taken now = { g->items, g->count, g->capacity, g->slices, g->slice_count, g->slice_capacity };

    g->items = t->items;
    g->count = t->count;
    g->capacity = t->capacity;
    g->slices = t->slices;
    g->slice_count = t->slice_count;
    g->slice_capacity = t->slice_capacity;
    *t = now;
}

/* Room for @needed rows of @size bytes in @rows. */
static bool grow(struct store *store, void **rows, size_t *capacity, size_t needed, size_t size)
{
    size_t wanted = MM_MAX(*capacity, (size_t)FIRST);

    if (needed <= *capacity)
        return true;
    while (wanted < needed)
        wanted *= 2;
    void *grown = store_resize(store, *rows, wanted * size);
    if (grown == NULL)
        return false;
    *rows = grown;
    *capacity = wanted;
    return true;
}

bool gray_add(struct gray *g, const uint32_t *items, size_t count)
{
    void *rows;

    pthread_mutex_lock(&g->lock);
    rows = g->items;
    bool room = grow(g->store, &rows, &g->capacity, g->count + count, sizeof(*items));
    g->items = rows;
    if (room && count > 0) {
        memcpy(g->items + g->count, items, count * sizeof(*items));
        g->count += count;
    }
    pthread_mutex_unlock(&g->lock);
    return room;
}

bool gray_add_slice(struct gray *g, struct gray_slice slice)
{
    void *rows;

    pthread_mutex_lock(&g->lock);
    rows = g->slices;
    bool room = grow(g->store, &rows, &g->slice_capacity, g->slice_count + 1, sizeof(slice));
    g->slices = rows;
    if (room)
        g->slices[g->slice_count++] = slice;
    pthread_mutex_unlock(&g->lock);
    return room;
}
