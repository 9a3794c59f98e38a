/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Heap options: what can be chosen for one heap, and when it is collected.
 *   Threads  loop, and before there is any other                                                            */
#include <stdbool.h>
#include <stdint.h>

#define HEAP_TRIGGER_BYTES_MIN (UINT64_C(2) << 20)
#define HEAP_TRIGGER_BYTES_MAX (UINT64_C(32) << 30)

/* When a heap is collected that nobody asks to collect. After MMTk's FixedHeapSize, DynamicHeapSize, Delegated. */
struct trigger_config {
    enum trigger_kind {
        TRIGGER_FIXED,                        /* when its limit is reached */
        TRIGGER_DYNAMIC,                      /* when a limit is reached that follows what lives, between two bounds */
        TRIGGER_DELEGATED                     /* when a client says so that was made responsible */
    } kind;
    uint64_t min_bytes, max_bytes;            /* of DYNAMIC, both included; a heap smaller than that is bounded by its size; else 0 */
};

/* "fixed", "dynamic:MIN,MAX" with sizes as 16M, or "delegated". False: *ret_why is a sentence (static), *ret as it was. */
bool heap_trigger_parse(const char *text, struct trigger_config *ret, const char **ret_why);
