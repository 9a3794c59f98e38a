/* SPDX-License-Identifier: Apache-2.0 */
/* Runner: keeps TAP apart from what tests print.
 *   R1  fd 1 is stderr while tests run, so a printf() in a test or in a daemon it starts is no TAP line
 *   R2  the TAP stream is a file Check opened by itself; the fd behind it is closed on exec, so that a
 *       child that outlives its test does not keep `meson test` waiting for end of file */
#include "tests/support/runner.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_S "20" /* Check's own 4 s is short for a sanitized run on a busy machine */

/* Moves stdout away and names a path that leads to it. "-", which is Check's word for stdout, where
 * opening that path would not do: a socket, a pipe another user made, a file being appended to. */
static const char *divert_stdout(char *ret_path, size_t size)
{
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);

    snprintf(ret_path, size, "/proc/self/fd/%d", fd);
    if (fd < 0 || access(ret_path, W_OK) < 0 || (fcntl(fd, F_GETFL) & O_APPEND) != 0)
        return "-";
    if (dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return "-";
    setvbuf(stdout, NULL, _IOLBF, 0); /* a test's last line survives its abort() */
    return ret_path;
}

int runner_main(int argc, char **argv, Suite *(*make)(void))
{
    char path[32];

    if (argc > 2) {
        fprintf(stderr, "usage: %s [TEST_CASE]\n", argv[0]);
        return EXIT_FAILURE;
    }
    setenv("CK_DEFAULT_TIMEOUT", DEFAULT_TIMEOUT_S, 0); /* read by tcase_create(), so before make() */

    SRunner *runner = srunner_create(make());
    srunner_set_tap(runner, divert_stdout(path, sizeof(path)));
    if (argc == 2)
        srunner_run(runner, NULL, argv[1], CK_SILENT);
    else
        srunner_run_all(runner, getenv("CK_VERBOSITY") ? CK_ENV : CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
