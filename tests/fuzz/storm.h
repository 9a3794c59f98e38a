/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Storm: a client that writes while it is read, in the reader's own thread, so that an input replays to the last word.
 *   When     at the beginning and end of each packet of a collection (its clock, mm_now_ns(), is wrapped); and, in the build of `./dev fuzz`,
 *            before any load of the memory in question (clang's trace-loads): between the two loads of a double fetch (soundness S13)
 *   Where    the word about to be loaded, one near it, or any other of the areas
 *   Threads  one */
#include <stddef.h>
#include <stdint.h>

#define STORM_AREAS_MAX 32u

/* Memory that clients can write: whole words of 8 bytes. Forgets the areas there were. */
void storm_areas_clear(void);
void storm_area_add(void *at, size_t bytes);

/* From now on there is a write every @gap looks or so, 1 or more, but no more than @writes. */
void storm_begin(uint64_t seed, uint32_t gap, uint32_t writes);
uint32_t storm_end(void);                    /* how many there were */

/* Stores what a client might (tests/support/wild.h) to @count places of one area. */
void storm_scribble(uint32_t area, uint64_t seed, uint32_t count);
