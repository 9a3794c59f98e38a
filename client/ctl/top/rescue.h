/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Rescue: the terminal as it was, even if this program crashes: what ncurses would say at its end is kept, and said by a signal handler,
 * which may not call ncurses.
 *   Threads  one */

/* Before screen_begin(): the terminal's settings. */
void rescue_keep(void);
/* After it: what brings the terminal back; and the handlers of what crashes. */
void rescue_arm(void);
