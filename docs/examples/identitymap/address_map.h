/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Address map: objects of a heap to numbers of the program, keyed by where the objects are. It watches them: when a collection has moved
 * some, their entries move, and those of objects that died go, before anything is looked up.
 *   Threads  one; calls with a thread: it is inside
 *   Keeps    nothing alive
 *   Forgets  everything, if notices were missed: it is a cache, and what it forgot is entered again               */
#include <mmgc/notice.h>

struct address_entry {
    uint32_t granule;                        /* where the object is; 0: an empty place */
    uint64_t value;
    mmgc_watched watched;
};
struct address_map {
    struct mmgc_notices *notices;
    struct address_entry *entries;           /* capacity of them, a power of two, at least half of them empty */
    struct address_entry *between;           /* as many: those that are out of the table while a notice is followed */
    size_t capacity, count, between_count;
    uint64_t followed, died, forgot;         /* entries that moved, that went with their object; times that all were forgotten */
};

/* From outside. This and the others: MMGC_OK, or an MMGC_E_ code. */
int address_map_open(struct address_map *m, struct mmgc_heap *heap);
void address_map_close(struct address_map *m);
/* Enters @object, or changes its number. */
int address_map_put(struct address_map *m, struct mmgc_thread *t, const void *object, uint64_t value);
/* *ret_found says whether there is one. */
int address_map_get(struct address_map *m, struct mmgc_thread *t, const void *object, bool *ret_found, uint64_t *ret_value);
/* Follows what has moved. The other calls do this first. */
int address_map_follow(struct address_map *m, struct mmgc_thread *t);
