/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Store: memory for the records of engines and heaps, out of one region; plans/ takes memory from nowhere else.
 *   Region   given, a static array say: store_new_in(). Or reserved from the system: store_new(), sparse: nothing is committed
 *            before it is touched, and large pieces that are freed go back
 *   Method   free pieces are listed by size, 16 lists to a power of two, and joined with their neighbours at once (TLSF: Masmano et al.,
 *            ECRTS 2004). No call looks at more than one piece of a list: constant time, but for what it zeroes or copies
 *   Pieces   on cache lines of their own; what one takes of the region: store_piece_bytes()
 *   Owner    who made it; engines and heaps borrow it. It lies at the begin of its region, and has no other state
 *   Threads  any. One mutex, leaf, held for a few hundred instructions, and never while memory is zeroed, copied or given back
 *   Errors   NULL: it is full, or the system is; nothing has changed. A piece that is freed twice, or is none: MM_ASSERT       */
#include <stdbool.h>
#include <stddef.h>

#include "shm/base.h"

struct store;

#define STORE_BYTES_MIN 8192u                        /* the least region; about 5 KiB of each are the store's own */
#define STORE_LARGE_BYTES (64u * 1024u)              /* zeroed by the system, if there is one */
#define STORE_GIVE_BACK_BYTES (256u * 1024u)         /* and given back when freed */

/* Over @bytes at @region, whatever is in them; borrowed till store_unref(). -EINVAL: fewer than STORE_BYTES_MIN, or 1 TiB and more. */
int store_new_in(struct store **ret_store, void *region, size_t bytes);
/* Over @bytes of address space. -ENOMEM, -EINVAL as above. */
int store_new(struct store **ret_store, size_t bytes);
struct store *store_unref(struct store *store);      /* all pieces have been freed: MM_ASSERT. NULL in, NULL out */
MM_DEFINE_AUTO(store, store_unref)
bool store_is_sparse(const struct store *store);     /* of the system: what is not touched costs nothing */

void *store_alloc(struct store *store, size_t bytes);                /* contents undefined; of 0 bytes, too, a piece */
void *store_alloc_zeroed(struct store *store, size_t bytes);         /* sparse: pages of large pieces stay untouched */
/* @piece, of @bytes at least, with what it held, here or elsewhere. NULL: @piece is as it was. @piece may be NULL: store_alloc(). */
void *store_resize(struct store *store, void *piece, size_t bytes);
void store_free(struct store *store, void *piece);                   /* NULL: nothing */

size_t store_piece_bytes(size_t bytes);              /* what a piece of @bytes takes of the region */
struct store_usage {
    size_t capacity;                                 /* what pieces may take together */
    size_t used, high;                               /* what they take now, and took at most */
    size_t pieces;
    size_t refused;                                  /* how often it was full */
};
struct store_usage store_usage(struct store *store);
