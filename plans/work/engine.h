/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Engine: a pool of workers that drain the work packets of several jobs at once (after MMTk's work packets, OOPSLA'25).
 *   Job      one collection or one verification: a run through stages, in order. All heaps share the pool, every worker takes
 *            turns over the active jobs, of 1 ms or so, so two heaps collect at once and neither starves.
 *   Stage    its packets run in any order, on any worker; a stage opens when every packet before it has finished. The worker
 *            that finishes a job's last open packet opens the next stage; a stage may have a sentinel, asked when it drains,
 *            that can add packets and run the stage again (fixpoints).
 *   Packet   4 KiB from the engine's own pool, which has them from its store. Runs once, on one worker, to its end; may add packets to its own
 *            stage or a later one; holds no lock across that. Pushed packets go to the worker's own deque in the job, newest
 *            first (depth-first); idle workers steal the oldest half of a random victim's. A packet may be bound to one
 *            worker (its copy allocator is to be flushed, say): it runs there, before that worker's others of the stage.
 *   Memory   from a store (plans/work/store.h), its own or one that is lent to it, and from nowhere else
 *   Threads  engine_new/unref: any one thread. engine_run: any thread that is not a worker; blocks till the job is done. Without threads of
 *            its own (engine_config): one caller at a time, which is the worker.
 *            worker calls: from inside a packet, with the worker it was given.                                       */
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

#define ENGINE_WORKERS_MAX 64u
#define JOB_STAGES_MAX 16u
#define PACKET_BYTES 4096u

struct engine;
struct job;
struct store;
struct worker;
struct packet;
struct timeline;

struct packet_kind {                          /* a row in a policy's table; constant */
    const char *name;
    uint32_t stage;
    void (*run)(struct worker *w, struct packet *p);
    uint64_t grain;                           /* of ranges: the largest piece; the kind's own business */
};

#define PACKET_ITEMS ((PACKET_BYTES - 64u) / sizeof(uint32_t))       /* 1008 */

struct packet {
    const struct packet_kind *kind;
    struct packet *next;                      /* owned by the queue that holds it */
    struct job *job;
    uint32_t count;                           /* items in use */
    uint32_t bound;                           /* the engine's: 0, or 1 + the worker that it waits for */
    uint64_t args[4];                         /* a range, a pointer: the kind's own business */
    uint32_t items[PACKET_ITEMS];
};

struct packet_counters {                      /* per kind of a finished job, for `mmgcctl info` and benches */
    const char *name;
    uint64_t count, total_ns, min_ns, max_ns;
};

struct job_config {
    const char *name;
    const char *const *stage_names;           /* @stages of them, constant; NULL: they have none */
    uint32_t stages;
    void *context;                            /* job_context() */
    size_t worker_local_bytes;                /* zeroed memory that each worker has for this job: worker_local() */
    /* Optional. World: @stage, which is enabled, has drained or had no packet at all, and nothing of the job runs. May push, to
     * this stage or a later one: the packets wait until it returns. True: run @stage again, and ask again. False: nothing
     * was pushed to @stage. */
    bool (*on_drained)(struct job *job, struct worker *w, uint32_t stage);
    struct timeline *timeline;                /* its stages and packets are recorded there; NULL: nowhere. Borrowed while it runs */
};

enum engine_affinity {
    AFFINITY_OS_DEFAULT,                      /* wherever the creating thread may run */
    AFFINITY_ROUND_ROBIN,                     /* one core a worker, in order of number, from the first again after the last */
    AFFINITY_ALL_IN_SET,                      /* each worker on any core of the set */
};

struct engine_config {
    unsigned workers;                         /* 1..ENGINE_WORKERS_MAX */
    enum engine_affinity affinity;
    cpu_set_t cpus;                           /* for the last two */
    bool patient;                             /* they give way to whoever else would run: shm/urgency.h */
    bool threadless;                          /* of 1 worker: no thread is started; who calls engine_run() does the work, without a system call */
    struct store *store;                      /* lent until engine_unref(); NULL: one of its own, of the system's memory */
    unsigned first_track;                     /* of a timeline: its workers' tracks begin with this one */
};

/* Starts the threads. -errno; -EINVAL: @cpus is empty, or names a core that the calling thread may not run on. -ENOMEM. */
int engine_new_with(struct engine **ret_engine, const struct engine_config *config);
static inline int engine_new(struct engine **ret_engine, unsigned workers)
{
    return engine_new_with(ret_engine, &(struct engine_config){ .workers = workers });
}
/* What an engine takes of a store at most, with @packet_bytes (engine_set_packet_limit()) and one job at a time. */
size_t engine_store_bytes(unsigned workers, size_t packet_bytes);
/* "os-default", "round-robin:0-3,8", "all-in-set:0,1"; without a list: the cores that the calling thread may run on. Sets
 * the affinity and @cpus of @ret. -EINVAL: @ret is as it was and *@ret_why says in a constant sentence what is wrong. */
int engine_affinity_parse(const char *text, struct engine_config *ret, const char **ret_why);
unsigned engine_workers(const struct engine *engine);
struct engine *engine_unref(struct engine *engine);                  /* joins the workers; no job may be active. NULL in, NULL out */
MM_DEFINE_AUTO(engine, engine_unref)

/* Packet memory that may be in use at once, over all jobs, if the store has it. Beyond it worker_packet_try_new() declines. Default 256 MiB;
 * tests make it tiny. Up to an eighth of it may lie unused in the workers' caches; none below 16 packets a worker. */
void engine_set_packet_limit(struct engine *engine, size_t bytes);

/* Job life: new, add the first packets (any stages), run to the end, read what it left, unref; the engine outlives it.
 * -ENOMEM. At most 64 kinds of packets in one job. */
int job_new(struct job **ret_job, struct engine *engine, const struct job_config *config);
struct job *job_unref(struct job *job);
MM_DEFINE_AUTO(job, job_unref)
void *job_context(const struct job *job);
void *job_worker_local(struct job *job, unsigned worker);            /* to fold results, before or after the run */
/* Before the run: a packet of @kind that will be pushed to its stage. NULL when the pool is exhausted. */
struct packet *job_packet_add(struct job *job, const struct packet_kind *kind);
/* The same, for @worker alone, below engine_workers(). */
struct packet *job_packet_add_for(struct job *job, const struct packet_kind *kind, unsigned worker);
void job_disable_stage(struct job *job, uint32_t stage);             /* this run passes over it; its packets are an error */
void engine_run(struct engine *engine, struct job *job);             /* blocks; one run a job */
/* After the run: rows written, in order of stage, then name. */
size_t job_counters(const struct job *job, struct packet_counters *ret, size_t capacity);

/* Inside a packet, or on_drained. The engine frees a packet that has run: it must not push or free itself. */
struct job *worker_job(const struct worker *w);
unsigned worker_index(const struct worker *w);
void *worker_local(struct worker *w);
/* An empty packet owned by the caller, or NULL when the pool's limit is reached: the caller copes (mark-stack overflow). */
struct packet *worker_packet_try_new(struct worker *w, const struct packet_kind *kind);
void worker_packet_push(struct worker *w, struct packet *p);         /* hands it over; wakes an idle worker if there is one */
/* The same, for @worker alone: it is woken if it sleeps; if it is at another packet, @p waits for the end of that. */
void worker_packet_push_for(struct worker *w, struct packet *p, unsigned worker);
void worker_packet_free(struct worker *w, struct packet *p);         /* one that was never pushed */
/* Somebody has nothing to do and nothing of this worker's to steal: share work now. Two loads; while a woken worker is still
 * on its way to the packet just pushed it is false, so that work is not cut smaller than there are takers. */
bool worker_others_idle_racy(const struct worker *w);
/* This packet has run for 2 ms, and somebody would gain if it stopped: another job is active, a packet bound to this worker
 * waits, or others are idle with nothing of this worker's to steal. Push what is left (in two packets or more, if it can be
 * cut) and return. Made to be asked every microsecond or so: 2 ns, and of 16 calls one looks further. Not from on_drained. */
bool worker_should_yield(struct worker *w);
