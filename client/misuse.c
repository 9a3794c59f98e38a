/* SPDX-License-Identifier: Apache-2.0 */
#include "client/misuse.h"

#include <mmgc/mmgc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if __has_include(<execinfo.h>)
#include <execinfo.h>
#endif

#define FRAMES 32

static bool is_misuse(int code)
{
    return code == MMGC_E_INVALID || code == MMGC_E_DROPPED || code == MMGC_E_NO_OBJECT || code == MMGC_E_UNBALANCED ||
           code == MMGC_E_NOT_IN || code == MMGC_E_IS_IN;
}

/* Read each time: it is asked for in a program that is about to stop, or to learn of an error it did not expect. */
static bool aborts(void)
{
    const char *said = getenv("MMGC_ABORT_ON_MISUSE");

    return said != NULL && strcmp(said, "") != 0 && strcmp(said, "0") != 0;
}

static void print_place(void)
{
#if __has_include(<execinfo.h>)
    void *frames[FRAMES];

    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
#endif
}

void misuse_found(const char *call, int code)
{
    const char *detail = mmgc_error_detail();

    if (!is_misuse(code) || !aborts())
        return;
    (void)fprintf(stderr, "mmgc: %s: %s%s%s\n", call, mmgc_strerror(code), detail[0] == '\0' ? "" : ": ", detail);
    print_place();
    abort();
}
