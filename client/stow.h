/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Stow: copies what is reached out of holds, depth first, side by side, in the order of the fields.
 *   Threads  the attached thread itself, while IN, with a hold open
 *   Errors   any: all is as it was, but for garbage that the next collection frees                            */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct thread;

#define STOW_FORESEEN_MIN_BYTES (UINT64_C(64) << 10) /* less is at hand, or soon */

/* The outermost hold has begun. If stows of late wanted more than lies ready, that is asked for now, and not waited for. */
void stow_foresee(struct thread *th);
/* [safepoint, if there is something to stow and no memory for it at hand] Out of the innermost hold, which then ends: what @kept and its
 * guests reach, into the one around it or the heap. Each of @kept is then where it is now; local roots, too. Guests are marked stowed. */
int stow_at_end(struct thread *th, void **kept, size_t count);
/* The same out of every hold deeper than @to, which stay open: their other objects refer to where those are now. @waits: as above; else
 * MMGC_E_NOMEM in its place. */
int stow_out(struct thread *th, uint32_t to, void **objects, size_t count, bool waits);
