/* SPDX-License-Identifier: Apache-2.0 */
/* No libunwind: preloaded, there is none on this system. */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

__attribute__((visibility("default"))) void *dlopen(const char *name, int flags)
{
    void *(*real)(const char *, int) = NULL;

    *(void **)&real = dlsym(RTLD_NEXT, "dlopen");
    return name != NULL && strstr(name, "libunwind") != NULL ? NULL : real(name, flags);
}
