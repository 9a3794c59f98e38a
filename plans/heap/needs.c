/* SPDX-License-Identifier: Apache-2.0 */
/* needs.c - Needs: what a heap takes of its store at most.
 *   N1  what grows takes its new place before it leaves the old one, so a row counts once and a half
 *   N2  gray items are what packets had not looked at when they were interrupted (trace/gray.h): few, but bounded by the heap alone. A share of it
 *       is planned for; who finds no room is found by a rescan, or the trace begins anew
 *   N3  pieces come and go, so some of what is free lies in pieces that are too small: an eighth */
#include "plans/heap.h"
#include "plans/heap/sanity_walk.h"
#include "plans/plan.h"
#include "plans/space/slide/slide.h"
#include "plans/work/store.h"

#define GRAY_PART 64u
#define SANITY_STACK_PART 64u
#define SANITY_STACK_MIN (UINT64_C(1) << 20)

static uint64_t growing(uint64_t bytes) /* N1 */
{
    return bytes + bytes / 2;
}

/* Rows of the log: taken over by a count, which gives others back; or copied for a cycle. */
static uint64_t rows_bytes(const struct plan_constraints *c, uint64_t arena)
{
    uint64_t rows = log_rows_bytes(c->barrier, arena);

    return growing(rows) * (c->counts || c->concurrent ? 2 : 1);
}

static uint64_t roots_bytes(const struct plan_constraints *c, const struct heap_store_use *use)
{
    uint64_t words = use->root_words * sizeof(uint32_t), copies = c->counts ? 4 : c->concurrent ? 2 : 0;

    return store_piece_bytes((use->root_rows + 1) * sizeof(uint64_t)) + copies * words;
}

/* Three bitmaps for a moment: the second walk's comes before the store has joined the first one's with what is beside it. */
static uint64_t sanity_bytes(uint64_t arena, const struct heap_store_use *use)
{
    uint64_t bitmap = store_piece_bytes(arena / MM_GRANULE_BYTES / 8 + 8), blocks = arena / MM_BLOCK_BYTES;

    return 3 * bitmap + store_piece_bytes(sizeof(struct sanity)) + store_piece_bytes((blocks + 1) * sizeof(uint16_t)) +
           store_piece_bytes((use->root_words + 1) * sizeof(uint32_t)) + growing(MM_MAX(arena / SANITY_STACK_PART, SANITY_STACK_MIN));
}

size_t heap_store_bytes(const char *name, uint64_t max_bytes, const struct heap_store_use *use)
{
    const struct plan *plan = plan_find(name);
    uint64_t arena = mm_align_up(max_bytes, MM_CHUNK_BYTES), sum;

    if (plan == NULL)
        return 0;
    const struct plan_constraints *c = &plan->constraints;
    sum = STORE_BYTES_MIN + store_piece_bytes(sizeof(struct heap)) + types_store_bytes(use->types) + grants_store_bytes(use->mutators);
    sum += rows_bytes(c, arena) + roots_bytes(c, use) + (use->sanity ? sanity_bytes(arena, use) : 0);
    sum += store_piece_bytes(heap_page_map_bytes(name, arena)) + store_piece_bytes(heap_log_bytes(name, arena));
    sum += c->counts ? growing(arena / GRAY_PART) * 2 : 0;
    if (plan->slide != NULL)
        sum += store_piece_bytes((arena / MM_BLOCK_BYTES / plan->slide->group_blocks + 2) * sizeof(struct slide_group));
    return sum + sum / 8; /* N3 */
}
