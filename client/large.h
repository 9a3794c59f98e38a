/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Large: objects that get a run of pages of their own, one request each.
 *   Threads  the attached thread itself, while IN                                                        */
#include <stdint.h>

struct thread;

/* [safepoint] An object of @bytes, zeroed, with @header; NULL and mmgc_thread_error(). */
void *large_new(struct thread *th, uint64_t bytes, uint64_t header);
