/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/grants.h"

#include <errno.h>

#include "plans/heap/bitmap.h"
#include "plans/heap/state.h"
#include "plans/space/cell_space.h"
#include "plans/space/large_space.h"
#include "plans/space/line_blocks.h"
#include "plans/work/store.h"

#define LINE_CLASSES 4u                          /* LINES, BLOCKS, NONMOVING, IMMORTAL */
#define IRREGULAR_PER_MUTATOR (2 * LINE_CLASSES) /* of each: the span in use, and the rest of an older one */

/* Whose spans are bumped in one after the other, and are whole lines, or cells; LARGE and HOLD have neither. */
static bool class_has_lines(enum shm_grant_class class)
{
    return shm_class_bumps(class) && class < SHM_GRANT_CELLS;
}

static bool class_has_cells(enum shm_grant_class class)
{
    return class >= SHM_GRANT_CELLS;
}

/* mutators */

static int reserve(struct heap *h, uint32_t capacity)
{
    struct grants *g = &h->grants;
    struct irregular **growing = g->next_list != NULL ? &g->next_list : &g->list;

    if (capacity <= g->capacity)
        return 0;
    struct irregular *list = store_resize(h->store, *growing, capacity * sizeof(*list));
    if (list != NULL)
        *growing = list;
    struct irregular *sealed = store_resize(h->store, g->sealed, capacity * sizeof(*sealed));
    if (sealed != NULL)
        g->sealed = sealed;
    if (list == NULL || sealed == NULL)
        return -1;
    g->capacity = capacity;
    return 0;
}

struct heap_mutator *heap_mutator_new(struct heap *h)
{
    struct grants *g = &h->grants;
    struct heap_mutator *m = store_alloc_zeroed(h->store, sizeof(*m));

    if (m == NULL || reserve(h, g->sealed_count + IRREGULAR_PER_MUTATOR * (g->mutators + 1)) < 0) {
        store_free(h->store, m);
        return NULL;
    }
    struct span *entries = m->entries;
    for (unsigned k = 0; k < SHM_GRANT_CLASSES; k++) {
        m->rings[k].capacity = shm_ring_capacity(k);
        m->rings[k].entries = entries;
        entries += m->rings[k].capacity;
    }
    m->heap = h;
    g->mutators++;
    return m;
}

void grants_fini(struct heap *h)
{
    struct grants *g = &h->grants;

    store_free(h->store, g->list);
    store_free(h->store, g->next_list);
    store_free(h->store, g->sealed);
    *g = (struct grants){ 0 };
}

/* The list, the next one, what is sealed, that of a promotion (cycle.c), and one of them while it grows. */
size_t grants_store_bytes(unsigned mutators)
{
    return mutators * store_piece_bytes(sizeof(struct heap_mutator)) +
           5 * store_piece_bytes(2 * (size_t)IRREGULAR_PER_MUTATOR * (mutators + 1) * sizeof(struct irregular));
}

static struct span *entry_at(const struct grant_ring *ring, uint32_t index)
{
    return &ring->entries[index % ring->capacity];
}

/* Believes @taken if it lies between what was seen before and what was published. */
static void advance(struct heap_mutator *m, enum shm_grant_class class, uint32_t taken)
{
    struct grant_ring *ring = &m->rings[class];

    if (taken - ring->taken > ring->published - ring->taken)
        return;
    for (; ring->taken != taken; ring->taken++)
        if (class == SHM_GRANT_LARGE)
            large_space_taken(m->heap, entry_at(ring, ring->taken)->start);
}

uint32_t heap_mutator_outstanding(struct heap_mutator *m, enum shm_grant_class class, uint32_t taken)
{
    if (class != SHM_GRANT_HOLD) /* G5 */
        advance(m, class, taken);
    return m->rings[class].published - m->rings[class].taken;
}

uint32_t grants_room(const struct heap_mutator *m, enum shm_grant_class class)
{
    const struct grant_ring *ring = &m->rings[class];
    return ring->capacity - (ring->published - ring->taken);
}

/* the bits of G: of lines, or of a cell's header granule in the bitmap of that role (cell_space.h) */

static uint32_t line_of(uint32_t granule)
{
    return granule / MM_LINE_GRANULES;
}

static bool span_empty(struct span s)
{
    return s.start >= s.end;
}

static bool span_has_cells(const struct heap *h, struct span s)
{
    return blocks_kind(&h->blocks, s.start / MM_BLOCK_GRANULES) == BLOCK_CELLS;
}

static void put_in(struct heap *h, unsigned index, struct span s)
{
    if (span_empty(s))
        return;
    if (span_has_cells(h, s)) {
        cell_space_mark_granted(h, index == heap_current_index(h) ? heap_vo(h) : heap_marks(h), s, true);
        return;
    }
    bitmap_set_range(h->meta.granted[index], line_of(s.start), line_of(s.end));
    bitmap_set(h->meta.firsts[index], line_of(s.start));
}

static void take_out(struct heap *h, unsigned index, struct span s)
{
    if (span_empty(s))
        return;
    if (span_has_cells(h, s)) {
        cell_space_mark_granted(h, index == heap_current_index(h) ? heap_vo(h) : heap_marks(h), s, false);
        return;
    }
    bitmap_clear_range(h->meta.granted[index], line_of(s.start), line_of(s.end));
    bitmap_clear(h->meta.firsts[index], line_of(s.start));
}

/* Of the bitmaps, the one that tells what is granted now (G4). */
static unsigned grant_index(const struct heap *h)
{
    return heap_current_index(h) ^ (heap_cycle(h) >= HEAP_CYCLE_MARKING && heap_g_stays_open(h));
}

static void log_span(const struct heap *h, struct span s, bool wanted)
{
    if (h->plan->constraints.barrier == SHM_BARRIER_FIELDS && !span_empty(s))
        log_set_lines(&h->log, line_of(s.start), line_of(s.end - 1) - line_of(s.start) + 1, wanted && !heap_has_young(h));
}

uint32_t grants_busy(const struct grants *g)
{
    return MM_MAX(MM_MAX(g->busy, g->busy_before), 1u);
}

void grants_next_term_stw(struct grants *g)
{
    if (g->busy == 0) /* one pause right behind another says nothing about who allocates */
        return;
    g->busy_before = g->busy;
    g->busy = 0;
    g->term++;
}

static void note_busy(struct grants *g, struct heap_mutator *m)
{
    g->busy += m->term != g->term + 1;
    m->term = g->term + 1; /* a new one has 0 */
}

void grants_add(struct heap *h, struct heap_mutator *m, enum shm_grant_class class,
                struct shm_grant *ret, uint32_t start, uint32_t granules, uint32_t flags)
{
    struct grant_ring *ring = &m->rings[class];
    struct span span = { start, start + granules };

    MM_ASSERT(grants_room(m, class) > 0);
    *entry_at(ring, ring->published++) = span;
    m->classes |= UINT64_C(1) << class;
    note_busy(&h->grants, m);
    if (class != SHM_GRANT_LARGE)
        put_in(h, grant_index(h), span);
    log_span(h, span, heap_cycle(h) != HEAP_CYCLE_MARKING); /* while it marks nobody needs to hear of new objects; before, they will be old */
    *ret = (struct shm_grant){ .start = start, .granules = granules, .flags = flags };
}

/* what a view shows */

/* Passed by its mutator since the collection that left it. */
static bool rest_finished(const struct grant_ring *ring)
{
    return ring->has_rest && (int32_t)(ring->taken - ring->rest_index) > 0;
}

/* The entry that @view's bump lies in, or NULL. */
static struct span *bumped_in(const struct grant_ring *ring, uint32_t cursor)
{
    struct span *s = entry_at(ring, ring->taken);
    bool in = ring->taken != ring->published && cursor != 0 && s->start <= cursor && cursor <= s->end;
    return in ? s : NULL;
}

/* Where parsing must stop: the zeroed limit, or nothing at all if it is not in the span. */
static uint32_t parse_end(struct span s, uint32_t limit)
{
    return s.start <= limit && limit <= s.end ? limit : s.start;
}

/* opening and ending */

static void irregular_open(struct heap *h, struct irregular it)
{
    unsigned current = heap_current_index(h);

    if (span_empty(it.span))
        return;
    MM_ASSERT(h->grants.count < h->grants.capacity);
    h->grants.list[h->grants.count++] = it;
    take_out(h, current, it.span);
    if (it.keep < it.span.end)
        bitmap_set_range(h->meta.granted[current ^ 1], line_of(it.keep), line_of(it.span.end));
    _Atomic uint8_t *flags = &h->meta.flags[it.span.start / MM_BLOCK_GRANULES];
    at_store_relaxed(flags, at_load_relaxed(flags) | BLOCK_IRREGULAR);
}

/* Moves what @ring's mutator has not begun from bitmap @from to the other one. */
static void move_untouched(struct heap *h, const struct grant_ring *ring, unsigned from)
{
    for (uint32_t i = ring->taken + ring->open; i != ring->published; i++) {
        struct span s = *entry_at(ring, i);
        if (!span_empty(s)) {
            take_out(h, from, s);
            put_in(h, from ^ 1, s);
        }
    }
}

/* The span in use splits at the first cell that has not been begun: those before it are finished, the others stay in G. */
static void open_cells(struct heap *h, struct grant_ring *ring, uint32_t cursor)
{
    struct span *s = bumped_in(ring, cursor);

    ring->open = s != NULL;
    if (s != NULL) {
        ring->cursor = cell_space_round_up(h, *s, cursor);
        struct span rest = { ring->cursor, s->end };
        take_out(h, heap_current_index(h), rest);
        put_in(h, heap_current_index(h) ^ 1, rest);
    }
    move_untouched(h, ring, heap_current_index(h));
}

static void open_lines(struct heap *h, struct grant_ring *ring, uint32_t cursor, uint32_t limit)
{
    if (rest_finished(ring))
        irregular_open(h, (struct irregular){ ring->rest, ring->rest.end, ring->rest.end });
    struct span *s = bumped_in(ring, cursor);
    ring->open = s != NULL;
    ring->cursor = cursor;
    if (s != NULL)
        irregular_open(h, (struct irregular){ *s, parse_end(*s, limit), cursor });
    move_untouched(h, ring, heap_current_index(h));
}

/* A run that is untaken now is nobody's garbage when the concurrent collection that begins here comes to its sweep. */
static void keep_large(struct heap *h, const struct grant_ring *ring)
{
    for (uint32_t i = ring->taken; heap_cycle(h) == HEAP_CYCLE_CLEARED && heap_g_stays_open(h) && i != ring->published; i++)
        large_space_keep(h, entry_at(ring, i)->start);
}

/* holds (G5) */

/* Of what is left of an entry, which may be nothing; a retired one is no entry any more, and lies nowhere. */
static uint32_t block_of(struct span s)
{
    return (s.end - 1) / MM_BLOCK_GRANULES;
}

static bool entry_gone(struct span s)
{
    return s.end == 0;
}

/* A row counts lines from the block's start; what it says beyond the block, or behind what it said at an earlier stop, is nothing new. */
static struct hold_seen hold_look(struct span s, uint64_t row, bool taken)
{
    uint32_t lines = (uint32_t)MM_MIN(row & SHM_HOLD_LINES, (uint64_t)MM_BLOCK_LINES);

    return (struct hold_seen){ .rest_line = MM_MAX(line_of(s.start), block_of(s) * MM_BLOCK_LINES + lines) & 0x7fffffffu,
                               .retired = taken || (row & SHM_HOLD_RETIRED) != 0 };
}

static uint32_t rest_of(const struct hold_seen *seen)
{
    return seen->rest_line * MM_LINE_GRANULES;
}

/* Of a hold that has ended it is 0. */
static uint64_t hold_row(const struct heap_mutator_view *view, uint32_t index)
{
    uint64_t row = view->hold_rows == NULL ? 0 : at_load_relaxed(&view->hold_rows[index % SHM_HOLD_CAPACITY]);
    bool counts = (row & SHM_HOLD_RETIRED) != 0 || (view->held != 0 && row >> SHM_HOLD_SERIAL_LOG == view->held);

    return counts ? row : 0;
}

static void set_held(struct heap *h, struct span s, bool held)
{
    _Atomic uint8_t *flags = &h->meta.flags[block_of(s)];

    if (held)
        at_or_relaxed(flags, (uint8_t)BLOCK_HELD);
    else
        at_and_relaxed(flags, (uint8_t)~BLOCK_HELD);
}

static void open_hold(struct heap *h, struct span s, const struct hold_seen *seen)
{
    struct span rest = { rest_of(seen), s.end };

    take_out(h, heap_current_index(h), rest);
    if (seen->retired)
        set_held(h, s, false);
    else
        put_in(h, heap_current_index(h) ^ 1, rest);
}

static void open_holds(struct heap *h, struct heap_mutator *m, const struct heap_mutator_view *view)
{
    struct grant_ring *ring = &m->rings[SHM_GRANT_HOLD];
    uint32_t taken = view->taken[SHM_GRANT_HOLD] - ring->taken;

    taken = taken > ring->published - ring->taken ? 0 : taken; /* as advance() */
    ring->next_taken = ring->taken + taken;
    for (uint32_t i = ring->taken; i != ring->published; i++) {
        struct span s = *entry_at(ring, i);
        if (entry_gone(s))
            continue;
        struct hold_seen *seen = &m->holds[i % SHM_HOLD_CAPACITY];
        *seen = hold_look(s, hold_row(view, i), i - ring->taken < taken);
        open_hold(h, s, seen);
    }
}

static void end_holds_collected(struct heap_mutator *m)
{
    struct grant_ring *ring = &m->rings[SHM_GRANT_HOLD];

    for (uint32_t i = ring->taken; i != ring->published; i++) {
        struct span *s = entry_at(ring, i);
        const struct hold_seen *seen = &m->holds[i % SHM_HOLD_CAPACITY];
        if (!entry_gone(*s))
            *s = seen->retired ? (struct span){ 0, 0 } : (struct span){ rest_of(seen), s->end };
    }
    ring->taken = ring->next_taken;
}

static void end_holds_unchanged(struct heap *h, struct heap_mutator *m)
{
    struct grant_ring *ring = &m->rings[SHM_GRANT_HOLD];

    for (uint32_t i = ring->taken; i != ring->published; i++) {
        struct span s = *entry_at(ring, i), rest = { rest_of(&m->holds[i % SHM_HOLD_CAPACITY]), s.end };
        if (entry_gone(s))
            continue;
        if (!m->holds[i % SHM_HOLD_CAPACITY].retired)
            take_out(h, heap_current_index(h) ^ 1, rest);
        put_in(h, heap_current_index(h), rest);
        put_in(h, heap_current_index(h), (struct span){ s.start, rest.start });
        set_held(h, s, true);
    }
}

/* What it had found is finished, the rest is free again: at once, where nothing else is in the block. */
static void seal_holds(struct heap *h, struct heap_mutator *m, const struct heap_mutator_view *view)
{
    struct grant_ring *ring = &m->rings[SHM_GRANT_HOLD];

    for (uint32_t i = ring->taken; i != ring->published; i++) {
        struct span s = *entry_at(ring, i);
        if (entry_gone(s))
            continue;
        struct hold_seen seen = hold_look(s, hold_row(view, i), false);
        take_out(h, heap_current_index(h), (struct span){ rest_of(&seen), s.end });
        set_held(h, s, false);
        line_blocks_return(h, s.end - 1);
    }
}

static void open_mutator(struct heap *h, struct heap_mutator *m, const struct heap_mutator_view *view)
{
    for (uint64_t rest = m->classes; rest != 0; rest &= rest - 1) {
        enum shm_grant_class class = (enum shm_grant_class)__builtin_ctzll(rest);
        if (class == SHM_GRANT_HOLD) {
            open_holds(h, m, view);
            continue;
        }
        advance(m, class, view->taken[class]);
        if (class == SHM_GRANT_LARGE)
            keep_large(h, &m->rings[class]);
        else if (class_has_lines(class))
            open_lines(h, &m->rings[class], view->cursor[class], view->limit[class]);
        else if (class_has_cells(class))
            open_cells(h, &m->rings[class], view->cursor[class]);
    }
}

void grants_open_stw(struct heap *h, const struct heap_stop *stop)
{
    struct grants *g = &h->grants;

    g->count = 0;
    for (uint32_t i = 0; i < g->sealed_count; i++)
        irregular_open(h, g->sealed[i]);
    for (size_t i = 0; i < stop->mutator_count; i++)
        open_mutator(h, stop->mutators[i], &stop->views[i]);
}

static void clear_irregular_flags(struct heap *h)
{
    for (uint32_t i = 0; i < h->grants.count; i++) {
        _Atomic uint8_t *flags = &h->meta.flags[h->grants.list[i].span.start / MM_BLOCK_GRANULES];
        at_store_relaxed(flags, (uint8_t)(at_load_relaxed(flags) & ~BLOCK_IRREGULAR));
    }
    h->grants.count = 0;
}

static void ring_end_collected(struct grant_ring *ring)
{
    if (rest_finished(ring))
        ring->has_rest = false;
    if (!ring->open)
        return;
    struct span *s = entry_at(ring, ring->taken);
    s->start = ring->cursor;
    ring->rest = *s;
    ring->rest_index = ring->taken;
    ring->has_rest = !span_empty(*s);
    ring->open = false;
}

static void rings_end_collected(struct heap *h, const struct heap_stop *stop)
{
    h->grants.sealed_count = 0;
    for (size_t i = 0; i < stop->mutator_count; i++) {
        for (uint64_t rest = stop->mutators[i]->classes; rest != 0; rest &= rest - 1)
            ring_end_collected(&stop->mutators[i]->rings[__builtin_ctzll(rest)]);
        end_holds_collected(stop->mutators[i]);
    }
}

void grants_end_collected_stw(struct heap *h, const struct heap_stop *stop)
{
    clear_irregular_flags(h);
    rings_end_collected(h, stop);
    at_store_relaxed(&h->meta.header->current, heap_current_index(h) ^ 1);
}

/* What is left of spans begun, and those not begun. */
static void log_kept(struct heap *h, const struct heap_stop *stop)
{
    for (size_t i = 0; i < stop->mutator_count; i++)
        for (uint64_t rest = stop->mutators[i]->classes; rest != 0; rest &= rest - 1) {
            const struct grant_ring *ring = &stop->mutators[i]->rings[__builtin_ctzll(rest)];
            for (uint32_t k = ring->taken; k != ring->published; k++) {
                struct span s = *entry_at(ring, k); /* its first line may hold older objects, whose stores count */
                s.start = (uint32_t)mm_align_up(s.start, MM_LINE_GRANULES);
                log_span(h, s, false);
            }
        }
}

/* What is finished of spans in use is nobody's hole: opening took it out of both bitmaps. Marked like what the last collection has
 * left; not granted, or a parse of what lies before it would go on into it, and beyond its end. */
static void cover_irregular(struct heap *h)
{
    for (uint32_t i = 0; i < h->grants.count; i++) {
        const struct irregular *it = &h->grants.list[i];
        for (uint32_t at = it->span.start; at < it->keep; at = (line_of(at) + 1) * MM_LINE_GRANULES) {
            if (at_load_relaxed(&h->meta.lines[line_of(at)]) == 0) /* a cycle's own mark says more */
                at_store_relaxed(&h->meta.lines[line_of(at)], LINE_MARKED);
            if (heap_shares_log(h))
                log_want_line(&h->log, line_of(at)); /* cycle_log.c L2 */
        }
    }
}

int grants_reserve_open(struct heap *h)
{
    struct grants *g = &h->grants;

    g->next_list = store_alloc(h->store, MM_MAX(g->capacity, 1u) * sizeof(*g->next_list));
    return g->next_list == NULL ? -ENOMEM : 0;
}

void grants_stay_open_stw(struct heap *h, const struct heap_stop *stop)
{
    cover_irregular(h);
    rings_end_collected(h, stop);
    log_kept(h, stop);
}

void grants_close(struct heap *h)
{
    struct grants *g = &h->grants;

    clear_irregular_flags(h);
    store_free(h->store, g->list);
    g->list = g->next_list;
    g->next_list = NULL;
    at_store_relaxed(&h->meta.header->current, heap_current_index(h) ^ 1);
}

static void ring_end_unchanged(struct heap *h, enum shm_grant_class class, struct grant_ring *ring)
{
    unsigned current = heap_current_index(h);

    if (class == SHM_GRANT_LARGE)
        return;
    if (class_has_cells(class) && ring->open) {
        struct span rest = { ring->cursor, entry_at(ring, ring->taken)->end };
        take_out(h, current ^ 1, rest);
        put_in(h, current, rest);
    }
    move_untouched(h, ring, current ^ 1);
    ring->open = false;
}

void grants_end_unchanged_stw(struct heap *h, const struct heap_stop *stop)
{
    unsigned current = heap_current_index(h);

    store_free(h->store, h->grants.next_list);
    h->grants.next_list = NULL;
    for (uint32_t i = 0; i < h->grants.count; i++) {
        const struct irregular *it = &h->grants.list[i];
        if (it->keep < it->span.end)
            bitmap_clear_range(h->meta.granted[current ^ 1], line_of(it->keep), line_of(it->span.end));
        put_in(h, current, it->span);
    }
    clear_irregular_flags(h);
    for (size_t i = 0; i < stop->mutator_count; i++)
        for (uint64_t rest = stop->mutators[i]->classes; rest != 0; rest &= rest - 1) {
            enum shm_grant_class class = (enum shm_grant_class)__builtin_ctzll(rest);
            if (class == SHM_GRANT_HOLD)
                end_holds_unchanged(h, stop->mutators[i]);
            else
                ring_end_unchanged(h, class, &stop->mutators[i]->rings[class]);
        }
}

/* In lines that hold a cursor only what is above it stays: clears that part alone, and says so by taking the line out of next,
 * or, with @back, puts it in again. */
static void clear_cursor_lines(const struct heap *h, uint32_t block, _Atomic uint64_t *marks, bool back)
{
    for (uint32_t i = 0; i < h->grants.count; i++) {
        const struct irregular *it = &h->grants.list[i];
        if (it->span.start / MM_BLOCK_GRANULES != block || it->keep >= it->span.end ||
            it->keep % MM_LINE_GRANULES == 0)
            continue;
        uint32_t line = line_of(it->keep);
        bitmap_clear_range(marks, it->keep, (uint64_t)(line + 1) * MM_LINE_GRANULES);
        if (back)
            bitmap_set(heap_granted_next(h), line);
        else
            bitmap_clear(heap_granted_next(h), line);
    }
}

void grants_clear_kept(const struct heap *h, uint32_t block, _Atomic uint64_t *marks)
{
    const _Atomic uint64_t *next = heap_granted_next(h);
    bool irregular = (at_load_relaxed(&h->meta.flags[block]) & BLOCK_IRREGULAR) != 0;
    uint64_t first = (uint64_t)block * MM_BLOCK_LINES, end = first + MM_BLOCK_LINES;

    if (irregular)
        clear_cursor_lines(h, block, marks, false);
    for (uint64_t i = bitmap_find_set(next, first, end); i < end;
         i = bitmap_find_set(next, i + 1, end)) {
        bitmap_clear_range(marks, i * MM_LINE_GRANULES, (i + 1) * MM_LINE_GRANULES);
        at_store_relaxed(&h->meta.lines[i], 0);
    }
    if (irregular)
        clear_cursor_lines(h, block, marks, true);
}

bool grants_keeps(const struct heap *h, uint32_t granule)
{
    bool keeps = bitmap_test(heap_granted_next(h), line_of(granule));

    for (uint32_t i = 0; keeps && i < h->grants.count; i++) {
        const struct irregular *it = &h->grants.list[i];
        if (it->keep < it->span.end && line_of(it->keep) == line_of(granule))
            keeps = granule >= it->keep;
    }
    return keeps;
}

/* the end of a mutator */

static void seal(struct grants *g, struct irregular it)
{
    if (span_empty(it.span))
        return;
    MM_ASSERT(g->sealed_count < g->capacity);
    g->sealed[g->sealed_count++] = it;
}

/* What its mutator never began is free again. */
static void return_untouched(struct heap *h, const struct grant_ring *ring, uint32_t from)
{
    for (uint32_t i = from; i != ring->published; i++) {
        struct span untouched = *entry_at(ring, i);
        if (span_empty(untouched))
            continue;
        take_out(h, heap_current_index(h), untouched);
        if (span_has_cells(h, untouched))
            cell_space_return(h, untouched);
        else
            line_blocks_return(h, untouched.start);
    }
}

static void seal_lines(struct heap *h, struct grant_ring *ring, uint32_t cursor, uint32_t limit)
{
    struct span *s = bumped_in(ring, cursor);

    if (rest_finished(ring))
        seal(&h->grants, (struct irregular){ ring->rest, ring->rest.end, ring->rest.end });
    if (s != NULL)
        seal(&h->grants, (struct irregular){ *s, parse_end(*s, limit), s->end });
    return_untouched(h, ring, ring->taken + (s != NULL));
}

/* The span in use begins where its first free cell is: then it is as untouched as those behind it. */
static void seal_cells(struct heap *h, struct grant_ring *ring, uint32_t cursor)
{
    struct span *s = bumped_in(ring, cursor);

    if (s != NULL)
        s->start = cell_space_round_up(h, *s, cursor);
    return_untouched(h, ring, ring->taken);
}

static void seal_large(struct heap *h, const struct grant_ring *ring)
{
    for (uint32_t i = ring->taken; i != ring->published; i++)
        large_space_return(h, entry_at(ring, i)->start);
}

void heap_mutator_seal(struct heap *h, struct heap_mutator *m, const struct heap_mutator_view *view)
{
    for (uint64_t rest = m->classes; rest != 0; rest &= rest - 1) {
        enum shm_grant_class class = (enum shm_grant_class)__builtin_ctzll(rest);
        if (class == SHM_GRANT_HOLD) {
            seal_holds(h, m, view);
            continue;
        }
        advance(m, class, view->taken[class]);
        if (class == SHM_GRANT_LARGE)
            seal_large(h, &m->rings[class]);
        else if (class_has_cells(class))
            seal_cells(h, &m->rings[class], view->cursor[class]);
        else
            seal_lines(h, &m->rings[class], view->cursor[class], view->limit[class]);
    }
    h->grants.mutators--;
    store_free(h->store, m);
}

uint64_t heap_mutator_classes(const struct heap_mutator *m)
{
    return m->classes;
}
