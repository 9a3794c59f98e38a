/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Nursery grants: whole free blocks, beside what survivors may need. */
#include "plans/plan.h"

/* As plan.grant. */
size_t nursery_grant(struct heap *h, struct heap_mutator *m, const struct grant_request *request, struct shm_grant *ret,
                     size_t capacity);
/* Kept free for what survives of the blocks that the nursery has now: a part of them, since little survives; more stays in place. */
uint64_t nursery_reserve_bytes(const struct heap *h);
