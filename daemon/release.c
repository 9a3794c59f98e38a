/* SPDX-License-Identifier: Apache-2.0 */
/* release.c - Release: which commit units go back to the system, and when.
 *   R1  what heap_release_next() named is the batch's alone until heap_release_done(): it is neither granted nor committed, so a hole
 *       is never punched into memory that somebody was told to use
 *   R2  one batch a heap at a time, and what it holds counts as committed until the heap is told
 *   R3  a hole that could not be punched is no hole at all: fallocate() refuses before it does anything
 *   Costs  39 us per 4 MiB of huge pages, mapped by clients; to commit again, 0.15 to 6 ms per 2 MiB: so a busy heap gives nothing back */
#include "daemon/release.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/grants.h"
#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/shared_heap.h"
#include "plans/work/probe.h"
#include "shm/units.h"

#define TICK_MS 100u
#define WINDOW_MS 100u
#define MARGIN_BYTES (UINT64_C(8) << 20)     /* between what is committed ahead and what is too much */
#define BATCH_BYTES (UINT64_C(256) << 20)    /* or half of what there is to give back */
#define RUNS_MAX 64u
#define NS_PER_MS UINT64_C(1000000)

struct release_run {
    uint64_t offset, bytes;
};
struct release_batch {
    uv_work_t work;
    struct shared_heap *heap;                /* a reference */
    struct release_run runs[RUNS_MAX];
    unsigned count;
    unsigned punched;                        /* of them; [pool] until done */
    int error;                               /* of the first that was not */
    bool done;
};

/* ---- the rate ---- */

static void roll(struct release *r)
{
    uint64_t now_ns = mm_now_ns(), ms = (now_ns - r->window_ns) / NS_PER_MS;

    if (ms < WINDOW_MS)
        return;
    r->rate_bytes = MM_MAX(r->window_bytes * 1000 / ms, r->rate_bytes >> MM_MIN(2 * (ms / WINDOW_MS), 63u));
    r->window_bytes = 0;
    r->window_ns = now_ns;
}

void release_note_granted(struct shared_heap *h, uint64_t bytes)
{
    roll(&h->release);
    h->release.window_bytes += bytes;
}

void release_note_pause(struct shared_heap *h, uint64_t pause_ns)
{
    h->release.window_ns = MM_MIN(h->release.window_ns + pause_ns, mm_now_ns());
}

/* ---- the batch ---- */

bool release_under_way(const struct shared_heap *h)
{
    return h->release.batch != NULL;
}

/* In the pool. */
static void punch(uv_work_t *work)
{
    struct release_batch *batch = work->data;
    int fd = shm_segment_fd(batch->heap->arena);

    for (; batch->punched < batch->count; batch->punched++) {
        const struct release_run *run = &batch->runs[batch->punched];
        batch->error = shm_punch(fd, run->offset, run->bytes);
        if (batch->error < 0)
            return;
    }
}

static void note_released(const struct shared_heap *h, const struct release_batch *batch)
{
    for (unsigned i = 0; i < batch->punched; i++) {
        trace_note(h, TIMELINE_RELEASE, "release", batch->runs[i].bytes);
        MM_PROBE(release, h->name, batch->runs[i].offset, batch->runs[i].bytes);
    }
}

static void on_punched(uv_work_t *work, int status)
{
    struct release_batch *batch = work->data;
    struct shared_heap *h = batch->heap;

    (void)status; /* nobody cancels */
    batch->done = true;
    note_released(h, batch);
    if (batch->error < 0)
        log_warning("heap '%s': memory could not be given back: %s", h->name, strerror(-batch->error));
    shared_heap_pump(h);
    shared_heap_unref(h);
}

void release_settle_locked(struct shared_heap *h)
{
    struct release_batch *batch = h->release.batch;

    if (batch == NULL || !batch->done)
        return;
    for (unsigned i = 0; i < batch->count; i++) {
        heap_release_done(h->heap, batch->runs[i].offset, batch->runs[i].bytes, i < batch->punched);
        h->released_bytes += i < batch->punched ? batch->runs[i].bytes : 0;
    }
    h->release.batch = NULL;
    free(batch);
}

/* Takes up to @left bytes in rows of at least @min; what is still to be taken. */
static uint64_t take_rows(struct shared_heap *h, struct release_batch *batch, uint64_t min, uint64_t left)
{
    uint64_t at = UINT64_MAX;

    while (left >= min && batch->count < RUNS_MAX) {
        struct release_run *run = &batch->runs[batch->count];
        run->bytes = heap_release_next(h->heap, min, left, &at);
        if (run->bytes == 0)
            break;
        run->offset = at;
        left -= run->bytes;
        batch->count++;
    }
    return left;
}

/* Whole chunks first: a hole in the middle of one is a mapping that no huge page fits any more. False: nothing is free in one piece. */
static bool begin_batch(struct shared_heap *h, uint64_t bytes)
{
    struct release_batch *batch = calloc(1, sizeof(*batch));

    if (batch == NULL)
        return true; /* the next tick tries again */
    bytes = MM_MIN(bytes, MM_MAX(BATCH_BYTES, bytes / 2));
    uint64_t left = take_rows(h, batch, MM_CHUNK_BYTES, bytes);
    left = take_rows(h, batch, MM_COMMIT_BYTES, left);
    if (batch->count == 0) {
        free(batch);
        return false;
    }
    log_debug("heap '%s': %llu MiB go back to the system", h->name, (unsigned long long)((bytes - left) >> 20));
    batch->heap = shared_heap_ref(h);
    batch->work.data = batch;
    h->release.batch = batch;
    MM_ASSERT(uv_queue_work(&h->server->loop, &batch->work, punch, on_punched) == 0);
    return true;
}

/* ---- how much, and when ---- */

/* What may go, if nobody took anything for @seconds at the present rate. */
static uint64_t surplus_locked(const struct shared_heap *h, unsigned seconds)
{
    uint64_t excess = heap_excess_bytes(h->heap), free = heap_free_bytes(h->heap);
    uint64_t kept = heap_reserve_bytes(h->heap) + commits_ahead_locked(h) + seconds * h->release.rate_bytes;

    if (h->settings.pretouch || !TAILQ_EMPTY(&h->waiting) || free < kept + MARGIN_BYTES)
        return excess;
    return excess + free - kept;
}

static void on_tick(uv_timer_t *timer)
{
    struct shared_heap *h = timer->data;
    bool more = true;

    if (h->collector.busy || h->release.batch != NULL || foreign_pages_under_way(h) || !shared_heap_try_lock(h))
        return;
    roll(&h->release);
    uint64_t bytes = surplus_locked(h, 1);
    if (bytes >= MM_COMMIT_BYTES)
        more = begin_batch(h, bytes);
    else
        more = surplus_locked(h, 0) >= MM_COMMIT_BYTES;
    shared_heap_unlock(h);
    if (!more)
        uv_timer_stop(timer);
}

void release_pump_locked(struct shared_heap *h)
{
    struct release *r = &h->release;

    if (h->ending || uv_is_active((uv_handle_t *)r->timer) || surplus_locked(h, 0) < MM_COMMIT_BYTES)
        return;
    uv_timer_start(r->timer, on_tick, TICK_MS, TICK_MS);
}

/* ---- life ---- */

int release_start(struct shared_heap *h)
{
    uv_timer_t *timer = h->release.timer = malloc(sizeof(*timer));

    if (timer == NULL)
        return -ENOMEM;
    MM_ASSERT(uv_timer_init(&h->server->loop, timer) == 0);
    timer->data = h;
    return 0;
}

static void on_closed(uv_handle_t *timer)
{
    free(timer);
}

void release_end(struct shared_heap *h)
{
    if (h->release.timer != NULL)
        uv_close((uv_handle_t *)h->release.timer, on_closed);
    h->release.timer = NULL;
}
