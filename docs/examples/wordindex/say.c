/* SPDX-License-Identifier: Apache-2.0 */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>

#include <mmgc/mmgc.h>

int fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("wordindex: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return 1;
}

int fail_mmgc(const char *doing, int code)
{
    const char *detail = mmgc_error_detail();
    return fail("%s: %s%s%s%s", doing, mmgc_strerror(code), *detail ? " (" : "", detail, *detail ? ")" : "");
}
