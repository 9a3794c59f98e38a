/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Refcount, its part of struct heap: see refcount.h. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap/log.h"
#include "plans/trace/gray.h"

struct refcount {
    uint32_t *held;                          /* objects whose REFCOUNT_HELD is set, each once */
    size_t held_capacity;
    _Atomic size_t held_count;
    uint32_t *released;                      /* held at the pause before */
    size_t released_capacity, released_count;
    struct logged *rows;                     /* looked at by the last pause: of each, old has the references that are lost */
    size_t row_count, row_capacity;
    struct gray gray;                        /* of the trace that is active: what is left to be done */
    struct gray_taken taken;                 /* and what heap_mark() is at */
    struct gray undone;                      /* of heap_count(), which was interrupted: dropped, and still to be looked at */
    struct gray_taken redone;
    bool unfinished;                         /* it is to go on; what has been done of rows and of what was held is 0 there */
    bool traces;                             /* one is active: refcount_trace.c */
    bool fresh;                              /* what is being counted died before the trace began, and is none of its business */
    bool immortals_marked;                   /* by it */
    bool last_pause;                         /* it has marked all; what it has not is still to be dropped */
    uint32_t traced_high;                    /* blocks from there on were never marked by any */
    bool unmarked_dropped;                   /* of the sweep under way: nothing, or all, that a trace has not marked */
    bool trace_next;                         /* counts no longer find enough: a trace should begin */
    bool inexact;                            /* some counts are too high: the next collection is a whole one */
    bool moves_young;                        /* [stw] this pause: out of blocks that have nothing old */
    uint64_t dropped_objects, dropped_bytes; /* by what runs beside clients, since the last pause */
    uint64_t used_after_trace, live_after_trace; /* bytes, when everything had last been looked at */
};
