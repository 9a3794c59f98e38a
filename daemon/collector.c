/* SPDX-License-Identifier: Apache-2.0 */
/* collector.c - Collector: the thread's loop, and both ends of the hand-over.
 *   C1  task belongs to the thread from posted to finished, to the loop otherwise; these two flags are all that both touch
 *   C2  the lock is taken when the world has stopped and dropped before the resume; the thread may wait for it (the loop
 *       holds it for microseconds), the loop never waits for the thread
 *   C3  counters in control are raised before the resume: who wakes up sees them
 *   C4  of which kind a collection is, is decided when the world has stopped, not when it was posted: the loop, with the lock,
 *       may still have counted on it in between. Without the lock it counts on a later one; seen too early, that makes a
 *       collection more thorough than asked, no more
 *   C5  who asks for a collection gets one of the whole heap. One that was merely promised, to a heap that is full, to stress_factor
 *       or for its nursery, may be of what is young */
#include "daemon/collector.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "daemon/log.h"
#include "daemon/patience.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/snapshots.h"
#include "daemon/spare.h"
#include "daemon/trace.h"
#include "plans/work/probe.h"

/* ---- the thread ---- */

static void note_new_bytes(struct shared_heap *h, struct collector_task *t)
{
    uint64_t granted = at_load_relaxed(&h->control->granted_bytes);

    t->collection.new_bytes = granted - h->granted_at_collection;
    h->granted_at_collection = granted;
}

void collector_publish_end(struct shared_heap *h, struct collector_task *t)
{
    struct shm_control *c = h->control;

    if (!t->collection.counts && !t->collection.nursery_begun) /* whose pause has noted it */
        note_new_bytes(h, t);
    at_store_relaxed(&c->live_bytes, t->collection.live_bytes);
    at_store_relaxed(&c->live_objects, t->collection.live_objects);
    (void)atomic_fetch_add_explicit(&c->collections, 1, memory_order_release);
}

static void publish_pause(struct shared_heap *h, struct collector_task *t)
{
    struct shm_control *c = h->control;

    t->ended = !heap_in_collection(h->heap) && heap_cycle(h->heap) != HEAP_CYCLE_CLEARED;
    if (t->collection.counts || t->collection.begins_nursery || (!t->ended && heap_plan_counts(h->heap)))
        note_new_bytes(h, t);
    if (t->ended)
        collector_publish_end(h, t);
    t->pause_ns = mm_now_ns() - t->asked_ns;
    at_store_relaxed(&c->last_pause_ns, t->pause_ns);
    (void)at_add_relaxed(&c->total_pause_ns, t->pause_ns);
}

static int run_histogram(struct shared_heap *h, struct collector_task *t, const struct heap_stop *stop)
{
    t->histogram_rows = heap_type_count(h->heap) + 1;
    t->histogram = calloc(t->histogram_rows, sizeof(t->histogram[0]));
    if (t->histogram == NULL)
        return -ENOMEM;
    return heap_histogram_stw(h->heap, h->server->engine, stop, t->histogram);
}

/* The loop leaves the request alone until the task is its own again. */
static int run_snapshot(struct shared_heap *h, struct collector_task *t, const struct heap_stop *stop)
{
    int r = snapshot_take_stw(h, t, stop, h->inspecting->snapshot);

    t->pause_ns = mm_now_ns() - t->asked_ns;
    return r;
}

static int run_stw(struct shared_heap *h, struct collector_task *t, const struct heap_stop *stop)
{
    int r = 0;

    switch (t->work) {
    case WORK_COLLECT:
        r = heap_collect_stw(h->heap, h->server->engine, stop, &t->collection);
        if (r == 0)
            publish_pause(h, t);
        return r;
    case WORK_VERIFY: return heap_verify_stw(h->heap, h->server->engine, stop, &t->verdict);
    case WORK_HISTOGRAM: return run_histogram(h, t, stop);
    case WORK_SNAPSHOT: return run_snapshot(h, t, stop);
    case WORK_END: return shm_punch(shm_segment_fd(h->arena), 0, shm_segment_bytes(h->arena));
    default: break;
    }
    return -EINVAL;
}

const char *collector_work_name(enum collector_work work)
{
    static const char *const names[] = {
        [WORK_COLLECT] = "collect", [WORK_VERIFY] = "verify", [WORK_HISTOGRAM] = "histogram", [WORK_CLEAR] = "clear", [WORK_MARK] = "mark",
        [WORK_COUNT] = "count",     [WORK_SWEEP] = "sweep",   [WORK_END] = "end",             [WORK_QUIT] = "quit",
    };

    return names[work];
}

const struct mutator *collector_last_parked(const struct collector_task *task)
{
    return task->last_parked == 0 ? NULL : task->mutators[task->last_parked - 1];
}

bool collector_is_beside(enum collector_work work)
{
    return work == WORK_CLEAR || work == WORK_MARK || work == WORK_COUNT || work == WORK_SWEEP;
}

/* The loop goes on being the heap's caller: no lock (plans/heap.h, heap_cycle()). */
static void run_beside(struct shared_heap *h, struct collector_task *t)
{
    struct engine *engine = h->server->background;

    t->error = t->work == WORK_CLEAR   ? heap_clear(h->heap, engine)
               : t->work == WORK_MARK  ? heap_mark(h->heap, engine)
               : t->work == WORK_COUNT ? heap_count(h->heap, engine)
                                       : heap_sweep(h->heap, engine);
    t->outcome = t->error == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
    t->beside_ns = mm_now_ns() - t->began_ns;
}

static void choose_kind(struct shared_heap *h, struct collector_task *t, struct heap_stop *stop)
{
    uint64_t number = shared_heap_next_collection_locked(h);

    stop->emergency = t->emergency = at_load_relaxed(&h->emergency_until) >= number;
    stop->whole = at_load_relaxed(&h->wished_until) >= number; /* C5 */
    stop->full_heap = stop->whole && h->settings.full_heap_system_gc;
}

static void run_stopped(struct shared_heap *h, struct collector_task *t)
{
    struct heap_stop stop;

    pthread_mutex_lock(&h->lock);
    t->stop_ns = mm_now_ns() - t->asked_ns;
    t->error = safepoint_world(h, t, &stop);
    if (t->error == 0) {
        if (t->work != WORK_END) /* then it goes on, whoever is still inside */
            leases_check_stw(h, t);
        choose_kind(h, t, &stop);
        stows_begin_stw(h, t, &stop);
        notices_begin_stw(h, t, &stop);
        t->error = run_stw(h, t, &stop);
        stows_end_stw(h, &stop);
        notices_end_stw(h, t);
        safepoint_world_fini(&stop);
    }
    t->outcome = t->error == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
    shared_heap_show_barrier(h);
    if (t->outcome == OUTCOME_FAILED) /* who waits for a number learns that it will not come */
        (void)at_add_relaxed(&h->control->abandoned_stops, 1);
    pthread_mutex_unlock(&h->lock);
}

static void run_stop(struct shared_heap *h, struct collector_task *t)
{
    bool stopped = safepoint_stop(h, t);
    if (stopped || t->work == WORK_END) { /* a heap that ends does so whoever is still inside */
        run_stopped(h, t);
    } else if (t->patience_ns != 0) {
        t->outcome = OUTCOME_PUT_OFF;
    } else {
        t->outcome = OUTCOME_ABANDONED;
        (void)at_add_relaxed(&h->control->abandoned_stops, 1);
    }
    if (t->work != WORK_END) /* then its epoch stays odd: nobody enters again */
        safepoint_resume(h, t);
}

static void run_task(struct shared_heap *h, struct collector_task *t)
{
    if (t->work == WORK_QUIT)
        return;
    t->began_ns = mm_now_ns();
    MM_PROBE(task__begin, h->name, collector_work_name(t->work));
    if (collector_is_beside(t->work))
        run_beside(h, t);
    else
        run_stop(h, t);
    MM_PROBE(task__end, h->name, collector_work_name(t->work), (int)t->outcome, mm_now_ns() - t->began_ns);
    trace_task(h, t);
}

static void *collector_run(void *context)
{
    struct shared_heap *h = context;
    struct collector *c = &h->collector;
    bool over = false;

    (void)prctl(PR_SET_NAME, "mmgcd-collect");
    while (!over) {
        pthread_mutex_lock(&c->mutex);
        while (!c->posted)
            pthread_cond_wait(&c->wake, &c->mutex);
        c->posted = false;
        pthread_mutex_unlock(&c->mutex);
        run_task(h, &c->task);
        over = c->task.work >= WORK_END;
        pthread_mutex_lock(&c->mutex);
        c->finished = true; /* the task is the loop's again: nothing of it is touched after this */
        pthread_mutex_unlock(&c->mutex);
        uv_async_send(&c->done);
    }
    return NULL;
}

/* ---- the loop's end ---- */

static void release_task(struct collector_task *t)
{
    for (size_t i = 0; i < t->mutator_count; i++)
        mutator_unref(t->mutators[i]);
    for (size_t i = 0; i < t->session_count; i++)
        session_unref(t->sessions[i]);
    spare_free(t->mutators);
    spare_free(t->sessions);
    free(t->histogram);
    free(t->row_owners);
    trace_unref(t->trace);
    *t = (struct collector_task){ 0 };
}

/* Sessions that came during the stop were not in the snapshot; their threads sleep all the same. */
static void wake_newcomers(struct shared_heap *h)
{
    struct session *s;

    TAILQ_FOREACH(s, &h->sessions, in_heap)
    if (s->since_task == h->collector.begun)
        session_wake(s);
}

/* The loop's waking alone says nothing: libuv may join two of them into one. */
static bool take_finished(struct collector *c)
{
    pthread_mutex_lock(&c->mutex);
    bool finished = c->finished;
    c->finished = false;
    pthread_mutex_unlock(&c->mutex);
    return finished;
}

static void on_done(uv_async_t *async)
{
    struct shared_heap *h = async->data;
    struct collector *c = &h->collector;

    if (!take_finished(c))
        return;
    notices_send(h, &c->task); /* before anybody can post the next one */
    struct collector_task task =
        c->task; /* ours now: the next one may be posted before we are done with this */
    c->task = (struct collector_task){ 0 };
    c->busy = false;
    if (task.work >= WORK_END) {
        pthread_join(c->thread, NULL); /* it is returning */
        c->ended = true;
    } else if (c->stops) {
        wake_newcomers(h);
    }
    shared_heap_ref(h);
    shared_heap_task_done(h, &task);
    release_task(&task);
    shared_heap_pump(h);
    shared_heap_unref(h);
}

int collector_start(struct shared_heap *heap)
{
    struct collector *c = &heap->collector;
    sigset_t all, before;

    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->wake, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    int r = pthread_create(&c->thread, NULL, collector_run, heap);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return -r;
    MM_ASSERT(uv_async_init(&heap->server->loop, &c->done, on_done) == 0);
    c->done.data = heap;
    return 0;
}

/* The threads to wait for, and the dead whose memory is not sealed yet. Of the spare memory: a heap that ends must do so, and nobody may come by
 * who would try again. */
static int take_snapshot(struct shared_heap *h, struct collector_task *t)
{
    struct mutator *m;
    struct session *s;
    size_t seals = 0;

    TAILQ_FOREACH(m, &h->seals, in_seals)
    seals++;
    t->mutators = spare_calloc(h->mutator_count + seals + 1, sizeof(t->mutators[0]));
    t->sessions = spare_calloc(h->session_count + 1, sizeof(t->sessions[0]));
    if (t->mutators == NULL || t->sessions == NULL) {
        spare_free(t->mutators);
        spare_free(t->sessions);
        *t = (struct collector_task){ 0 };
        return -ENOMEM;
    }
    TAILQ_FOREACH(m, &h->mutators, in_heap)
    t->mutators[t->mutator_count++] = mutator_ref(m);
    TAILQ_FOREACH(m, &h->seals, in_seals)
    t->mutators[t->mutator_count++] = mutator_ref(m);
    TAILQ_FOREACH(s, &h->sessions, in_heap)
    t->sessions[t->session_count++] = session_ref(s);
    return 0;
}

int collector_post(struct shared_heap *heap, enum collector_work work)
{
    struct collector *c = &heap->collector;

    MM_ASSERT(!c->busy);
    c->task = (struct collector_task){ .work = work };
    int r = take_snapshot(heap, &c->task);
    if (r < 0)
        return r;
    c->busy = true;
    c->stops = work != WORK_QUIT && !collector_is_beside(work);
    c->task.trace = trace_ref(heap->trace);
    heap_record(heap->heap, heap->trace == NULL ? NULL : heap->trace->timeline); /* trace.c T1 */
    c->begun++;
    c->task.asked_ns = mm_now_ns();
    c->task.patience_ns = patience_of(heap, work);
    if (c->stops) { /* odd; the thread's membarrier comes after it (S4) */
        uint32_t epoch = at_load_relaxed(&heap->control->epoch);
        at_store_release(&heap->control->epoch, epoch + 1);
        MM_PROBE(stop__asked, heap->name, c->task.mutator_count);
    }
    pthread_mutex_lock(&c->mutex);
    c->posted = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
    return 0;
}
