/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Closed pages: what a collection has freed, and no client may touch before the next one has begun (plan pageprotect).
 *   D1  a closed page is free throughout: no object bit, nothing of G, and nobody is granted it
 *   D2  bits change only while the world is stopped: sweeps set them, the next collection begins by clearing them. So what is
 *       granted was open when its client last resumed, and a client that compares the map with its own at each resume is up to date
 *   D3  a block freed as a whole is of kind BLOCK_CLOSED with all its bits set, until then
 *   Threads  sweepers set bits by atomic OR: a page run reaches into blocks of others. The map is the one thing of a heap's
 *            metadata that clients read: it lies where heap_config.page_map says
 *   Bits     one a page, so that a block has a byte (MM_BLOCK_PAGES); of plans that close nothing there are none              */
#include <stdbool.h>
#include <stdint.h>

#include "plans/heap/state.h"

#define CLOSED_WHOLE 0xffu                   /* a block's byte */

static inline bool closed_wanted(const struct heap *h)
{
    return h->closed != NULL;
}
/* The closed pages of @block. */
static inline uint8_t closed_pages(const struct heap *h, uint32_t block)
{
    return h->closed == NULL ? 0 : at_load_relaxed(&h->closed[block]);
}
static inline void closed_add(struct heap *h, uint32_t block, uint8_t pages)
{
    (void)at_or_relaxed(&h->closed[block], pages);
}
/* The end of their term: all pages are open, and what is in them may be granted. */
void closed_open_stw(struct heap *h);
