/* SPDX-License-Identifier: Apache-2.0 */
#include "client/profile_stack.h"

#include <dlfcn.h>
#include <pthread.h>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#endif

#include "shm/base.h"

#define OURS 16u /* frames of this library that may lie before the caller's */

typedef int walk_fn(void **ret_addresses, int count);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static walk_fn *walk; /* NULL: only the caller is known */
static const char *way = "the caller alone";

static void find(void)
{
    void *library = dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL); /* never closed */
    void *first[4];

#if __has_include(<execinfo.h>)
    walk = backtrace;
    way = "backtrace()";
#endif
    if (library != NULL) {
        void *found = dlsym(library, "unw_backtrace");
        if (found != NULL) {
            *(void **)&walk = found; /* as POSIX has it */
            way = "libunwind";
        }
    }
    if (walk != NULL)
        (void)walk(first, (int)MM_ARRAY_LEN(first)); /* what it loads and maps is there */
}

void profile_stack_prepare(void)
{
    (void)pthread_once(&once, find);
}

const char *profile_stack_way(void)
{
    return way;
}

uint32_t profile_stack_take(const void *caller, uintptr_t *ret_stack)
{
    void *frames[PROFILE_DEPTH + OURS];
    uint32_t count = 0, from = 0;
    int got = walk != NULL ? walk(frames, (int)MM_ARRAY_LEN(frames)) : 0;

    while (got > 0 && from < MM_MIN((uint32_t)got, OURS) && frames[from] != caller)
        from++;
    if (got <= 0 || from >= MM_MIN((uint32_t)got, OURS)) { /* lost on its way: this much is certain */
        ret_stack[0] = (uintptr_t)caller - 1;
        return 1;
    }
    for (; from < (uint32_t)got && count < PROFILE_DEPTH; from++)
        if (frames[from] != NULL)
            ret_stack[count++] = (uintptr_t)frames[from] - 1; /* inside the call, not behind it */
    return count;
}
