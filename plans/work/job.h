/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Job, from inside: what a run through stages consists of, and what the workers ask of it.
 *   Owner    who called job_new; the engine uses it from engine_run's start to its end
 *   Threads  a worker that the engine let in (engine_enter); [closer]: the one worker that job_packet_done or
 *            job_claim_opening chose, alone in the job until it opens a stage               Proof  job.c          */
#include <pthread.h>
#include <stdalign.h>

#include "plans/work/bound.h"
#include "plans/work/deque.h"
#include "plans/work/tally.h"

struct job_queue {
    struct packet *head, **tail; /* first in, first out */
    size_t count;
};

struct job_worker { /* one worker's share of one job */
    struct deque deque;
    struct bound bound;
    struct tally tally; /* [worker] */
};

struct job {
    struct job_config config;   /* [const] */
    struct engine *engine;      /* [const] */
    struct job_worker *workers; /* [const] */
    char *locals;               /* [const] zeroed, `local_stride` bytes a worker */
    size_t local_stride;        /* [const] */
    uint32_t disabled;          /* [const from engine_run] a bit a stage */

    struct job *next, **link; /* [lock: engine] the list of active jobs, in order of id */
    uint64_t id;              /* [const from engine_run] rises; orders the turns */
    _Atomic uint32_t users;   /* the list's one + each worker inside; last one out ends the run */
    _Atomic uint32_t run; /* enum job_run, a futex; engine_run waits, the last user out tells it */
    _Atomic uint32_t unopened; /* 1 until a worker claims to open the first stage */

    alignas(MM_CACHE_LINE) _Atomic uint64_t pending; /* packets of the open stage queued or running; see job.c */
    alignas(MM_CACHE_LINE) pthread_mutex_t lock; /* leaf: guards the queues */
    uint32_t stage; /* [closer] the open stage; others read it while they hold a packet (J3) */
    bool closing;   /* [closer] on_drained runs: what it adds waits until it returns */
    uint64_t stage_ns; /* [closer] when it came to that stage; only with a timeline */
    _Atomic size_t ready; /* [lock] stores; packets in the open stage's queue, 0 while none is open */
    struct job_queue queues[JOB_STAGES_MAX]; /* [lock] */
    struct job_queue bound[JOB_STAGES_MAX];  /* [lock] bound packets of stages that are not open */
};

enum job_run { JOB_NEW, JOB_RUNNING, JOB_AWAITED, JOB_DONE };

/* For whoever asks first, or bound to @w unless that is NULL. seq_cst: takes part in the proof of idle.c. */
bool job_has_work(const struct job *job, const struct worker *w);
/* True to one worker per run: it then calls job_open. */
bool job_claim_opening(struct job *job);
void job_open(struct job *job, struct worker *w);
/* What is bound to the worker; else its newest; else a share of the stage's queue; else half of somebody's deque. NULL:
 * nothing to be had now. */
struct packet *job_take(struct job *job, struct worker *w);
/* @p has run: frees it; the last one of its stage opens the next or ends the job. */
void job_packet_done(struct job *job, struct worker *w, struct packet *p);
