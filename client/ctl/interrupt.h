/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Interrupt: commands that go on until somebody has had enough: SIGINT and SIGTERM are then a wish, and no end in the middle of a line.
 *   Threads  one                                                                                         */

/* From here on those two signals are for interrupt_wait(). 0, -errno. */
int interrupt_begin(void);
/* Waits until @sock can be read (its end can), @timeout_ms at most; < 0: for ever. 0, -ETIMEDOUT, -EINTR: one of the two has come; -errno. */
int interrupt_wait(int sock, int timeout_ms);
