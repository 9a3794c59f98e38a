/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/generational.h"

#include "plans/heap/state.h"
#include "plans/room.h"

#define SHARE_MIN 8u                         /* of the heap's limit: less room than that for the next nursery, and a whole collection comes */
#define REST_STREAK 4u                       /* young collections in a row */
#define REST_FIRST_SHARE 3u                  /* of the heap's limit: what they have promoted before anybody looks at everything for it */
#define REST_FIRST_MAX (UINT64_C(256) << 20)
#define REST_NEXT_SHARE 8u                   /* and between that and the next look, at least */
#define REST_NEXT_MAX (UINT64_C(64) << 20)
#define REST_CYCLES_MIN 16u
#define REST_CYCLES_MAX 256u
#define REST_TRIES_WITH 4u                   /* a part of the nursery: it will most likely survive, too */
#define GROWN_SHARE 16u                      /* of it: what is old must have grown by so much before a cycle can find much */

bool generational_young_stw(const struct heap *h, const struct heap_stop *stop)
{
    return !stop->whole && !stop->full_heap && !stop->emergency && stop->stow_count == 0 && !h->whole_next && !h->log.lost &&
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

    return heap_shares_log(h) && !h->whole_next && !h->log.lost && (h->left_bytes >= needed_bytes || !grown);
}

/* ---- whether there is one ---- */

static bool survives_again_and_again(const struct heap *h)
{
    return heap_shares_log(h) && h->options.nursery.kind == HEAP_NURSERY_ADAPTIVE && h->rest.streak >= REST_STREAK;
}

static bool is_to_rest(const struct heap *h)
{
    return survives_again_and_again(h) && h->rest.old_dies;
}

/* Nobody knows yet whether what survives dies when it is old. */
static bool is_to_be_looked_at(const struct heap *h)
{
    const struct nursery_rest *rest = &h->rest;
    uint64_t enough = rest->live_bytes == 0 ? MM_MIN(room_share(h, REST_FIRST_SHARE), REST_FIRST_MAX)
                                            : MM_MIN(room_share(h, REST_NEXT_SHARE), REST_NEXT_MAX);

    return survives_again_and_again(h) && rest->promoted_bytes >= MM_MAX(rest->interval_bytes, enough);
}

bool heap_nursery_wants_cycle(const struct heap *h)
{
    return is_to_rest(h) || is_to_be_looked_at(h);
}

uint64_t heap_nursery_rests(const struct heap *h)
{
    return h->rest.times;
}

static void note_survival(struct nursery_rest *rest, const struct heap_collection *c)
{
    if (c->survived_bytes / 2 > c->freed_bytes) {
        rest->streak++;
        rest->promoted_bytes += c->survived_bytes;
        return;
    }
    *rest = (struct nursery_rest){ .times = rest->times };
}

/* A structure that is being built survives as well. Only if about as much dies old is there nothing young to be found: between two looks
 * at everything in one row of young collections that nearly all survived. */
void generational_looked(struct heap *h, uint64_t live_bytes)
{
    struct nursery_rest *rest = &h->rest;
    uint64_t before = rest->live_bytes + rest->promoted_bytes;

    if (!is_to_be_looked_at(h))
        return;
    rest->old_dies = rest->live_bytes > 0 && before - MM_MIN(live_bytes, before) >= rest->promoted_bytes / 2;
    rest->interval_bytes = rest->live_bytes > 0 ? 2 * rest->promoted_bytes : 0; /* the first one tells nothing */
    rest->live_bytes = live_bytes;
    rest->promoted_bytes = 0;
}

void generational_turn_stw(struct heap *h)
{
    struct nursery_rest *rest = &h->rest;

    if (is_to_rest(h)) {
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
