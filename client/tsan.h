/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tsan: tells ThreadSanitizer what it cannot see: the daemon stands between a thread that parks or leaves and the one that is
 * granted the memory of its garbage, or goes on after the stop. Each parking happens before each later resume and grant.
 *   Weak: there only if the program is built with ThreadSanitizer; a test of an address otherwise, on slow paths alone */
#include <stddef.h>

extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

static inline void tsan_acquire(void *address)
{
    if (__tsan_acquire != NULL)
        __tsan_acquire(address);
}
static inline void tsan_release(void *address)
{
    if (__tsan_release != NULL)
        __tsan_release(address);
}
