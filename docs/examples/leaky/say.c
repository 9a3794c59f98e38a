/* SPDX-License-Identifier: Apache-2.0 */
#include "say.h"

#include <stdio.h>
#include <stdlib.h>

void must(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "leaky: %s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(1);
}

void *made(struct mmgc_thread *t, void *object)
{
    if (object == NULL)
        must("making an object", mmgc_thread_error(t));
    return object;
}

int must_system(const char *what, int result)
{
    if (result >= 0)
        return result;
    fputs("leaky: ", stderr);
    perror(what);
    exit(1);
}
