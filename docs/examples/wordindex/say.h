/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Say: what went wrong, on stderr, once; always gives 1, an exit status. */

int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fail_mmgc(const char *doing, int code);
