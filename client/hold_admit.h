/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hold admit: what a hold's policy does to a store that lets out what is in it.
 *   Threads  the attached thread itself, while IN, with a hold open                                              */
#include <mmgc/mmgc.h>
#include <stdbool.h>
#include <stddef.h>

struct thread;

/* Whether a reference to *@value (NULL is fine) may be stored into @object: if need be after it has been stowed, and *@value is where it
 * is now. [safepoint] then, for threads with ambiguous roots. False: no; the thread's error says why. */
bool hold_admit(struct thread *th, const void *object, const void **value);
/* The same of the @count references at @refs, which are read anew afterwards. */
bool hold_admit_refs(struct thread *th, const void *object, const mmgc_ref *refs, size_t count);
