/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fork: what a child of a client must not touch. Segments are not inherited (MADV_DONTFORK) and the sockets are closed in
 * the child, so everything made before is void there: each call compares the generation it was made in.
 *   Threads  registry: any, under one short lock                                                            */
#include <pthread.h>

#include "client/error.h"


extern unsigned fork_generation;             /* raised in a child, when it has only one thread */

/* Before the first connection: makes sure that children are noticed. */
void fork_watch(void);
/* The registry's lock: taken across fork(), so that a child finds whole lists. Never held across a system call that waits. */
void fork_lock(void);
void fork_unlock(void);
void fork_wait(pthread_cond_t *changed);     /* with the lock held, which it is again afterwards */

static inline int fork_check(unsigned generation)
{
    return generation == fork_generation ? MMGC_OK : error_set(MMGC_E_FORKED, NULL);
}
