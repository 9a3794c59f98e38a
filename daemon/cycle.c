/* SPDX-License-Identifier: Apache-2.0 */
/* cycle.c - Cycle: what follows what, and when to begin.
 *   P1  a collection that somebody asked for, or that is an emergency, stops the clients throughout: it begins no cycle, and comes
 *       after the one under way
 *   P2  marking is repeated until a round finds nothing that is not marked, which ends it without a stop; or, where only a stop will
 *       do, while clients log more than a stop should look at. ROUNDS_MAX bounds both: what is left then is the stop's
 *   P3  a cycle begins while what it will take is still there: twice what the last one took, since rates vary; within bounds,
 *       so that a quiet heap is not collected for nothing, and a first cycle has a quarter of the heap
 *   P4  a final mark that was given up is tried again: a cycle that has begun comes to its end
 *   P5  a plan that counts begins a cycle when it wants one. What a stop has left to be counted comes before the next stop, and its
 *       collection has ended when that is swept: then what it freed is there
 *   P6  the first stop may be put off, again and again, for a thread that is slow (patience.h); until then the cycle is CLEARED
 *   P7  a plan that has young collections, too, begins a cycle when the last of them has left less than P3 asks for; at once, since that
 *       is when there is most; and as soon as its nursery is to rest, or a look at everything is to tell whether it should
 *       (plans/generational.h). What is granted while it runs is the next young collection's, which comes before the next cycle
 *   P8  of a plan that counts, its marking, and its counting, make way for stops that come meanwhile. Marking goes on after them; counting, which they need, within */
#include "daemon/cycle.h"

#include <errno.h>

#include "daemon/grants.h"
#include "daemon/log.h"
#include "daemon/patience.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"

#define FEW_LOGGED 2048u /* entries: less than a tenth of a millisecond of a stop */
#define ROUNDS_MAX 32u
#define FIRST_SHARE 4u  /* of the heap's limit: what is kept for the first cycle */
#define LEAST_SHARE 16u /* for each */
#define MOST_SHARE 2u

/* ---- when ---- */

static uint64_t needed_bytes(const struct shared_heap *h)
{
    uint64_t limit = h->limit_bytes, needed = 2 * h->pace.needed_bytes;

    if (h->pace.needed_bytes == 0)
        return limit / FIRST_SHARE;
    return MM_MIN(MM_MAX(needed, limit / LEAST_SHARE), limit / MOST_SHARE);
}

/* P7 */
static bool young_suffices(const struct shared_heap *h)
{
    return heap_young_suffices(h->heap, needed_bytes(h)) && !heap_nursery_wants_cycle(h->heap);
}

bool cycle_is_due_locked(struct shared_heap *h)
{
    if (!heap_wants_cycle(h->heap) || h->promised > h->completed)
        return false;
    if (!heap_nursery_wants_cycle(h->heap) && (heap_grantable_bytes(h->heap) >= needed_bytes(h) || young_suffices(h)))
        return false;
    h->pace.began_granted = at_load_relaxed(&h->control->granted_bytes);
    return true;
}

static void note_taken(struct shared_heap *h)
{
    uint64_t taken = at_load_relaxed(&h->control->granted_bytes) - h->pace.began_granted;

    h->pace.needed_bytes = MM_MAX(taken, h->pace.needed_bytes / 8 * 7); /* up at once, down by eighths */
}

/* ---- what ---- */

static bool may_begin(const struct shared_heap *h)
{
    uint64_t number = h->completed + 1;

    return heap_wants_cycle(h->heap) && !young_suffices(h) && h->pace.declined != number && at_load_relaxed(&h->wished_until) < number &&
           at_load_relaxed(&h->emergency_until) < number; /* P1 */
}

static bool begin(struct shared_heap *h, enum collector_work *ret_work)
{
    if (h->promised <= h->completed || !may_begin(h) || !shared_heap_try_lock(h))
        return false;
    if (h->pace.began_granted == 0) /* not due: stress_factor, or a full heap */
        h->pace.began_granted = at_load_relaxed(&h->control->granted_bytes);
    heap_begin_cycle(h->heap);
    shared_heap_unlock(h);
    h->pace.marked = false;
    h->pace.rounds = 0;
    h->pace.beside_ns = 0;
    patience_begin_cycle(h);
    *ret_work = WORK_CLEAR;
    return true;
}

/* Of plans that count, until nothing is left to be marked, or a pause is wanted meanwhile (P6). */
static bool marks_on(struct shared_heap *h)
{
    if (!heap_plan_counts(h->heap))
        return !h->pace.marked;
    bool on = h->promised <= h->completed && !heap_marked(h->heap);
    if (on)
        heap_interrupt(h->heap, false);
    return on;
}

/* Not for long beyond a nursery granted since the last stop: the next one, with all workers, does what is left (P6). */
static bool counts_on(struct shared_heap *h)
{
    bool on = h->promised <= h->completed || !grants_nursery_is_over(h);

    if (on)
        heap_interrupt(h->heap, false);
    return on;
}

void cycle_hurry(struct shared_heap *h)
{
    enum collector_work work = h->collector.task.work;

    if (h->promised > h->completed && (work == WORK_MARK || (work == WORK_COUNT && grants_nursery_is_over(h))))
        heap_interrupt(h->heap, true);
}

bool cycle_next_work(struct shared_heap *h, enum collector_work *ret_work)
{
    switch (heap_cycle(h->heap)) {
    case HEAP_CYCLE_NONE: return begin(h, ret_work);
    case HEAP_CYCLE_COUNTING: *ret_work = counts_on(h) ? WORK_COUNT : WORK_COLLECT; return true;
    case HEAP_CYCLE_CLEARED: *ret_work = WORK_COLLECT; return true;
    case HEAP_CYCLE_MARKING: *ret_work = marks_on(h) ? WORK_MARK : WORK_COLLECT; return true;
    case HEAP_CYCLE_SWEEPING: *ret_work = WORK_SWEEP; return true;
    }
    return false;
}

/* ---- what was done ---- */

void cycle_cancel(struct shared_heap *h)
{
    if (heap_cycle(h->heap) != HEAP_CYCLE_CLEARED || !shared_heap_try_lock(h))
        return;
    heap_cancel_cycle(h->heap);
    shared_heap_unlock(h);
}

/* What clients have logged while it marked: more to mark, or the stop's. */
static void look_at_log(struct shared_heap *h, bool failed)
{
    shared_heap_drain_locked(h);
    h->pace.rounds++;
    bool few = !heap_may_end_beside(h->heap) && heap_logged(h->heap) <= FEW_LOGGED;
    h->pace.marked = failed || few || h->pace.rounds >= ROUNDS_MAX; /* P2 */
    if (!h->pace.marked)
        heap_take_log(h->heap);
}

static void marked(struct shared_heap *h, const struct collector_task *task)
{
    if (heap_plan_counts(h->heap) || !shared_heap_try_lock(h))
        return; /* the latter never: the collector has nothing to do */
    if (task->error == 0 && heap_end_mark(h->heap))
        shared_heap_show_barrier(h);
    else
        look_at_log(h, task->error != 0);
    shared_heap_unlock(h);
}

static void counted(struct shared_heap *h, const struct collector_task *task)
{
    if (task->error != 0 || !heap_counted(h->heap) || !shared_heap_try_lock(h))
        return; /* once more */
    heap_end_count(h->heap);
    shared_heap_unlock(h);
}

static void swept(struct shared_heap *h, const struct collector_task *task)
{
    struct collector_task cycle = *task;

    if (task->error != 0 || !shared_heap_try_lock(h))
        return; /* once more */
    if (heap_take_swept(h->heap)) { /* who waits for memory gets it before the rest is swept */
        shared_heap_unlock(h);
        return;
    }
    heap_end_cycle(h->heap, &cycle.collection);
    bool over = heap_cycle(h->heap) == HEAP_CYCLE_NONE; /* else a trace goes on (P5, P6) */
    cycle.collection.duration_ns = h->pace.beside_ns;
    collector_publish_end(h, &cycle);
    shared_heap_unlock(h);
    if (over && h->pace.began_granted != 0)
        note_taken(h);
    h->pace.began_granted = over ? 0 : h->pace.began_granted;
    h->pace.beside_ns = 0;
    shared_heap_collection_ended(h, &cycle);
}

void cycle_task_done(struct shared_heap *h, const struct collector_task *task)
{
    counters_add_concurrent(&h->counters, task->beside_ns);
    h->pace.beside_ns += task->beside_ns;
    report_beside(h, task->beside_ns);
    switch (task->work) {
    case WORK_CLEAR:
        h->pace.declined = task->error != 0 ? h->completed + 1 : 0;
        if (task->error != 0)
            cycle_cancel(h);
        return;
    case WORK_MARK: marked(h, task); return;
    case WORK_COUNT: counted(h, task); return;
    case WORK_SWEEP: swept(h, task); return;
    default: return;
    }
}
