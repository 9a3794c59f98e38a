/* SPDX-License-Identifier: Apache-2.0 */
/* spare.c - Spare: malloc(), and a store behind it.
 *   P1  an address says whose a piece is: the store's region is the program's own, and malloc() never gives any of it
 *   P2  libuv's tables grow by doubling: of 524288 descriptors the last is 4 MiB, and the one before it is there beside it */
#include "daemon/spare.h"

#include <malloc.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "plans/work/store.h"
#include "proto/wire.h"

static alignas(64) char region[SPARE_BYTES];
static struct store *store; /* [const] from spare_start() on; lives as long as the process */

static bool is_spare(const void *piece) /* P1 */
{
    return (uintptr_t)piece - (uintptr_t)region < sizeof(region);
}

void *spare_alloc(size_t bytes)
{
    void *piece = malloc(bytes == 0 ? 1 : bytes);

    return piece != NULL || store == NULL ? piece : store_alloc(store, bytes);
}

void *spare_calloc(size_t count, size_t bytes)
{
    size_t all;

    if (__builtin_mul_overflow(count, bytes, &all))
        return NULL;
    void *piece = calloc(1, all == 0 ? 1 : all);
    return piece != NULL || store == NULL ? piece : store_alloc_zeroed(store, all);
}

/* From malloc()'s to the store when malloc() has no more: what was there is moved, its size being malloc()'s to know. */
static void *move_to_store(void *piece, size_t bytes)
{
    void *moved = store == NULL ? NULL : store_alloc(store, bytes);

    if (moved == NULL)
        return NULL;
    memcpy(moved, piece, MM_MIN(bytes, malloc_usable_size(piece)));
    free(piece);
    return moved;
}

void *spare_realloc(void *piece, size_t bytes)
{
    if (piece == NULL)
        return spare_alloc(bytes);
    if (is_spare(piece))
        return store_resize(store, piece, bytes);
    void *grown = realloc(piece, bytes == 0 ? 1 : bytes);
    return grown != NULL ? grown : move_to_store(piece, bytes);
}

void spare_free(void *piece)
{
    if (is_spare(piece))
        store_free(store, piece);
    else
        free(piece);
}

size_t spare_used_bytes(void)
{
    return store == NULL ? 0 : store_usage(store).used;
}

int spare_start(void)
{
    int r = store_new_in(&store, region, sizeof(region));

    if (r == 0)
        r = uv_replace_allocator(spare_alloc, spare_realloc, spare_calloc, spare_free);
    if (r == 0)
        wire_use_memory(spare_alloc, spare_free);
    return r;
}
