/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Schedule: the stages that every tracing plan shares, from measuring blocks to sweeping them; those that a plan has no use for are
 * passed over. No part of it is serial but what is bounded by the number of mutators. docs/architecture.md#schedule */
#include "plans/heap.h"

/* The body of heap_collect_stw() for plans that collect. 0; -ENOMEM: nothing was marked and nothing freed. */
int schedule_collect_stw(struct heap *h, struct engine *engine, const struct heap_stop *stop, struct heap_collection *ret);
