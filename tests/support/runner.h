/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Runner: the main() of a test executable: one Check suite in, TAP on stdout out.
 *   Owner    the test executable; call it once
 *   Output   stdout carries TAP and nothing else: what tests and their children print goes to stderr
 *   Env      CK_FORK=no (debugger), CK_RUN_CASE=name, CK_DEFAULT_TIMEOUT and CK_TIMEOUT_MULTIPLIER in
 *            seconds and times, CK_VERBOSITY: Check's own, see docs/hacking.md#one-test */
#include <check.h>

/* Runs the suite @make builds, or of it the test case named in argv[1]. Returns main()'s exit status. */
int runner_main(int argc, char **argv, Suite *(*make)(void));
