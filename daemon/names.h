/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Names: the named roots of one heap. The references stand in one array that a collection takes as an EXACT row of roots
 * and that a moving plan updates in place.
 *   Threads  whoever holds the heap's lock                 Units  references are granules; 0 is none       */
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

struct name_row {
    char *name;
    uint32_t slot;                            /* of its reference in words */
};
struct names {
    struct name_row *rows;                    /* sorted by name */
    size_t count, capacity, limit;
    _Atomic uint32_t *words;                  /* [capacity]; collections read words[0, high) */
    uint32_t high;                            /* slots ever used */
    uint32_t *free_slots;                     /* [capacity] */
    size_t free_count;
};

void names_init(struct names *n, size_t limit);
void names_fini(struct names *n);
uint32_t names_get(const struct names *n, const char *name);           /* 0: no such */
/* Sets, or removes with @ref 0 (absent is fine). 0, -ENOSPC at the limit, -ENOMEM. */
int names_set(struct names *n, const char *name, uint32_t ref);
size_t names_after(const struct names *n, const char *name);           /* index of the first row greater than @name */
