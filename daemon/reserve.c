/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/reserve.h"

#include <stdlib.h>
#include <uv.h>

#include "daemon/log.h"
#include "shm/base.h"

static _Atomic(void *) kept;

/* True: there is more memory than a moment ago. */
static bool give_up(void)
{
    void *block = atomic_exchange_explicit(&kept, NULL, memory_order_acq_rel);

    if (block == NULL)
        return false;
    log_error("out of memory: the daemon lives on its reserve");
    free(block);
    return true;
}

static void *allocate(size_t bytes)
{
    void *block = malloc(bytes);

    return block == NULL && give_up() ? malloc(bytes) : block;
}

static void *reallocate(void *old, size_t bytes)
{
    void *block = realloc(old, bytes);

    return block == NULL && bytes > 0 && give_up() ? realloc(old, bytes) : block;
}

static void *allocate_zeroed(size_t count, size_t bytes)
{
    void *block = calloc(count, bytes);

    return block == NULL && give_up() ? calloc(count, bytes) : block;
}

void reserve_init(void)
{
    (void)reserve_refill();
    (void)uv_replace_allocator(allocate, reallocate, allocate_zeroed, free);
}

bool reserve_refill(void)
{
    void *none = NULL;

    if (atomic_load_explicit(&kept, memory_order_acquire) != NULL)
        return true;
    void *block = malloc(RESERVE_BYTES);
    if (block != NULL && !atomic_compare_exchange_strong_explicit(
                             &kept, &none, block, memory_order_acq_rel, memory_order_acquire))
        free(block); /* only the loop fills it: it was there after all */
    return block != NULL;
}
