/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Daemon: a private mmgcd for one test, in a directory of its own; whatever does not go as it should fails the test.
 *   Threads  one at a time       Env  MMGC_BUILD_ROOT: where the build is (meson test sets it)
 *                                     MMGC_DAEMON: what to start instead of its daemon/mmgcd (tests/systemd/test_filter.py)
 *   Life     it dies with the test that started it, however that ends                                     */
#include <stdbool.h>
#include <sys/types.h>

struct daemon;

/* Starts one and waits until it can be connected to. @config is the text of a configuration file, or NULL: the defaults
 * with two workers. */
struct daemon *daemon_start(const char *config);
void daemon_limit_files(unsigned files);                     /* of the daemons started after this; 0: none of ours */
/* Ends it by SIGTERM: it must exit with 0 within ten seconds and leave no socket, no child and no sanitizer report behind. Frees. */
void daemon_stop(struct daemon *d);
void daemon_kill(struct daemon *d);          /* by SIGKILL, without any expectation. Frees */

const char *daemon_socket(const struct daemon *d);
const char *daemon_directory(const struct daemon *d);
const char *daemon_program(void);                            /* the path of mmgcd */
const char *daemon_mmgcctl(const struct daemon *d);          /* the path of mmgcctl */
pid_t daemon_pid(const struct daemon *d);
pid_t daemon_committer_pid(const struct daemon *d);          /* its only child; 0: none now */
int daemon_fd_count(const struct daemon *d);                 /* 0 for a test that does not run as root: it may not look */
unsigned long daemon_resident_bytes(const struct daemon *d); /* of memory that is its own, not a heap's */
/* Polls, five seconds at most. */
bool daemon_log_has(const struct daemon *d, const char *text);
bool daemon_await_fds(const struct daemon *d, int count);    /* as few as that */
