/* SPDX-License-Identifier: Apache-2.0 */
/* trigger.c - Trigger: fixed, dynamic, delegated.
 *   T1  a dynamic heap fails nobody while it is below its maximum
 *   T2  each pressure is decided once: by the delegate, at the deadline, or by the delegate's end. A decision that changes nothing
 *       (a limit no higher than the present one) is one to collect, so that nobody waits for ever
 *   T3  nothing is sent with the heap's lock held: sending may end the delegate's session
 *   Dynamic  Kirisame, Shenoy, Panchekha: Optimal heap limits for reducing browser memory use, OOPSLA 2022. Beside what lives, L,
 *            a heap gets sqrt(L * g / (c * s)): g is allocated and s traced a second, c what a byte is worth. Theirs starts at the
 *            minimum and may grow by little; ours starts at 64 MiB, and never gives less than half of what lives */
#include "daemon/trigger.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/watch.h"
#include "shm/units.h"

#define FIRST_LIMIT_BYTES (UINT64_C(64) << 20)
#define SPARE_MIN_BYTES (UINT64_C(8) << 20)
#define GROW_MIN_BYTES (UINT64_C(8) << 20)
/* 1/c. A hundredth of the time spent in collections is worth 41 MiB: 100 MiB that live, allocated at a tenth of the rate of tracing,
 * get 202 MiB and 5 % of the time. */
#define EXCHANGE_KIB (UINT64_C(4) << 20)
#define NS_PER_MS UINT64_C(1000000)

/* ---- dynamic ---- */

uint64_t trigger_first_limit(const struct trigger_config *config, uint64_t said_bytes)
{
    uint64_t bytes = said_bytes == 0 ? FIRST_LIMIT_BYTES : said_bytes;

    return MM_MIN(MM_MAX(bytes, config->min_bytes), config->max_bytes);
}

static uint64_t square_root(uint64_t x)
{
    uint64_t root = 0;

    for (uint64_t bit = UINT64_C(1) << 31; bit != 0; bit >>= 1)
        if ((root | bit) <= x / (root | bit))
            root |= bit;
    return root;
}

uint64_t trigger_spare_bytes(uint64_t live_bytes, uint64_t alloc_rate, uint64_t trace_rate)
{
    uint64_t live_kib = live_bytes / 1024;                                                   /* < 2^26 */
    uint64_t ratio = (alloc_rate / 1024) * 65536 / MM_MAX(trace_rate / 1024, 1u);            /* of 2^16 */
    uint64_t roots = square_root(live_kib * EXCHANGE_KIB) * square_root(MM_MIN(ratio, UINT64_C(1) << 24) << 16);

    return MM_MAX(MM_MAX(roots / 65536 * 1024, live_bytes / 2), SPARE_MIN_BYTES);
}

static uint64_t smooth(uint64_t known, uint64_t fresh)
{
    return known == 0 ? fresh : known / 2 + fresh / 2;
}

static uint64_t a_second(uint64_t bytes, uint64_t ns)
{
    return bytes * 1000 / MM_MAX(ns / NS_PER_MS, 1u);
}

static void measure(struct shared_heap *h, const struct collector_task *task)
{
    struct trigger *t = &h->trigger;
    uint64_t now_ns = mm_now_ns(), granted = at_load_relaxed(&h->control->granted_bytes);
    uint64_t ran_ns = now_ns - t->since_ns;

    ran_ns -= MM_MIN(ran_ns, t->paused_ns);
    t->alloc_rate = smooth(t->alloc_rate, a_second(granted - t->since_granted, ran_ns));
    t->trace_rate = smooth(t->trace_rate, a_second(MM_MAX(task->collection.live_bytes, (uint64_t)MM_COMMIT_BYTES),
                                                   task->collection.duration_ns));
    t->since_ns = now_ns;
    t->since_granted = granted;
    t->paused_ns = 0;
}

/* What cannot be granted now, the spare, and what the plan then keeps for copies. */
static uint64_t best_limit_locked(const struct shared_heap *h, uint64_t live_bytes)
{
    const struct trigger *t = &h->trigger;
    uint64_t used = heap_used_bytes(h->heap), taken = used - MM_MIN(used, heap_hole_bytes(h->heap));
    uint64_t kept = MM_MAX(taken, live_bytes), bytes;

    bytes = kept + trigger_spare_bytes(kept, t->alloc_rate, t->trace_rate);
    if (used > 0)
        bytes += (uint64_t)((double)bytes * ((double)heap_reserve_bytes(h->heap) / (double)used));
    return bytes;
}

/* Up at once, down by halves: a phase that allocates little is soon over. */
void trigger_collected(struct shared_heap *h, const struct collector_task *task)
{
    const struct trigger_config *config = &h->settings.trigger;

    if (config->kind != TRIGGER_DYNAMIC)
        return;
    h->trigger.paused_ns += task->pause_ns;
    if (heap_pause_is_partial(task->collection.kind))
        return;
    measure(h, task);
    if (!shared_heap_try_lock(h))
        return;
    uint64_t bytes = best_limit_locked(h, task->collection.live_bytes);
    if (bytes < h->limit_bytes)
        bytes = h->limit_bytes - (h->limit_bytes - bytes) / 2;
    shared_heap_set_limit_locked(h, MM_MIN(MM_MAX(bytes, config->min_bytes), config->max_bytes));
    shared_heap_unlock(h);
    log_debug("heap '%s': %llu MiB live, %llu MiB/s allocated, %llu MiB/s traced: limit %llu MiB", h->name,
              (unsigned long long)(task->collection.live_bytes >> 20), (unsigned long long)(h->trigger.alloc_rate >> 20),
              (unsigned long long)(h->trigger.trace_rate >> 20), (unsigned long long)(h->limit_bytes >> 20));
}

static bool grow_locked(struct shared_heap *h, uint64_t bytes)
{
    uint64_t max = h->settings.trigger.max_bytes, before = h->limit_bytes;
    uint64_t more = MM_MAX(bytes, MM_MAX(before / 8, GROW_MIN_BYTES));

    if (before >= max)
        return false;
    shared_heap_set_limit_locked(h, more > max - before ? max : before + more);
    return h->limit_bytes > before;
}

uint64_t trigger_ceiling(const struct shared_heap *h)
{
    switch (h->settings.trigger.kind) {
    case TRIGGER_FIXED: return h->limit_bytes;
    case TRIGGER_DYNAMIC: return h->settings.trigger.max_bytes;
    case TRIGGER_DELEGATED: return h->max_bytes;
    }
    return h->limit_bytes;
}

/* ---- delegated ---- */

static bool is_undecided(const struct trigger *t)
{
    return t->state == TRIGGER_PRESSED || t->state == TRIGGER_ASKED;
}

static void decided(struct trigger *t, int state)
{
    t->state = state;
    uv_timer_stop(t->deadline);
}

static void on_deadline(uv_timer_t *timer)
{
    struct shared_heap *h = timer->data;

    log_debug("heap '%s': its delegate has not decided in time", h->name);
    decided(&h->trigger, TRIGGER_TO_COLLECT);
    shared_heap_pump(h);
}

static enum trigger_move ask_delegate(struct trigger *t, uint64_t bytes)
{
    switch (t->state) {
    case TRIGGER_CALM:
        t->state = TRIGGER_PRESSED;
        t->wanted_bytes = bytes;
        return TRIGGER_WAITS;
    case TRIGGER_PRESSED:
    case TRIGGER_ASKED: return TRIGGER_WAITS;
    case TRIGGER_TO_COLLECT: return TRIGGER_COLLECTS;
    case TRIGGER_TO_REFUSE: return TRIGGER_REFUSES;
    }
    return TRIGGER_COLLECTS;
}

static void send_pressure(struct shared_heap *h)
{
    wire_pressure pressure = wire_pressure_init();
    wire_reply reply = wire_reply_init();

    pressure.heap = h->name;
    pressure.used_bytes = h->gauges.used_bytes;
    pressure.limit_bytes = h->limit_bytes;
    pressure.live_bytes = at_load_relaxed(&h->control->live_bytes);
    pressure.wanted_bytes = h->trigger.wanted_bytes;
    reply.body_case = WIRE_REPLY(PRESSURE);
    reply.pressure = &pressure;
    session_send(h->trigger.delegate, &reply, NULL);
}

void trigger_pump(struct shared_heap *h)
{
    struct trigger *t = &h->trigger;

    if (t->state != TRIGGER_PRESSED || h->ending)
        return;
    t->state = TRIGGER_ASKED;
    uv_update_time(t->deadline->loop); /* as session_time() */
    uv_timer_start(t->deadline, on_deadline, h->server->config.trigger_deadline_ns / NS_PER_MS, 0);
    send_pressure(h);
}

bool trigger_delegate(struct shared_heap *h, struct session *s)
{
    if (h->trigger.delegate != NULL)
        return h->trigger.delegate == s;
    h->trigger.delegate = session_ref(s);
    watch_client(h, s, WATCH_TRIGGER);
    return true;
}

bool trigger_decide(struct shared_heap *h, enum trigger_decision decision, uint64_t limit_bytes)
{
    struct trigger *t = &h->trigger;
    bool undecided = is_undecided(t);

    if (decision == DECIDE_LIMIT) {
        uint64_t before = h->limit_bytes;
        if (!shared_heap_try_lock(h))
            return false;
        shared_heap_set_limit_locked(h, limit_bytes);
        shared_heap_unlock(h);
        if (undecided)
            decided(t, h->limit_bytes > before ? TRIGGER_CALM : TRIGGER_TO_COLLECT); /* T2 */
    } else if (undecided) {
        decided(t, decision == DECIDE_COLLECT ? TRIGGER_TO_COLLECT : TRIGGER_TO_REFUSE);
    } else if (decision == DECIDE_COLLECT && h->collects) {
        (void)shared_heap_ask_collection(h);
    }
    return true;
}

static void lose_delegate(struct trigger *t)
{
    struct session *s = t->delegate;

    t->delegate = NULL;
    if (is_undecided(t))
        decided(t, TRIGGER_TO_COLLECT);
    session_unref(s);
}

void trigger_session_gone(struct server *server, struct session *s)
{
    for (size_t i = 0; i < server->heaps.count; i++) {
        struct shared_heap *h = server->heaps.rows[i];
        if (h->trigger.delegate != s)
            continue;
        log_info("heap '%s' has no delegate any more", h->name);
        watch_heap(h, WATCH_TRIGGER, "it has no delegate any more");
        lose_delegate(&h->trigger);
        shared_heap_pump(h);
    }
}

/* ---- whoever it is ---- */

enum trigger_move trigger_full_locked(struct shared_heap *h, uint64_t bytes, bool in_vain)
{
    switch (h->settings.trigger.kind) {
    case TRIGGER_FIXED: return TRIGGER_COLLECTS;
    case TRIGGER_DYNAMIC: return in_vain && grow_locked(h, bytes) ? TRIGGER_GROWS : TRIGGER_COLLECTS; /* T1 */
    case TRIGGER_DELEGATED: return h->trigger.delegate == NULL ? TRIGGER_COLLECTS : ask_delegate(&h->trigger, bytes);
    }
    return TRIGGER_COLLECTS;
}

void trigger_settled_locked(struct shared_heap *h)
{
    if (!is_undecided(&h->trigger))
        h->trigger.state = TRIGGER_CALM;
}

int trigger_start(struct shared_heap *h)
{
    uv_timer_t *timer = h->trigger.deadline = malloc(sizeof(*timer));

    if (timer == NULL)
        return -ENOMEM;
    MM_ASSERT(uv_timer_init(&h->server->loop, timer) == 0);
    timer->data = h;
    h->trigger.since_ns = mm_now_ns();
    return 0;
}

static void on_closed(uv_handle_t *timer)
{
    free(timer);
}

void trigger_end(struct shared_heap *h)
{
    struct session *s = h->trigger.delegate;

    if (h->trigger.deadline != NULL)
        uv_close((uv_handle_t *)h->trigger.deadline, on_closed);
    h->trigger.deadline = NULL;
    h->trigger.delegate = NULL;
    h->trigger.state = TRIGGER_CALM;
    if (s == NULL)
        return;
    session_end(s, MMGC_E_HEAP_GONE, "heap '%s' was destroyed", h->name);
    session_unref(s);
}
