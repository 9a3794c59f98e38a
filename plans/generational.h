/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Generational: what plans share that look at what is young, most of the time.
 *   Young   what was granted since the last collection: G (soundness S6), and page runs without an object bit
 *   Old     what has its VO bit. A young collection takes all of it for alive; what it refers to that is young is found by the write
 *           barrier: from the stop after its first survival on, each store to an old object is logged (plans/heap/log.h)
 *   Whole   a collection of everything comes when somebody asks for one, in an emergency, when the log is incomplete, or when
 *           young ones no longer make room for the next nursery
 *   Rest    of a plan that has cycles, too, an adaptive nursery rests where nearly all that is young survives several collections in a row, though about
 *           as much dies later: then cycles alone collect, as concurrentimmix's, and nothing is logged between them. It is tried again every few
 *           cycles, less and less often
 *   From    Lieberman and Hewitt, CACM 1983; Ungar 1984; sticky marks: Demers et al., POPL 1990; Appel's flexible nursery, 1989 */
#include "plans/heap.h"

struct nursery_rest {                        /* zero at first */
    bool on;
    uint64_t times;                          /* that it began to be */
    uint32_t streak;                         /* young collections in a row that nearly all survived */
    uint64_t live_bytes, promoted_bytes;     /* when all was last looked at, in that row, 0: it was not; by them since */
    uint64_t interval_bytes;                 /* so much is to be promoted before it is looked at again */
    bool old_dies;                           /* when it was, half as much had died as had been promoted since the time before */
    uint32_t cycles, period;                 /* since it began; until it ends. Doubled each time that was too early */
    uint64_t nursery_bytes;                  /* what it had when it began to be tried; 0: it was not */
};

/* Before a collection: is it to be a young one? */
bool generational_young_stw(const struct heap *h, const struct heap_stop *stop);
/* When one is over: must the next be a whole one? @nursery_bytes is what the next nursery could have. */
void generational_judge_stw(struct heap *h, uint64_t nursery_bytes);
/* All has been looked at: so much lives. */
void generational_looked(struct heap *h, uint64_t live_bytes);
/* A cycle's first stop: from here on the nursery rests, or no longer does. */
void generational_turn_stw(struct heap *h);
/* How long it took: the next nursery is sized by it, if the heap has a pause goal. */
void generational_note_pause(struct heap *h, const struct heap_collection *c, uint64_t begun_ns);
