/* SPDX-License-Identifier: Apache-2.0 */
/* stow.c - Stow: one pass that copies, and what follows when it has succeeded, or has not.
 *   W1  between the first copy and the last reference brought up to date there is no safepoint, so no stop sees a copy that refers to
 *       a hold. If the thread is killed there, the copies are garbage that refers to garbage, all of it whole (soundness S5, S7)
 *   W2  nothing in a hold is written before all is copied: a marker may be reading it. Where a copy is stands in a map beside the block
 *   W3  what does not fit is undone: into a hold, by setting its bump back; in the heap copies lose their fields, so that they refer to
 *       nothing, and are garbage. Then a pass without copies says how much is needed, which is waited for, and all begins anew. That
 *       is the exception: as much as was stowed of late is seen to before the first copy
 *   W4  guests stay where they are, and are changed last, through the write barrier: they may be old
 *   W5  references of every kind are followed. What one finds that keeps nothing alive is found as by mmgc_load_weak(): while a cycle
 *       marks it is told so, or what only that refers to would not be marked, and would be swept while the copy refers to it */
#include "client/stow.h"

#include <errno.h>
#include <mmgc/mmgc.h>
#include <stdlib.h>
#include <string.h>

#include "client/alloc.h"
#include "client/error.h"
#include "client/hold.h"
#include "client/layout.h"
#include "client/profile.h"
#include "client/reserve.h"
#include "client/span.h"
#include "client/write_barrier.h"

#define ATTEMPTS 8u
#define FIRST_FRAMES 256u
#define MAP_WORDS (MM_BLOCK_GRANULES / 2 / 64)

/* Of one block: no two objects begin in the same two granules. */
struct stow_map {
    uint64_t stow;                           /* the serial of the stow that it is of; of another: it is empty */
    uint64_t copied[MAP_WORDS];
    uint32_t next;                           /* place of the next block that this stow has touched */
    uint32_t to[MM_BLOCK_GRANULES / 2];      /* granules, where copied */
};

struct frame {                               /* an object whose references from the next one on are to be looked at */
    char *at;                                /* its fixed part, then element after element */
    const uint32_t *next, *end;              /* offsets there */
    const struct layout *layout;
    uint32_t elements;                       /* behind that */
    bool writes;                             /* it is a copy */
};

struct stow {
    struct thread *th;
    uint32_t to;                             /* the depth it goes to */
    bool measures;                           /* nothing is copied: need says what would be */
    bool from_blocks;                        /* what was seen to (W3) */
    uint64_t serial;
    uint32_t touched;                        /* place of the first block with a map of this stow; 0: none */
    uint32_t guests;                         /* marked stowed */
    struct frame *frames;
    size_t depth, capacity;
    struct alloc_need need;
    uint64_t bytes;
    bool lacks;                              /* memory, of the kind that can be waited for */
    struct hold before;                      /* the hold @to, as it was */
    struct shm_bump *bump;                   /* where nearly all copies come from; NULL: of a plan without */
    const struct hold_pool *pool;            /* th->holds->pool, whose tables these are: */
    const uint8_t *owners;
    char *base;
};

static _Atomic uint64_t last_serial;

static char *address_of(const struct stow *s, uint32_t granule)
{
    return s->base + ((uint64_t)granule << MM_GRANULE_LOG);
}

static uint32_t granule_of(const struct stow *s, const void *p)
{
    return (uint32_t)((uint64_t)((const char *)p - s->base) >> MM_GRANULE_LOG);
}

static uint64_t header_of(const char *payload)
{
    return __atomic_load_n((const uint64_t *)(const void *)payload - 1, __ATOMIC_RELAXED);
}

/* ---- frames ---- */

static struct frame frame_of(char *payload, const struct layout *l, uint64_t header, bool writes)
{
    uint32_t elements = l->element_ref_count > 0 ? object_header_length(header) : 0;

    return (struct frame){ payload, l->refs, l->refs + l->ref_count, l, elements, writes };
}

static __attribute__((noinline)) int frames_grow(struct stow *s)
{
    size_t capacity = s->capacity == 0 ? FIRST_FRAMES : 2 * s->capacity;
    struct frame *frames = reallocarray(s->frames, capacity, sizeof(*frames));

    if (frames == NULL)
        return error_system("malloc", -ENOMEM);
    s->frames = frames;
    s->capacity = capacity;
    return MMGC_OK;
}

static inline bool is_done(const struct frame *f)
{
    return f->next == f->end && f->elements == 0;
}

/* The rest of @f, if there is one, comes after @inner, in which something is to be looked at or nothing need be done. A list takes no frame: what
 * it goes on to is the last that an object has. */
static inline int enter(struct stow *s, struct frame *f, struct frame inner)
{
    while (inner.next != inner.end && __atomic_load_n((uint32_t *)(void *)(inner.at + *inner.next), __ATOMIC_RELAXED) == 0)
        inner.next++;
    if (is_done(&inner))
        return MMGC_OK;
    if (!is_done(f)) {
        if (MM_UNLIKELY(s->depth == s->capacity)) {
            int r = frames_grow(s);
            if (r != MMGC_OK)
                return r;
        }
        s->frames[s->depth++] = *f;
    }
    *f = inner;
    return MMGC_OK;
}

/* From the fixed part to the first element, or to the next one. */
static inline void next_element(struct frame *f)
{
    const struct layout *l = f->layout;

    f->at += f->end == l->element_refs + l->element_ref_count ? l->element_bytes : l->fixed_bytes;
    f->next = l->element_refs;
    f->end = l->element_refs + l->element_ref_count;
    f->elements--;
}

/* Its next reference; there is one. */
static inline uint32_t *next_slot(struct frame *f)
{
    if (MM_UNLIKELY(f->next == f->end))
        next_element(f);
    return (uint32_t *)(void *)(f->at + *f->next++);
}

/* ---- where things are ---- */

static uint8_t owner_of(const struct stow *s, uint32_t granule)
{
    return s->owners[granule / MM_BLOCK_GRANULES];
}

static const struct held_block *block_of(const struct stow *s, uint32_t granule)
{
    return &s->pool->blocks[s->pool->places[granule / MM_BLOCK_GRANULES] - 1];
}

/* Of a block where this stow has not been. NULL: out of memory. */
static __attribute__((noinline)) struct stow_map *map_begin(struct stow *s, uint32_t granule)
{
    uint32_t place = s->pool->places[granule / MM_BLOCK_GRANULES];
    struct held_block *b = held_block(&s->th->holds->pool, place);

    if (b->map == NULL)
        b->map = malloc(sizeof(*b->map));
    if (b->map == NULL)
        return NULL;
    b->map->stow = s->serial;
    memset(b->map->copied, 0, sizeof(b->map->copied));
    b->map->next = s->touched;
    s->touched = place;
    return b->map;
}

/* The map of the block that @granule is in. NULL: out of memory. */
static inline struct stow_map *map_of(struct stow *s, uint32_t granule)
{
    struct stow_map *map = block_of(s, granule)->map;

    return MM_LIKELY(map != NULL && map->stow == s->serial) ? map : map_begin(s, granule);
}

static bool is_copied(const struct stow_map *map, uint32_t granule)
{
    uint32_t pair = granule % MM_BLOCK_GRANULES / 2;

    return (map->copied[pair / 64] >> pair % 64 & 1) != 0;
}

static void note_copy(struct stow_map *map, uint32_t granule, uint32_t to)
{
    uint32_t pair = granule % MM_BLOCK_GRANULES / 2;

    map->copied[pair / 64] |= UINT64_C(1) << pair % 64;
    map->to[pair] = to;
}

static bool leaves(const struct stow *s, uint8_t owner)
{
    return (owner & HOLD_GUESTS) == 0 && owner > s->to;
}

/* Where the object at @granule is when all is copied. */
static uint32_t forwarded(const struct stow *s, uint32_t granule)
{
    if (granule == 0 || !leaves(s, owner_of(s, granule)))
        return granule;
    const struct stow_map *map = block_of(s, granule)->map;
    bool copied = map != NULL && map->stow == s->serial && is_copied(map, granule);
    return copied ? map->to[granule % MM_BLOCK_GRANULES / 2] : granule;
}

/* ---- copying ---- */

/* NULL: *ret_error; if more memory would help, s->lacks. */
static __attribute__((noinline)) char *room_elsewhere(struct stow *s, uint64_t bytes, int *ret_error)
{
    struct thread *th = s->th;
    struct hold *hold = s->to > 0 ? &th->holds->stack[s->to - 1] : NULL;
    uint64_t used = hold != NULL ? hold_used(th, hold) : 0;

    if (hold != NULL && bytes > hold->budget_bytes - MM_MIN(used, hold->budget_bytes)) {
        *ret_error = error_set(MMGC_E_BUDGET, "%llu bytes more than %llu of the enclosing hold's %llu", (unsigned long long)bytes,
                               (unsigned long long)used, (unsigned long long)hold->budget_bytes);
        return NULL;
    }
    char *p = hold != NULL ? hold_take(th, hold, bytes) : alloc_at_hand(th, bytes, s->from_blocks);
    if (p == NULL && s->from_blocks)
        p = alloc_at_hand(th, bytes, false);
    s->lacks = p == NULL;
    if (p == NULL)
        *ret_error = error_set(MMGC_E_NOMEM, "stowing %llu bytes", (unsigned long long)bytes);
    return p;
}

/* A hold's bump ends where its budget does (hold_new.c). */
static inline char *room_for(struct stow *s, uint64_t bytes, int *ret_error)
{
    struct shm_bump *bump = s->bump;

    if (MM_UNLIKELY(bump == NULL || bytes > (uint64_t)(bump->limit - bump->cursor)))
        return room_elsewhere(s, bytes, ret_error);
    char *p = bump->cursor;
    span_word_store(&bump->cursor, p + bytes);
    return p;
}

static inline void copy_payload(char *to, const char *from, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i += sizeof(uint64_t))
        __atomic_store_n((uint64_t *)(void *)(to + i), *(const uint64_t *)(const void *)(from + i), __ATOMIC_RELAXED);
}

/* What stands at @granule is in the hold: copied, or counted; and entered from @f. */
static inline int take_out(struct stow *s, struct frame *f, struct stow_map *map, uint32_t granule)
{
    char *from = address_of(s, granule), *to = from;
    uint64_t header = header_of(from);
    const struct layout *l = layout_of(s->th->heap, header);
    int r = MMGC_OK;

    if (l == NULL || layout_bytes(l, header) > MM_SMALL_MAX_BYTES)
        return error_set(MMGC_E_NO_OBJECT, "granule %u", granule);
    uint64_t bytes = layout_bytes(l, header);
    s->bytes += bytes;
    if (s->measures) {
        alloc_need_add(s->th, &s->need, bytes);
    } else {
        char *p = room_for(s, bytes, &r);
        if (p == NULL)
            return r;
        to = alloc_finish(p, header);
        copy_payload(to, from, bytes - OBJECT_HEADER_BYTES);
    }
    note_copy(map, granule, granule_of(s, to));
    return enter(s, f, frame_of(to, l, header, !s->measures));
}

static __attribute__((noinline)) int visit_guest(struct stow *s, struct frame *f, uint32_t granule)
{
    uint32_t depth;
    char *object = address_of(s, granule);
    struct hold_guest *guest = hold_guest_find(s->th, object, &depth);

    if (guest == NULL || depth <= s->to || guest->stowed)
        return MMGC_OK;
    uint64_t header = header_of(object);
    const struct layout *l = layout_of(s->th->heap, header);
    if (l == NULL)
        return error_set(MMGC_E_NO_OBJECT, "granule %u", granule);
    guest->stowed = true;
    s->guests++;
    return enter(s, f, frame_of(object, l, header, false));
}

/* What a reference of @was is from now on. If nobody has come there yet, @f is that object from now on. */
static inline int visit(struct stow *s, struct frame *f, uint32_t was, uint32_t *ret_now)
{
    uint8_t owner;

    *ret_now = was;
    if (was == 0 || (owner = owner_of(s, was)) <= s->to)
        return MMGC_OK;
    if ((owner & HOLD_GUESTS) != 0)
        return visit_guest(s, f, was);
    struct stow_map *map = map_of(s, was);
    if (map == NULL)
        return error_system("malloc", -ENOMEM);
    if (!is_copied(map, was)) {
        int r = take_out(s, f, map, was);
        if (r != MMGC_OK)
            return r;
    }
    *ret_now = map->to[was % MM_BLOCK_GRANULES / 2];
    return MMGC_OK;
}

/* W5 */
static int find(const struct stow *s, uint32_t granule)
{
    bool told = granule == 0 || at_load_relaxed(&s->th->heap->control->keeps) == 0 || write_barrier_keep(s->th, granule);

    return told ? MMGC_OK : error_set(MMGC_E_STALLED, NULL);
}

/* All that is reached from what @f has left. */
static int drain(struct stow *s, struct frame f)
{
    for (;;) {
        if (is_done(&f)) {
            if (s->depth == 0)
                return MMGC_OK;
            f = s->frames[--s->depth];
        }
        uint32_t *slot = next_slot(&f), was = __atomic_load_n(slot, __ATOMIC_RELAXED), now;
        bool writes = f.writes;
        if (was == 0)
            continue;
        int r = MM_UNLIKELY(f.layout->weak) ? find(s, was) : MMGC_OK;
        if (MM_LIKELY(r == MMGC_OK))
            r = visit(s, &f, was, &now);
        if (MM_UNLIKELY(r != MMGC_OK))
            return r;
        if (writes && now != was)
            __atomic_store_n(slot, now, __ATOMIC_RELAXED); /* nobody knows the copy yet */
    }
}

static int visit_root(struct stow *s, uint32_t granule)
{
    struct frame f = { 0 };
    uint32_t now;
    int r = visit(s, &f, granule, &now);

    return r == MMGC_OK ? drain(s, f) : r;
}

struct roots {
    void **objects;
    size_t count;
    bool at_end;                             /* also the innermost hold's guests, which then ends */
};

static int visit_roots(struct stow *s, const struct roots *roots)
{
    struct thread *th = s->th;
    int r = MMGC_OK;

    for (size_t i = 0; r == MMGC_OK && i < roots->count; i++)
        if (roots->objects[i] != NULL)
            r = visit_root(s, granule_of(s, roots->objects[i]));
    for (uint32_t i = 0; roots->at_end && r == MMGC_OK && i < hold_innermost(th)->guest_count; i++)
        r = visit_root(s, hold_innermost(th)->guests[i].granule);
    return r;
}

/* ---- afterwards ---- */

/* Old references of @object, which stays where it is, to what does not. */
static void update(struct stow *s, char *object)
{
    uint64_t header = header_of(object);
    const struct layout *l = layout_of(s->th->heap, header);

    if (l == NULL)
        return;
    for (struct frame f = frame_of(object, l, header, true); !is_done(&f);) {
        uint32_t *slot = next_slot(&f), was = __atomic_load_n(slot, __ATOMIC_RELAXED), now = forwarded(s, was);
        if (now != was)
            write_barrier_store(s->th, object, (mmgc_ref *)(void *)slot, now);
    }
}

/* Those that stay the hold's may refer to what does not. */
static void update_guests(struct stow *s)
{
    for (uint32_t depth = s->th->hold_depth; depth > s->to; depth--) {
        const struct hold *hold = &s->th->holds->stack[depth - 1];
        for (uint32_t i = 0; i < hold->guest_count; i++)
            update(s, address_of(s, hold->guests[i].granule));
    }
}

static void update_block(struct stow *s, char *at, const char *top)
{
    while (at < top) {
        uint64_t header = __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED);
        const struct layout *l = header == 0 ? NULL : layout_of(s->th->heap, header);
        if (l != NULL)
            update(s, at + OBJECT_HEADER_BYTES);
        at += l != NULL ? layout_bytes(l, header) : MM_GRANULE_BYTES;
    }
}

/* Everything that is in the holds which lose something, what has been stowed before included. */
static void update_holds(struct stow *s)
{
    struct thread *th = s->th;

    for (uint32_t depth = th->hold_depth; depth > s->to; depth--) {
        struct hold *hold = &th->holds->stack[depth - 1];
        for (uint32_t at = hold->chain.first; at != 0; at = held_block(&th->holds->pool, at)->next) {
            const struct held_block *b = held_block(&th->holds->pool, at);
            update_block(s, b->start, at == hold->chain.last ? hold_bump(th, hold)->cursor : b->top);
        }
    }
}

static void update_locals(struct stow *s)
{
    struct thread *th = s->th;

    for (uint32_t slot = 1; slot < th->local_top; slot++) {
        uint32_t was = at_load_relaxed(&th->m->locals[slot]), now = forwarded(s, was);
        if (now != was)
            at_store_release(&th->m->locals[slot], now);
    }
}

static void finish(struct stow *s, const struct roots *roots)
{
    update_guests(s);
    if (!roots->at_end)
        update_holds(s);
    update_locals(s);
    for (size_t i = 0; i < roots->count; i++)
        if (roots->objects[i] != NULL)
            roots->objects[i] = address_of(s, forwarded(s, granule_of(s, roots->objects[i])));
}

static void forget_guests(struct stow *s)
{
    for (uint32_t depth = s->th->hold_depth; s->guests > 0 && depth > s->to; depth--) {
        struct hold *hold = &s->th->holds->stack[depth - 1];
        for (uint32_t i = 0; i < hold->guest_count; i++)
            hold->guests[i].stowed = false;
    }
    s->guests = 0;
}

/* In the heap: a copy that refers to nothing (W3). */
static void empty_copies(struct stow *s, const struct stow_map *map)
{
    for (uint32_t word = 0; word < MAP_WORDS; word++)
        for (uint64_t rest = map->copied[word]; rest != 0; rest &= rest - 1) {
            char *copy = address_of(s, map->to[word * 64 + (uint32_t)__builtin_ctzll(rest)]);
            uint64_t header = header_of(copy);
            memset(copy, 0, layout_bytes(layout_of(s->th->heap, header), header) - OBJECT_HEADER_BYTES);
        }
}

static void undo(struct stow *s)
{
    struct hold_pool *pool = &s->th->holds->pool;

    forget_guests(s);
    for (uint32_t at = s->touched; s->to == 0 && !s->measures && at != 0; at = held_block(pool, at)->map->next)
        empty_copies(s, held_block(pool, at)->map);
    if (s->to == 0 || s->measures)
        return;
    struct hold *hold = &s->th->holds->stack[s->to - 1];
    hold_chain_cut(s->th, &hold->chain, s->before.chain.last, s->before.chain.count);
    hold->bump = s->before.bump;
    hold->used_bytes = s->before.used_bytes + (uint64_t)(hold->bump.cursor - s->before.counted);
    if (hold->chain.last != 0)
        hold_line_up(s->th, hold); /* behind it are copies */
    hold->counted = hold->bump.cursor;
    hold_cap(s->th, hold);
}

/* ---- a stow ---- */

static struct shm_bump *bump_of(const struct stow *s)
{
    if (s->to > 0)
        return &s->th->holds->stack[s->to - 1].bump;
    if (s->th->heap->control->allocator != SHM_ALLOCATOR_BUMP)
        return NULL;
    return span_bump(s->th, s->from_blocks ? SHM_GRANT_BLOCKS : SHM_GRANT_LINES);
}

static int pass(struct stow *s, const struct roots *roots)
{
    s->serial = at_add_relaxed(&last_serial, 1) + 1;
    s->touched = s->guests = 0;
    s->depth = 0;
    s->bytes = 0;
    s->lacks = false;
    s->bump = bump_of(s);
    if (s->to > 0 && !s->measures)
        s->before = s->th->holds->stack[s->to - 1];
    return visit_roots(s, roots);
}

static int copy_all(struct stow *s, const struct roots *roots)
{
    int r = pass(s, roots);

    if (r == MMGC_OK)
        r = hold_guests_room(s->th, s->to, s->guests);
    if (r != MMGC_OK) {
        undo(s);
        return r;
    }
    finish(s, roots);
    return MMGC_OK;
}

/* [safepoint] Memory for what they reach. */
static int secure(struct stow *s)
{
    if (s->to > 0)
        return hold_pool_fill(s->th, (uint32_t)MM_MIN((s->bytes + MMGC_SMALL_MAX - 1) / MMGC_SMALL_MAX, UINT32_MAX));
    s->from_blocks = true;
    return alloc_secure(s->th, &s->need);
}

/* Held by local roots, wherever the caller has them. */
static int secure_rooted(struct stow *s, const struct roots *roots)
{
    struct mmgc_thread *t = thread_public(s->th);
    mmgc_scope scope = mmgc_scope_open(t);
    uint32_t first = s->th->local_top;

    if (roots->count >= SHM_LOCALS_MAX - first)
        return error_set(MMGC_E_LIMIT, "%zu objects beside %u local roots", roots->count, first - 1);
    for (size_t i = 0; i < roots->count; i++)
        (void)mmgc_local_new(t, roots->objects[i]);
    int r = secure(s);
    for (size_t i = 0; r == MMGC_OK && i < roots->count; i++)
        roots->objects[i] = mmgc_local_get(t, (mmgc_local){ first + (uint32_t)i });
    mmgc_scope_close(t, scope);
    return r;
}

static int wait_for_room(struct stow *s, const struct roots *roots)
{
    s->measures = true;
    s->need = (struct alloc_need){ 0 };
    int r = pass(s, roots);
    undo(s);
    s->measures = false;
    return r == MMGC_OK ? secure_rooted(s, roots) : r;
}

/* ---- ahead of the first pass ---- */

/* What the holds have that something leaves: no more than that will. */
static uint64_t most_bytes(const struct stow *s)
{
    uint64_t bytes = 0;

    for (uint32_t depth = s->th->hold_depth; depth > s->to; depth--)
        bytes += hold_used(s->th, &s->th->holds->stack[depth - 1]);
    return bytes;
}

void stow_foresee(struct thread *th)
{
    uint64_t expected = th->holds->stowed_bytes;

    if (th->heap->control->allocator == SHM_ALLOCATOR_BUMP && !alloc_lies_ready(th, expected))
        reserve_ahead(th, expected);
}

/* [safepoint] As much as was stowed of late is likely to be stowed again: where that does not lie ready it is waited for before anything is
 * copied, not after a pass that was in vain. Not had: it may do without. */
static int look_ahead(struct stow *s, const struct roots *roots)
{
    uint64_t expected = MM_MIN(s->th->holds->stowed_bytes, most_bytes(s));

    if (s->to > 0 || s->th->heap->control->allocator != SHM_ALLOCATOR_BUMP || alloc_lies_ready(s->th, expected))
        return MMGC_OK;
    s->need = (struct alloc_need){ 0 };
    s->need.bytes[SHM_GRANT_BLOCKS] = expected;
    int r = secure_rooted(s, roots);
    s->from_blocks = r == MMGC_OK;
    return thread_is_in(s->th) ? MMGC_OK : r;
}

/* A stow that was much smaller than others does not make them forgotten at once. */
static void look_back(const struct stow *s)
{
    if (s->to == 0)
        s->th->holds->stowed_bytes = MM_MAX(s->bytes, s->th->holds->stowed_bytes / 2);
}

static int stow(struct thread *th, uint32_t to, const struct roots *roots, bool waits)
{
    struct hold_pool *pool = &th->holds->pool;
    struct stow s = { .th = th, .to = to, .pool = pool, .owners = pool->owners, .base = th->m->base };

    if (profile_is_on())
        profile_pause(th);
    int r = waits ? look_ahead(&s, roots) : MMGC_OK;
    if (r == MMGC_OK)
        r = copy_all(&s, roots);
    for (unsigned attempt = 0; r != MMGC_OK && s.lacks && waits && attempt < ATTEMPTS; attempt++) {
        r = wait_for_room(&s, roots);
        if (r != MMGC_OK)
            break;
        r = copy_all(&s, roots);
    }
    if (r == MMGC_OK)
        look_back(&s);
    if (profile_is_on())
        profile_resume(th);
    free(s.frames);
    return r;
}

int stow_at_end(struct thread *th, void **kept, size_t count)
{
    struct roots roots = { kept, count, true };

    return stow(th, th->hold_depth - 1, &roots, true);
}

int stow_out(struct thread *th, uint32_t to, void **objects, size_t count, bool waits)
{
    struct roots roots = { objects, count, false };
    int r = stow(th, to, &roots, waits);

    if (r == MMGC_OK)
        hold_guests_leave(th, to, false);
    return r;
}
