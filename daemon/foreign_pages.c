/* SPDX-License-Identifier: Apache-2.0 */
/* foreign_pages.c - Foreign pages: looked for once a second, punched in libuv's pool.
 *   N1  what is punched is ASKED from before that until the heap is told: it is not committed meanwhile, so no page is lost that somebody
 *       was granted
 *   N2  only when nothing is being committed or given back are the heap's count and the memfd's of the same moment
 *   N3  who goes on reading makes new pages: at most BATCH_BYTES are punched a second, and what that costs is the pool's time, 0.1 s a GiB
 *   N4  a punch that failed has changed nothing: it is found again                                         */
#include "daemon/foreign_pages.h"

#include <errno.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/spare.h"
#include "shm/units.h"

#define TICK_MS 1000u
#define BATCH_BYTES (UINT64_C(1) << 30)
#define WORTH_A_LINE_BYTES (UINT64_C(1) << 20)

struct foreign_pages_batch {
    uv_work_t work;
    struct shared_heap *heap; /* a reference */
    struct {
        uint64_t offset, bytes;
    } rows[FOREIGN_ROWS_MAX];
    unsigned count;
    int error;              /* [pool] until done */
    uint64_t punched_bytes; /* that there were pages for; [pool] until done */
    bool done;
};

static uint64_t pages_between(int fd, uint64_t from, uint64_t end)
{
    uint64_t all = 0, at, bytes;

    while (from < end && (bytes = shm_pages_after(fd, from, &at)) > 0 && at < end) {
        all += MM_MIN(bytes, end - at);
        from = at + bytes;
    }
    return all;
}

/* In the pool. */
static void punch(uv_work_t *work)
{
    struct foreign_pages_batch *batch = work->data;
    int fd = shm_segment_fd(batch->heap->arena);

    for (unsigned i = 0; i < batch->count && batch->error == 0; i++) {
        uint64_t offset = batch->rows[i].offset, bytes = batch->rows[i].bytes,
                 there = pages_between(fd, offset, offset + bytes);
        batch->error = shm_punch(fd, offset, bytes);
        batch->punched_bytes += batch->error == 0 ? there : 0;
    }
}

static void on_punched(uv_work_t *work, int status)
{
    struct foreign_pages_batch *batch = work->data;
    struct shared_heap *h = batch->heap;

    (void)status; /* nobody cancels */
    batch->done = true;
    if (batch->error < 0)
        log_warning("heap '%s': pages that nobody was granted could not be given back: %s", h->name,
                    strerror(-batch->error));
    shared_heap_pump(h);
    shared_heap_unref(h);
}

bool foreign_pages_under_way(const struct shared_heap *h)
{
    return h->foreign.batch != NULL;
}

void foreign_pages_settle_locked(struct shared_heap *h)
{
    struct foreign_pages_batch *batch = h->foreign.batch;

    if (batch == NULL || !batch->done)
        return;
    for (unsigned i = 0; i < batch->count; i++)
        heap_foreign_done(h->heap, batch->rows[i].offset, batch->rows[i].bytes);
    h->foreign.punched_bytes += batch->punched_bytes;
    h->foreign.bytes -= MM_MIN(batch->punched_bytes, h->foreign.bytes);
    h->foreign.batch = NULL;
    spare_free(batch);
}

/* ---- finding ---- */

/* Rows of uncommitted units in which there are pages. */
static void find_rows(struct shared_heap *h, struct foreign_pages_batch *batch)
{
    int fd = shm_segment_fd(h->arena);
    uint64_t left = BATCH_BYTES, at = 0, page;

    while (batch->count < FOREIGN_ROWS_MAX && left >= MM_COMMIT_BYTES) {
        if (heap_uncommitted_row(h->heap, MM_COMMIT_BYTES, &at) == 0 ||
            shm_pages_after(fd, at, &page) == 0)
            return;
        at = page / MM_COMMIT_BYTES * MM_COMMIT_BYTES;
        uint64_t first = at, bytes = heap_uncommitted_row(h->heap, left, &first);
        if (first != at) /* the page is in what is committed: on, from behind that */
            continue;
        heap_foreign_begin(h->heap, at, bytes);
        batch->rows[batch->count].offset = at;
        batch->rows[batch->count++].bytes = bytes;
        left -= bytes;
        at += bytes;
    }
}

static void begin_batch(struct shared_heap *h)
{
    struct foreign_pages_batch *batch = spare_calloc(1, sizeof(*batch));

    if (batch == NULL)
        return; /* the next tick tries again */
    batch->work.data = batch;
    find_rows(h, batch);
    if (batch->count == 0) {
        spare_free(batch);
        return;
    }
    batch->heap = shared_heap_ref(h);
    h->foreign.batch = batch;
    MM_ASSERT(uv_queue_work(&h->server->loop, &batch->work, punch, on_punched) == 0);
}

static void say(struct shared_heap *h, uint64_t bytes)
{
    if (bytes >= WORTH_A_LINE_BYTES && h->foreign.bytes < WORTH_A_LINE_BYTES)
        log_warning("heap '%s': %llu MiB of its arena were touched that nobody was granted: a client reads past its objects, or locks its memory; "
                    "they go back to the system",
                    h->name, (unsigned long long)(bytes >> 20));
    h->foreign.bytes = bytes;
}

static void look_locked(struct shared_heap *h)
{
    uint64_t asked, own = heap_committed_bytes(h->heap, &asked), resident;

    if (asked > 0 || release_under_way(h) || foreign_pages_under_way(h)) /* N2 */
        return;
    resident = shm_resident_bytes(shm_segment_fd(h->arena));
    say(h, resident - MM_MIN(own, resident));
    if (h->foreign.bytes > 0 && TAILQ_EMPTY(&h->waiting))
        begin_batch(h);
}

/* ---- when ---- */

/* True: it is to be looked at again. */
static bool look(struct shared_heap *h)
{
    if (!h->ending && !h->collector.busy && shared_heap_try_lock(h)) {
        look_locked(h);
        shared_heap_unlock(h);
    }
    return h->session_count > 0 || h->foreign.bytes > 0 || h->foreign.batch != NULL;
}

static void on_tick(uv_timer_t *timer)
{
    struct server *server = timer->data;
    bool again = false;

    for (size_t i = 0; i < server->heaps.count; i++)
        again = look(server->heaps.rows[i]) || again;
    if (!again)
        uv_timer_stop(timer);
}

void foreign_pages_start(struct server *server)
{
    MM_ASSERT(uv_timer_init(&server->loop, &server->foreign_timer) == 0);
    server->foreign_timer.data = server;
}

void foreign_pages_wake(struct server *server)
{
    if (!server->stopping && !uv_is_active((uv_handle_t *)&server->foreign_timer))
        uv_timer_start(&server->foreign_timer, on_tick, TICK_MS, TICK_MS);
}

void foreign_pages_end(struct server *server)
{
    uv_close((uv_handle_t *)&server->foreign_timer, NULL);
}
