/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/runner.h"

#define JOURNAL "/run/systemd/journal/socket"

static const struct log_field fields[] = {
    { "heap", "my \"own\\\" heap", 0 }, { "plan", "immix", 0 }, { "client", "", 0 }, { "pause_ns", NULL, UINT64_MAX },
};

/* What it writes where stderr is a file. */
static void log_into(char *text, size_t capacity)
{
    int file = memfd_create("log", MFD_CLOEXEC), stderr_fd = dup(STDERR_FILENO);

    ck_assert_int_ge(dup2(file, STDERR_FILENO), 0);
    log_fields(LOG_LEVEL_INFO, "collection", fields, MM_ARRAY_LEN(fields));
    ck_assert_int_ge(dup2(stderr_fd, STDERR_FILENO), 0);
    ssize_t bytes = pread(file, text, capacity - 1, 0);
    ck_assert_int_ge(bytes, 0);
    text[bytes] = '\0';
    close(file);
    close(stderr_fd);
}

START_TEST(a_line_with_fields_is_logfmt)
{
    char text[512];

    unsetenv("JOURNAL_STREAM");
    log_into(text, sizeof(text));
    ck_assert_str_eq(text, "mmgcd: info: collection heap=\"my \\\"own\\\\\\\" heap\" plan=immix client=\"\" pause_ns=18446744073709551615\n");
    log_set_level(LOG_LEVEL_WARNING);
    log_into(text, sizeof(text));
    ck_assert_str_eq(text, "");
    log_set_level(LOG_LEVEL_INFO);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_cut_and_stays_a_line)
{
    char text[8192], *longest = malloc(5000);

    memset(longest, '"', 4999);
    longest[4999] = '\0';
    const struct log_field rows[] = { { "heap", longest, 0 }, { "number", NULL, 7 } };
    int file = memfd_create("log", MFD_CLOEXEC), stderr_fd = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(file, STDERR_FILENO), 0);
    log_fields(LOG_LEVEL_INFO, "collection", rows, MM_ARRAY_LEN(rows));
    ck_assert_int_ge(dup2(stderr_fd, STDERR_FILENO), 0);
    ssize_t bytes = pread(file, text, sizeof(text) - 1, 0);
    ck_assert_int_gt(bytes, 1000);
    ck_assert_int_lt(bytes, 2200);
    ck_assert_int_eq(text[bytes - 1], '\n');
    ck_assert_ptr_eq(memchr(text, '\n', (size_t)bytes), text + bytes - 1);
    free(longest);
}
END_TEST

/* A journal's socket where it must be, in a /run of our own. -1: that is not to be had. */
static int own_journal(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = JOURNAL };

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
        return -1;
    ck_assert_int_eq(mkdir("/run/systemd", 0755), 0);
    ck_assert_int_eq(mkdir("/run/systemd/journal", 0755), 0);
    int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
    return sock;
}

static void say_stderr_is_the_journal(void)
{
    struct stat status;
    char stream[64];

    ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
}

static bool has_line(const char *entry, const char *line)
{
    const char *at = strstr(entry, line);

    return at != NULL && (at == entry || at[-1] == '\n') && at[strlen(line)] == '\n';
}

START_TEST(the_journal_has_the_fields)
{
    char entry[8192] = "";
    int sock = MM_HAVE_SYSTEMD ? own_journal() : -1;

    if (sock < 0) {
        fputs("without libsystemd, or not root: not tried\n", stderr);
        return;
    }
    say_stderr_is_the_journal();
    log_fields(LOG_LEVEL_INFO, "collection", fields, MM_ARRAY_LEN(fields));
    ck_assert_int_gt(recv(sock, entry, sizeof(entry) - 1, MSG_DONTWAIT), 0);
    ck_assert_msg(has_line(entry, "MMGC_HEAP=my \"own\\\" heap"), "%s", entry);
    ck_assert(has_line(entry, "MMGC_PAUSE_NS=18446744073709551615"));
    ck_assert(has_line(entry, "MMGC_CLIENT="));
    ck_assert(has_line(entry, "PRIORITY=6"));
    ck_assert(has_line(entry, "SYSLOG_IDENTIFIER=mmgcd"));
    ck_assert_ptr_nonnull(strstr(entry, "MESSAGE=collection heap=\"my \\\"own\\\\\\\" heap\" plan=immix"));
    setenv("JOURNAL_STREAM", "1:1", 1); /* inherited, and stderr is something else */
    char text[512];
    log_into(text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "collection heap="));
    ck_assert_int_lt(recv(sock, entry, sizeof(entry), MSG_DONTWAIT), 0);
}
END_TEST

static Suite *log_suite(void)
{
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("log");

    tcase_add_test(tc, a_line_with_fields_is_logfmt);
    tcase_add_test(tc, a_line_that_is_too_long_is_cut_and_stays_a_line);
    tcase_add_test(tc, the_journal_has_the_fields);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, log_suite);
}
