/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/daemon.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/packet.h"

#define TICK_US 2000
#define START_TICKS 10000 /* 20 s: a sanitized build on a busy machine */
#define SETTLE_TICKS 2500 /* 5 s */
#define STOP_TICKS 5000   /* 10 s */

struct daemon {
    pid_t pid;
    char directory[64], socket[96], config[96], log[96];
};

static const char *build_path(const char *tail)
{
    static char path[PATH_MAX];
    const char *root = getenv("MMGC_BUILD_ROOT");

    snprintf(path, sizeof(path), "%s/%s", root == NULL ? "build" : root, tail);
    return path;
}

const char *daemon_program(void)
{
    static char path[PATH_MAX];
    const char *wrapped = getenv("MMGC_DAEMON");

    snprintf(path, sizeof(path), "%s", wrapped != NULL ? wrapped : build_path("daemon/mmgcd"));
    return path;
}

const char *daemon_mmgcctl(const struct daemon *d)
{
    static char path[PATH_MAX];

    (void)d;
    snprintf(path, sizeof(path), "%s", build_path("client/ctl/mmgcctl"));
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static unsigned file_limit;

void daemon_limit_files(unsigned files)
{
    file_limit = files;
}

static void run_daemon(const struct daemon *d)
{
    int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(log, STDERR_FILENO);
    (void)dup2(log, STDOUT_FILENO);
    (void)unsetenv("JOURNAL_STREAM");
    if (file_limit > 0)
        (void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){ file_limit, file_limit });
    execl(daemon_program(), "mmgcd", "--foreground", "--config", d->config, "--socket", d->socket,
          "--log-level", "debug", (char *)NULL);
    _exit(127);
}

static void show_log(const struct daemon *d)
{
    char line[1024];
    FILE *log = fopen(d->log, "re");

    while (log != NULL && fgets(line, sizeof(line), log) != NULL)
        fprintf(stderr, "# %s", line);
    if (log != NULL)
        fclose(log);
}

static void await_socket(const struct daemon *d)
{
    for (int tick = 0; tick < START_TICKS; tick++) {
        int sock = packet_connect(d->socket);
        if (sock >= 0) {
            close(sock);
            return;
        }
        if (waitpid(d->pid, NULL, WNOHANG) == d->pid)
            break;
        usleep(TICK_US);
    }
    show_log(d);
    ck_abort_msg("mmgcd did not start");
}

struct daemon *daemon_start(const char *config)
{
    struct daemon *d = calloc(1, sizeof(*d));

    snprintf(d->directory, sizeof(d->directory), "/tmp/mmgcd-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(d->directory));
    snprintf(d->socket, sizeof(d->socket), "%s/sock", d->directory);
    snprintf(d->config, sizeof(d->config), "%s/conf", d->directory);
    snprintf(d->log, sizeof(d->log), "%s/log", d->directory);
    write_file(d->config, config == NULL ? "[daemon]\nthreads = 2\n" : config);
    d->pid = fork();
    ck_assert_int_ge(d->pid, 0);
    if (d->pid == 0)
        run_daemon(d);
    await_socket(d);
    return d;
}

static bool log_has_now(const struct daemon *d, const char *text)
{
    char line[4096];
    bool found = false;
    FILE *log = fopen(d->log, "re");

    while (log != NULL && !found && fgets(line, sizeof(line), log) != NULL)
        found = strstr(line, text) != NULL;
    if (log != NULL)
        fclose(log);
    return found;
}

bool daemon_log_has(const struct daemon *d, const char *text)
{
    for (int tick = 0; tick < SETTLE_TICKS; tick++, usleep(TICK_US))
        if (log_has_now(d, text))
            return true;
    return false;
}

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static void daemon_free(struct daemon *d)
{
    char lock[112];

    snprintf(lock, sizeof(lock), "%s.lock", d->socket);
    (void)unlink(lock);
    (void)unlink(d->config);
    (void)unlink(d->log);
    (void)rmdir(d->directory);
    free(d);
}

void daemon_stop(struct daemon *d)
{
    int status = 0, tick = 0;
    pid_t committer = daemon_committer_pid(d);

    ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
    while (waitpid(d->pid, &status, WNOHANG) == 0 && tick++ < STOP_TICKS)
        usleep(TICK_US);
    bool clean = tick < STOP_TICKS && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
                 !log_has_now(d, "ERROR: ") && !log_has_now(d, "runtime error: ") &&
                 !log_has_now(d, "WARNING: Thread");
    if (!clean)
        show_log(d);
    ck_assert_msg(clean, "mmgcd did not end well: wait status %#x", (unsigned)status);
    ck_assert_msg(access(d->socket, F_OK) < 0, "mmgcd left its socket behind");
    for (tick = 0; committer > 0 && !is_gone(committer) && tick < SETTLE_TICKS; tick++)
        usleep(TICK_US);
    ck_assert_msg(tick < SETTLE_TICKS, "mmgcd left its committer behind");
    daemon_free(d);
}

void daemon_kill(struct daemon *d)
{
    kill(d->pid, SIGKILL);
    (void)waitpid(d->pid, NULL, 0);
    (void)unlink(d->socket);
    daemon_free(d);
}

const char *daemon_socket(const struct daemon *d)
{
    return d->socket;
}

const char *daemon_directory(const struct daemon *d)
{
    return d->directory;
}

pid_t daemon_pid(const struct daemon *d)
{
    return d->pid;
}

pid_t daemon_committer_pid(const struct daemon *d)
{
    char path[64];
    int pid = 0;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)d->pid, (int)d->pid);
    FILE *children = fopen(path, "re");
    if (children != NULL) {
        if (fscanf(children, "%d", &pid) != 1)
            pid = 0;
        fclose(children);
    }
    return pid;
}

int daemon_fd_count(const struct daemon *d)
{
    char path[32];
    int count = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)d->pid);
    DIR *fds = opendir(path);
    if (fds == NULL) { /* it is not dumpable, so only root may look */
        ck_assert_int_ne((int)geteuid(), 0);
        return 0;
    }
    while (readdir(fds) != NULL)
        count++;
    closedir(fds);
    return count - 2;
}

unsigned long daemon_resident_bytes(const struct daemon *d)
{
    char path[32];
    unsigned long size, resident = 0, shared = 0;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)d->pid);
    FILE *statm = fopen(path, "re");
    ck_assert_ptr_nonnull(statm);
    ck_assert_int_eq(fscanf(statm, "%lu %lu %lu", &size, &resident, &shared), 3);
    fclose(statm);
    return (resident - shared) * (unsigned long)sysconf(_SC_PAGESIZE);
}

bool daemon_await_fds(const struct daemon *d, int count)
{
    for (int tick = 0; tick < SETTLE_TICKS; tick++, usleep(TICK_US))
        if (daemon_fd_count(d) <= count)
            return true;
    return false;
}
