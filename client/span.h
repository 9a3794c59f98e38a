/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Span: the bump of a class and its step from one granted span to the next, so ordered that a kill between any two
 * stores leaves words the daemon can parse (soundness S7).
 *   Threads  the attached thread itself, while IN                                                         */
#include <stdbool.h>
#include <stdint.h>

#include "shm/mutator.h"

struct thread;

/* The bump of @class, any but LARGE. */
struct shm_bump *span_bump(const struct thread *th, enum shm_grant_class class);
/* The bump's words are plain pointers for the fast path's sake. */
static inline void span_word_store(char **word, char *value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
/* @bytes from the current span, zeroed, the cursor moved past them; NULL: they do not fit. The header is the caller's. */
char *span_take(struct shm_bump *bump, uint64_t bytes);
/* Counts what the daemon has published since, and returns the bytes in spans not yet begun. */
uint64_t span_ahead(struct thread *th, enum shm_grant_class class);
/* Finishes the current span, if there is one, and begins the next. False: the ring is empty, and there is none now. */
bool span_next(struct thread *th, enum shm_grant_class class);
