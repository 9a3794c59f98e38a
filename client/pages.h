/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Pages: what the daemon has closed is closed in this process, too, so that who touches it faults (plan pageprotect).
 *   The map (control.page_map_offset) changes only while the world is stopped. So each thread that goes on after a stop sees to it
 *   that this process has caught up, before it runs any of the program's code: whoever is first does it, the others wait for it.
 *   Owner    the heap
 *   Threads  pages_follow(): any that is IN, with the epoch it went on in: no stop begins before it is through, so that the map
 *            stands still; the counters: any
 *   Limits   a closed run is a mapping of its own, and a process may have so many (vm.max_map_count). Beyond an eighth of them,
 *            what lies highest stays open, and is counted: pages_counts()                                               */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

struct pages;

struct pages_config {
    char *base;                              /* of the arena here */
    uint64_t pages;                          /* in it; a multiple of 64 */
    const _Atomic uint64_t *map;             /* bit a page; the daemon's */
    bool read_only;                          /* so is what is open */
    uint64_t runs_max;                       /* closed at a time, at most; 0: by the system's limit */
};
struct pages_counts {
    uint64_t closed, left_open;              /* pages: as the map says, and in spite of it */
};

int pages_new(struct pages **ret_pages, const struct pages_config *config);      /* 0 or -errno; nothing is closed yet */
struct pages *pages_free(struct pages *pages);                       /* before the arena is unmapped, or after */
/* Up to date with the map as of @epoch. 0; -errno: something that is open may still be closed here, do not go on. */
int pages_catch_up(struct pages *pages, uint32_t epoch);
struct pages_counts pages_counts(const struct pages *pages);         /* racy */

/* The same, for heaps whose plan closes pages or does not (NULL). */
static inline int pages_follow(struct pages *pages, uint32_t epoch)
{
    return MM_LIKELY(pages == NULL) ? 0 : pages_catch_up(pages, epoch);
}
