/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c - Workers take turns over the active jobs, and sleep when none has work.
 *   E1  a job is on the list from engine_run until its closer retires it; ids rise along the list
 *   E2  a worker is in one job at most, entered under the lock while the job was on the list, and counted in job->users
 *   E3  with more than one job active a worker runs ENGINE_BURST packets in one at most, and begins none there after
 *       ENGINE_TURN_NS, before it looks at the others, from the next id on, round the end: so every job with work is
 *       entered after at most (jobs - 1) turns of that worker, each of ENGINE_TURN_NS and the rest of one packet. What it
 *       leaves in its deque may be stolen, or waits for its return; what is bound to it waits.
 *   E4  no coordinator thread: engine_run only puts the job on the list; a worker opens it.
 *   E5  without threads the caller of engine_run is the one worker from beginning to end: its job is the only one on the list, and always
 *       has work, as nobody else runs a packet of it. Nobody searches or sleeps, so nobody is woken either
 *   Lock  one mutex, held for a walk over a handful of jobs, once per burst or search; never inside a packet.
 *   Sleep and wake: idle.c.  Stages: job.c.                                                                          */
#include "plans/work/engine.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "plans/work/affinity.h"
#include "plans/work/probe.h"
#include "plans/work/timeline.h"
#include "plans/work/worker.h"
#include "shm/urgency.h"

#define YIELD_LOOK 16u  /* calls of worker_should_yield per look: it costs 2 ns, a clock read 21 */
#define OWN_STORE_BYTES (UINT64_C(2) << 30) /* of address space: packets, and the jobs of thousands of heaps */
#define LOCAL_BYTES 4096u /* of a worker in a job: more than any asks for */
#define SEARCH_NS 3000u /* about what a sleep and a wake cost: bench_engine */

/* The list of active jobs. */

static void engine_enlist(struct engine *engine, struct job *job)
{
    pthread_mutex_lock(&engine->lock);
    job->id = ++engine->last_id;
    job->next = NULL;
    job->link = engine->jobs_tail;
    *engine->jobs_tail = job;
    engine->jobs_tail = &job->next;
    at_store_relaxed(&engine->active, at_load_relaxed(&engine->active) + 1);
    pthread_mutex_unlock(&engine->lock);
}

/* The last one out tells engine_run, which may then free the job at once: the wake uses nothing of it but the address,
 * and a stray wake is something every futex waiter must expect. */
static void job_leave(struct job *job)
{
    if (at_sub_acq_rel(&job->users, 1) != 1)
        return;
    if (at_exchange_acq_rel(&job->run, JOB_DONE) == JOB_AWAITED) /* pairs with engine_run */
        futex_private_wake(&job->run, 1);
}

void engine_retire(struct engine *engine, struct job *job)
{
    pthread_mutex_lock(&engine->lock);
    *job->link = job->next;
    if (job->next != NULL)
        job->next->link = job->link;
    else
        engine->jobs_tail = job->link;
    at_store_relaxed(&engine->active, at_load_relaxed(&engine->active) - 1);
    pthread_mutex_unlock(&engine->lock);
    job_leave(job); /* the list's unit; the caller still has its own */
}

static struct job *engine_find_locked(struct engine *engine, const struct worker *w, uint64_t above,
                                      uint64_t up_to)
{
    for (struct job *job = engine->jobs; job != NULL; job = job->next)
        if (job->id > above && job->id <= up_to && job_has_work(job, w))
            return job;
    return NULL;
}

/* The next job in turn that has work, entered; or NULL. */
static struct job *worker_enter(struct worker *w)
{
    struct engine *engine = w->engine;
    pthread_mutex_lock(&engine->lock);
    struct job *job = engine_find_locked(engine, w, w->turn, UINT64_MAX);
    if (job == NULL)
        job = engine_find_locked(engine, w, 0, w->turn);
    if (job != NULL) {
        at_add_relaxed(&job->users, 1); /* under the lock: the list still holds its own unit */
        w->turn = job->id;
    }
    pthread_mutex_unlock(&engine->lock);
    return job;
}

/* For @w; NULL: for whoever asks. */
static bool engine_has_work(struct engine *engine, const struct worker *w)
{
    pthread_mutex_lock(&engine->lock);
    struct job *job = engine_find_locked(engine, w, 0, UINT64_MAX);
    pthread_mutex_unlock(&engine->lock);
    return job != NULL;
}

/* A worker's life. */

static void worker_found(struct worker *w)
{
    if (!w->searching)
        return;
    w->searching = false;
    if (idle_found(&w->engine->idle) && engine_has_work(w->engine, NULL))
        idle_wake(&w->engine->idle, 1); /* idle.c W2 */
}

void worker_record(struct worker *w, enum timeline_kind kind, const char *name, uint64_t begin_ns, uint64_t ns)
{
    struct timeline_event event = { .kind = kind, .name = name, .begin_ns = begin_ns, .duration_ns = ns };

    timeline_put(w->job->config.timeline, w->engine->config.first_track + w->index, &event);
}

static uint64_t worker_run_packet(struct worker *w, struct packet *p) /* returns how long it took, in ns */
{
    struct job *job = w->job;
    const struct packet_kind *kind = p->kind;
    w->running = p;
    w->running_ns = mm_now_ns();
    MM_PROBE(packet__begin, kind->name, w->index);
    kind->run(w, p);
    uint64_t ns = mm_now_ns() - w->running_ns;
    MM_PROBE(packet__end, kind->name, w->index, ns);
    tally_add(&job->workers[w->index].tally, kind, ns);
    if (MM_UNLIKELY(job->config.timeline != NULL))
        worker_record(w, TIMELINE_PACKET, kind->name, w->running_ns, ns);
    w->running = NULL;
    job_packet_done(job, w, p);
    return ns;
}

static void worker_visit(struct worker *w, struct job *job)
{
    struct packet *p;
    unsigned left = ENGINE_BURST;
    uint64_t used_ns = 0; /* in packets: what lies between them is the engine's, and short */
    w->job = job;
    if (job_claim_opening(job)) {
        worker_found(w);
        job_open(job, w);
    }
    while ((p = job_take(job, w)) != NULL) {
        worker_found(w);
        used_ns += worker_run_packet(w, p);
        if (--left == 0 || used_ns >= ENGINE_TURN_NS) { /* E3 */
            if (at_load_relaxed(&w->engine->active) > 1)
                break;
            left = ENGINE_BURST;
            used_ns = 0;
        }
    }
    w->job = NULL;
    job_leave(job);
}

static void cpu_relax(void)
{
    for (int i = 0; i < 8; i++)
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("isb");
#else
        at_compiler_fence();
#endif
}

static bool engine_is_stopping(struct engine *engine)
{
    return atomic_load_explicit(&engine->stopping, memory_order_seq_cst); /* idle.c K */
}

static void worker_park(struct worker *w)
{
    MM_PROBE(worker__park, w->index);
    idle_sleep_end(&w->engine->idle, w->index);
    MM_PROBE(worker__unpark, w->index);
}

static void worker_sleep(struct worker *w)
{
    struct engine *engine = w->engine;
    pool_rest(&engine->pool, &w->cache);
    idle_sleep_begin(&engine->idle, w->index);
    if (engine_is_stopping(engine) || engine_has_work(engine, w))
        idle_sleep_cancel(&engine->idle);
    else
        worker_park(w);
}

/* Looks, spins a little, sleeps; NULL when the engine stops. */
static struct job *worker_next_job(struct worker *w)
{
    uint64_t until_ns = 0;
    struct job *job;
    while ((job = worker_enter(w)) == NULL) {
        if (engine_is_stopping(w->engine))
            return NULL;
        if (!w->searching) {
            w->searching = true;
            idle_search(&w->engine->idle);
        }
        if (until_ns == 0)
            until_ns = mm_now_ns() + w->engine->spin_ns;
        if (mm_now_ns() < until_ns) {
            cpu_relax();
            continue;
        }
        worker_sleep(w);
        until_ns = 0;
    }
    return job;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct job *job;
    if (w->engine->config.patient)
        urgency_set(URGENCY_PATIENT);
    while ((job = worker_next_job(w)) != NULL)
        worker_visit(w, job);
    return NULL;
}

bool worker_others_idle_racy(const struct worker *w)
{
    return idle_anyone_racy(&w->engine->idle) && deque_is_empty(&w->job->workers[w->index].deque);
}

static bool worker_is_wanted(const struct worker *w)
{
    return at_load_relaxed(&w->engine->active) > 1 || worker_others_idle_racy(w) ||
           !bound_is_empty(&w->job->workers[w->index].bound);
}

bool worker_should_yield(struct worker *w)
{
    if (MM_LIKELY(++w->yield_asked % YIELD_LOOK != 0))
        return false;
    return worker_is_wanted(w) && mm_now_ns() - w->running_ns >= ENGINE_YIELD_NS;
}

/* Life of the engine. */

static void engine_join(struct engine *engine, unsigned started)
{
    atomic_store_explicit(&engine->stopping, true, memory_order_seq_cst); /* idle.c P */
    idle_wake(&engine->idle, IDLE_ALL);
    for (unsigned i = 0; i < started; i++)
        pthread_join(engine->workers[i].thread, NULL);
}

static void engine_free(struct engine *engine)
{
    struct store *store = engine->store, *own = engine->own_store;
    pool_fini(&engine->pool);
    pthread_mutex_destroy(&engine->lock);
    store_free(store, engine);
    store_unref(own);
}

static int worker_start(struct worker *w)
{
    pthread_attr_t attr;
    char name[24];
    pthread_attr_init(&attr);
    int r = affinity_set(&w->engine->config, w->index, &attr);
    if (r == 0)
        r = -pthread_create(&w->thread, &attr, worker_main, w);
    pthread_attr_destroy(&attr);
    if (r < 0)
        return r;
    snprintf(name, sizeof(name), "mmgc-worker-%u", w->index);
    pthread_setname_np(w->thread, name);
    return 0;
}

/* Signals are the daemon's own business: workers take none. */
static int engine_start(struct engine *engine)
{
    sigset_t all, old;
    unsigned started = 0;
    int r = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (started < engine->count && (r = worker_start(&engine->workers[started])) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r < 0)
        engine_join(engine, started);
    return r;
}

static size_t engine_bytes(unsigned workers)
{
    return sizeof(struct engine) + workers * sizeof(struct worker);
}

size_t engine_store_bytes(unsigned workers, size_t packet_bytes)
{
    size_t chunks = packet_bytes / (POOL_CHUNK_BYTES - POOL_CHUNK_BYTES % PACKET_BYTES) + 1;

    return store_piece_bytes(engine_bytes(workers)) + chunks * store_piece_bytes(POOL_CHUNK_BYTES) + store_piece_bytes(sizeof(struct job)) +
           store_piece_bytes(workers * sizeof(struct job_worker)) + store_piece_bytes(workers * LOCAL_BYTES);
}

int engine_new_with(struct engine **ret_engine, const struct engine_config *config)
{
    unsigned workers = config->workers;
    struct store *store = config->store, *own = NULL;
    MM_ASSERT(workers >= 1 && workers <= ENGINE_WORKERS_MAX && (workers == 1 || !config->threadless));
    int r = affinity_check(config);
    if (r == 0 && store == NULL) {
        r = store_new(&own, OWN_STORE_BYTES);
        store = own;
    }
    if (r < 0)
        return r;
    struct engine *engine = store_alloc_zeroed(store, engine_bytes(workers));
    if (engine == NULL) {
        store_unref(own);
        return -ENOMEM;
    }
    engine->store = store;
    engine->own_store = own;
    pool_init(&engine->pool, store, workers);
    pthread_mutex_init(&engine->lock, NULL);
    engine->jobs_tail = &engine->jobs;
    engine->config = *config;
    engine->spin_ns = !config->threadless && affinity_cores(config) > 1 ? SEARCH_NS : 0;
    engine->count = workers;
    for (unsigned i = 0; i < workers; i++) {
        engine->workers[i].engine = engine;
        engine->workers[i].index = i;
    }
    engine_set_seed(engine, 1);
    r = config->threadless ? 0 : engine_start(engine);
    if (r < 0) {
        engine_free(engine);
        return r;
    }
    *ret_engine = engine;
    return 0;
}

void engine_set_seed(struct engine *engine, uint32_t seed)
{
    for (unsigned i = 0; i < engine->count; i++)
        engine->workers[i].random = ((seed + i) * 0x9e3779b1u) | 1;
}

unsigned engine_workers(const struct engine *engine)
{
    return engine->count;
}

void engine_set_packet_limit(struct engine *engine, size_t bytes)
{
    pool_set_limit(&engine->pool, bytes);
}

struct engine *engine_unref(struct engine *engine)
{
    if (engine == NULL)
        return NULL;
    MM_ASSERT(at_load_relaxed(&engine->active) == 0);
    if (!engine->config.threadless)
        engine_join(engine, engine->count);
    for (unsigned i = 0; i < engine->count; i++)
        pool_rest(&engine->pool, &engine->workers[i].cache);
    engine_free(engine);
    return NULL;
}

/* E5 */
static void engine_run_here(struct engine *engine, struct job *job)
{
    struct worker *w = &engine->workers[0];
    bool taken = atomic_exchange_explicit(&engine->running_here, true, memory_order_acquire);
    MM_ASSERT(!taken);
    while (at_load_acquire(&job->run) != JOB_DONE) {
        struct job *next = worker_enter(w);
        MM_ASSERT(next == job);
        worker_visit(w, next);
    }
    pool_rest(&engine->pool, &w->cache);
    at_store_release(&engine->running_here, false); /* pairs with the next call, from whatever thread */
}

void engine_run(struct engine *engine, struct job *job)
{
    uint32_t run = JOB_NEW;
    bool first = at_cas_acq_rel(&job->run, &run, JOB_RUNNING);
    MM_ASSERT(first && job->engine == engine);
    at_store_relaxed(&job->users, 1);
    at_store_relaxed(&job->unopened, 1);
    engine_enlist(engine, job);
    if (engine->config.threadless) {
        engine_run_here(engine, job);
        return;
    }
    idle_wake(&engine->idle, 1);

    run = JOB_RUNNING;
    (void)at_cas_acq_rel(&job->run, &run, JOB_AWAITED); /* fails if it is done already */
    while (atomic_load_explicit(&job->run, memory_order_acquire) != JOB_DONE) /* pairs with job_leave */
        futex_private_wait(&job->run, JOB_AWAITED);
}
