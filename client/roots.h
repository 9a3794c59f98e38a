/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Roots: a parked thread's words that point into the arena, for the daemon to resolve (soundness S2, S3).
 *   Threads  the attached thread itself, while IN; what it publishes holds until it is IN again          */

struct thread;

/* Writes them and their number. MMGC_OK; MMGC_E_STACK: this is no registered stack, and nothing was read: do not park. For a
 * thread with exact roots there are none. About 0.3 ns a word of stack. */
int roots_publish(struct thread *th);
