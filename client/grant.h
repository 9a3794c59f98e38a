/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Grant: asking the daemon for memory, ahead of need where possible. Answers come through the mailbox, not the socket.
 *   Threads  the attached thread itself                                                                  */
#include <stdbool.h>
#include <stdint.h>

#include "shm/mutator.h"

struct thread;

/* What is asked for; the fields of the message. */
struct grant_ask {
    enum shm_grant_class class;
    uint64_t bytes;                          /* 0: what suits this thread's rate */
    uint32_t min_bytes;                      /* of each span */
    bool reserve;                            /* all of it, in whole blocks, or an error */
};

/* Asks for the next slab of @class if what is left of it runs low; does not wait. Costs nothing until then. */
void grant_ahead(struct thread *th, enum shm_grant_class class, uint32_t min_bytes);
/* Asks for just this; does not wait. Nothing is asked for while a request of that class is under way, or after one was refused. */
void grant_ask_ahead(struct thread *th, const struct grant_ask *ask);
/* [safepoint] Waits until a request of this class is answered: one that is under way already, or else @ask. MMGC_OK: look into
 * the ring again. Parks if the thread is IN, and then MMGC_E_STACK means still IN; when the daemon is gone it is OUT. */
int grant_wait(struct thread *th, const struct grant_ask *ask);
/* The same in two halves, for one that has more to do before it is IN again. After MMGC_OK the thread is as it was left by
 * the first: PARKED if it was IN. */
int grant_wait_parked(struct thread *th, const struct grant_ask *ask);
