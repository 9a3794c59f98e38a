/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - A job runs its stages in order; whoever finishes the last packet of one opens the next.
 *
 *   pending  = packets of the open stage that are queued (shared queue, any deque, any bound list) or running. A later
 *              stage's packets wait in that stage's queues and are not counted until it opens.
 *   J1  pending falls to zero once per opening. Only a running packet pushes to the open stage, and it is itself counted
 *       until after its last push: from zero nothing can raise it but the opener.
 *         push: add 1 (relaxed: the pusher's own unit stands), then publish the packet (deque or list release, queue lock)
 *         done: sub 1 (acq_rel), after the packet's last effect
 *       The add happens before that packet's sub, through the deque, list or lock, so no sub can overtake its add.
 *   J2  the closer, who took pending from 1 to 0, is alone: every packet's effects happen before its sub, all subs are
 *       read-modify-writes of one word, so the closer's acquires them all. No other worker holds a packet of the job, and
 *       none can get one: deques, lists and `ready` are empty. What it writes before publishing (stage, pending, what
 *       on_drained did) reaches the next stage's packets through the queue's lock, or their list.
 *   J3  the fields `stage` and `closing` are plain: packets read them while they stand (J2), takers read `stage` under
 *       the lock and only if ready > 0; they then hold a packet, whose sub happens before the closer's next write.
 *   J4  a packet is in one place: a stage's queue, one deque, one bound list, or running. Its `next` belongs to that.
 *   J5  the run ends when the list and the last worker inside have let go of `users`, so nobody touches a job
 *       that engine_run has returned.                                                                               */
#include "plans/work/job.h"

#include <errno.h>
#include <string.h>

#include "plans/work/probe.h"
#include "plans/work/worker.h"

static void queue_append(struct job_queue *q, struct packet *p)
{
    p->next = NULL;
    *q->tail = p;
    q->tail = &p->next;
    q->count++;
}

static struct packet *queue_take(struct job_queue *q) /* not empty */
{
    struct packet *p = q->head;
    q->head = p->next;
    if (q->head == NULL)
        q->tail = &q->head;
    q->count--;
    return p;
}

/* Life. */

int job_new(struct job **ret_job, struct engine *engine, const struct job_config *config)
{
    MM_ASSERT(config->stages >= 1 && config->stages <= JOB_STAGES_MAX);
    size_t stride = mm_align_up(config->worker_local_bytes, MM_CACHE_LINE); /* no false sharing */
    struct store *store = engine->store;
    struct job *job = store_alloc_zeroed(store, sizeof(*job));
    struct job_worker *workers = store_alloc_zeroed(store, engine->count * sizeof(*workers));
    char *locals = store_alloc_zeroed(store, engine->count * stride);
    if (job == NULL || workers == NULL || locals == NULL) {
        store_free(store, job);
        store_free(store, workers);
        store_free(store, locals);
        return -ENOMEM;
    }
    job->config = *config;
    job->engine = engine;
    job->workers = workers;
    job->locals = locals;
    job->local_stride = stride;
    pthread_mutex_init(&job->lock, NULL);
    for (unsigned i = 0; i < engine->count; i++)
        deque_init(&workers[i].deque);
    for (unsigned i = 0; i < JOB_STAGES_MAX; i++) {
        job->queues[i].tail = &job->queues[i].head;
        job->bound[i].tail = &job->bound[i].head;
    }
    *ret_job = job;
    return 0;
}

static void queue_discard(struct job_queue *q, struct pool *pool)
{
    while (q->count != 0)
        pool_give(pool, NULL, queue_take(q));
}

struct job *job_unref(struct job *job)
{
    if (job == NULL)
        return NULL;
    uint32_t run = at_load_relaxed(&job->run);
    MM_ASSERT(run == JOB_NEW || run == JOB_DONE);
    for (unsigned i = 0; i < JOB_STAGES_MAX; i++) { /* never run */
        queue_discard(&job->queues[i], &job->engine->pool);
        queue_discard(&job->bound[i], &job->engine->pool);
    }
    pthread_mutex_destroy(&job->lock);
    struct store *store = job->engine->store;
    store_free(store, job->locals);
    store_free(store, job->workers);
    store_free(store, job);
    return NULL;
}

void *job_context(const struct job *job)
{
    return job->config.context;
}

void *job_worker_local(struct job *job, unsigned worker)
{
    MM_ASSERT(worker < job->engine->count);
    return job->locals + worker * job->local_stride;
}

size_t job_counters(const struct job *job, struct packet_counters *ret, size_t capacity)
{
    struct tally all = { 0 };
    for (unsigned i = 0; i < job->engine->count; i++)
        tally_merge(&all, &job->workers[i].tally);
    return tally_list(&all, ret, capacity);
}

static bool stage_is_disabled(const struct job *job, uint32_t stage)
{
    return (job->disabled >> stage & 1) != 0;
}

void job_disable_stage(struct job *job, uint32_t stage)
{
    MM_ASSERT(at_load_relaxed(&job->run) == JOB_NEW && stage < job->config.stages);
    MM_ASSERT(job->queues[stage].count == 0 && job->bound[stage].count == 0);
    job->disabled |= 1u << stage;
}

/* Packets in. */

static struct packet *packet_new(struct job *job, struct pool_cache *cache,
                                 const struct packet_kind *kind)
{
    struct packet *p = pool_try_take(&job->engine->pool, cache);
    if (p == NULL)
        return NULL;
    p->kind = kind;
    p->next = NULL;
    p->job = job;
    p->count = p->bound = 0;
    memset(p->args, 0, sizeof(p->args));
    return p;
}

/* Where @p waits for its stage. The caller holds the lock, or is alone. */
static void job_append(struct job *job, struct packet *p)
{
    uint32_t stage = p->kind->stage;
    queue_append(p->bound != 0 ? &job->bound[stage] : &job->queues[stage], p);
}

static struct packet *job_add(struct job *job, const struct packet_kind *kind, uint32_t bound)
{
    MM_ASSERT(at_load_relaxed(&job->run) == JOB_NEW);
    MM_ASSERT(kind->stage < job->config.stages && !stage_is_disabled(job, kind->stage));
    struct packet *p = packet_new(job, NULL, kind);
    if (p == NULL)
        return NULL;
    p->bound = bound;
    job_append(job, p);
    return p;
}

struct packet *job_packet_add(struct job *job, const struct packet_kind *kind)
{
    return job_add(job, kind, 0);
}

struct packet *job_packet_add_for(struct job *job, const struct packet_kind *kind, unsigned worker)
{
    MM_ASSERT(worker < job->engine->count);
    return job_add(job, kind, worker + 1);
}

struct packet *worker_packet_try_new(struct worker *w, const struct packet_kind *kind)
{
    return packet_new(w->job, &w->cache, kind);
}

void worker_packet_free(struct worker *w, struct packet *p)
{
    MM_ASSERT(p != w->running);
    pool_give(&w->engine->pool, &w->cache, p);
}

/* The deque is full: its oldest half goes where everybody looks first. Already counted as pending. */
static void job_spill(struct job *job, struct deque *d)
{
    struct packet *oldest[DEQUE_STEAL_MAX];
    unsigned n = deque_steal(d, oldest);

    pthread_mutex_lock(&job->lock);
    for (unsigned i = 0; i < n; i++)
        queue_append(&job->queues[job->stage], oldest[i]);
    atomic_fetch_add_explicit(&job->ready, n, memory_order_seq_cst);
    pthread_mutex_unlock(&job->lock);
}

static void job_wait_for_stage(struct job *job, struct packet *p)
{
    pthread_mutex_lock(&job->lock);
    job_append(job, p);
    pthread_mutex_unlock(&job->lock);
}

/* True: @p is counted and the caller publishes it. False: its stage is not open, it waits. */
static inline bool job_admit(struct job *job, struct worker *w, struct packet *p)
{
    uint32_t stage = p->kind->stage;
    MM_ASSERT(p->job == job && p != w->running);
    MM_ASSERT(stage >= job->stage && stage < job->config.stages && !stage_is_disabled(job, stage));

    if (stage != job->stage || job->closing) {
        job_wait_for_stage(job, p);
        return false;
    }
    at_add_relaxed(&job->pending, 1); /* J1 */
    return true;
}

void worker_packet_push(struct worker *w, struct packet *p)
{
    struct job *job = w->job;
    if (!job_admit(job, w, p))
        return;
    struct deque *d = &job->workers[w->index].deque;
    while (!deque_try_push(d, &p, 1))
        job_spill(job, d);
    idle_wake(&w->engine->idle, 1);
}

void worker_packet_push_for(struct worker *w, struct packet *p, unsigned worker)
{
    struct job *job = w->job;
    MM_ASSERT(worker < job->engine->count);
    p->bound = worker + 1;
    if (!job_admit(job, w, p))
        return;
    bound_push(&job->workers[worker].bound, p);
    if (worker != w->index)
        idle_call(&w->engine->idle, UINT64_C(1) << worker);
}

/* Packets out. */

bool job_has_work(const struct job *job, const struct worker *w)
{
    if (atomic_load_explicit(&job->unopened, memory_order_seq_cst) != 0 ||
        atomic_load_explicit(&job->ready, memory_order_seq_cst) != 0)
        return true;
    if (w != NULL && !bound_is_empty(&job->workers[w->index].bound))
        return true;
    for (unsigned i = 0; i < job->engine->count; i++)
        if (!deque_is_empty(&job->workers[i].deque))
            return true;
    return false;
}

/* A fair share of the open stage's queue, so that the lock is taken seldom and thieves have little to do. */
static unsigned job_take_ready(struct job *job, struct packet *ret[static DEQUE_STEAL_MAX])
{
    if (at_load_relaxed(&job->ready) == 0)
        return 0;
    pthread_mutex_lock(&job->lock);
    size_t ready = at_load_relaxed(&job->ready);
    size_t share = (ready + job->engine->count - 1) / job->engine->count;
    unsigned n = (unsigned)MM_MIN(share, DEQUE_STEAL_MAX);
    for (unsigned i = 0; i < n; i++)
        ret[i] = queue_take(&job->queues[job->stage]);
    atomic_store_explicit(&job->ready, ready - n, memory_order_seq_cst);
    pthread_mutex_unlock(&job->lock);
    return n;
}

static uint32_t worker_random(struct worker *w) /* xorshift32 */
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 17;
    w->random ^= w->random << 5;
    return w->random;
}

static unsigned job_rob(struct job *job, struct worker *w, struct packet *ret[static DEQUE_STEAL_MAX])
{
    unsigned count = job->engine->count, start = worker_random(w) % count;
    for (unsigned i = 0; i < count; i++) {
        unsigned victim = (start + i) % count;
        unsigned n = victim == w->index ? 0 : deque_steal(&job->workers[victim].deque, ret);
        if (n != 0)
            return n;
    }
    return 0;
}

struct packet *job_take(struct job *job, struct worker *w)
{
    struct packet *got[DEQUE_STEAL_MAX];
    struct deque *own = &job->workers[w->index].deque;
    struct bound *bound = &job->workers[w->index].bound;
    struct packet *p = MM_LIKELY(bound_is_empty(bound)) ? deque_pop(own) : bound_pop(bound);
    if (p != NULL)
        return p;
    unsigned n = job_take_ready(job, got);
    if (n == 0)
        n = job_rob(job, w, got);
    if (n == 0)
        return NULL;
    bool kept = deque_try_push(own, got, n - 1); /* it was empty, and only we fill it */
    MM_ASSERT(kept);
    return got[n - 1];
}

/* Stages. */

/* Deals them out to those they are for. Returns whom, a bit a worker. */
static uint64_t job_deal_bound_locked(struct job *job)
{
    struct job_queue *q = &job->bound[job->stage];
    uint64_t dealt = 0;
    while (q->count != 0) {
        struct packet *p = queue_take(q);
        unsigned worker = p->bound - 1;
        bound_push(&job->workers[worker].bound, p);
        dealt |= UINT64_C(1) << worker;
    }
    return dealt;
}

/* Opens job->stage if it has packets. From the first that is published, others run them and the caller is no longer alone: it
 * goes by what it has copied, and by the queues while it holds their lock. */
static bool job_publish_stage(struct job *job, struct worker *w)
{
    pthread_mutex_lock(&job->lock);
    size_t n = job->queues[job->stage].count;
    size_t all = n + job->bound[job->stage].count;
    at_store_relaxed(&job->pending, all); /* J1: before any of them can be done */
    atomic_store_explicit(&job->ready, n, memory_order_seq_cst);
    uint64_t dealt = job_deal_bound_locked(job);
    pthread_mutex_unlock(&job->lock);
    if (all == 0)
        return false;
    bool ours = (dealt >> w->index & 1) != 0; /* else one of the queue is, so one fewer need come for it */
    idle_call(&w->engine->idle, dealt & ~(UINT64_C(1) << w->index));
    idle_wake(&w->engine->idle, (unsigned)MM_MIN(n - (n != 0 && !ours), ENGINE_WORKERS_MAX));
    return true;
}

static uint32_t job_enabled_from(const struct job *job, uint32_t stage)
{
    while (stage < job->config.stages && stage_is_disabled(job, stage))
        stage++;
    return stage;
}

static bool job_ask_sentinel(struct job *job, struct worker *w)
{
    if (job->config.on_drained == NULL)
        return false;
    job->closing = true;
    bool again = job->config.on_drained(job, w, job->stage);
    job->closing = false;
    MM_ASSERT(again || (job->queues[job->stage].count == 0 && job->bound[job->stage].count == 0));
    return again;
}

static const char *stage_name(const struct job *job)
{
    return job->config.stage_names == NULL ? "" : job->config.stage_names[job->stage];
}

/* [closer] From here on it is at @stage, or behind the last. */
static void job_enter_stage(struct job *job, uint32_t stage)
{
    job->stage = stage;
    if (MM_UNLIKELY(job->config.timeline != NULL))
        job->stage_ns = mm_now_ns();
    if (stage < job->config.stages)
        MM_PROBE(stage__open, job->config.name, stage_name(job));
}

/* [closer] */
static void job_leave_stage(const struct job *job, struct worker *w)
{
    MM_PROBE(stage__close, job->config.name, stage_name(job));
    if (MM_UNLIKELY(job->config.timeline != NULL))
        worker_record(w, TIMELINE_STAGE, stage_name(job), job->stage_ns, mm_now_ns() - job->stage_ns);
}

/* job->stage has drained, or had nothing to drain. */
static void job_close_stage(struct job *job, struct worker *w)
{
    if (job_ask_sentinel(job, w))
        return;
    job_leave_stage(job, w);
    job_enter_stage(job, job_enabled_from(job, job->stage + 1));
}

static void job_advance(struct job *job, struct worker *w) /* [closer] */
{
    while (job->stage < job->config.stages) {
        if (job_publish_stage(job, w))
            return;
        job_close_stage(job, w);
    }
    engine_retire(job->engine, job);
}

bool job_claim_opening(struct job *job)
{
    uint32_t unopened = 1;
    return at_load_relaxed(&job->unopened) != 0 && at_cas_acq_rel(&job->unopened, &unopened, 0);
}

void job_open(struct job *job, struct worker *w)
{
    job_enter_stage(job, job_enabled_from(job, 0));
    job_advance(job, w);
}

void job_packet_done(struct job *job, struct worker *w, struct packet *p)
{
    pool_give(&w->engine->pool, &w->cache, p);
    if (at_sub_acq_rel(&job->pending, 1) != 1) /* J2 */
        return;
    job_close_stage(job, w);
    job_advance(job, w);
}

/* Inside a packet. */

struct job *worker_job(const struct worker *w)
{
    return w->job;
}

unsigned worker_index(const struct worker *w)
{
    return w->index;
}

void *worker_local(struct worker *w)
{
    return job_worker_local(w->job, w->index);
}
