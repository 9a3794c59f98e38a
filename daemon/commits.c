/* SPDX-License-Identifier: Apache-2.0 */
/* commits.c - Commits: when a heap asks the committer for pages, and what becomes of the answers.
 *   C1  each unit that heap_commit_next() named is reported by heap_commit_done() once, as soon as the lock is to be had
 *   C2  beside what is wanted and what is committed ahead, what the next collection copies into is committed before it begins
 *       Of a heap with pretouch all of it is, whatever is wanted
 *   C3  after a failure none is asked for a second, and whoever waits learns that the system was out of memory, not the heap */
#include <stdlib.h>
#include <string.h>

#include "daemon/committer.h"
#include "daemon/grants.h"
#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/shared_heap.h"
#include "plans/work/probe.h"
#include "shm/units.h"

#define AHEAD_BYTES (UINT64_C(8) << 20)
#define RATE_WINDOW_NS UINT64_C(10000000)
#define RATE_STALE_NS UINT64_C(100000000)
#define PAUSE_AFTER_FAILURE_NS UINT64_C(1000000000)

void commits_note_granted(struct shared_heap *h, uint64_t bytes)
{
    uint64_t now_ns = mm_now_ns();

    if (now_ns - h->rate_window_ns >= RATE_WINDOW_NS) {
        bool next = now_ns - h->rate_window_ns < 2 * RATE_WINDOW_NS;
        h->rate_last_bytes = next ? h->rate_bytes : 0;
        h->rate_bytes = 0;
        h->rate_window_ns = now_ns;
    }
    h->rate_bytes += bytes;
    release_note_granted(h, bytes);
}

/* No more than the nursery takes: then a collection gives most of it back, and memory that was never touched need not be found. */
uint64_t commits_ahead_locked(const struct shared_heap *h)
{
    if (h->settings.pretouch)
        return h->limit_bytes;
    bool stale = mm_now_ns() - h->rate_window_ns > RATE_STALE_NS; /* longer than most pauses */

    if (h->rate_window_ns == 0) /* nobody has taken anything yet, and heaps may be many */
        return MM_COMMIT_BYTES;
    if (stale)
        return AHEAD_BYTES;
    return MM_MAX(AHEAD_BYTES, MM_MIN(2 * MM_MAX(h->rate_bytes, h->rate_last_bytes), grants_nursery_left_locked(h)));
}

static void note_failure(struct shared_heap *h, int error)
{
    struct grant_wait *w;

    h->commit_again_ns = mm_now_ns() + PAUSE_AFTER_FAILURE_NS;
    log_warning("heap '%s': no memory could be committed: %s", h->name, strerror(-error));
    TAILQ_FOREACH(w, &h->waiting, link)
    w->commit_failed = true;
}

static void on_committed(void *context, uint64_t offset, int result, enum shm_pages pages)
{
    struct shared_heap *h = context;

    MM_ASSERT(h->commit_result_count < COMMITS_MAX);
    h->commit_results[h->commit_result_count++] = (struct commit_result){ offset, result == 0 };
    if (result < 0)
        note_failure(h, result);
    else
        h->pages = pages;
    if (result == 0)
        trace_note(h, TIMELINE_COMMIT, "commit", MM_COMMIT_BYTES);
    MM_PROBE(commit, h->name, offset, (uint64_t)MM_COMMIT_BYTES, result);
    h->pages_known |= result == 0;
    h->commits += result == 0;
    shared_heap_pump(h);
    shared_heap_unref(h);
}

void commits_settle_locked(struct shared_heap *h)
{
    for (unsigned i = 0; i < h->commit_result_count; i++)
        heap_commit_done(h->heap, h->commit_results[i].offset, h->commit_results[i].success);
    h->commits_in_flight -= h->commit_result_count;
    h->commit_result_count = 0;
}

static bool ask_unit(struct shared_heap *h)
{
    uint64_t offset;

    if (h->commits_in_flight == COMMITS_MAX || !heap_commit_next(h->heap, &offset))
        return false;
    int r = committer_ask(h->server->committer, shm_segment_fd(h->arena), offset, MM_COMMIT_BYTES,
                          (enum shm_huge)h->settings.huge_pages, on_committed,
                          shared_heap_ref(h));
    if (r < 0) {
        shared_heap_unref(h);
        heap_commit_done(h->heap, offset, false);
        note_failure(h, r);
        return false;
    }
    h->commits_in_flight++;
    return true;
}

bool commits_ask_locked(struct shared_heap *h, uint64_t wanted)
{
    uint64_t kept = commits_ahead_locked(h) + heap_reserve_bytes(h->heap), target;
    uint64_t coming = heap_free_bytes(h->heap) + (uint64_t)h->commits_in_flight * MM_COMMIT_BYTES;

    /* Who still waits although enough is free needs it in one piece: then one more batch, until there is no more. */
    if (wanted > 0 && h->commits_in_flight == 0)
        coming = MM_MIN(coming, kept);
    target = wanted > UINT64_MAX - kept ? UINT64_MAX : wanted + kept;
    if (h->server->stopping || mm_now_ns() < h->commit_again_ns)
        return h->commits_in_flight > 0;
    for (; coming < target && ask_unit(h); coming += MM_COMMIT_BYTES)
        continue;
    return h->commits_in_flight > 0;
}
