/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Trace: the closure: from some objects to all that they reach, on all workers. Two kinds:
 *   Mark      items are references as they were read; objects stay where they are (mark.c)
 *   Evacuate  items are places of references; objects leave flagged blocks, and references follow them (evacuate.c)
 *   Depth first over packets; between a packet and the scan lies a ring of 16 whose headers and mark words are on their way to
 *   the cache. docs/architecture.md#trace
 *   Owner    the schedule of one collection; one trace a job
 *   Hostile  a reference is followed only to a place where an object could be, an object's header is read once and decides
 *            its size, one visit a mark bit: the work is bounded by metadata, whatever the arena holds           */
#include <stdbool.h>
#include <stdint.h>

#include "plans/heap/state.h"
#include "plans/trace/copy.h"
#include "plans/trace/gray.h"
#include "plans/work/engine.h"

/* Objects whose VO bits and counts are on their way into the cache: what is to be done to the oldest is done when the next one comes. */
#define TRACE_LATER 16u                      /* a power of two */
struct trace_later {
    uint32_t items[TRACE_LATER];             /* 0: none */
    uint32_t at;
};

struct trace_tally {                         /* one worker's */
    uint64_t objects, bytes;
    uint64_t moved_objects, moved_bytes;
    uint64_t kind_bytes[BLOCK_KINDS];        /* if the heap wants it */
    uint32_t forged_refs, bad_headers;
    uint64_t cleared_refs, readied;          /* references and rows that were cleared; guarded objects that are to be finalized */
    uint64_t announced;                      /* objects put into their queues, which they refer to no more */
    struct copy_room room;
    struct trace_later later;                /* empty between packets */
};

struct trace {                               /* constant while it runs, but for overflowed */
    struct heap *heap;
    foreign arena;
    _Atomic uint64_t *marks, *settled;       /* heap_mark_bits(), heap_scratch_bits() */
    _Atomic uint64_t *also;                  /* whatever is marked is marked there, too; or NULL */
    _Atomic uint16_t *charged;               /* metadata.charged, or a trace's own */
    struct gray *undone;                     /* of a run that drops: it may be interrupted; or NULL */
    struct gray *gray;                       /* a trace that may be interrupted, or what is dropped while there is one; or NULL */
    bool alone;                              /* one worker: mark bits need no locked instruction */
    bool young;                              /* what is old is marked */
    bool counts;                             /* each reference that is followed is counted: refcount.h */
    bool crosses;                            /* of a plan that counts: LINE_CROSSED is told from LINE_MARKED */
    bool only_old;                           /* what is not is left alone: it lives, and its lines are others' business */
    bool all;                                /* weak references are followed like strong ones: stage/references.h */
    bool only_snapshot;                      /* what was granted since the cycle began is left alone: cycle_log.c L7 */
    uint8_t line_mark;                       /* LINE_MARKED, or LINE_MARKED_NEXT of a collection that marks while clients run */
    bool bounded;                            /* [stw] the sentinel itself traces, or one worker in order: nothing is handed out */
    bool ordered;                            /* [stw] that one worker: what its stack has no room for it keeps, and takes up in order */
    uint64_t pinned_room;                    /* [that worker] granules: what it goes on from where it is pinned is no longer than this in all, as
                                                honest objects are, which do not overlap */
    struct packet *kept;                     /* [that worker] of what it keeps the newest; the next is older */
    bool by_kind;                            /* kind_bytes are counted */
    bool plain;                              /* none of also, crosses, only_old, only_snapshot, by_kind: one question in place of five */
    const struct packet_kind *objects, *slots, *slice, *rescan;      /* rows of the schedule's table that run the calls below */
    _Atomic uint32_t overflowed;             /* some references were dropped for want of a packet: rescan */
};

void trace_init(struct trace *t, struct heap *h, bool alone);
/* Of plans that count: beside clients, with marks of its own (refcount_trace.c). */
void trace_init_traced(struct trace *t, struct heap *h, bool alone);

struct tracer {                              /* what one packet's run carries about */
    struct trace *t;
    struct trace_tally *tally;
    struct worker *worker;
    struct packet *stack;                    /* newest last; NULL: none yet, or none to be had */
};

/* Roots: what they find goes into packets of the closure, which follows. End with trace_roots_end. */
void mark_root(struct tracer *r, uint32_t granule);          /* which object_place() allows */
/* The same; the object is pinned: it stays, and under a plan that moves whole blocks its block does. Before anything is copied. */
void evacuate_pin(struct tracer *r, uint32_t granule);
/* Between the two, for each flagged block: E5. */
void evacuate_settle_pins(const struct trace *t, uint32_t block);
/* For each block in use, flagged or not, that was settled, where a graph is stowed: before that and after it (E7). Not of blocks taken meanwhile. */
void evacuate_unmark_pins(const struct trace *t, uint32_t block);
void evacuate_mark_pins(const struct trace *t, uint32_t block);
/* The object's address from now on. */
uint32_t evacuate_root(struct tracer *r, uint32_t granule);
/* The same, and with it all that it reaches and nobody has marked, by this worker alone, in order (evacuate.c E6). Its stack is a packet,
 * empty before and after. Nothing else of the trace runs meanwhile. */
uint32_t evacuate_in_order(struct tracer *r, uint32_t granule);
/* The closure has drained. Where the marked object at @granule is now; has it left the place? */
uint32_t evacuate_now(struct tracer *r, uint32_t granule);
bool evacuate_has_left(const struct trace *t, uint32_t granule);
/* What @piece of the old object @o refers to. */
struct object;
struct piece;
void mark_piece(struct tracer *r, const struct object *o, struct piece piece);
void evacuate_piece(struct tracer *r, const struct object *o, struct piece piece);
void trace_roots_end(struct tracer *r);

/* Packets: items are references as they were read, or places of references (in words of 4 bytes, two items each); a piece of
 * an array; a range of blocks (args 0 and 1). */
void mark_run_objects(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
void mark_run_slice(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
void mark_run_rescan(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
void evacuate_run_slots(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
void evacuate_run_slice(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
void evacuate_run_rescan(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);

/* To be asked when the closure has drained: true if packets were added since references had been dropped. @run is one of the two. */
typedef void (*trace_rescan)(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
bool trace_on_drained(struct trace *t, struct trace_tally *tally, struct worker *w, trace_rescan run);

/* Halves [args[0], args[1]) of @p until at most @grain is left and hands the other halves out. */
void trace_split_range(struct worker *w, struct packet *p, uint64_t grain);
