/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Refcount, its part of struct heap: see refcount.h. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap/log.h"

struct refcount {
    uint32_t *held;                          /* objects whose REFCOUNT_HELD is set, each once */
    size_t held_capacity;
    _Atomic size_t held_count;
    uint32_t *released;                      /* held at the pause before */
    size_t released_capacity, released_count;
    struct logged *rows;                     /* looked at by the last pause: of each, old has the references that are lost */
    size_t row_count, row_capacity;
    size_t marked_rows;                      /* of the log, those that the trace has looked at */
    bool tracing;                            /* the sweep is that of a trace */
    bool unmarked_dropped;                   /* and what it has not marked is dropped */
    bool trace_next;                         /* counts no longer find enough: a trace should begin */
    bool inexact;                            /* some counts are too high: the next collection is a whole one */
    bool moves_young;                        /* [stw] this pause: out of blocks that have nothing old */
    uint64_t dropped_objects, dropped_bytes; /* by what runs beside clients, since the last pause */
    uint64_t used_after_trace, live_after_trace; /* bytes, when everything had last been looked at */
};
