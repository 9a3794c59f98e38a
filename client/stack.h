/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Stack: the regions a thread runs on and keeps pointers in. Parking on any other is an error, never a scan (S3).
 *   Threads  the attached thread itself                                                                  */
#include <stddef.h>

struct stack;
struct thread;

/* The first region: @low and @bytes, or what the system gave the calling thread if @low is NULL. */
int stack_init(struct thread *th, void *low, size_t bytes);
/* The registered region that @sp lies in, or NULL. */
const struct stack *stack_find(const struct thread *th, const void *sp);
/* The lowest address from which on @stack can be read whole. */
char *stack_readable_low(const struct stack *stack);
