/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Heap: one arena under one plan: blocks, spaces, types, grants; collected on an engine. Knows no sockets and no clients:
 * the daemon, and the unit tests in its place, tell it what was granted to whom and what the roots are.
 *   Threads  externally serialised: one caller at a time. The daemon's loop thread owns it while clients run; the heap's
 *            collector thread owns it between stop and resume (calls that end in _stw). Nothing here locks or sleeps.
 *   Memory   @arena is hostile (clients write it); everything else is in the private segment or the heap's store (plans/work/store.h): no call
 *            takes memory from anywhere else
 *   Errors   -errno, or an enum where an outcome is expected                    Why  docs/architecture.md#collector  */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/work/engine.h"
#include "shm/base.h"
#include "shm/move.h"
#include "shm/mutator.h"
#include "shm/segment.h"
#include "shm/session.h"
#include "shm/type.h"
#include "shm/write_barrier.h"

struct heap;
struct store;
struct timeline;
struct heap_mutator;                          /* the private record of what one thread was granted */

/* What an administrator or a heap's creator may choose; zeroes are good defaults. Names and meanings are MMTk's where it has them. */
enum heap_nursery_kind { HEAP_NURSERY_ADAPTIVE, HEAP_NURSERY_FIXED, HEAP_NURSERY_BOUNDED, HEAP_NURSERY_PROPORTIONAL };
struct heap_nursery {                         /* of generational plans: how much is granted between two young collections */
    enum heap_nursery_kind kind;
    uint64_t min_bytes, max_bytes;            /* all but proportional; fixed: max_bytes alone */
    unsigned min_percent, max_percent;        /* of the heap's limit; proportional */
};
struct heap_options {
    struct heap_nursery nursery;
    uint64_t pause_goal_ns;                   /* no pause should take longer; 0: none is set */
    bool immix_always_defrag;                 /* every collection moves what it can */
    bool immix_defrag_every_block;            /* and out of every block, not only out of the most fragmented ones */
    unsigned immix_defrag_headroom_percent;   /* of the heap, kept free for copies; at most 50; 0: IMMIX_HEADROOM_DEFAULT */
    bool count_live_bytes_in_gc;              /* also by space: struct heap_space_info */
    bool sanity;                              /* after each collection an independent trace, compared with it */
    unsigned soft_ms_per_mib;                 /* a soft reference is cleared when it was not used for so long for each MiB that is free; 0: like a weak one */
};

struct heap_config {
    const char *plan;                         /* "immix", "nogc": plan_find() */
    uint64_t max_bytes;                       /* of the arena; rounded up to chunks; at most 32 GiB */
    uint64_t limit_bytes;                     /* what may be in use; 0: max_bytes */
    struct heap_options options;
    void *page_map;                           /* heap_page_map_bytes() zeroes for clients to read; NULL: nobody does */
    void *log;                                /* heap_log_bytes() zeroes that clients share; NULL: nobody does */
    struct store *store;                      /* lent until heap_unref(); NULL: one of its own, of the system's memory */
};

/* The private segment that a heap of @plan needs beside its arena; 0: no such plan. */
size_t heap_private_bytes(const char *plan, uint64_t max_bytes);
/* Of plans that close pages to clients: a bit for each page of the arena, set: no client may touch it. It changes only while the
 * world is stopped, and what is granted is open. 0: all pages are always open. */
size_t heap_page_map_bytes(const char *plan, uint64_t max_bytes);
/* Of plans with a write barrier: its log segment (shm/write_barrier.h). 0: the plan has none. */
size_t heap_log_bytes(const char *plan, uint64_t max_bytes);
/* What a heap takes of its store at most; zeroes are legal. With less it works too: calls that fail for it say -ENOMEM, collections are whole
 * ones when the log finds no room, and sanity does not run. */
struct heap_store_use {
    unsigned mutators, types;                 /* at once; of as many references as a type may have */
    size_t root_rows, root_words;             /* of heap_stop, and the words of all rows */
    bool sanity;
};
size_t heap_store_bytes(const char *plan, uint64_t max_bytes, const struct heap_store_use *use);     /* 0: no such plan */
/* Borrows both segments, the page map and the log for its life. @private must be zeroed. -EINVAL: no such plan or bad sizes. -ENOMEM. */
int heap_new(struct heap **ret_heap, const struct heap_config *config, struct shm_segment *arena, struct shm_segment *private);
struct heap *heap_unref(struct heap *heap);
MM_DEFINE_AUTO(heap, heap_unref)
const char *heap_plan_name(const struct heap *heap);
bool heap_plan_collects(const struct heap *heap);
void heap_record(struct heap *heap, struct timeline *timeline);       /* what its jobs do, from now on; NULL: no longer. No job is under way */
bool heap_plan_stows(const struct heap *heap);                       /* its whole collections see to heap_stop.stows: those that evacuate */
uint32_t heap_plan_allocator(const struct heap *heap);               /* enum shm_allocator */
uint32_t heap_plan_barrier(const struct heap *heap);                 /* enum shm_barrier_kind */
bool heap_barrier_active(const struct heap *heap);                   /* clients log stores now, or from the next resume on */
bool heap_keeps_found(const struct heap *heap);                      /* the same of what they find by weak references: SHM_LOG_KEEP */

/* types */
/* Finds or adds. 0 and *ret_id; -EEXIST: the name has another layout (*ret_id is it); -ENOSPC: the table is full. Checked before. */
int heap_type_define(struct heap *heap, const struct shm_type_layout *layout, uint32_t *ret_id);
uint32_t heap_type_count(const struct heap *heap);                   /* ids are 1 .. count */
const struct shm_type_row *heap_type_row(const struct heap *heap, uint32_t id);     /* NULL: no such */

/* committing: the heap says what it wants, somebody else does it (shm_commit), then tells */
/* The next 2 MiB unit to commit, in address order and within the limit: true and its offset; false: all is committed or asked. */
bool heap_commit_next(struct heap *heap, uint64_t *ret_offset);
void heap_commit_done(struct heap *heap, uint64_t offset, bool success);            /* success: 64 clean free blocks more */
uint64_t heap_free_bytes(const struct heap *heap);                   /* committed, whole free blocks that the limit lets be used */
uint64_t heap_hole_bytes(const struct heap *heap);                   /* free lines in blocks in use, that may be granted */
uint64_t heap_uncommitted_bytes(const struct heap *heap);            /* still to commit within the limit, those asked not counted */
uint64_t heap_used_bytes(const struct heap *heap);                   /* blocks in use, and closed ones, in bytes */
/* Free blocks that the next collection needs for its copies, beside what is granted: to be committed before it begins. */
uint64_t heap_reserve_bytes(const struct heap *heap);
uint64_t heap_grantable_bytes(const struct heap *heap);              /* about what small objects may still have before a collection */
/* So much may be granted since the last collection before a young one is due; 0: none is ever, or the nursery rests. */
uint64_t heap_nursery_bytes(const struct heap *heap);
uint64_t heap_nursery_usual_bytes(const struct heap *heap);          /* the same, but when it rests what it will have again */
/* What may be in use from now on, rounded up to commit units, at most the maximum. Below what is in use: nothing more is granted
 * until enough is freed. */
void heap_set_limit(struct heap *heap, uint64_t bytes);
uint64_t heap_excess_bytes(const struct heap *heap);                 /* committed beyond the limit, since that was lowered */

/* giving back: the heap says what it can do without, somebody else punches the hole (shm_punch), then tells */
/* The highest row of free commit units that ends at or below *@offset, of @min_bytes to @max_bytes: *@offset and bytes; it is
 * the heap's no longer. 0: there is none. */
uint64_t heap_release_next(struct heap *heap, uint64_t min_bytes, uint64_t max_bytes, uint64_t *offset);
/* @success: uncommitted, and zero when it is committed next. Otherwise nothing was given back, and it is free memory as before. */
void heap_release_done(struct heap *heap, uint64_t offset, uint64_t bytes, bool success);

/* what others committed: reads of holes, and locked memory, make pages that nobody was granted (S12) */
/* What is committed, in bytes; *ret_asked: and what is being committed or given back. */
uint64_t heap_committed_bytes(const struct heap *heap, uint64_t *ret_asked);
/* The first row of uncommitted units at or after *@offset, at most @max_bytes: bytes, and where in *@offset; 0: none. */
uint64_t heap_uncommitted_row(const struct heap *heap, uint64_t max_bytes, uint64_t *offset);
/* Such a row is left alone by the heap from begin to done, so that a hole can be punched into it. */
void heap_foreign_begin(struct heap *heap, uint64_t offset, uint64_t bytes);
void heap_foreign_done(struct heap *heap, uint64_t offset, uint64_t bytes);

/* granting, for one mutator: the call fills @ring entries' worth and records them as its own (the list G of S6) */
struct heap_mutator *heap_mutator_new(struct heap *heap);            /* NULL: the store is full */
/* Grants about @bytes of free lines (LINES; holes are never split), whole blocks (BLOCKS), or exactly one run of at least @bytes (LARGE);
 * BLOCKS falls back to a hole of at least @min_bytes; HOLD gives whole blocks only. Writes at most @capacity rows, and no more than the ring has room for by the last
 * heap_mutator_outstanding(), and returns their number; 0: nothing left, collect or commit; or a class of cells that the plan has not. */
size_t heap_grant(struct heap *heap, struct heap_mutator *m, enum shm_grant_class class, uint64_t bytes, uint32_t min_bytes,
                  struct shm_grant *ret_grants, size_t capacity);
/* What a thread's own words say, read once by the caller; every field is hostile and clamped inside. Granules; cursor and limit
 * are 0 if they were outside the arena. */
struct heap_mutator_view {
    uint32_t taken[SHM_GRANT_CLASSES];
    uint32_t cursor[SHM_GRANT_CLASSES], limit[SHM_GRANT_CLASSES];    /* of those that bump */
    const _Atomic uint64_t *hold_rows;        /* SHM_HOLD_CAPACITY words, read once each when needed; NULL: all are 0 */
    uint64_t held;                            /* the serial that makes them count */
};
/* Bit @class: it was ever granted any. The rows of a view that matter. */
uint64_t heap_mutator_classes(const struct heap_mutator *m);
/* Grants outstanding (published and not yet finished) after looking at @taken: the ring space in use. */
uint32_t heap_mutator_outstanding(struct heap_mutator *m, enum shm_grant_class class, uint32_t taken);
/* The thread is gone: its spans are sealed as @view shows them and swept by the next collection; what it never began is free again
 * at once, but not known to be zero (S5). Frees @m. */
void heap_mutator_seal(struct heap *heap, struct heap_mutator *m, const struct heap_mutator_view *view);

/* What a client has logged: @count entries, hostile words, read once each; its own may be read while it runs, before they are
 * told as drained, and the last of them at each stop before the heap is collected. */
void heap_log_drain(struct heap *heap, struct shm_log_entry MM_NODEREF *entries, size_t count);
/* Some that should have been logged were not: the next collection looks at everything. */
void heap_log_lost(struct heap *heap);
struct heap_log_totals {                      /* since the heap was made */
    uint64_t entries;                         /* drained: how often the barrier took its slow path */
    uint64_t losses;                          /* times that some were lost */
};
struct heap_log_totals heap_log_totals(const struct heap *heap);

/* the stopped world */
struct heap_roots {                           /* one row a thread, handle table, local table; arrays are hostile words, read once each */
    enum heap_root_kind {
        HEAP_ROOTS_AMBIGUOUS,                 /* somewhere in an object, which stays where it is */
        HEAP_ROOTS_EXACT,                     /* an object; words whose object moves are updated by CAS (S8) */
        HEAP_ROOTS_WEAK,                      /* the same, but it keeps nothing alive: heap_root_kind() alone */
        HEAP_ROOTS_SOFT, HEAP_ROOTS_GUARDED,
        HEAP_ROOTS_NONE,
        HEAP_ROOTS_TABLE                      /* of each word its tag says which of the above it is */
    } kind;
    _Atomic uint32_t *words;                  /* granules; 0 is skipped */
    uint32_t count;
    _Atomic uint32_t *tags;                   /* TABLE: shm/session.h has them and who writes them; else NULL */
    const struct shm_row_note MM_NODEREF *notes;      /* the same; NULL: when soft ones were last used is not known: each counts as used at this very moment */
};
/* Neither root nor nothing. */
static inline bool heap_root_is_weak(enum heap_root_kind kind)
{
    return kind == HEAP_ROOTS_WEAK || kind == HEAP_ROOTS_SOFT || kind == HEAP_ROOTS_GUARDED;
}
/* What word @i of @row is; never TABLE. */
static inline enum heap_root_kind heap_root_kind(const struct heap_roots *row, uint32_t i)
{
    static const uint8_t kinds[SHM_ROW_KINDS] = {
        [SHM_ROW_FREE] = HEAP_ROOTS_NONE,         [SHM_ROW_STRONG] = HEAP_ROOTS_EXACT,
        [SHM_ROW_WEAK] = HEAP_ROOTS_WEAK,         [SHM_ROW_SOFT] = HEAP_ROOTS_SOFT,
        [SHM_ROW_SHARED] = HEAP_ROOTS_AMBIGUOUS,  [SHM_ROW_EXCLUSIVE] = HEAP_ROOTS_AMBIGUOUS,
        [SHM_ROW_REVOKED] = HEAP_ROOTS_AMBIGUOUS, [SHM_ROW_GUARDED] = HEAP_ROOTS_GUARDED,
        [SHM_ROW_READY] = HEAP_ROOTS_EXACT,       [SHM_ROW_WATCHED] = HEAP_ROOTS_WEAK,
    };
    return row->kind == HEAP_ROOTS_TABLE ? (enum heap_root_kind)kinds[shm_row_kind(at_load_acquire(&row->tags[i]))] : row->kind;
}
struct heap_moves {                           /* what a collection moved, for who wants to know; what it costs is by the object moved */
    /* Called once at the most, by a worker while the others wait: room for @count rows. NULL: there is none. */
    struct shm_move *(*room)(void *context, uint64_t count);
    void *context;
    struct shm_move *rows;                    /* this and below is the collection's: begin with zeroes */
    uint64_t capacity;
    _Atomic uint64_t count;                   /* above the capacity: some are not there */
};
/* A graph that is to lie packed in the order in which it is walked: depth first, first field first. */
struct heap_stow {
    uint32_t root;                            /* granule of an object that some root keeps alive; hostile; 0: none */
    bool done;                                /* this and below is the collection's: it was one that stows */
    uint32_t now;                             /* where the root is; 0: it was none */
    uint64_t objects, bytes;                  /* found over strong references, what stays where it is too */
    uint64_t moved_objects, moved_bytes;      /* side by side */
    bool cut;                                 /* for want of packets some of it was not found, or not kept in order */
};
struct heap_stop {                            /* all that a collection needs to know of the world */
    const struct heap_roots *roots;
    size_t root_count;
    struct heap_mutator *const *mutators;     /* every one not sealed: what a missing one has would be taken for finished */
    const struct heap_mutator_view *views;    /* of each, in the same order */
    size_t mutator_count;
    bool roots_overflowed;                    /* some thread's roots are incomplete: free and move nothing */
    bool emergency;                           /* the collection before this one did not make the room that is needed */
    bool whole;                               /* somebody asked for a collection of the whole heap, not of what is young */
    bool full_heap;                           /* the same, and for all that can be had: a defragmentation, too */
    struct heap_stow *stows;                  /* graphs to be stowed before anything else moves, first come first; it is a whole collection then. Each
                                                 takes of the store what a root word does */
    size_t stow_count;
    struct heap_moves *moves;                 /* filled in; NULL: nobody wants to know */
};
/* How long the object at @granule is, header included, in granules; 0: there is none. World stopped. */
uint32_t heap_object_granules(const struct heap *heap, uint32_t granule);
enum heap_fault {                             /* what verify and sanity can find */
    HEAP_FAULT_NONE, HEAP_FAULT_BAD_HEADER, HEAP_FAULT_OVERLAP, HEAP_FAULT_DANGLING_REF, HEAP_FAULT_LINE_MARK, HEAP_FAULT_BLOCK, HEAP_FAULT_ROOT,
    HEAP_FAULT_UNREACHED, HEAP_FAULT_COUNT, HEAP_FAULT_GRAPH
};
const char *heap_fault_sentence(enum heap_fault fault);
#define HEAP_PACKET_KINDS_MAX 26u
enum heap_pause {                             /* why the world was stopped */
    HEAP_PAUSE_FULL,                          /* a collection of the whole heap, from beginning to end */
    HEAP_PAUSE_YOUNG,                         /* of what was allocated since the last collection */
    HEAP_PAUSE_INITIAL_MARK,                  /* the roots, before marking that goes on while clients run */
    HEAP_PAUSE_FINAL_MARK,                    /* the end of that */
    HEAP_PAUSE_REFCOUNT,                      /* counts are brought up to date */
    HEAP_PAUSES
};
static inline bool heap_pause_is_partial(enum heap_pause kind)       /* what was old was not looked for, or only by its counts */
{
    return kind == HEAP_PAUSE_YOUNG || kind == HEAP_PAUSE_REFCOUNT;
}
const char *heap_pause_name(enum heap_pause kind);                   /* "full", "young", "initial-mark", "final-mark", "refcount" */
struct heap_collection {                      /* what it did */
    enum heap_pause kind;
    uint64_t new_bytes, survived_bytes;       /* granted since the collection before; what of that lives (young pauses) */
    bool nursery_begun;                       /* a cycle, one of whose stops began the next nursery: what was granted since is young still */
    bool begins_nursery;                      /* what is granted from this stop on, while it goes on, counts for the next nursery */
    bool counts;                              /* it was a pause that counts: what was new has been looked at */
    bool fell_back;                           /* a concurrent collection could not be finished, and became this one */
    uint64_t logged_units;                    /* of the write barrier's log, looked at */
    uint64_t live_objects, live_bytes, freed_bytes;
    uint64_t moved_objects, moved_bytes;      /* of the live ones */
    uint64_t cleared_refs, readied;           /* references, and rows, that were cleared; guarded objects that became ready */
    uint64_t announced;                       /* objects put into their queues */
    uint64_t duration_ns;
    uint64_t looking_ns;                      /* of that, at least: at what is young and what was logged; what a smaller nursery makes less */
    size_t packet_kinds;                      /* rows of packets: how much work of which kind, by stage */
    struct packet_counters packets[HEAP_PACKET_KINDS_MAX];
    uint32_t forged_refs;                     /* references to no object's place, and objects with bad headers: counted, not followed */
    bool sanity_ran;                          /* heap_options.sanity, and memory sufficed for it */
    uint64_t sanity_faults;                   /* what the independent trace found: the collector's own, or a client wrote meanwhile */
    enum heap_fault sanity_first;
    uint32_t sanity_object, sanity_ref;       /* of the first, granules; 0: of none in particular */
};
/* Collects. Needs the world stopped. Named roots are heap_roots rows of kind EXACT, too. After roots_overflowed the live figures are
 * those of the collection before. 0; -ENOTSUP for a plan that never collects; -ENOMEM: nothing was marked or freed, try later (the
 * collections of other heaps have all packets). */
int heap_collect_stw(struct heap *heap, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret);

/* Collections that go on while clients run, of plans that have them (plans/cycle.h). What comes next is what heap_cycle() says:
 *   NONE      a collection may begin: heap_begin_cycle(), then heap_clear(), on any thread, beside the heap's caller
 *   COUNTING  heap_count(), beside the heap's caller, until heap_counted(); then heap_end_count(), by the heap's caller: SWEEPING (plans that
 *             count references: plans/refcount.h). A heap_collect_stw() that comes first does that, too
 *   CLEARED   heap_collect_stw(): the initial mark; it becomes MARKING (or, if a whole collection is wanted: NONE)
 *   MARKING   heap_take_log(), by the heap's caller; then heap_mark(), beside it; as often as heap_logged() says it is worth while. Then
 *             heap_collect_stw(): the final mark; it becomes SWEEPING (or, with sanity, or if the log is incomplete: NONE).
 *             Without a stop, where heap_may_end_beside(): after each heap_mark() heap_end_mark(); true: it is SWEEPING. Otherwise
 *             heap_log_drain() of all that threads have written down by now, be it tentative (shm/write_barrier.h), heap_take_log(), and again
 *             The final mark needs no roots: roots_overflowed does not hold it up, but for a full collection in its place, which is left out. A
 *             cycle that is only CLEARED does: it becomes NONE
 *   SWEEPING  heap_sweep(), beside the heap's caller, then heap_take_swept(), by the heap's caller, as long as that says so; then
 *             heap_end_cycle(), by the heap's caller: NONE (or COUNTING, after a trace)
 * In a cycle the heap's caller seals no mutator and does not verify, nor count by type: they wait for its end. */
enum heap_cycle { HEAP_CYCLE_NONE, HEAP_CYCLE_COUNTING, HEAP_CYCLE_CLEARED, HEAP_CYCLE_MARKING, HEAP_CYCLE_SWEEPING };
bool heap_plan_is_concurrent(const struct heap *heap);
bool heap_plan_counts(const struct heap *heap);
/* NONE, and a cycle would find what nothing else does: of plans that count, not always. */
bool heap_wants_cycle(const struct heap *heap);
/* Of plans with both: the next collection is to be a young one, if a cycle lets clients be granted about @needed_bytes. Else false. */
bool heap_young_suffices(const struct heap *heap, uint64_t needed_bytes);
enum heap_cycle heap_cycle(const struct heap *heap);
void heap_begin_cycle(struct heap *heap);                            /* NONE: it is CLEARED when heap_clear() has run */
void heap_cancel_cycle(struct heap *heap);                           /* CLEARED: NONE again */
/* Each 0, or -ENOMEM: nothing has changed. */
int heap_clear(struct heap *heap, struct engine *engine);
/* Of plans that count: nothing is left to be marked: the next stop is the last. Of others always, but for what is logged. */
bool heap_marked(const struct heap *heap);
/* heap_count() was not interrupted: there is nothing more to be done by another. */
bool heap_counted(const struct heap *heap);
/* Of plans that count: a heap_mark() or heap_count() that runs, or is called, does no more than it must, until this is taken back.
 * Any thread. */
void heap_interrupt(struct heap *heap, bool now);
/* One has begun, and has not ended. Of plans that count it has when what its stop left to be done is swept, whether a trace is
 * under way or not; of others the whole of a cycle is one. */
bool heap_in_collection(const struct heap *heap);
size_t heap_logged(const struct heap *heap);                         /* entries drained that no collection has looked at */
void heap_take_log(struct heap *heap);
int heap_mark(struct heap *heap, struct engine *engine);
uint64_t heap_nursery_rests(const struct heap *heap);                /* how often it has begun to */
bool heap_nursery_wants_cycle(const struct heap *heap);              /* at once: to rest from then on, or to know whether it should; generational.h */
bool heap_plan_ends_beside(const struct heap *heap);                 /* marking may come to its end while clients run */
bool heap_may_end_beside(const struct heap *heap);                   /* the same of the cycle under way: nothing speaks against it so far */
bool heap_end_mark(struct heap *heap);                               /* all is marked; heap_barrier_active() from here on: no */
int heap_count(struct heap *heap, struct engine *engine);
int heap_sweep(struct heap *heap, struct engine *engine);            /* a part */
bool heap_take_swept(struct heap *heap);                             /* what it freed may be granted; true: another part is to be swept */
void heap_end_count(struct heap *heap);
void heap_end_cycle(struct heap *heap, struct heap_collection *ret); /* what the whole cycle did */

#define HEAP_FAULT_ROWS 16u
struct heap_fault_row {
    enum heap_fault fault;
    uint32_t object, ref;                     /* granules; 0: of none in particular */
    uint64_t header;                          /* of the object, as it stood there when the world was stopped; 0: of none */
};
struct heap_verdict {
    uint64_t objects, references, faults;
    uint64_t root_faults;                     /* of those: in roots, which are their clients' own. Without them the heap is whole */
    uint64_t reachable_objects, reachable_bytes;         /* of those, what the roots reach: the others are garbage */
    uint32_t row_count;
    struct heap_fault_row rows[HEAP_FAULT_ROWS];         /* the faults at the lowest addresses, in their order */
};
/* Checks every space's invariants, that every reference of every object (VO or parsed in G) and every exact root is null or an object,
 * and that what the roots reach is known. 0, or -ENOMEM. */
int heap_verify_stw(struct heap *heap, struct engine *engine, const struct heap_stop *stop, struct heap_verdict *ret);

struct heap_histogram_row { uint64_t objects, bytes; };              /* indexed by type id; row 0 counts unparsable pieces */
/* Counts every object that stands in the heap (dead ones since the last collection included). @rows has heap_type_count()+1. */
int heap_histogram_stw(struct heap *heap, struct engine *engine, const struct heap_stop *stop, struct heap_histogram_row *rows);

struct heap_space_info {
    const char *name;
    uint64_t used_bytes, blocks;
    uint64_t live_bytes;                      /* found by the last collection, if count_live_bytes_in_gc */
};
size_t heap_spaces(const struct heap *heap, struct heap_space_info *ret, size_t capacity);   /* for `mmgcctl info` */
uint64_t heap_metadata_bytes(const struct heap *heap);

#define HEAP_MAP_KINDS 11u
extern const char *const heap_map_kind_names[HEAP_MAP_KINDS];        /* "uncommitted", "free", "immix" ... */
struct heap_map {                             /* the arena as a row of cells, each of the same number of blocks */
    uint32_t cells;                           /* room in the arrays; then how many are filled in: up to the last block that was ever committed */
    uint32_t blocks_a_cell;
    uint8_t *kinds;                           /* of most of a cell's blocks: index of heap_map_kind_names */
    uint8_t *used;                            /* 0 to 255: how full they are */
};
/* By the heap's caller, clients may run. Two bytes a block are read. */
void heap_map_read(const struct heap *heap, struct heap_map *map);
