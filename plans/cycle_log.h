/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cycle log: what plans that have both young collections (generational.h) and cycles (cycle.h) make of one log: now it remembers what of
 * the old may refer to the young, now what stood in fields when a cycle began.
 *   Fields   are logged all the time: where something young may be referred to, and, while a cycle marks, what stood there before
 *   Young    no young collection comes while a cycle marks or sweeps: they wait for its end
 *   Owner    the heap                                                       why nothing is missed: cycle_log.c */
#include <stdbool.h>
#include <stdint.h>

struct heap;

/* The first stop. For each block, once G is opened and the log holds all, or says that it does not: stores to what is in it will be logged. */
void cycle_log_arm_block(struct heap *h, uint32_t block);
void cycle_log_arm_row(struct heap *h, uint64_t row);
void cycle_log_begin_stw(struct heap *h);    /* then this; of other plans with cycles it is all there is to do */
/* For heap_take_log(): what is new in the log is copied to the cycle's rows. */
void cycle_log_take(struct heap *h);
void cycle_log_end(struct heap *h);          /* all is marked: of all plans with cycles but those that count */
/* In a cycle: was the object at @granule, a place for one, granted after the first stop? Any worker. */
bool cycle_log_is_new(const struct heap *h, uint32_t granule);
