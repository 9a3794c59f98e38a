/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Layout: where a heap's metadata lies in its private segment, sparse: 3.9 % of the arena's maximum, 6.3 % for plans that slide,
 *   10.1 % for those that count references.
 *   Writer   the daemon alone; no client ever maps it
 *   Threads  between collections the heap's one caller; inside one, whoever holds the block (or says otherwise)
 *   Roles    the two object bitmaps, and the two pairs of line bitmaps, swap roles at the end of a collection;
 *            the header says which is which. docs/heap-layout.md#private                                      */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"
#include "shm/units.h"

#define HEAP_MAGIC UINT64_C(0x7061656863676d6d)         /* "mmgcheap" in memory order */
#define HEAP_VERSION 2u

/* What was going on when the daemon died (soundness S19). MARK: start again; EVACUATE: objects are being copied, from-space is
 * whole; SLIDE: objects move within their blocks, nothing can be told any more; RELEASE: marks are complete. */
enum heap_journal { HEAP_IDLE, HEAP_MARK, HEAP_RELEASE, HEAP_EVACUATE, HEAP_SLIDE };

struct heap_header {
    _Atomic uint64_t magic;                  /* release-stored last */
    uint32_t version;                        /* constant */
    _Atomic uint32_t journal;                /* enum heap_journal; release at each change: all before it is in the segment */
    uint64_t max_bytes;                      /* constant: of the arena */
    char plan[24];                           /* constant */
    _Atomic uint32_t vo;                     /* which of objects[] is VO; the other is mark */
    _Atomic uint32_t current;                /* which of granted[] and firsts[] describes G */
};
static_assert(offsetof(struct heap_header, journal) == 12, "docs/heap-layout.md#private");
static_assert(offsetof(struct heap_header, vo) == 48, "docs/heap-layout.md#private");

/* A line's mark. While a collection marks and clients run, those of the one before still say what may be granted: so its own are
 * another, and its sweep makes them the first. Not 0 is: in use. Plans that count have the third beside the first: an object that
 * begins in an earlier line reaches into this one. So their sweep needs VO bits and these bytes, and no object's header. */
enum { LINE_MARKED = 1, LINE_MARKED_NEXT = 2, LINE_CROSSED = 4 };

struct metadata {                            /* pointers into the segment */
    struct heap_header *header;
    _Atomic uint64_t *objects[2];            /* bit a granule: VO and mark, at the payload's granule */
    _Atomic uint8_t *lines;                  /* byte a line: LINE_MARKED if a marked object touches it */
    _Atomic uint64_t *granted[2];            /* bit a line: it is in G (soundness S6 I2); [other] is the next G in the making */
    _Atomic uint64_t *firsts[2];             /* bit a line: a span of G starts there */
    _Atomic uint8_t *kinds;                  /* byte a block, and so the next seven: enum block_kind */
    _Atomic uint8_t *flags;                  /* BLOCK_PARSED and the others */
    _Atomic uint8_t *free_lines;             /* of a block with lines: those neither marked nor granted */
    _Atomic uint8_t *cell_class;             /* of a CELLS block */
    _Atomic uint8_t *free_pages;             /* of a LARGE block: bit a page */
    _Atomic uint8_t *clean_pages;            /* of a LARGE block: bit a page that is free and still zero */
    _Atomic uint8_t *run_starts;             /* of a LARGE block: bit a page where a run starts */
    _Atomic uint8_t *weak;                   /* not 0: the trace met an object with weak references in it: stage/references.h */
    _Atomic uint16_t *charged;               /* of a block with lines: granules of its longer objects that were traced (mark.c T4) */
    _Atomic uint32_t *runs;                  /* word a page: see large_space.h */
    _Atomic uint64_t *live;                  /* of plans that slide, else NULL: bit a granule that a marked object covers */
    _Atomic uint32_t *offsets;               /* of plans that slide, else NULL: word for 64 granules; see space/slide/forward.h */
    _Atomic uint8_t *counts;                 /* of plans that count references, else NULL: byte for two granules; see refcount.h */
    _Atomic uint64_t *traced;                /* of the same, else NULL: bit a granule: marked by the trace beside clients; see refcount_trace.c */
    _Atomic uint16_t *traced_charge;         /* of the same, else NULL: as charged, the trace's own */
    size_t bytes;
};

/* Bytes of metadata for an arena of @max_bytes (a multiple of chunks), of a plan that @slides, or @counts, or not; @base may be
 * NULL, then only the sizes count. */
size_t layout_place(struct metadata *ret, void *base, uint64_t max_bytes, bool slides, bool counts);
