/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Trap: calls that ask the system for memory, wait for somebody or start a thread, refused while it is armed. They are caught where they are
 * linked (-Wl,--wrap, trap_link_args in tests/support/meson.build): in the test's own objects and in the libraries linked into it statically,
 * ours above all.
 *   Armed    such a call says its name on stderr and aborts                    Not armed  it does what it always does
 *   Threads  the flag is the calling thread's own */
#include <stdbool.h>

void trap_arm(bool armed);
/* From here on this process makes no system call but to write, read the clock and end: any other kills it with SIGSYS. For good. False: the
 * system cannot do that. */
bool trap_system_calls(void);
