/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fuzz: what a fuzz target offers, to libFuzzer (clang) or to the seeded main of fuzz_main.c (any compiler). */
#include <stddef.h>
#include <stdint.h>

/* One input. Returns 0; what is wrong ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
/* The @i-th good input, from 0, into @bytes: how long it is, 0 after the last. */
size_t fuzz_good_input(size_t i, uint8_t *bytes, size_t capacity);
