/* SPDX-License-Identifier: Apache-2.0 */
/* evacuate.c - Evacuate: the closure of plans that move objects out of flagged blocks while they trace.
 *   E1  who sets an object's mark bit owns it: it alone copies, or decides that the object stays (no room, a bad header)
 *   E2  an object of a flagged block is settled when its scratch bit is set (heap_scratch_bits()), which nobody needs once ambiguous
 *       roots are resolved: then its header says where it went (OBJECT_MOVED), or is its own. The owner stores the header first (release: the bit);
 *       everybody else acquires the bit before the header. Both bits are the daemon's, and no two granules share one: nobody waits
 *       for a client's word, and what a forged reference claims is settled by who claimed it, like the rest
 *   E3  the address in a header is a client's word: it is used only if an object could be there (soundness S18)
 *   E4  each reference of each survivor is rewritten by who scanned it: its place is in a packet, in a ring, in a slice, or
 *       done; or overflowed is set, and a rescan looks at every reference of every survivor again
 *   E5  pinned objects are marked, and blocks that stay lose their flag, before anything is copied. Then scratch bits change their
 *       meaning in flagged blocks: what is marked is settled (in a young collection all that is old, too), nothing else is
 *   E6  strictly depth first, first reference first: an object's copy lies right behind that of what refers to it first, as a
 *       program that makes a structure and then walks it has it. A ring of references in flight as in mark.c would be faster where
 *       objects lie shuffled, and would interleave sixteen structures: a tree then took 16 times as long to walk
 *   E7  an ordered trace (a graph that is stowed) is one worker's: where its stack has no room, what is older is kept on a list, and a long array
 *       lies there above what was pushed before it: so E6 holds for all of it, unless packets run out: then the rescan finds what is left
 *       What is pinned has its scratch bit alone meanwhile, not its mark bit: so whoever comes to it first goes on from it, once; it is counted,
 *       and what it refers to is in packets, already. When all is stowed, what has a scratch bit is marked
 *   Honest objects do not overlap. A forged reference into one can spoil its header when what it claims is moved: a client's lie,
 *   found by verify; no step here goes wrong by it.
 *   From   Cheney's forwarding in the old copy; opportunistic evacuation after Immix (PLDI 2008); claim bit: soundness S18 */
#include <sched.h>
#include <string.h>

#include "plans/refcount.h"
#include "plans/trace/settle.h"
#include "plans/trace/stack.h"

#define ITEMS_A_PLACE 2u
#define PLACES_AHEAD 16u                     /* misses in flight, behind each other */
#define TARGETS_AHEAD 8u

static bool flagged(const struct trace *t, uint32_t granule)
{
    return blocks_flag(&t->heap->blocks, granule / MM_BLOCK_GRANULES, BLOCK_EVACUATE);
}

static enum block_kind kind_at(const struct trace *t, uint32_t granule)
{
    return blocks_kind(&t->heap->blocks, granule / MM_BLOCK_GRANULES);
}

/* the stack: places, in words of 4 bytes from the arena's start */

static inline void store_place(struct packet *p, uint32_t at, uint64_t place)
{
    memcpy(&p->items[at], &place, sizeof(place));
}

static inline uint64_t place_at(const struct packet *p, uint32_t at)
{
    uint64_t place;

    memcpy(&place, &p->items[at], sizeof(place));
    return place;
}

static inline void push_place(struct tracer *r, uint64_t place)
{
    struct packet *p = r->stack;
    uint32_t count = p == NULL ? PACKET_ITEMS : p->count;

    if (MM_UNLIKELY(count + ITEMS_A_PLACE > PACKET_ITEMS)) {
        at_store_relaxed(&r->t->overflowed, 1);
        return;
    }
    store_place(p, count, place);
    p->count = count + ITEMS_A_PLACE;
}

static inline uint64_t pop_place(struct packet *p)
{
    p->count -= ITEMS_A_PLACE;
    return place_at(p, p->count);
}

/* What it refers to is on its way into the cache when its turn comes, unless it is the very next. */
static inline void fetch(const struct trace *t, uint32_t granule)
{
    if (MM_UNLIKELY(granule >= t->heap->granules))
        return;
    foreign_prefetch(t->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES);
    __builtin_prefetch((const void *)&t->marks[granule / 64]);
    __builtin_prefetch((const void *)&t->settled[granule / 64]);
    if (t->counts)
        __builtin_prefetch((const void *)refcount_of(t->heap, granule));
}

static inline __attribute__((always_inline)) void push(void *context, uint64_t place, uint32_t reference)
{
    struct tracer *r = context;

    if (reference == 0)
        return;
    fetch(r->t, reference);
    push_place(r, place);
}

/* So that the first of what was pushed since @from is the next to be popped: E6. */
static void turn_over(struct packet *p, uint32_t from)
{
    for (uint32_t i = from, k = p->count; k - i >= 2 * ITEMS_A_PLACE; i += ITEMS_A_PLACE) {
        k -= ITEMS_A_PLACE;
        uint64_t swap = place_at(p, i);
        store_place(p, i, place_at(p, k));
        store_place(p, k, swap);
    }
}

/* scanning */

static void make_room(struct tracer *r, uint64_t references)
{
    if (r->stack != NULL)
        stack_make_room(r, r->t->slots, references * ITEMS_A_PLACE);
}

/* @from: items pushed for what comes before this object. */
static void scan_elements(struct tracer *r, const struct object *o, uint32_t *from)
{
    uint32_t slice = stack_slice_elements(o->program, ITEMS_A_PLACE);

    if (o->length <= slice) {
        object_each_element(r->t->arena, o->granule, o->program, 0, o->length, push, r);
    } else if ((r->t->ordered && !stack_keep(r, from)) || !stack_leave_slice(r, o->granule, o->program, 0, o->length)) {
        at_store_relaxed(&r->t->overflowed, 1);
    }
}

static void scan_array(struct tracer *r, const struct object *o)
{
    make_room(r, o->program->ref_count + STACK_SLICE_ITEMS / ITEMS_A_PLACE);
    uint32_t from = r->stack == NULL ? 0 : r->stack->count;
    object_each_fixed(r->t->arena, o->granule, o->program, push, r);
    scan_elements(r, o, &from);
    if (r->stack != NULL)
        turn_over(r->stack, from);
}

static inline void scan_fixed(struct tracer *r, uint32_t granule, const struct scan_program *program)
{
    make_room(r, program->ref_count);
    object_each_fixed_backwards(r->t->arena, granule, program, push, r); /* E6 */
}

static void scan(struct tracer *r, struct object *o)
{
    if (o->program->shape == SCAN_LEAF)
        return;
    if (r->t->counts)
        refcount_arm(r->t->heap, o); /* it is old from now on */
    o->program = settle_followed(r->t, o);
    if (o->program->shape == SCAN_ARRAY)
        scan_array(r, o);
    else if (o->program->shape != SCAN_LEAF)
        scan_fixed(r, o->granule, o->program);
}

/* moving */

static inline void set_settled(const struct trace *t, uint32_t granule)
{
    _Atomic uint64_t *word = &t->settled[granule / 64];
    uint64_t mask = UINT64_C(1) << granule % 64;

    if (t->alone)
        at_store_release(word, at_load_relaxed(word) | mask);
    else
        atomic_fetch_or_explicit(word, mask, memory_order_release); /* E2 */
}

static bool is_settled(const struct trace *t, uint32_t granule)
{
    uint64_t word = at_load_acquire(&t->settled[granule / 64]); /* pairs with set_settled */

    return (word >> granule % 64 & 1) != 0;
}

/* An object that stays although its block is flagged. */
static void stay(struct tracer *r, enum block_kind kind, const struct object *o)
{
    settle_in_place(r->t, kind, o);
    set_settled(r->t, o->granule);
}

/* Of a copy: its block is this worker's (copy.h), so no honest reference leads anybody else to a bit of this word that is not set. A forged one may:
 * then its bit can be lost, and what it claims is looked at once more. */
static inline void mark_copy(const struct trace *t, uint32_t granule)
{
    if (t->plain)
        bitmap_set(t->marks, granule);
    else
        (void)settle_try_mark(t, granule);
}

/* To @at, where there is room for it; the header is the caller's. */
static inline void copy_to(struct tracer *r, uint32_t at, uint64_t header, uint32_t granule, uint32_t granules)
{
    struct trace *t = r->t;

    foreign_store64(t->arena, (size_t)at * MM_GRANULE_BYTES, header);
    foreign_copy(t->arena, ((size_t)at + 1) * MM_GRANULE_BYTES, (size_t)granule * MM_GRANULE_BYTES, (size_t)(granules - 1) * MM_GRANULE_BYTES);
    mark_copy(t, at + 1);
    foreign_store64(t->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES, object_header_moved(at + 1));
    set_settled(t, granule);
    r->tally->moved_objects++;
    r->tally->moved_bytes += (uint64_t)granules * MM_GRANULE_BYTES;
}

/* Copies the claimed object @o and tells where to. 0: no room. */
static uint32_t copy(struct tracer *r, enum block_kind kind, const struct object *o)
{
    struct heap *h = r->t->heap;
    uint32_t at = copy_take(h, &r->tally->room, h->plan->copies_to[kind], o->granules);

    if (at == COPY_NONE)
        return 0;
    copy_to(r, at, o->header, o->granule, o->granules);
    settle_mark_lines(r->t, at + 1, o->granules);
    return at + 1;
}

/* E3 */
static inline uint32_t forwarded(struct tracer *r, uint32_t granule)
{
    uint64_t header = foreign_load64(r->t->arena, (size_t)(granule - 1) * MM_GRANULE_BYTES);

    if (!object_header_is_moved(header))
        return granule;
    uint32_t to = object_header_length(header);
    if (object_place(r->t->heap, to) != BLOCK_UNCOMMITTED)
        return to;
    r->tally->forged_refs++;
    return granule;
}

/* Another worker has claimed it: its copy takes a microsecond at most, unless that worker lost its processor. */
static __attribute__((noinline)) void await(const struct trace *t, uint32_t granule)
{
    for (unsigned spins = 0; !is_settled(t, granule);)
        if (++spins % 64 == 0)
            sched_yield();
}

/* E7: true if the object just claimed was pinned: then it is gone on from, and that is all. In blocks just taken nothing is. */
static bool walk_pinned(struct tracer *r, uint32_t granule, enum block_kind kind)
{
    struct object o;

    if (!r->t->ordered || !is_settled(r->t, granule) || blocks_flag(&r->t->heap->blocks, granule / MM_BLOCK_GRANULES, BLOCK_FRESH))
        return false;
    if (object_load(r->t->heap, granule, kind, &o) && o.granules <= r->t->pinned_room) {
        r->t->pinned_room -= o.granules;
        scan(r, &o);
    }
    return true;
}

/* Of any size and shape; it has just been claimed. Its address from now on. */
static __attribute__((noinline)) uint32_t evacuate_any(struct tracer *r, uint32_t granule, enum block_kind kind)
{
    struct object o;

    if (walk_pinned(r, granule, kind))
        return granule;
    bool good = settle_size(r->t, r->tally, granule, kind, &o);
    uint32_t to = good ? copy(r, kind, &o) : 0;
    if (to == 0)
        stay(r, kind, &o);
    else
        o.granule = to;
    if (good)
        scan(r, &o);
    return o.granule;
}

/* What that comes to for nearly every object. 0: nothing has been done. */
static inline uint32_t evacuate_small(struct tracer *r, uint32_t granule, enum block_kind kind)
{
    struct trace *t = r->t;
    uint64_t header;
    const struct scan_program *program = settle_small_program(t, granule, kind, &header);
    uint32_t at;

    if (MM_UNLIKELY(program == NULL))
        return 0;
    uint32_t granules = program->small_granules;
    if (MM_UNLIKELY((at = copy_take_small(&r->tally->room, granules)) == COPY_NONE))
        return 0;
    settle_count_small(r->tally, granules);
    copy_to(r, at, header, granule, granules);
    settle_mark_small(t, at + 1, granules);
    if (program->shape != SCAN_LEAF)
        scan_fixed(r, at + 1, program);
    return at + 1;
}

static inline uint32_t evacuate(struct tracer *r, uint32_t granule, enum block_kind kind)
{
    if (!settle_try_mark(r->t, granule)) {
        if (MM_UNLIKELY(!is_settled(r->t, granule)))
            await(r->t, granule);
        return forwarded(r, granule);
    }
    uint32_t to = evacuate_small(r, granule, kind);
    return MM_LIKELY(to != 0) ? to : evacuate_any(r, granule, kind);
}

static __attribute__((noinline)) void mark_in_place(struct tracer *r, uint32_t granule, enum block_kind kind)
{
    struct object o;

    if (!settle_try_mark(r->t, granule) || (MM_UNLIKELY(!r->t->plain) && walk_pinned(r, granule, kind)))
        return;
    bool good = settle_size(r->t, r->tally, granule, kind, &o);
    settle_in_place(r->t, kind, &o);
    if (good)
        scan(r, &o);
}

/* The address from now on of the object at @granule, in a block of @kind. */
static inline uint32_t visit(struct tracer *r, uint32_t granule, enum block_kind kind)
{
    if (flagged(r->t, granule))
        return evacuate(r, granule, kind);
    mark_in_place(r, granule, kind);
    return granule;
}

/* roots */

void evacuate_pin(struct tracer *r, uint32_t granule)
{
    enum block_kind kind = kind_at(r->t, granule);

    (void)stack_root_room(r, r->t->slots, ITEMS_A_PLACE);
    if (kind == BLOCK_COPY || kind == BLOCK_NURSERY) /* its block stays */
        at_and_relaxed(&r->t->heap->meta.flags[granule / MM_BLOCK_GRANULES], (uint8_t)~BLOCK_EVACUATE);
    mark_in_place(r, granule, kind);
}

void evacuate_settle_pins(const struct trace *t, uint32_t block)
{
    size_t first = (size_t)block * MM_BLOCK_GRANULES / 64;

    for (size_t i = first; i < first + MM_BLOCK_GRANULES / 64; i++)
        at_store_relaxed(&t->settled[i], at_load_relaxed(&t->marks[i]));
}

void evacuate_unmark_pins(const struct trace *t, uint32_t block)
{
    bitmap_clear_range(t->marks, (uint64_t)block * MM_BLOCK_GRANULES, ((uint64_t)block + 1) * MM_BLOCK_GRANULES);
}

void evacuate_mark_pins(const struct trace *t, uint32_t block)
{
    size_t first = (size_t)block * MM_BLOCK_GRANULES / 64;

    for (size_t i = first; i < first + MM_BLOCK_GRANULES / 64; i++)
        at_store_relaxed(&t->marks[i], at_load_relaxed(&t->marks[i]) | at_load_relaxed(&t->settled[i]));
}

uint32_t evacuate_root(struct tracer *r, uint32_t granule)
{
    (void)stack_root_room(r, r->t->slots, ITEMS_A_PLACE);
    return visit(r, granule, kind_at(r->t, granule));
}

static void root_place(void *context, uint64_t place, uint32_t reference)
{
    struct tracer *r = context;

    if (reference == 0)
        return;
    if (stack_root_room(r, r->t->slots, ITEMS_A_PLACE))
        fetch(r->t, reference);
    push_place(r, place);
}

void evacuate_piece(struct tracer *r, const struct object *o, struct piece piece)
{
    struct object followed = *o;

    followed.program = settle_followed(r->t, o);
    object_each_in_piece(r->t->heap, &followed, piece, root_place, r);
}

uint32_t evacuate_now(struct tracer *r, uint32_t granule)
{
    return flagged(r->t, granule) && is_settled(r->t, granule) ? forwarded(r, granule) : granule;
}

bool evacuate_has_left(const struct trace *t, uint32_t granule)
{
    return flagged(t, granule) && object_moved(t->heap, granule);
}

/* the closure */

static void count_old(const struct trace *t, uint32_t granule)
{
    if (granule != 0 && bitmap_test(t->marks, granule)) /* else it is forged */
        refcount_up(t->heap, granule);
}

/* Where nothing is young nothing moves, and nothing follows: there is time to fetch it. */
static inline bool is_settled_old(const struct trace *t, uint32_t granule)
{
    return t->counts && !blocks_flag(&t->heap->blocks, granule / MM_BLOCK_GRANULES, BLOCK_YOUNG);
}

static void count_rest(struct tracer *r)
{
    for (unsigned i = 0; r->t->counts && i < TRACE_LATER; i++)
        count_old(r->t, refcount_fetch(r->t->heap, &r->tally->later, 0));
}

static inline void follow(struct tracer *r, uint64_t place)
{
    uint32_t target = foreign_load32(r->t->arena, place * 4), now;

    if (target == 0)
        return;
    enum block_kind kind = object_place(r->t->heap, target);
    if (MM_UNLIKELY(kind == BLOCK_UNCOMMITTED)) {
        r->tally->forged_refs++;
        return;
    }
    if (is_settled_old(r->t, target)) {
        count_old(r->t, refcount_fetch(r->t->heap, &r->tally->later, target));
        return;
    }
    now = visit(r, target, kind);
    if (now != target)
        foreign_store32(r->t->arena, place * 4, now);
    if (r->t->counts)
        count_old(r->t, now);
}

/* Of what was on the stack from the beginning, as roots' places are, it is long ago that anything was fetched: the places of those
 * whose turn comes soon, and what the sooner ones refer to. */
static void fetch_ahead(const struct tracer *r)
{
    const struct packet *p = r->stack;

    if (p->count > PLACES_AHEAD * ITEMS_A_PLACE)
        foreign_prefetch(r->t->arena, place_at(p, p->count - (PLACES_AHEAD + 1) * ITEMS_A_PLACE) * 4);
    if (p->count <= TARGETS_AHEAD * ITEMS_A_PLACE)
        return;
    uint32_t target = foreign_load32(r->t->arena, place_at(p, p->count - (TARGETS_AHEAD + 1) * ITEMS_A_PLACE) * 4);
    if (target != 0)
        fetch(r->t, target);
}

/* Until the stack is empty, or others want this worker. */
static void drain(struct tracer *r)
{
    struct packet *stack = r->stack;
    uint32_t lowest = stack->count;
    unsigned visits = 0;

    while (stack->count > 0) {
        if (stack->count <= lowest) {
            fetch_ahead(r);
            lowest = stack->count;
        }
        follow(r, pop_place(stack));
        if (++visits % STACK_SHARE_EVERY != 0 || r->t->bounded)
            continue;
        if (stack->count >= STACK_SHARE_MIN && worker_others_idle_racy(r->worker))
            stack_give_half(r, r->t->slots);
        if (MM_UNLIKELY(worker_should_yield(r->worker)) && stack->count > 0 && stack_leave(r, r->t->slots))
            break;
    }
    count_rest(r);
}

void evacuate_run_slots(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    drain(&(struct tracer){ t, tally, w, p });
}

/* The first elements of what is left of an array; the others come after all that these reach. */
static void push_slice(struct tracer *r, const struct slice *s)
{
    uint32_t left = s->end - s->stop, stop = s->stop + MM_MIN(left, stack_slice_elements(s->program, ITEMS_A_PLACE));

    if (stop < s->end && !stack_leave_slice(r, s->granule, s->program, stop, s->end))
        at_store_relaxed(&r->t->overflowed, 1);
    object_each_element(r->t->arena, s->granule, s->program, s->stop, stop, push, r);
    turn_over(r->stack, 0);
}

uint32_t evacuate_in_order(struct tracer *r, uint32_t granule)
{
    struct slice s;
    bool more = true, plain = r->t->plain;

    r->t->ordered = r->t->bounded = true;
    r->t->plain = false; /* nothing on a fast path knows of what is pinned */
    uint32_t now = visit(r, granule, kind_at(r->t, granule));
    while (more) {
        drain(r);
        more = stack_take_kept(r, &s);
        if (s.end != 0)
            push_slice(r, &s);
    }
    r->t->ordered = r->t->bounded = false;
    r->t->plain = plain;
    return now;
}

void evacuate_run_slice(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    struct tracer r = { t, tally, w, p };
    struct slice s = stack_slice_of(p);
    uint32_t step = stack_slice_elements(s.program, ITEMS_A_PLACE);

    while (stack_slice_next(&r, &s, step)) {
        uint32_t from = p->count;
        object_each_element(t->arena, s.granule, s.program, s.at, s.stop, push, &r);
        turn_over(p, from);
        drain(&r);
    }
}

/* overflow */

static void rescan_object(struct tracer *r, uint32_t granule, enum block_kind kind, uint64_t *room)
{
    struct object o;

    if (!object_load(r->t->heap, granule, kind, &o) || o.program->shape == SCAN_LEAF)
        return;
    if (o.granules > MM_LINE_GRANULES && o.granules > *room)
        return;
    *room -= o.granules > MM_LINE_GRANULES ? o.granules : 0;
    o.program = settle_followed(r->t, &o);
    object_each_fixed(r->t->arena, granule, o.program, push, r);
    drain(r);
    if (o.program->shape != SCAN_ARRAY)
        return;
    uint32_t slice = stack_slice_elements(o.program, ITEMS_A_PLACE);
    for (uint32_t at = 0, stop; at < o.length; at = stop) {
        stop = o.length - at > slice ? at + slice : o.length;
        object_each_element(r->t->arena, granule, o.program, at, stop, push, r);
        drain(r);
    }
}

/* What has moved is looked at where it went. */
static bool survives_here(const struct trace *t, uint64_t at)
{
    return object_place(t->heap, (uint32_t)at) != BLOCK_UNCOMMITTED &&
           !evacuate_has_left(t, (uint32_t)at);
}

static void rescan_block(struct tracer *r, uint32_t block, enum block_kind kind)
{
    uint64_t at = (uint64_t)block * MM_BLOCK_GRANULES, end = at + MM_BLOCK_GRANULES;
    uint64_t room = kind == BLOCK_LARGE ? UINT64_MAX : MM_BLOCK_GRANULES;

    for (at = bitmap_find_set(r->t->marks, at, end); at < end; at = bitmap_find_set(r->t->marks, at + 1, end))
        if (survives_here(r->t, at))
            rescan_object(r, (uint32_t)at, kind, &room);
}

void evacuate_run_rescan(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p)
{
    struct tracer r = { t, tally, w, p };

    if (!t->bounded)
        trace_split_range(w, p, MM_COMMIT_BLOCKS);
    for (uint64_t block = p->args[0]; block < p->args[1]; block++) {
        enum block_kind kind = blocks_kind(&t->heap->blocks, (uint32_t)block);
        if (block_kind_in_use(kind))
            rescan_block(&r, (uint32_t)block, kind);
    }
}
