/* SPDX-License-Identifier: Apache-2.0 */
/* stack.c - Stack: where pointers may be. */
#include "client/stack.h"

#include <errno.h>
#include <mmgc/mmgc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/thread.h"
#include "shm/units.h"

#define PROBE_PAGES 64u

static int stack_append(struct thread *th, char *low, size_t bytes, bool grows)
{
    struct stack *stacks = reallocarray(th->stacks, th->stack_count + 1, sizeof(*stacks));

    if (stacks == NULL)
        return error_system("malloc", -ENOMEM);
    th->stacks = stacks;
    stacks[th->stack_count++] = (struct stack){ .low = low, .top = low + bytes, .grows = grows };
    return MMGC_OK;
}

int stack_init(struct thread *th, void *low, size_t bytes)
{
    pthread_attr_t attributes;

    if (low != NULL)
        return stack_append(th, low, bytes, false);
    int r = pthread_getattr_np(pthread_self(), &attributes);
    if (r != 0)
        return error_system("pthread_getattr_np", -r);
    r = pthread_attr_getstack(&attributes, &low, &bytes); /* without the guard pages */
    (void)pthread_attr_destroy(&attributes);
    if (r != 0)
        return error_system("pthread_attr_getstack", -r);
    return stack_append(th, low, bytes, syscall(SYS_gettid) == getpid());
}

const struct stack *stack_find(const struct thread *th, const void *sp)
{
    for (uint32_t i = 0; i < th->stack_count; i++)
        if ((const char *)sp >= th->stacks[i].low && (const char *)sp < th->stacks[i].top)
            return &th->stacks[i];
    return NULL;
}

/* Pages from @low up, all of them mapped? mincore() says so without touching any, which would make the stack grow. */
static bool all_mapped(char *low, size_t pages)
{
    unsigned char resident[PROBE_PAGES];

    return mincore(low, pages * MM_PAGE_BYTES, resident) == 0;
}

char *stack_readable_low(const struct stack *stack)
{
    char *low = (char *)mm_align_down((uintptr_t)stack->top, MM_PAGE_BYTES);
    size_t step = PROBE_PAGES;

    if (!stack->grows)
        return stack->low;
    while (step > 0) { /* down in long steps, then in ever shorter ones */
        size_t bytes = step * MM_PAGE_BYTES;
        if ((size_t)(low - stack->low) >= bytes && all_mapped(low - bytes, step))
            low -= bytes;
        else
            step /= 2;
    }
    return low;
}

static int check_owner(const struct mmgc_thread *t)
{
    return t == NULL ? error_set(MMGC_E_INVALID, "the thread is NULL")
                     : fork_check(thread_of(t)->generation);
}

int mmgc_stack_add(struct mmgc_thread *t, void *stack_low, size_t stack_bytes)
{
    int r = check_owner(t);

    if (r != MMGC_OK)
        return r;
    if (stack_low == NULL || stack_bytes == 0)
        return error_set(MMGC_E_INVALID, "an empty stack");
    return stack_append(thread_of(t), stack_low, stack_bytes, false);
}

int mmgc_stack_remove(struct mmgc_thread *t, void *stack_low)
{
    int r = check_owner(t);

    if (r != MMGC_OK)
        return r;
    struct thread *th = thread_of(t);
    for (uint32_t i = 1; i < th->stack_count; i++) { /* its own stays */
        if (th->stacks[i].low != stack_low)
            continue;
        th->stacks[i] = th->stacks[--th->stack_count];
        return MMGC_OK;
    }
    return error_set(MMGC_E_INVALID, "this stack was not added");
}
