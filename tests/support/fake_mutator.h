/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fake mutator: a client thread without a client: bump-allocates in this process from what heap_grant() gives, exactly as
 * soundness S6 and S7 ask: zero ahead, publish the limit, one header store, zero what is left behind, then raise taken.
 *   Owner    the test; one fake_world a test or bench; MM_ASSERT ends it when something is wrong
 *   Threads  one                                                                                       */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/bare.h"
#include "plans/heap.h"
#include "shm/control.h"
#include "shm/object.h"

#define FAKE_MUTATORS_MAX 8u
#define FAKE_ROWS_MAX 8u
#define FAKE_ROW_WORDS 4096u
#define FAKE_TABLE_ROWS 4096u

struct fake_bump {
    char *cursor, *limit, *end;              /* as struct shm_bump */
};
struct fake_ring {
    struct shm_grant *rows;                  /* shm_ring_capacity() of them */
    uint32_t published, taken;
};
struct fake_mutator {
    struct fake_world *world;
    struct heap_mutator *heap_mutator;
    struct fake_bump bumps[SHM_GRANT_CLASSES];       /* of all but LARGE */
    struct fake_ring rings[SHM_GRANT_CLASSES];
    uint64_t held;                                   /* as in shm_mutator */
    _Atomic uint64_t *hold_rows;                     /* the same, of the ring of HOLD; NULL: whoever tests it has them */
    uint64_t lines_bytes;                    /* asked for at a time; 256 KiB */
};

struct fake_world {
    struct shm_segment *arena, *private;
    struct engine *engine;
    struct heap *heap;
    char *base;                              /* of the arena */
    char *log;                               /* its segment; NULL: the plan has no write barrier */
    uint32_t allocator;                      /* the plan's: enum shm_allocator */
    struct bare bare;                        /* a world in one region: that, and mutators are in its store, too; else all zero */
    bool stops;                              /* its cycles end in a second stop even if they need not */
    uint32_t late;                           /* so many stores are still logged though the barrier rests, by threads that looked before;
                                                none after a stop */
    struct fake_mutator *mutators[FAKE_MUTATORS_MAX];
    size_t mutator_count;
    _Atomic uint32_t rows[FAKE_ROWS_MAX][FAKE_ROW_WORDS];    /* roots, for fake_root(); [0] exact, the others ambiguous */
    uint32_t row_counts[FAKE_ROWS_MAX];
    _Atomic uint32_t table_words[FAKE_TABLE_ROWS], table_tags[FAKE_TABLE_ROWS];      /* as in a session segment; for fake_row() */
    struct shm_row_note table_notes[FAKE_TABLE_ROWS];
    uint32_t table_count;
};

/* Opens a heap of @max_bytes under @plan, all of it committed (sparsely), with @workers workers. Asserts. */
void fake_world_open(struct fake_world *w, const char *plan, uint64_t max_bytes, unsigned workers);
/* The same with options and a limit below the maximum. */
void fake_world_open_with(struct fake_world *w, const struct heap_config *config, unsigned workers);
/* The same inside one region, @config's extra_bytes for FAKE_MUTATORS_MAX mutators added. Without a system allocator. -errno of bare_open(). */
int fake_world_open_bare(struct fake_world *w, const struct bare_config *config, void *region, size_t bytes);
size_t fake_bare_bytes(const struct bare_config *config);            /* such a region's */
void fake_world_close(struct fake_world *w);
uint32_t fake_type(struct fake_world *w, const struct shm_type_layout *layout);

struct fake_mutator *fake_mutator_new(struct fake_world *w);          /* bare: NULL if the store is full */
struct heap_mutator_view fake_view(const struct fake_mutator *m);
void fake_mutator_kill(struct fake_mutator *m);                      /* seals it as its own words show it */
void fake_mutator_kill_as(struct fake_mutator *m, const struct heap_mutator_view *view);     /* or as @view has it */

/* A granule, or 0: the heap has nothing left to grant. Never collects. */
uint32_t fake_new(struct fake_mutator *m, uint32_t type, uint32_t length);
/* The same from NONMOVING or IMMORTAL; small objects only. */
uint32_t fake_new_in(struct fake_mutator *m, enum shm_grant_class class, uint32_t type, uint32_t length);
/* The same up to just before the header store: where the header would go; NULL: nothing left. */
char *fake_reserve(struct fake_mutator *m, uint64_t bytes);
bool fake_refill(struct fake_mutator *m, enum shm_grant_class class, uint64_t bytes);       /* one heap_grant() */

static inline void *fake_at(const struct fake_world *w, uint32_t granule)
{
    return w->base + (size_t)granule * MM_GRANULE_BYTES;
}
static inline uint32_t fake_granule(const struct fake_world *w, const void *at)
{
    return (uint32_t)(((const char *)at - w->base) / MM_GRANULE_BYTES);
}
static inline uint32_t fake_ref(const struct fake_world *w, uint32_t granule, uint32_t index)
{
    return ((const uint32_t *)fake_at(w, granule))[index];
}
/* Stores @ref with the plan's write barrier, as a client does. */
void fake_set(struct fake_world *w, uint32_t granule, uint32_t index, uint32_t ref);

void fake_root(struct fake_world *w, unsigned row, uint32_t word);
/* The @i-th word of @row as it is now: a plan that moves has updated those of row 0. */
static inline uint32_t fake_root_word(const struct fake_world *w, unsigned row, uint32_t i)
{
    return at_load_relaxed(&w->rows[row][i]);
}
/* A row of a client's table, and its number: of @kind, for the object at @word. fake_roots_clear() takes them away, too. */
uint32_t fake_row(struct fake_world *w, enum shm_row_kind kind, uint32_t word);
static inline uint32_t fake_row_word(const struct fake_world *w, uint32_t row)
{
    return at_load_relaxed(&w->table_words[row]);
}
static inline bool fake_row_cleared(const struct fake_world *w, uint32_t row)
{
    return (at_load_relaxed(&w->table_tags[row]) & SHM_ROW_CLEARED) != 0;
}
static inline enum shm_row_kind fake_row_kind(const struct fake_world *w, uint32_t row)
{
    return shm_row_kind(at_load_relaxed(&w->table_tags[row]));
}
void fake_roots_clear(struct fake_world *w);
struct heap_stop fake_stop(struct fake_world *w);                    /* of the roots above; valid till the next call */
struct heap_collection fake_collect(struct fake_world *w);           /* of the whole heap; asserts that it succeeds, and is sane */
struct heap_collection fake_collect_young(struct fake_world *w);     /* the same, as the plan likes it */
struct heap_collection fake_collect_as(struct fake_world *w, const struct heap_stop *stop);
/* The parts of a concurrent collection (plans/heap.h): up to the end of its first stop; a run of marking, of what is logged, too;
 * its end, beside if that may be, and all that follows. Each asserts that it succeeds, and is sane. */
void fake_cycle_begin(struct fake_world *w);
void fake_cycle_mark(struct fake_world *w);
void fake_cycle_end(struct fake_world *w);                           /* marks till marking ends, without a stop */
struct heap_collection fake_cycle_sweep(struct fake_world *w, void (*between)(void));        /* all of it; @between the parts, or NULL */
struct heap_collection fake_cycle_finish(struct fake_world *w);
struct heap_collection fake_cycle(struct fake_world *w);
struct heap_verdict fake_verify(struct fake_world *w);
void fake_verify_clean(struct fake_world *w);                        /* asserts that there is no fault */
