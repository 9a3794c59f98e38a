/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Misuse: what only a mistake of the program's makes happen: something dropped twice, or used after that, a place that is no object. Calls return
 * its code, or, with MMGC_ABORT_ON_MISUSE=1 in the environment, stop the program with the call's name and the place on stderr.
 *   Threads  any */
#include "client/error.h"
#include "shm/base.h"

/* @code of the public call this stands in, which is given back. */
#define MISUSE(code) misuse_check(__func__, (code))

void misuse_found(const char *call, int code);

static inline int misuse_check(const char *call, int code)
{
    if (MM_UNLIKELY(code != MMGC_OK))
        misuse_found(call, code);
    return code;
}
