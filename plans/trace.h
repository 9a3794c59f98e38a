/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Trace: the mark closure: from some objects to all that they reach, on all workers.
 *   Depth first over packets of granules; between a packet and the scan lies a ring of 16 whose headers and mark words
 *   are on their way to the cache. docs/architecture.md#trace
 *   Owner    the schedule of one collection; one trace a job
 *   Hostile  a reference is followed only to a place where an object could be, an object's header is read once and decides
 *            its size, one visit a mark bit: the work is bounded by metadata, whatever the arena holds           */
#include <stdbool.h>
#include <stdint.h>

#include "plans/heap/state.h"
#include "plans/work/engine.h"

struct trace_tally {                         /* one worker's */
    uint64_t objects, bytes;
    uint32_t forged_refs, bad_headers;
};

struct trace {                               /* constant while it runs, but for overflowed */
    struct heap *heap;
    foreign arena;
    _Atomic uint64_t *marks;
    bool alone;                              /* one worker: mark bits need no locked instruction */
    bool bounded;                            /* [stw] the sentinel itself marks: no more packets */
    const struct packet_kind *mark, *slice, *rescan;     /* rows of the schedule's table that run the calls below */
    _Atomic uint32_t overflowed;             /* some references were dropped for want of a packet: rescan */
};

void trace_init(struct trace *t, struct heap *h, bool alone);

/* Counts and marks the object at @granule, which object_place() allows, but leaves its references to a rescan. */
void trace_mark_only(struct trace *t, struct trace_tally *tally, uint32_t granule);

/* Packets: items are granules that object_place() allows; a piece of an array; a range of blocks (args 0 and 1). */
void trace_run_mark(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
void trace_run_slice(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
void trace_run_rescan(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);

/* To be asked when the closure has drained: true if packets were added since references had been dropped. */
bool trace_on_drained(struct trace *t, struct trace_tally *tally, struct worker *w);

/* Halves [args[0], args[1]) of @p until at most @grain is left and hands the other halves out. */
void trace_split_range(struct worker *w, struct packet *p, uint64_t grain);
