/* SPDX-License-Identifier: Apache-2.0 */
/* index.c - Index: a bit for each granule of a copied block, and beside each 64 of them how many come before (a rank directory, Jacobson, FOCS 1989). */
#include "client/ctl/snap/index.h"

#include <stdlib.h>

#include "client/ctl/snap/inside.h"

struct snap_index {
    const struct snap *snap;
    uint64_t *bits;                           /* [slots * SNAP_WORDS] */
    uint32_t *before;
    uint32_t count, top;
};

static size_t word_of(const struct shm_snapshot_block *row, uint32_t ref)
{
    return (size_t)(row->slot - 1) * SNAP_WORDS + ref % MM_BLOCK_GRANULES / 64;
}

struct snap_index *snap_index_free(struct snap_index *x)
{
    if (x == NULL)
        return NULL;
    free(x->bits);
    free(x->before);
    free(x);
    return NULL;
}

static void mark_objects(struct snap_index *x)
{
    struct snap_object o;
    uint64_t at = 0;

    while (x->count < SNAP_INDEX_NONE && snap_index_step(x->snap, &at, &o)) {
        x->bits[word_of(snap_row_of(x->snap, o.ref), o.ref)] |= UINT64_C(1) << o.ref % 64;
        x->top = o.ref;
        x->count++;
    }
}

struct snap_index *snap_index_new(const struct snap *s)
{
    MM_AUTO(snap_index) x = calloc(1, sizeof(*x));
    size_t words = (size_t)s->slots * SNAP_WORDS;

    if (x == NULL)
        return NULL;
    x->snap = s;
    x->bits = calloc(words + 1, sizeof(x->bits[0]));
    x->before = calloc(words + 1, sizeof(x->before[0]));
    if (x->bits == NULL || x->before == NULL)
        return NULL;
    mark_objects(x);
    for (size_t i = 0; i < words; i++)
        x->before[i + 1] = x->before[i] + (uint32_t)__builtin_popcountll(x->bits[i]);
    return MM_TAKE(x);
}

uint32_t snap_index_count(const struct snap_index *x)
{
    return x->count;
}

uint32_t snap_index_top(const struct snap_index *x)
{
    return x->top;
}

uint32_t snap_index_find(const struct snap_index *x, uint32_t ref)
{
    const struct shm_snapshot_block *row = snap_row_of(x->snap, ref);

    if (row == NULL)
        return SNAP_INDEX_NONE;
    size_t word = word_of(row, ref);
    uint64_t bit = UINT64_C(1) << ref % 64;
    return (x->bits[word] & bit) == 0 ? SNAP_INDEX_NONE : x->before[word] + (uint32_t)__builtin_popcountll(x->bits[word] & (bit - 1));
}
