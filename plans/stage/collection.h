/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Collection: what the packets of one collection share, and the calls that its table of packets (schedule.c) names, by stage.
 *   Owner    schedule_collect_stw(), for one run; the job's context
 *   Threads  constant while packets run, but for what its parts say; a share is one worker's                          */
#include "plans/heap/state.h"
#include "plans/plan.h"
#include "plans/space/slide/slide.h"
#include "plans/stage/references.h"
#include "plans/trace/trace.h"
#include "plans/work/engine.h"

struct collection { /* the job's context */
    struct heap *heap;
    const struct heap_stop *stop;
    unsigned workers;   /* [const] */
    uint64_t *row_ends; /* words in the rows of roots up to and with this one */
    uint64_t row_words; /* [const] in all of them */
    struct trace trace;
    struct slide slide;
    struct references references;
    const struct packet_kind *mark_pins;
    bool stows;         /* [const] stop->stows: stage/stow.c */
    const struct packet_kind *elements; /* of plans that count: large arrays' (refcount.h) */
};

struct share { /* one worker's */
    struct trace_tally trace;
    struct sweep_tally sweep;
    struct plan_spill spill;
};

static inline struct collection *collection_of(struct worker *w)
{
    return job_context(worker_job(w));
}

static inline struct trace_tally *tally_of(struct worker *w)
{
    return &((struct share *)worker_local(w))->trace;
}

/* A packet of @kind for [@from, @end), if that is not empty. False: none to be had. */
bool stage_add_range(struct job *job, const struct packet_kind *kind, uint64_t from, uint64_t end);
void stage_fold_sweep(struct sweep_tally *to, const struct sweep_tally *from);
/* Halves the range [args[0], args[1]) of @p until it is no larger than its kind's largest piece, and hands the halves out. */
void stage_split(struct worker *w, struct packet *p);

/* Makes row_ends, which the other frees, and row_words. 0, -ENOMEM. */
int stage_count_words(struct collection *c);
void stage_forget_words(struct collection *c);
/* What a row of the log leads to is anywhere: four or five misses, on their way while the rows before it are looked at. */
#define STAGE_ROWS_AHEAD 16u
void stage_fetch_row(const struct heap *h, const struct logged *row);
/* Calls @visit for the words [@at, @stop) of all rows of roots laid end to end that are not strong. */
void stage_each_row(struct collection *c, uint64_t at, uint64_t stop, struct tracer *r,
                    void (*visit)(struct collection *c, struct tracer *r, const struct heap_roots *row, uint32_t i));
/* The same for those that are of @kind. Where all references are followed the others are exact ones. */
void stage_each_word(struct collection *c, uint64_t at, uint64_t stop, enum heap_root_kind kind, struct tracer *r,
                     void (*visit)(struct collection *c, struct tracer *r, _Atomic uint32_t *word));
void stage_choose(struct collection *c, struct job *job);    /* when all is measured */
trace_rescan stage_rescan_of(const struct collection *c);
uint64_t stage_slide_parts(const struct collection *c);      /* the range that SLIDE_PARTS begins with */

/* the packets */
void stage_measure(struct worker *w, struct packet *p);
void stage_prepare(struct worker *w, struct packet *p);
void stage_ambiguous(struct worker *w, struct packet *p);
void stage_immortal(struct worker *w, struct packet *p);
void stage_settle(struct worker *w, struct packet *p);
void stage_find_stows(struct worker *w, struct packet *p);
void stage_mark_pins(struct worker *w, struct packet *p);
void stage_stow(struct worker *w, struct packet *p);
void stage_exact(struct worker *w, struct packet *p);
void stage_logged(struct worker *w, struct packet *p);
void stage_release_held(struct worker *w, struct packet *p);
void stage_counted(struct worker *w, struct packet *p);
void stage_count_elements(struct worker *w, struct packet *p);
void stage_objects(struct worker *w, struct packet *p);
void stage_slots(struct worker *w, struct packet *p);
void stage_slice(struct worker *w, struct packet *p);
void stage_rescan(struct worker *w, struct packet *p);
void stage_layout(struct worker *w, struct packet *p);
void stage_map(struct worker *w, struct packet *p);
void stage_slide(struct worker *w, struct packet *p);
void stage_slide_ready(struct worker *w, struct packet *p);
void stage_elements(struct worker *w, struct packet *p);
void stage_sweep(struct worker *w, struct packet *p);
