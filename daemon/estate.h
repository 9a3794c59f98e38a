/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Estate: what dead clients had guarded and left to a guardian of some name: rows like those of a session's table, kept by the daemon until
 * a session that is that guardian takes what became ready.
 *   Owner    the heap     Threads  whoever holds the heap's lock     Units  references are granules                       */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plans/heap.h"
#include "shm/session.h"

#define ESTATE_MAX 65536u                     /* rows of one heap */

struct estate {
    _Atomic uint32_t *words, *tags;           /* [capacity]; collections read [0, high) */
    uint64_t *marks;                          /* [capacity] the programs' own */
    char **heirs;                             /* [capacity] NULL: the row is free */
    uint32_t high, capacity, count;
    uint32_t free_from;                       /* no row below is free */
    uint32_t look_from;                       /* the row after the one that was taken last */
};

void estate_fini(struct estate *e);           /* zeroes are an empty one */
/* Adds what @table, of @count rows, has of GUARDED and READY ones, for the guardian @heir. Hostile: each word is read once, and rows that
 * do not fit are left out. How many were left out, for want of room or memory. */
uint32_t estate_inherit(struct estate *e, const char *heir, const struct shm_session MM_NODEREF *table, uint32_t count);
/* What is ready for @heir: its granule, and it is no root from here on; 0: nothing. */
uint32_t estate_take(struct estate *e, const char *heir, uint64_t *ret_mark);
struct heap_roots estate_roots(const struct estate *e);
