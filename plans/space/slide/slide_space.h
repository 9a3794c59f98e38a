/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Slide space, beside its table in space.h: how the plans that slide grant. */
#include "plans/space/space.h"

/* LINES and BLOCKS: holes of what did not slide, then whole blocks. */
size_t slide_space_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request,
                         struct shm_grant *ret, size_t capacity);
