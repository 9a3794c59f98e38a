/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Error: what the last failing call of a thread failed on, kept for mmgc_error_detail().
 *   Threads  each has its own                                                                          */
#include "proto/mmgc/error.h"

/* Keeps the case at hand (printf-like; NULL: nothing to add) and returns @code, so that callers can return it. */
int error_set(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for a system call that answered -@errno_value: sets errno, says which and why; MMGC_E_SYSTEM. */
int error_system(const char *what, int r);
