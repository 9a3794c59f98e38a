/* SPDX-License-Identifier: Apache-2.0 */
/* roots.c - Roots: registers into the frame, then every word of the stacks.
 *   R1  callee-saved registers are spilled into a local array; whatever our own frames pushed of them lies above their frames'
 *       ends. setjmp() would not do: glibc scrambles rbp in its buffer (S3).
 *   R2  scanned are [frame of the scan, top of the stack) and all other registered stacks whole, in aligned words
 *   R3  a word w counts if base <= w <= base + arena_bytes: one past the end belongs to the object before it. Its granule is
 *       rounded down. The very end of the arena becomes its last granule, which that object covers, too: with 32 GiB its own
 *       number would not fit.
 *   R4  too many: SHM_ROOTS_OVERFLOW, and the collection frees and moves nothing
 *   Under AddressSanitizer locals may live in its fake stack: frames there are scanned when a word points at them. */
#include "client/roots.h"

#include <stdbool.h>
#include <stdint.h>

#include "client/stack.h"
#include "client/thread.h"

#if defined(__clang__)
#define NOINLINE_NOIPA __attribute__((noinline, optnone))
#else
#define NOINLINE_NOIPA __attribute__((noinline, noipa))
#endif
#define UNCHECKED __attribute__((no_sanitize("address", "thread", "undefined")))

/* Weak: there only if the program is built with AddressSanitizer, whether or not this library is. */
extern void *__asan_get_current_fake_stack(void) __attribute__((weak));
extern void *__asan_addr_is_in_fake_stack(void *fake, void *address, void **ret_begin, void **ret_end)
    __attribute__((weak));

struct scan {
    uintptr_t base;
    uint64_t arena_bytes;
    uint32_t *roots;
    uint32_t count, capacity;
    bool overflow;
};

UNCHECKED static inline void scan_add(struct scan *scan, uint64_t offset)
{
    if (offset > scan->arena_bytes)
        return;
    if (scan->count == scan->capacity) {
        scan->overflow = true; /* R4 */
        return;
    }
    scan->roots[scan->count++] = (uint32_t)((offset - (offset == scan->arena_bytes)) >> 3); /* R3 */
}

/* Hits are rare: four words are ruled out by one branch. */
UNCHECKED __attribute__((noinline)) static void scan_words(struct scan *scan, const char *low,
                                                           const char *top)
{
    const uintptr_t *w = (const uintptr_t *)mm_align_up((uintptr_t)low, sizeof(uintptr_t));
    const uintptr_t *end = (const uintptr_t *)mm_align_down((uintptr_t)top, sizeof(uintptr_t));
    uintptr_t base = scan->base, bytes = scan->arena_bytes;

    for (; end - w >= 4; w += 4) {
        uint64_t a = w[0] - base, b = w[1] - base, c = w[2] - base, d = w[3] - base;
        if (MM_LIKELY((a > bytes) & (b > bytes) & (c > bytes) & (d > bytes)))
            continue;
        scan_add(scan, a);
        scan_add(scan, b);
        scan_add(scan, c);
        scan_add(scan, d);
    }
    for (; w < end; w++)
        scan_add(scan, *w - base);
}

/* The frames of the fake stack that words of [@low, @top) point at. */
UNCHECKED static void scan_fake_frames(struct scan *scan, const char *low, const char *top)
{
    void *fake = __asan_get_current_fake_stack != NULL && __asan_addr_is_in_fake_stack != NULL
                     ? __asan_get_current_fake_stack()
                     : NULL;
    void *begin, *end, *last = NULL;

    if (fake == NULL)
        return;
    for (void *const *w = (void *const *)mm_align_up((uintptr_t)low, sizeof(*w));
         (const char *)(w + 1) <= top; w++) {
        if (__asan_addr_is_in_fake_stack(fake, *w, &begin, &end) == NULL || begin == last)
            continue;
        scan_words(scan, begin, end);
        last = begin; /* neighbouring words mostly point at the same one */
    }
}

UNCHECKED static void scan_region(struct scan *scan, const char *low, const char *top)
{
    scan_words(scan, low, top);
    scan_fake_frames(scan, low, top);
}

/* Below this frame there is nothing of the caller's: its frame address is the low end. */
UNCHECKED NOINLINE_NOIPA static int scan_stacks(struct thread *th)
{
    const char *sp = __builtin_frame_address(0);
    const struct stack *own = stack_find(th, sp);
    struct scan scan = {
        .base = (uintptr_t)th->heap->base,
        .arena_bytes = th->heap->control->arena_bytes,
        .roots = th->m->roots,
        .capacity = th->m->root_capacity,
    };

    if (own == NULL)
        return error_set(MMGC_E_STACK, "the stack pointer %p", (const void *)sp);
    for (uint32_t i = 0; i < th->stack_count; i++) {
        const struct stack *stack = &th->stacks[i];
        scan_region(&scan, stack == own ? sp : stack_readable_low(stack), stack->top);
    }
    at_store_relaxed(&th->m->root_count, scan.overflow ? SHM_ROOTS_OVERFLOW : scan.count);
    return MMGC_OK;
}

#if defined(__x86_64__)
enum { SPILLED = 6 };
static inline __attribute__((always_inline)) void spill(uint64_t *to)
{
    __asm__ volatile("movq %%rbx, 0(%0)\n\tmovq %%rbp, 8(%0)\n\tmovq %%r12, 16(%0)\n\t"
                     "movq %%r13, 24(%0)\n\tmovq %%r14, 32(%0)\n\tmovq %%r15, 40(%0)"
                     :
                     : "r"(to)
                     : "memory");
}
#elif defined(__aarch64__)
enum { SPILLED = 20 };
static inline __attribute__((always_inline)) void spill(uint64_t *to)
{
    __asm__ volatile("stp x19, x20, [%0, #0]\n\tstp x21, x22, [%0, #16]\n\t"
                     "stp x23, x24, [%0, #32]\n\tstp x25, x26, [%0, #48]\n\t"
                     "stp x27, x28, [%0, #64]\n\tstp x29, x30, [%0, #80]\n\t"
                     "stp d8, d9, [%0, #96]\n\tstp d10, d11, [%0, #112]\n\t"
                     "stp d12, d13, [%0, #128]\n\tstp d14, d15, [%0, #144]"
                     :
                     : "r"(to)
                     : "memory");
}
#else
enum { SPILLED = 1 };
static inline __attribute__((always_inline)) void spill(uint64_t *to)
{
    __builtin_unwind_init(); /* the prologue of whoever this is inlined into saves them all */
    to[0] = 0;
}
#endif

UNCHECKED NOINLINE_NOIPA int roots_publish(struct thread *th)
{
    uint64_t spilled[SPILLED]; /* R1 */

    if (th->exact) {
        at_store_relaxed(&th->m->root_count, 0);
        return MMGC_OK;
    }
    spill(spilled);
    int r = scan_stacks(th);
    __asm__ volatile("" : : "r"(spilled) : "memory"); /* no tail call: the frame stays until then */
    return r;
}
