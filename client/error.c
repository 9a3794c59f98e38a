/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - Error: codes come from proto/mmgc/error.h, the case at hand from here. */
#include "client/error.h"

#include <errno.h>
#include <mmgc/mmgc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/wire.h"

static _Thread_local char error_detail[256];

int error_set(int code, const char *format, ...)
{
    va_list arguments;

    error_detail[0] = '\0';
    if (format == NULL)
        return code;
    va_start(arguments, format);
    (void)vsnprintf(error_detail, sizeof(error_detail), format, arguments);
    va_end(arguments);
    return code;
}

int error_system(const char *what, int r)
{
    error_set(MMGC_E_SYSTEM, "%s: %s", what, strerror(-r));
    errno = -r;
    return MMGC_E_SYSTEM;
}

const char *mmgc_strerror(int code)
{
    return mmgc_error_sentence((enum mmgc_error)code);
}

const char *mmgc_error_detail(void)
{
    return error_detail;
}
