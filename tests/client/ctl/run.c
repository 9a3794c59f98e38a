/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/ctl/run.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/runner.h"

#define WORDS_MAX 16

static char *contents_of(int fd)
{
    struct stat status;

    ck_assert_int_eq(fstat(fd, &status), 0);
    char *text = calloc(1, (size_t)status.st_size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(pread(fd, text, (size_t)status.st_size, 0), status.st_size);
    close(fd);
    return text;
}

static _Noreturn void become(const char *const *words, const char *socket, int out, int err)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/client/ctl/mmgcctl", getenv("MMGC_BUILD_ROOT"));
    setenv("MMGC_SOCKET", socket, 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    if (dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0)
        execv(path, (char *const *)words);
    perror(path);
    _exit(127);
}

static struct ctl_run run(int out, const char *socket, va_list args)
{
    const char *words[WORDS_MAX] = { "mmgcctl" };
    int err = memfd_create("stderr", MFD_CLOEXEC), status;

    ck_assert_int_ge(out, 0);
    ck_assert_int_ge(err, 0);
    for (size_t i = 1; i < WORDS_MAX && (words[i] = va_arg(args, const char *)) != NULL; i++)
        ck_assert_uint_lt(i, WORDS_MAX - 1);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        become(words, socket, out, err);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return (struct ctl_run){
        .out = contents_of(out),
        .err = contents_of(err),
        .status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
    };
}

struct ctl_run ctl_run(const char *socket, ...)
{
    va_list args;

    va_start(args, socket);
    struct ctl_run result = run(memfd_create("stdout", MFD_CLOEXEC), socket, args);
    va_end(args);
    return result;
}

struct ctl_run ctl_run_onto(const char *stdout_path, const char *socket, ...)
{
    va_list args;

    va_start(args, socket);
    struct ctl_run result = run(open(stdout_path, O_RDWR | O_CLOEXEC), socket, args);
    va_end(args);
    return result;
}

void ctl_run_free(struct ctl_run *run)
{
    free(run->out);
    free(run->err);
}

json_t *parse_json(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    ck_assert_msg(json != NULL, "%s at line %d of:\n%s", error.text, error.line, text);
    return json;
}
