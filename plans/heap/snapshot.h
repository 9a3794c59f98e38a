/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Snapshot: the heap's part of a copy for who looks inside (shm/snapshot.h): blocks in use with their objects, spaces, types. It does not
 * collect, and changes nothing that a collection goes by.
 *   Owner    the memory is the caller's, and written only: whoever else can write it makes nothing happen here. It must be there: what is missing
 *            of it is a fault of the caller's
 *   Threads  _stw: the heap's one caller, with workers of the engine; heap_snapshot_bytes(): the heap's one caller at any time       */
#include <stdint.h>

#include "plans/heap.h"
#include "shm/snapshot.h"

struct heap_snapshot {
    char *base;                              /* multiple of pages */
    uint64_t capacity, begin;                /* bytes; what lies before begin, a multiple of 8, is the caller's */
    /* Each word of heap_stop.roots that is not 0 and no free row, in their order, on the caller's thread: @object is what it stands for, 0: nothing. */
    void (*root)(void *context, size_t row, uint32_t index, uint32_t word, uint32_t object);
    void *context;
    struct shm_snapshot_range sections[SHM_SNAPSHOT_SECTIONS];       /* filled in but for OWNERS, ROOTS and STRINGS */
    uint64_t needed;                         /* filled in: what capacity must be, or have been */
};
/* About what heap_snapshot_stw() would need now, without the caller's part. */
uint64_t heap_snapshot_bytes(const struct heap *heap);
/* 0; -ENOSPC: needed is above capacity, and nothing was written; -ENOMEM: the same of the store or of packets. */
int heap_snapshot_stw(struct heap *heap, struct engine *engine, const struct heap_stop *stop, struct heap_snapshot *s);
