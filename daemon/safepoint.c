/* SPDX-License-Identifier: Apache-2.0 */
/* safepoint.c - Safepoint: stopping and resuming the threads of other processes, in the order that was found sound (S4).
 *   stop:    epoch odd (the loop did that, before it took the snapshot); a barrier on every running thread;
 *            then per thread: while its state is IN, a short spin, then futex waits in slices
 *   resume:  epoch even (release); then per session go + 1 and a wake of all
 *   F1  OUT and PARKED both count as stopped; a thread that is IN for a moment after that backs out by itself
 *   F2  a wait is bounded by the deadline, or by patience; an abandoned stop is a resume
 *   F3  a dead thread or session has no roots, but its view counts until its memory is sealed (S5)
 *   F4  if this process did not run for a while (suspended, frozen), that time does not count, and after one as long as the
 *       deadline it starts again (S15): from the request on, between two threads, and while a killed process is going
 *   F5  when one was killed the next has a moment left, in which who is only coming in backs out; not the deadline once more */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/collector.h"
#include "daemon/log.h"
#include "daemon/procfs.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/snapshots.h"
#include "daemon/trace.h"
#include "plans/work/probe.h"
#include "shm/barrier.h"
#include "shm/futex.h"

#define SPINS 256 /* about a microsecond: a thread about to park */
#define SLICE_NS UINT64_C(4000000)
#define ASLEEP_NS (4 * SLICE_NS)           /* a slice that took this long: we did not run */
#define KILL_GRACE_NS UINT64_C(2000000000) /* for a killed process to be gone */
#define MOMENT_NS (25 * SLICE_NS)          /* F5 */

struct stop {
    struct shared_heap *heap;
    struct collector_task *task;
    size_t at; /* the thread now looked at: its index */
    uint64_t limit_ns, deadline_ns;
    uint64_t gone_by_ns; /* the thread now waited for has been killed with its process; 0: it has not */
    uint64_t seen_ns; /* we ran then */
    bool put_off;     /* nobody is late when that has passed */
};

static bool is_in(const struct mutator *m)
{
    return mutator_state(m) == SHM_IN && !at_load_acquire(&m->dead);
}

static bool spin_for(const struct mutator *m)
{
    for (int i = 0; i < SPINS; i++) {
        if (!is_in(m))
            return true;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
    return false;
}

static void complain(const struct stop *stop, const struct mutator *m, const char *what)
{
    const struct session *s = m->session;

    struct procfs_process process = { 0 };
    char traced[64] = "";

    if (procfs_process_read(s->peer.pid, &process) && process.tracer != 0)
        snprintf(traced, sizeof(traced), ", traced by process %d,", (int)process.tracer);
    log_warning(
        "heap '%s': thread %u '%s' (tid %u) of client '%s' (pid %d, user %u)%s did not stop within %llu ms: %s",
        stop->heap->name, m->id, m->name, m->tid, s->name, (int)s->peer.pid, (unsigned)s->peer.uid,
        traced, (unsigned long long)(stop->heap->server->config.stop_deadline_ns / 1000000), what);
}

/* Who only reads, or works on another user's heap, may not hold up those whose heap it is (S15). */
static bool may_kill(const struct stop *stop, const struct session *s)
{
    int policy = stop->heap->server->config.stop_policy;
    bool stranger = s->read_only || s->peer.uid != stop->heap->owner;

    return s->pidfd >= 0 && (policy == STOP_KILL || (policy == STOP_STRANGERS && stranger));
}

static void note_late(struct stop *stop, bool killed)
{
    struct collector_task *task = stop->task;

    if (task->late_count < COLLECTOR_LATE_MAX)
        task->late[task->late_count++] = (struct collector_late){ stop->at, killed };
}

/* The deadline has passed. True: its process was killed, so waiting a little longer will do. */
static bool kill_late(struct stop *stop, struct mutator *m)
{
    bool may = stop->gone_by_ns == 0 && may_kill(stop, m->session);

    (void)at_add_relaxed(&m->late_stops, 1);
    MM_PROBE(stop__late, stop->heap->name, m->session->id, m->id, m->session->peer.pid, may);
    note_late(stop, may);
    int error = may ? peer_kill(m->session->pidfd) : -EPERM;
    if (error < 0 && error != -ESRCH) {
        complain(stop, m, "the collection is given up");
        return false;
    }
    complain(stop, m, "its process is killed"); /* ESRCH: it was, as that of another session, and the loop is about to hear of it */
    stop->gone_by_ns = mm_now_ns() + KILL_GRACE_NS;
    return true;
}

/* F4 */
static void look_at_the_clock(struct stop *stop)
{
    uint64_t now_ns = mm_now_ns(), missed_ns = now_ns - stop->seen_ns;

    stop->seen_ns = now_ns;
    if (missed_ns <= ASLEEP_NS || stop->put_off)
        return;
    stop->deadline_ns =
        missed_ns < stop->limit_ns ? stop->deadline_ns + missed_ns : now_ns + stop->limit_ns;
    if (stop->gone_by_ns != 0)
        stop->gone_by_ns += missed_ns;
}

/* True: it is OUT, PARKED or dead. */
static bool wait_for(struct stop *stop, struct mutator *m)
{
    if (spin_for(m))
        return true;
    if (stop->gone_by_ns != 0) /* F5 */
        stop->deadline_ns = MM_MAX(stop->deadline_ns, mm_now_ns() + MM_MIN(MOMENT_NS, stop->limit_ns));
    stop->gone_by_ns = 0;
    while (is_in(m)) {
        if (at_load_relaxed(&stop->heap->collector.give_up))
            return false;
        look_at_the_clock(stop);
        uint64_t end_ns = stop->gone_by_ns != 0 ? stop->gone_by_ns : stop->deadline_ns;
        if (stop->seen_ns >= end_ns && (stop->put_off || !kill_late(stop, m)))
            return false;
        uint64_t left_ns = end_ns - MM_MIN(stop->seen_ns, end_ns);
        (void)futex_wait(&m->words->state, SHM_IN, stop->put_off ? MM_MIN(left_ns, SLICE_NS) : SLICE_NS);
    }
    return true;
}

/* @in: it was, when it was first looked at. */
static void note_stop(struct collector_task *task, size_t at, bool in)
{
    struct mutator *m = task->mutators[at];
    uint64_t took_ns = mm_now_ns() - task->asked_ns;

    if (took_ns > at_load_relaxed(&m->max_stop_ns)) /* the only writer */
        at_store_relaxed(&m->max_stop_ns, took_ns);
    if (!in)
        return;
    task->last_parked = at + 1;
    trace_waited(task, m, took_ns);
}

/* A kernel that has none leaves the fence to the clients, and one that refuses it would not have let us start (server.c). One that has no
 * memory for it now does not: a stop without it would pass over threads that are inside. False: it was not to be had in time. */
static bool barrier(const struct stop *stop)
{
    int r;

    while ((r = shm_barrier_all()) == -ENOMEM && mm_now_ns() < stop->deadline_ns && !at_load_relaxed(&stop->heap->collector.give_up))
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    return r != -ENOMEM;
}

bool safepoint_stop(struct shared_heap *heap, struct collector_task *task)
{
    uint64_t limit_ns =
        task->patience_ns != 0 ? task->patience_ns : heap->server->config.stop_deadline_ns;
    struct stop stop = {
        .heap = heap,
        .task = task,
        .limit_ns = limit_ns,
        .deadline_ns = task->asked_ns + limit_ns,
        .seen_ns = task->asked_ns,
        .put_off = task->patience_ns != 0,
    };

    if (!barrier(&stop))
        return false;
    for (size_t i = 0; i < task->mutator_count; i++) {
        bool in = is_in(task->mutators[i]);
        stop.at = i;
        if (!wait_for(&stop, task->mutators[i]))
            return false;
        note_stop(task, i, in);
    }
    MM_PROBE(stop__stopped, heap->name, mm_now_ns() - task->asked_ns);
    return true;
}

void safepoint_resume(struct shared_heap *heap, struct collector_task *task)
{
    uint32_t epoch = at_load_relaxed(&heap->control->epoch); /* ours alone until the resume */

    at_store_release(&heap->control->epoch, epoch + 1);
    for (size_t i = 0; i < task->session_count; i++)
        session_wake(task->sessions[i]);
    MM_PROBE(stop__resumed, heap->name, mm_now_ns() - task->asked_ns);
}

/* ---- what the stopped world consists of ---- */

/* Of a snapshot: @count rows of roots before *rows are @owner's. */
static void note_owner(struct collector_task *task, size_t rows, size_t count, uint32_t owner)
{
    for (size_t i = rows - count; task->row_owners != NULL && i < rows; i++)
        task->row_owners[i] = owner;
}

int safepoint_world(struct shared_heap *heap, struct collector_task *task,
                    struct heap_stop *ret_stop)
{
    size_t rows_max = 2 * task->mutator_count + task->session_count + 2;
    struct heap_roots *rows = calloc(rows_max, sizeof(rows[0]));
    struct heap_mutator **records = calloc(task->mutator_count + 1, sizeof(records[0]));
    struct heap_mutator_view *views = calloc(task->mutator_count + 1, sizeof(views[0]));
    size_t row_count = 0, mutator_count = 0;
    bool overflowed = false;

    *ret_stop = (struct heap_stop){ .roots = rows, .mutators = records, .views = views };
    if (task->work == WORK_SNAPSHOT)
        task->row_owners = calloc(rows_max, sizeof(task->row_owners[0]));
    if (rows == NULL || records == NULL || views == NULL || (task->work == WORK_SNAPSHOT && task->row_owners == NULL)) {
        safepoint_world_fini(ret_stop);
        return -ENOMEM;
    }
    for (size_t i = 0; i < task->mutator_count; i++) {
        struct mutator *m = task->mutators[i];
        mutator_drain_locked(m, heap);
        if (m->record != NULL) {
            records[mutator_count] = m->record;
            mutator_view(m, heap->max_bytes, &views[mutator_count++]);
        }
        if (at_load_acquire(&m->dead)) /* F3 */
            continue;
        overflowed |= !mutator_roots(m, &rows[row_count]);
        row_count += 2;
        note_owner(task, row_count, 2, snapshot_thread_owner(task, i));
    }
    for (size_t i = 0; i < task->session_count; i++) {
        if (at_load_acquire(&task->sessions[i]->dead))
            continue;
        session_roots(task->sessions[i], &rows[row_count++]);
        note_owner(task, row_count, 1, snapshot_session_owner(i));
    }
    rows[row_count++] = (struct heap_roots){ .kind = HEAP_ROOTS_EXACT, .words = heap->names.words, .count = heap->names.high };
    note_owner(task, row_count, 1, SNAPSHOT_OWNER_NAMES);
    rows[row_count++] = estate_roots(&heap->estate);
    note_owner(task, row_count, 1, SNAPSHOT_OWNER_ESTATE);
    ret_stop->root_count = row_count;
    ret_stop->mutator_count = mutator_count;
    ret_stop->roots_overflowed = overflowed;
    return 0;
}

void safepoint_world_fini(struct heap_stop *stop)
{
    free((void *)stop->roots);
    free((void *)stop->mutators);
    free((void *)stop->views);
    *stop = (struct heap_stop){ 0 };
}
