/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Profile, its table: what was sampled, by call stack, and weak rows of what may still live.
 *   Owner    the process; one table
 *   Threads  under the profile's lock (client/profile.h), all but profile_table_watches()                  */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/row.h"

struct profile_sample {
    const uintptr_t *stack;                  /* borrowed */
    uint32_t depth;
    uint64_t bytes;                          /* of the object */
    double weight;                           /* of how many it is one */
    struct mmgc_heap *heap;
    struct row row;                          /* a weak one of it; slot 0: none */
};

enum profile_value { PROFILE_ALLOC_OBJECTS, PROFILE_ALLOC_SPACE, PROFILE_INUSE_OBJECTS, PROFILE_INUSE_SPACE, PROFILE_VALUES };

struct profile_row {
    double values[PROFILE_VALUES];
    const uintptr_t *stack;
    uint32_t depth;
};
struct profile_copy {                        /* free(rows) */
    struct profile_row *rows;
    size_t count;
    uint64_t samples, unwatched;             /* ever; of them, those that nobody can say of whether they live */
};

/* Whether a row is worth to be begun now; and none could be. */
bool profile_table_watches(void);
void profile_table_lacks_rows(void);
/* False: no memory, or the table of rows is full: the sample is not there, or its row is still the caller's to end. */
bool profile_table_add(const struct profile_sample *sample, bool *ret_watched);
/* What there is now. False: no memory. */
bool profile_table_copy(struct profile_copy *ret_copy);
uint64_t profile_table_samples(void);         /* how many were ever added */
/* @heap is about to be closed: what lives in it is in use for good; its rows end. */
void profile_table_leave(struct mmgc_heap *heap);
/* Forgets all. @forked: the rows are the parent's, and stay as they are. */
void profile_table_clear(bool forked);
