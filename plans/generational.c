/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/generational.h"

#include "plans/heap/state.h"
#include "plans/room.h"

#define SHARE_MIN 8u                         /* of the heap's limit: less room than that for the next nursery, and a whole collection comes */
#define REST_STREAK 4u                       /* young collections in a row */
#define REST_SHARE 16u                       /* of the heap's limit: when less has been promoted, nothing is learned of it */
#define REST_CYCLES_MIN 8u
#define REST_CYCLES_MAX 128u
#define REST_TRIES_WITH 4u                   /* a part of the nursery: it will most likely survive, too */
#define GROWN_SHARE 16u                      /* of it: what is old must have grown by so much before a cycle can find much */

bool generational_young_stw(const struct heap *h, const struct heap_stop *stop)
{
    return !stop->whole && !stop->full_heap && !stop->emergency && !h->whole_next && !h->log.lost &&
           !h->count.inexact;
}

void generational_judge_stw(struct heap *h, uint64_t nursery_bytes)
{
    h->whole_next = h->young && nursery_bytes < room_share(h, SHARE_MIN);
    uint64_t left = h->young ? heap_grantable_bytes(h) : UINT64_MAX;
    if (h->left_bytes == UINT64_MAX)
        h->left_first = left;
    h->left_bytes = left;
}

bool heap_young_suffices(const struct heap *h, uint64_t needed_bytes)
{
    bool grown = h->left_first - MM_MIN(h->left_bytes, h->left_first) >= room_share(h, GROWN_SHARE);

    return heap_shares_log(h) && !h->whole_next && (h->left_bytes >= needed_bytes || !grown);
}

/* ---- whether there is one ---- */

bool heap_nursery_is_to_rest(const struct heap *h)
{
    return heap_shares_log(h) && h->options.nursery.kind == HEAP_NURSERY_ADAPTIVE && h->rest.streak >= REST_STREAK && h->rest.old_dies;
}

uint64_t heap_nursery_rests(const struct heap *h)
{
    return h->rest.times;
}

static void note_survival(struct nursery_rest *rest, const struct heap_collection *c)
{
    rest->promoted_bytes += c->survived_bytes;
    if (c->survived_bytes / 2 > c->freed_bytes) {
        rest->streak++;
        return;
    }
    rest->streak = 0;
    rest->period = 0;
    rest->nursery_bytes = 0;
}

/* A structure that is being built survives as well. Only if about as much has died old is there nothing young to be found. */
void generational_looked(struct heap *h, uint64_t live_bytes)
{
    struct nursery_rest *rest = &h->rest;
    uint64_t before = rest->live_bytes + rest->promoted_bytes;

    if (rest->promoted_bytes < room_share(h, REST_SHARE))
        return;
    rest->old_dies = before - MM_MIN(live_bytes, before) >= rest->promoted_bytes / 2;
    rest->live_bytes = live_bytes;
    rest->promoted_bytes = 0;
}

void generational_turn_stw(struct heap *h)
{
    struct nursery_rest *rest = &h->rest;

    if (heap_nursery_is_to_rest(h)) {
        rest->on = true;
        rest->times++;
        rest->cycles = 0;
        rest->period = MM_MIN(MM_MAX(2 * rest->period, REST_CYCLES_MIN), REST_CYCLES_MAX);
        h->nursery_bytes = MM_MAX(h->nursery_bytes, rest->nursery_bytes);
    } else if (rest->on && ++rest->cycles == rest->period) {
        rest->on = false;
        rest->streak = REST_STREAK - 1; /* the next one tells */
        rest->nursery_bytes = h->nursery_bytes;
        h->nursery_bytes /= REST_TRIES_WITH;
    }
}

/* ---- how large the nursery is ---- */

static uint64_t clamp(uint64_t bytes, uint64_t min, uint64_t max)
{
    return MM_MAX(MM_MIN(bytes, max), min);
}

static uint64_t percent(const struct heap *h, uint64_t of)
{
    return room_share(h, 100) * of;
}

/* Threads that allocate together get as many times the bound together, as each would in a heap of its own; but no more than bounded ones. */
static uint64_t adaptive_max(const struct heap *h, uint64_t room)
{
    uint64_t max = h->options.nursery.max_bytes;

    return MM_MAX(max, MM_MIN(max * grants_busy(&h->grants), room / 2));
}

uint64_t heap_nursery_usual_bytes(const struct heap *h)
{
    const struct heap_nursery *n = &h->options.nursery;
    uint64_t room = room_free(h) + heap_hole_bytes(h);

    if (!h->plan->constraints.generational)
        return 0;
    switch (n->kind) {
    case HEAP_NURSERY_FIXED: return n->max_bytes;
    case HEAP_NURSERY_BOUNDED: return clamp(room / 2, n->min_bytes, n->max_bytes);
    case HEAP_NURSERY_PROPORTIONAL: return clamp(room / 2, percent(h, n->min_percent), percent(h, n->max_percent));
    case HEAP_NURSERY_ADAPTIVE: break;
    }
    uint64_t max = adaptive_max(h, room);
    return h->options.pause_goal_ns == 0 ? max : clamp(h->nursery_bytes, n->min_bytes, max);
}

uint64_t heap_nursery_bytes(const struct heap *h)
{
    return heap_has_young(h) ? heap_nursery_usual_bytes(h) : 0;
}

void generational_note_pause(struct heap *h, const struct heap_collection *c, uint64_t begun_ns)
{
    struct goal_pause pause = { .nursery_bytes = heap_nursery_bytes(h),
                                .pause_ns = c->duration_ns,
                                .looking_ns = c->looking_ns,
                                .goal_ns = h->options.pause_goal_ns,
                                .begun_ns = begun_ns };
    bool overran = h->overran && c->kind == HEAP_PAUSE_YOUNG;

    grants_next_term_stw(&h->grants);

    h->overran = h->overran && !overran;
    if (c->kind == HEAP_PAUSE_YOUNG) {
        h->mostly_survives = c->survived_bytes > c->freed_bytes;
        note_survival(&h->rest, c);
    }
    if (c->kind == HEAP_PAUSE_FULL)
        generational_looked(h, c->live_bytes);
    bool tells = c->kind == HEAP_PAUSE_YOUNG || c->kind == HEAP_PAUSE_REFCOUNT;
    if (tells && !overran && pause.goal_ns != 0 && pause.nursery_bytes != 0)
        h->nursery_bytes = goal_nursery_bytes(&h->goal, &pause);
}
