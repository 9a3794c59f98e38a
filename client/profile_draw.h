/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Profile, its chances: where the next byte is picked, and what an object stands for that was. Without libm.
 *   Threads  any                                                                                         */
#include <stdint.h>

/* The next number of the sequence in *@state: 64 random bits (SplitMix64, Steele et al., OOPSLA 2014). */
uint64_t profile_random(uint64_t *state);
/* Bytes until the next that is picked, where one in @interval is: floor of an exponentially distributed number. 0 if all are. */
uint64_t profile_draw(uint64_t *state, uint64_t interval);
/* How many objects one of @bytes stands for that was picked: 1 / (1 - e^(-bytes/interval)), the inverse of how likely that was. */
double profile_weight(uint64_t bytes, uint64_t interval);
