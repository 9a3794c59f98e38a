/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Model: what top shows: the newest document of stats_document(), with what has changed since the one before it.
 *   Adds     to each heap alloc_bytes_per_s, collections_per_s and paused_share; to "daemon" requests_per_s, and the heaps' sums. All are 0
 *            the first time, and for what was not there before
 *   Daemon   one connection, made again when it is gone: a refresh that fails leaves the last document                          */
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "client/ctl/ctl.h"

struct top_model {
    json_t *document;                         /* NULL: none yet */
    uint64_t taken_ns;                        /* when */
    json_t *clients;                          /* of `mmgcctl clients HEAP`; NULL: none, or nobody asked */
};

/* Asks anew; of the operand's heap, or of all. Sorted as options.sort says. */
enum mmgc_error top_refresh(struct top_model *model, struct ctl *ctl);
/* The clients of @heap beside it; NULL: no longer. */
enum mmgc_error top_refresh_clients(struct top_model *model, struct ctl *ctl, const char *heap);
void top_sort(struct top_model *model, enum ctl_sort by);
void top_fini(struct top_model *model);
