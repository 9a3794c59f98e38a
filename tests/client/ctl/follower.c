/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/ctl/follower.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/runner.h"

#define WORDS_MAX 16
#define LIMIT_MS 10000

static _Noreturn void become(const char *const *words, const char *socket, int out)
{
    char path[512];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(path, sizeof(path), "%s/client/ctl/mmgcctl", getenv("MMGC_BUILD_ROOT"));
    setenv("MMGC_SOCKET", socket, 1);
    if (dup2(out, STDOUT_FILENO) >= 0)
        execv(path, (char *const *)words);
    perror(path);
    _exit(127);
}

void follower_start(struct follower *f, const char *socket, ...)
{
    const char *words[WORDS_MAX] = { "mmgcctl", "watch", "--json" };
    int out[2];
    va_list args;

    va_start(args, socket);
    for (size_t i = 3; i < WORDS_MAX && (words[i] = va_arg(args, const char *)) != NULL; i++)
        ck_assert_uint_lt(i, WORDS_MAX - 1);
    va_end(args);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    f->pid = fork();
    ck_assert_int_ge(f->pid, 0);
    if (f->pid == 0)
        become(words, socket, out[1]);
    close(out[1]);
    f->out = out[0];
    f->lines = fdopen(out[0], "r");
    ck_assert_ptr_nonnull(f->lines);
    setvbuf(f->lines, NULL, _IONBF, 0); /* what poll() sees is all there is */
}

int follower_has(struct follower *f, int ms)
{
    struct pollfd wait = { .fd = f->out, .events = POLLIN };

    return poll(&wait, 1, ms) > 0;
}

json_t *follower_next(struct follower *f)
{
    char line[4096];

    ck_assert_msg(follower_has(f, LIMIT_MS), "no event");
    ck_assert_msg(fgets(line, sizeof(line), f->lines) != NULL, "it has ended");
    json_t *event = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(json_is_object(event), "no object: %s", line);
    return event;
}

static int is(const json_t *event, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(event, key));

    return value != NULL && strcmp(value, text) == 0;
}

json_t *follower_next_of(struct follower *f, const char *event, const char *heap)
{
    for (;;) {
        json_t *next = follower_next(f);
        if (is(next, "event", event) && is(next, "heap", heap))
            return next;
        json_decref(next);
    }
}

int follower_end(struct follower *f, int signal)
{
    int status;

    if (signal != 0)
        ck_assert_int_eq(kill(f->pid, signal), 0);
    ck_assert_int_eq(waitpid(f->pid, &status, 0), f->pid);
    fclose(f->lines);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
