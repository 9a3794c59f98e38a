/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.c - Outcome: what follows when a collector has handed its task back: numbers, answers, who must hear of a failure.
 *   O1  an abandoned stop answers everybody who waits for a collection, by the count of abandoned stops; promised are then only
 *       those that were asked for after that count was raised */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/grants.h"
#include "daemon/log.h"
#include "daemon/patience.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/snapshots.h"
#include "daemon/watch.h"

static void fail_grants(struct shared_heap *h, enum mmgc_error why)
{
    h->promised = MM_MAX(h->completed, h->promised_late);
    if (!shared_heap_try_lock(h))
        return;
    grants_fail_locked(h, why);
    shared_heap_unlock(h);
}

/* The second trace found what the first one did wrong, or what a client wrote meanwhile: in either case nobody may rely on the heap. */
static void quarantine_insane(struct shared_heap *h, const struct heap_collection *c)
{
    char why[256];

    snprintf(why, sizeof(why), "collection %llu of plan %s: %s, object %u, reference %u, %llu faults in all",
             (unsigned long long)h->completed, h->control->plan, heap_fault_sentence(c->sanity_first),
             c->sanity_object, c->sanity_ref, (unsigned long long)c->sanity_faults);
    quarantine_begin(h, why);
}

void shared_heap_collection_ended(struct shared_heap *h, const struct collector_task *task)
{
    h->completed++;
    h->emergencies += task->emergency;
    h->last = task->collection;
    report_ended(h, task);
    trigger_collected(h, task);
    log_debug("heap '%s': %s%s collection %llu: %llu bytes live", h->name, task->emergency ? "emergency " : "",
              heap_pause_name(task->collection.kind), (unsigned long long)h->completed,
              (unsigned long long)task->collection.live_bytes);
}

static void doubt(struct shared_heap *h, uint32_t forged_refs)
{
    log_warning("heap '%s': %u references to no object were passed over", h->name, forged_refs);
    quarantine_doubt(h);
}

static void collected(struct shared_heap *h, const struct collector_task *task)
{
    switch (task->outcome) {
    case OUTCOME_DONE:
        counters_collected(&h->counters, task);
        report_stop(h, task);
        release_note_pause(h, task->pause_ns);
        if (task->collection.fell_back)
            counters_add_fallback(&h->counters);
        if (task->ended)
            shared_heap_collection_ended(h, task);
        if (task->collection.sanity_faults > 0)
            quarantine_insane(h, &task->collection);
        else if (h->settings.collector.sanity && task->ended && !task->collection.sanity_ran)
            log_warning("heap '%s': collection %llu was not checked: some roots did not fit, or memory is short", h->name,
                        (unsigned long long)h->completed);
        if (task->collection.forged_refs > 0)
            doubt(h, task->collection.forged_refs);
        log_debug("heap '%s': %s pause: stopped in %llu us, paused %llu us", h->name,
                  heap_pause_name(task->collection.kind), (unsigned long long)(task->stop_ns / 1000),
                  (unsigned long long)(task->pause_ns / 1000));
        return;
    case OUTCOME_PUT_OFF: patience_put_off(h); return;
    case OUTCOME_ABANDONED:
        report_cancel(h);
        cycle_cancel(h);
        fail_grants(h, h->ending ? MMGC_E_HEAP_GONE : MMGC_E_STALLED);
        return;
    case OUTCOME_FAILED:
        report_cancel(h);
        cycle_cancel(h);
        if (task->error == -ENOMEM) {
            fail_grants(h, MMGC_E_SYSTEM_NOMEM);
            return;
        }
        quarantine_begin(h, strerror(-task->error));
        fail_grants(h, MMGC_E_CORRUPT);
        return;
    }
}

/* ---- looking inside ---- */

static void answer_histogram(struct shared_heap *h, struct request *r, const struct collector_task *task)
{
    enum { PAGE_ROWS = 256 };
    wire_histogram_row rows[PAGE_ROWS], *row_pointers[PAGE_ROWS];
    wire_histogram_rows page = wire_histogram_rows_init();
    wire_reply reply = wire_reply_init();
    uint32_t type = r->message->histogram->after_type;

    /* Row 0, what has no type, is on the first page; the client's cursor is the last type it saw. */
    for (type += type > 0; type < task->histogram_rows; type++) {
        const struct shm_type_row *row = type == 0 ? NULL : &h->control->types[type];
        if (task->histogram[type].objects == 0)
            continue;
        if (page.n_rows == PAGE_ROWS) {
            page.more = true;
            break;
        }
        wire_histogram_row *out = row_pointers[page.n_rows] = &rows[page.n_rows];
        *out = wire_histogram_row_init();
        out->type = type;
        out->name = row == NULL ? (char *)"" : (char *)row->name;
        out->objects = task->histogram[type].objects;
        out->bytes = task->histogram[type].bytes;
        page.n_rows++;
    }
    page.rows = row_pointers;
    reply.body_case = WIRE_REPLY(HISTOGRAM_ROWS);
    reply.histogram_rows = &page;
    answer(r, &reply, NULL);
}

static void answer_inspection(struct shared_heap *h, struct request *r, const struct collector_task *task)
{
    if (task->outcome == OUTCOME_ABANDONED)
        answer_error(r, MMGC_E_STALLED, "heap '%s' could not be stopped", h->name);
    else if (task->outcome == OUTCOME_FAILED)
        answer_errno(r, task->error, "looking inside the heap");
    else if (task->work == WORK_VERIFY)
        quarantine_answer(h, r, &task->verdict);
    else if (task->work == WORK_SNAPSHOT)
        snapshot_answer(r, task);
    else
        answer_histogram(h, r, task);
}

/* By request, or since it was doubted. */
static void inspected(struct shared_heap *h, const struct collector_task *task)
{
    struct request *r = h->inspecting;

    h->inspecting = NULL;
    if (task->outcome == OUTCOME_DONE && task->work == WORK_VERIFY) {
        if (r != NULL)
            quarantine_judge(h, &task->verdict);
        else
            quarantine_report(h, &task->verdict);
    }
    if (r == NULL)
        return;
    answer_inspection(h, r, task);
    request_free(r);
}

/* ---- the end ---- */

static void on_async_closed(uv_handle_t *handle)
{
    shared_heap_unref(handle->data);
}

static void ended(struct shared_heap *h)
{
    struct request *r;
    struct session *s;

    while ((r = TAILQ_FIRST(&h->inspections)) != NULL) {
        TAILQ_REMOVE(&h->inspections, r, link);
        answer_error(r, MMGC_E_HEAP_GONE, "heap '%s' was destroyed", h->name);
        request_free(r);
    }
    while ((s = TAILQ_FIRST(&h->sessions)) != NULL)
        session_end(s, MMGC_E_HEAP_GONE, "heap '%s' was destroyed", h->name);
    uv_close((uv_handle_t *)&h->collector.done, on_async_closed);
}

void shared_heap_task_done(struct shared_heap *h, const struct collector_task *task)
{
    h->abandoned_stops += task->outcome == OUTCOME_ABANDONED;
    watch_late(h, task);
    h->given_up_seen = at_load_relaxed(&h->control->abandoned_stops);
    switch (task->work) {
    case WORK_COLLECT: collected(h, task); break;
    case WORK_CLEAR:
    case WORK_MARK:
    case WORK_COUNT:
    case WORK_SWEEP: cycle_task_done(h, task); break;
    case WORK_VERIFY:
    case WORK_HISTOGRAM:
    case WORK_SNAPSHOT: inspected(h, task); break;
    case WORK_END:
    case WORK_QUIT: ended(h); break;
    }
    h->promised_late = 0;
    request_run_deferred(h);
}
