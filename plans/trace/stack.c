/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/trace/stack.h"

#include <string.h>

#include "plans/heap/bitmap.h"

static_assert(STACK_SLICE_ITEMS + SHM_TYPE_REFS_MAX <= PACKET_ITEMS, "an empty stack has room for a marking scan");
static_assert(2 * SHM_TYPE_REFS_MAX <= STACK_SLICE_ITEMS, "a slice of places holds at least one element");

static struct packet *try_packet(struct tracer *r, const struct packet_kind *kind)
{
    return r->t->bounded ? NULL : worker_packet_try_new(r->worker, kind);
}

/* An ordered trace: a list of packets, the newest first */

static bool keep(struct tracer *r, struct packet *p)
{
    if (p == NULL)
        return false;
    p->next = r->t->kept;
    r->t->kept = p;
    return true;
}

static bool keep_oldest(struct tracer *r, uint32_t items)
{
    struct packet *p = r->stack, *kept = worker_packet_try_new(r->worker, r->t->slots);

    if (!keep(r, kept))
        return false;
    memcpy(kept->items, p->items, items * sizeof(p->items[0]));
    kept->count = items;
    p->count -= items;
    memmove(p->items, p->items + items, p->count * sizeof(p->items[0]));
    return true;
}

bool stack_keep(struct tracer *r, uint32_t *from)
{
    bool kept = *from == 0 || keep_oldest(r, *from);

    *from = kept ? 0 : *from;
    return kept;
}

bool stack_take_kept(struct tracer *r, struct slice *ret_slice)
{
    struct packet *p = r->t->kept;

    *ret_slice = (struct slice){ 0 };
    if (p == NULL)
        return false;
    r->t->kept = p->next;
    p->next = NULL;
    if (p->kind == r->t->slice) {
        *ret_slice = stack_slice_of(p);
    } else {
        memcpy(r->stack->items, p->items, p->count * sizeof(p->items[0]));
        r->stack->count = p->count;
    }
    worker_packet_free(r->worker, p);
    return true;
}

/* Gives away the oldest half: it is the nearest to the roots, so most hangs off it. False: no packet to be had. */
bool stack_give_half(struct tracer *r, const struct packet_kind *kind)
{
    struct packet *p = r->stack, *half;
    uint32_t give = p->count / 4 * 2; /* even: a place is two items */

    if (MM_UNLIKELY(r->t->ordered))
        return keep_oldest(r, give);
    half = try_packet(r, kind);
    if (half == NULL)
        return false;
    memcpy(half->items, p->items, give * sizeof(p->items[0]));
    half->count = give;
    p->count -= give;
    memmove(p->items, p->items + give, p->count * sizeof(p->items[0]));
    worker_packet_push(r->worker, half);
    return true;
}

bool stack_leave(struct tracer *r, const struct packet_kind *kind)
{
    struct packet *p = r->stack, *rest;

    if (p->count >= STACK_SHARE_MIN)
        (void)stack_give_half(r, kind); /* for somebody else; what is pushed last is this worker's next */
    rest = try_packet(r, kind);
    if (rest == NULL)
        return false;
    memcpy(rest->items, p->items, p->count * sizeof(p->items[0]));
    rest->count = p->count;
    p->count = 0;
    worker_packet_push(r->worker, rest);
    return true;
}

void stack_make_room_slow(struct tracer *r, const struct packet_kind *kind, uint64_t items)
{
    while (r->stack->count + items > PACKET_ITEMS && stack_give_half(r, kind))
        ;
}

bool stack_root_room(struct tracer *r, const struct packet_kind *kind, uint32_t items)
{
    if (r->stack != NULL && r->stack->count + items > PACKET_ITEMS) {
        worker_packet_push(r->worker, r->stack);
        r->stack = NULL;
    }
    if (r->stack == NULL)
        r->stack = worker_packet_try_new(r->worker, kind);
    return r->stack != NULL;
}

void trace_roots_end(struct tracer *r)
{
    if (r->stack != NULL && r->stack->count > 0)
        worker_packet_push(r->worker, r->stack);
    else if (r->stack != NULL)
        worker_packet_free(r->worker, r->stack);
    r->stack = NULL;
}

uint32_t stack_slice_elements(const struct scan_program *p, uint32_t items_a_ref)
{
    return MM_MAX(STACK_SLICE_ITEMS / (p->element_ref_count * items_a_ref), 1u);
}

bool stack_leave_slice(struct tracer *r, uint32_t granule, const struct scan_program *program, uint32_t first,
                       uint32_t end)
{
    struct packet *p = r->t->ordered ? worker_packet_try_new(r->worker, r->t->slice) : try_packet(r, r->t->slice);

    if (p == NULL)
        return false;
    p->args[0] = granule;
    p->args[1] = first;
    p->args[2] = end;
    p->args[3] = (uintptr_t)program;
    if (r->t->ordered)
        return keep(r, p);
    worker_packet_push(r->worker, p);
    return true;
}

struct slice stack_slice_of(const struct packet *p)
{
    return (struct slice){ .granule = (uint32_t)p->args[0],
                           .stop = (uint32_t)p->args[1],
                           .end = (uint32_t)p->args[2],
                           .program = (const void *)(uintptr_t)p->args[3] };
}

/* Leaves what comes from @first on to a packet, and forgets it. */
static void leave_from(struct tracer *r, struct slice *s, uint32_t first)
{
    if (stack_leave_slice(r, s->granule, s->program, first, s->end))
        s->end = first;
}

bool stack_slice_next(struct tracer *r, struct slice *s, uint32_t step)
{
    s->at = s->stop;
    if (s->end - s->at > 2 * step && worker_others_idle_racy(r->worker))
        leave_from(r, s, s->at + (s->end - s->at) / 2);
    if (s->at < s->end && worker_should_yield(r->worker))
        leave_from(r, s, s->at);
    s->stop = s->end - s->at > step ? s->at + step : s->end;
    return s->at < s->end;
}

void trace_init(struct trace *t, struct heap *h, bool alone)
{
    *t = (struct trace){ .heap = h,
                         .arena = h->arena,
                         .marks = heap_mark_bits(h),
                         .settled = heap_scratch_bits(h),
                         .alone = alone,
                         .charged = h->meta.charged,
                         .pinned_room = h->granules,
                         .also = h->young && h->count.traces ? h->meta.traced : NULL,
                         .young = h->young,
                         .counts = h->young && h->plan->constraints.counts,
                         .only_snapshot = heap_cycle(h) == HEAP_CYCLE_MARKING && heap_shares_log(h),
                         .all = h->young && h->plan->constraints.counts,
                         .crosses = h->plan->constraints.counts,
                         .line_mark = heap_g_stays_open(h) ? LINE_MARKED_NEXT : LINE_MARKED,
                         .by_kind = h->options.count_live_bytes_in_gc };
    t->plain = t->also == NULL && !t->crosses && !t->only_old && !t->only_snapshot && !t->by_kind;
}

void trace_init_traced(struct trace *t, struct heap *h, bool alone)
{
    *t = (struct trace){ .heap = h,
                         .arena = h->arena,
                         .marks = h->meta.traced,
                         .settled = h->meta.traced,
                         .charged = h->meta.traced_charge,
                         .gray = &h->count.gray,
                         .alone = alone,
                         .all = true,
                         .only_old = true };
}

void trace_split_range(struct worker *w, struct packet *p, uint64_t grain)
{
    while (p->args[1] - p->args[0] > grain) {
        struct packet *half = worker_packet_try_new(w, p->kind);
        if (half == NULL)
            return; /* then this packet does it all */
        uint64_t middle = p->args[0] + (p->args[1] - p->args[0]) / 2;
        memcpy(half->args, p->args, sizeof(p->args));
        half->args[0] = middle;
        p->args[1] = middle;
        worker_packet_push(w, half);
    }
}

bool trace_on_drained(struct trace *t, struct trace_tally *tally, struct worker *w, trace_rescan run)
{
    struct heap *h = t->heap;

    if (at_load_relaxed(&t->overflowed) == 0)
        return false;
    at_store_relaxed(&t->overflowed, 0);
    h->count.inexact |= t->counts; /* references are met again */
    struct packet *p = worker_packet_try_new(w, t->rescan);
    if (p != NULL) {
        p->args[0] = 0;
        p->args[1] = blocks_high(&h->blocks);
        worker_packet_push(w, p);
        return true;
    }
    t->bounded = true; /* other heaps have all the packets: this worker does it alone */
    do {
        at_store_relaxed(&t->overflowed, 0);
        h->spare.count = 0;
        h->spare.args[0] = 0;
        h->spare.args[1] = blocks_high(&h->blocks);
        run(t, tally, w, &h->spare);
    } while (at_load_relaxed(&t->overflowed) != 0);
    t->bounded = false;
    return false;
}
