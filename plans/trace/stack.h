/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Stack: the packet that a trace pops from and pushes to, and what becomes of it when it is full or others have nothing to do. */
#include "plans/heap/walk.h"
#include "plans/trace/trace.h"

#define STACK_SLICE_ITEMS 512u   /* of an array's references that one packet takes: items, of which a place takes two */
#define STACK_SHARE_MIN 16u      /* items that are worth sharing */
#define STACK_SHARE_EVERY 32u    /* objects between two looks at idle workers */
#define STACK_RING 16u           /* misses in flight; a power of two */
#define STACK_NEAR 8u            /* mark words in flight before them; a power of two */

bool stack_give_half(struct tracer *r, const struct packet_kind *kind);
void stack_make_room_slow(struct tracer *r, const struct packet_kind *kind, uint64_t items);
/* For @items. Without packets whoever pushes notices when the stack is full. */
static inline void stack_make_room(struct tracer *r, const struct packet_kind *kind, uint64_t items)
{
    if (MM_UNLIKELY(r->stack->count + items > PACKET_ITEMS))
        stack_make_room_slow(r, kind, items);
}
/* Leaves the whole stack to packets of @kind: this packet has run long enough. False: none to be had. */
bool stack_leave(struct tracer *r, const struct packet_kind *kind);
/* For roots, whose stack is filled, not drained. False: no packet to be had. */
bool stack_root_room(struct tracer *r, const struct packet_kind *kind, uint32_t items);

/* Elements of an array in a slice, where a reference takes @items_a_ref. At least 1. */
uint32_t stack_slice_elements(const struct scan_program *p, uint32_t items_a_ref);
/* Elements [at, stop) of an array are this worker's next; [stop, end) come after them. */
struct slice {
    uint32_t granule, at, stop, end;
    const struct scan_program *program;
};
struct slice stack_slice_of(const struct packet *p);
/* The next @step elements; false: no more. If others have nothing to do, they are left half of what remains; if they want this
 * worker, all of it. */
bool stack_slice_next(struct tracer *r, struct slice *s, uint32_t step);
/* Leaves elements [@first, @end) of an array to a packet. False: no packet to be had. */
bool stack_leave_slice(struct tracer *r, uint32_t granule, const struct scan_program *program, uint32_t first, uint32_t end);
/* Of an ordered trace: what was pushed before item @from comes after all that is kept or pushed next. Then @from is 0. False: no packet to be
 * had, and nothing has changed. */
bool stack_keep(struct tracer *r, uint32_t *from);
/* Into the empty stack: what comes next, of which a slice is given back. False: nothing is kept. */
bool stack_take_kept(struct tracer *r, struct slice *ret_slice);
