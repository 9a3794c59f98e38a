/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Profile, its stacks: who called. By libunwind if the system has it, which is loaded when it is first needed, so that the library
 * depends on nothing for the sake of those who profile; else by the C library's backtrace(), which is several times slower.
 *   Threads  any, after profile_stack_prepare()                                                          */
#include <stdint.h>

#define PROFILE_DEPTH 64u                    /* callers at most */

/* Finds a way to walk; the first walk is the slow one, and is made here. Once is enough. */
void profile_stack_prepare(void);
/* The name of that way, for people. */
const char *profile_stack_way(void);
/* Fills @ret_stack with at most PROFILE_DEPTH addresses inside the calls that are open, from that which returns to @caller outwards,
 * and returns how many: at least 1. */
uint32_t profile_stack_take(const void *caller, uintptr_t *ret_stack);
