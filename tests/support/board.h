/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Board: a shared array of references that clients hang finished things on, and that anyone can check: whatever hangs there
 * was complete before it was hung up, so a client that dies at any instruction leaves no half of a thing.
 *   Thing    pair {left: pair {left: back to the first, value: ~seed}, right: bytes made from seed, value: seed}
 *   Name     "board", in its heap                                                                              */
#include "tests/support/entry.h"
#include "tests/support/stress.h"

#define BOARD_SLOTS 512u

/* Finds the board or makes it; the thread is inside. [safepoint] */
void board_claim(struct entry *e);
/* Makes a thing and hangs it on a random slot, or throws it away if @drop. [safepoint] */
void board_put(struct entry *e, struct rng *rng, bool drop);
/* Stores, exchanges or compares and swaps what hangs on two random slots, or takes one down. */
void board_shuffle(struct entry *e, struct rng *rng);
/* Checks all that hangs there; the number of things. */
uint32_t board_check(struct entry *e);
