/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Graph: random objects of all shapes, and a model of them that knows which are reachable. below() and
 *   what is called random go by the seed.
 *   Owner    a test; one graph at a time
 *   Threads  one: the heap's caller */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plans/plan.h"
#include "tests/plans/objects.h"

#define MODEL_MAX 20000u
#define ROOTS 64u

/* Says which run it was. */
#define AGREES(x) \
    do { \
        if (!(x)) \
            ck_abort_msg("MMGC_SEED=%" PRIu64 ": %s:%d: %s", graph_seed, __FILE__, __LINE__, #x); \
    } while (0)

struct shadow {
    uint32_t granule, type, length, refs; /* refs: how many the object has */
    uint32_t *to;                         /* indices; 0: null */
    bool live;
    uint64_t header; /* with its identity, once it has one */
};

static struct fake_world world; /* the test opens and closes it */
static struct objects types;
static struct shadow shadows[MODEL_MAX]; /* [0] is null */
static uint32_t shadow_count;
static uint32_t free_list[MODEL_MAX], free_count;
static uint32_t roots[ROOTS]; /* even ones exact, odd ones ambiguous */
static uint32_t no_object; /* a word that is none: null among the ambiguous ones */
static uint64_t graph_seed, rng;

static inline uint32_t below(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)((rng * UINT64_C(0x2545f4914f6cdd1d) >> 32) * n >> 32);
}

static inline uint32_t refs_of(uint32_t type, uint32_t length)
{
    return type == types.node || type == types.wide ? 2
           : type == types.refs                     ? length
           : type == types.pairs                    ? 1 + length
                                                    : 0;
}

/* Index, in words of the payload, of reference @i. */
static inline uint32_t ref_word(const struct shadow *s, uint32_t i)
{
    if (s->type == types.wide)
        return i * 99;
    return s->type != types.pairs || i == 0 ? i : 2 + (i - 1) * 2 + 1;
}

static inline uint32_t random_length(void)
{
    switch (below(200)) {
    case 0: return 4000 + below(30000); /* a large object, and many slices */
    case 1:
    case 2:
    case 3: return below(3000);
    default: return below(20);
    }
}

static inline uint32_t random_type(void)
{
    const uint32_t all[] = { types.node,  types.node,  types.refs,
                             types.bytes, types.pairs, types.wide };
    return all[below(MM_ARRAY_LEN(all))];
}

/* A shadow that is reachable for sure: some steps from a root. */
static inline uint32_t random_reachable(void)
{
    uint32_t at = roots[below(ROOTS)];

    for (uint32_t steps = below(10); at != 0 && steps > 0; steps--) {
        const struct shadow *s = &shadows[at];
        uint32_t next = s->refs == 0 ? 0 : s->to[below(s->refs)];
        if (next == 0)
            break;
        at = next;
    }
    return at;
}

static inline void set(uint32_t from, uint32_t i, uint32_t to)
{
    struct shadow *s = &shadows[from];

    s->to[i] = to;
    fake_set(&world, s->granule, ref_word(s, i), to == 0 ? 0 : shadows[to].granule);
}

static inline void make_one(void)
{
    uint32_t type = random_type(),
             length = type == types.node || type == types.wide ? 0 : random_length();
    struct fake_mutator *m = world.mutators[below((uint32_t)world.mutator_count)];
    uint32_t index = free_count > 0 ? free_list[--free_count] : ++shadow_count;

    AGREES(index < MODEL_MAX);
    bool still = length == 0 && below(30) == 0;
    uint32_t granule = still ? fake_new_in(m, SHM_GRANT_NONMOVING, type, 0) : fake_new(m, type, length);
    if (granule == 0) {
        free_list[free_count++] = index;
        return;
    }
    shadows[index] = (struct shadow){ granule, type, length, refs_of(type, length), NULL, false, object_header(type, length) };
    shadows[index].to = calloc(shadows[index].refs + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < shadows[index].refs && i < 40; i++)
        set(index, below(shadows[index].refs), random_reachable());
    roots[below(ROOTS)] = index;
}

/* As mmgc_identity_hash() does. */
static inline void identify(struct shadow *s)
{
    bool elements = heap_type_row(world.heap, s->type)->element_bytes != 0;

    if (object_header_identity(s->header, elements) != 0)
        return;
    s->header = object_header_identified(s->header, elements, 1 + below(elements ? OBJECT_IDENTITY_MAX : UINT32_MAX));
    at_store_relaxed((_Atomic uint64_t *)fake_at(&world, s->granule - 1), s->header);
}

static inline void step(void)
{
    uint32_t at;

    switch (below(20)) {
    case 5:
    case 6:
        at = random_reachable();
        if (at != 0)
            identify(&shadows[at]);
        break;
    case 0: roots[below(ROOTS)] = random_reachable(); break;
    case 1:
        if (below(20) == 0)
            roots[below(ROOTS)] = 0;
        break;
    case 2:
    case 3:
    case 4:
        at = random_reachable();
        if (at != 0 && shadows[at].refs > 0)
            set(at, below(shadows[at].refs), random_reachable());
        break;
    default:
        if (shadow_count - free_count < MODEL_MAX - 2)
            make_one();
    }
}

static inline uint32_t mark(void)
{
    static uint32_t stack[MODEL_MAX];
    uint32_t depth = 0, count = 0;

    for (uint32_t i = 1; i <= shadow_count; i++)
        shadows[i].live = false;
    for (uint32_t i = 0; i < ROOTS + 1; i++) {
        uint32_t at = i < ROOTS ? roots[i] : 0;
        if (at != 0 && !shadows[at].live) {
            shadows[at].live = true;
            stack[depth++] = at;
        }
        while (depth > 0) {
            const struct shadow *s = &shadows[stack[--depth]];
            count++;
            for (uint32_t k = 0; k < s->refs; k++)
                if (s->to[k] != 0 && !shadows[s->to[k]].live) {
                    shadows[s->to[k]].live = true;
                    stack[depth++] = s->to[k];
                }
        }
    }
    return count;
}

static inline void forget_the_dead(void)
{
    free_count = 0;
    for (uint32_t i = 1; i <= shadow_count; i++) {
        if (shadows[i].live)
            continue;
        free(shadows[i].to);
        shadows[i] = (struct shadow){ 0 };
        free_list[free_count++] = i;
    }
}

static inline uint32_t payload_granules(const struct shadow *s)
{
    const struct shm_type_row *row = heap_type_row(world.heap, s->type);
    return (uint32_t)(object_bytes(row->fixed_bytes, row->element_bytes, s->length) / MM_GRANULE_BYTES -
                      1);
}

static inline void publish_roots(void)
{
    fake_roots_clear(&world);
    for (uint32_t i = 0; i < ROOTS; i++) {
        const struct shadow *s = &shadows[roots[i]];
        if (roots[i] == 0)
            fake_root(&world, i % 2,
                      i % 2 == 0 ? 0 : no_object);
        else if (i % 2 == 0)
            fake_root(&world, 0, s->granule);
        else
            fake_root(&world, 1 + i % 3, s->granule + below(payload_granules(s) + 1)); /* one past the end, too */
    }
}

/* Where the objects are now: exact roots were updated, those under ambiguous ones stayed, the others are where fields say. */
static inline void follow_moves(void)
{
    static uint32_t stack[MODEL_MAX];
    static bool seen[MODEL_MAX];
    uint32_t depth = 0;

    memset(seen, 0, sizeof(seen));
    for (uint32_t i = 0; i < ROOTS; i++) {
        uint32_t at = roots[i];
        if (at == 0)
            continue;
        if (i % 2 == 0)
            shadows[at].granule = fake_root_word(&world, 0, i / 2);
        if (!seen[at])
            stack[depth++] = at;
        seen[at] = true;
    }
    while (depth > 0) {
        const struct shadow *s = &shadows[stack[--depth]];
        for (uint32_t k = 0; k < s->refs; k++) {
            if (s->to[k] == 0 || seen[s->to[k]])
                continue;
            seen[s->to[k]] = true;
            shadows[s->to[k]].granule = fake_ref(&world, s->granule, ref_word(s, k));
            stack[depth++] = s->to[k];
        }
    }
}

static inline void compare(const struct shadow *s)
{
    AGREES(*(uint64_t *)fake_at(&world, s->granule - 1) == s->header);
    for (uint32_t i = 0; i < s->refs; i++)
        AGREES(fake_ref(&world, s->granule, ref_word(s, i)) ==
              (s->to[i] == 0 ? 0 : shadows[s->to[i]].granule));
}

static inline void compare_all(void)
{
    for (uint32_t i = 1; i <= shadow_count; i++)
        if (shadows[i].live)
            compare(&shadows[i]);
}

/* Begins with the world as it is, and nothing in it. */
static inline void graph_begin(uint64_t seed, uint64_t heap_bytes)
{
    graph_seed = seed;
    no_object = (uint32_t)(heap_bytes / MM_GRANULE_BYTES) - 1;
    rng = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

static inline void graph_end(void)
{
    for (uint32_t i = 1; i <= shadow_count; i++)
        free(shadows[i].to);
    memset(shadows, 0, sizeof(shadows));
    memset(roots, 0, sizeof(roots));
    shadow_count = free_count = 0;
}
