/* SPDX-License-Identifier: Apache-2.0 */
/* patience.c - Patience: how long, how often. Who has stopped stands still for a ninth of the time at most, and 16 ms in a row. */
#include "daemon/patience.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/shared_heap.h"

#define NS_PER_MS UINT64_C(1000000)
#define FIRST_NS (2 * NS_PER_MS) /* a thread that only has to be scheduled comes in that time */
#define MOST_NS (16 * NS_PER_MS)
#define GAPS 8u /* for each try as long a pause so many times */

/* Not for memory that is being committed. */
static bool someone_waits(const struct shared_heap *h)
{
    const struct grant_wait *w;

    TAILQ_FOREACH(w, &h->waiting, link)
    if (w->held || w->collection > h->completed)
        return true;
    return false;
}

static bool in_a_hurry(const struct shared_heap *h)
{
    uint64_t number = h->completed + 1;

    return someone_waits(h) || !TAILQ_EMPTY(&h->inspections) || h->ending || h->server->stopping ||
           at_load_relaxed(&h->wished_until) >= number || at_load_relaxed(&h->emergency_until) >= number;
}

static bool has_run_out(const struct shared_heap *h)
{
    const struct patience *p = &h->patience;

    return p->since_ns != 0 && mm_now_ns() - p->since_ns > h->server->config.stop_deadline_ns;
}

static bool begins_cycle(const struct shared_heap *h)
{
    return heap_plan_ends_beside(h->heap) && heap_cycle(h->heap) == HEAP_CYCLE_CLEARED;
}

void patience_begin_cycle(struct shared_heap *h)
{
    h->patience.next_ns = FIRST_NS;
    h->patience.again_ns = h->patience.since_ns = 0;
}

uint64_t patience_of(const struct shared_heap *h, enum collector_work work)
{
    bool needed = work != WORK_COLLECT || !begins_cycle(h) || in_a_hurry(h) || has_run_out(h);

    return needed ? 0 : h->patience.next_ns;
}

bool patience_waits(const struct shared_heap *h)
{
    return begins_cycle(h) && !in_a_hurry(h) && !has_run_out(h) && mm_now_ns() < h->patience.again_ns;
}

/* The timer's word counts: the loop's idea of the time it was started at may be older than ours, and it fires once. */
static void on_again(uv_timer_t *timer)
{
    struct shared_heap *h = timer->data;

    h->patience.again_ns = 0;
    shared_heap_pump(h);
}

void patience_put_off(struct shared_heap *h)
{
    struct patience *p = &h->patience;
    uint64_t now_ns = mm_now_ns(), gap_ns = GAPS * p->next_ns;

    log_debug("heap '%s': some thread is not at a safepoint; the next collection begins a little later", h->name);
    if (p->since_ns == 0)
        p->since_ns = now_ns;
    p->again_ns = now_ns + gap_ns;
    p->next_ns = MM_MIN(2 * p->next_ns, MOST_NS);
    if (p->timer != NULL) /* NULL: it is ending */
        uv_timer_start(p->timer, on_again, gap_ns / NS_PER_MS + 1, 0);
}

int patience_start(struct shared_heap *h)
{
    uv_timer_t *timer = h->patience.timer = malloc(sizeof(*timer));

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

void patience_end(struct shared_heap *h)
{
    if (h->patience.timer != NULL)
        uv_close((uv_handle_t *)h->patience.timer, on_closed);
    h->patience.timer = NULL;
}
