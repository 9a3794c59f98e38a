/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "proto/packet.h"
#include "tests/proto/fds.h"
#include "tests/support/runner.h"

static unsigned fds_before;
static char dir[64], path[128], lock[160];

static void set_up(void)
{
    fds_before = fds_open();
    (void)snprintf(dir, sizeof(dir), "/tmp/mmgc-listen-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/sock", dir);
    (void)snprintf(lock, sizeof(lock), "%s.lock", path);
}

static void tear_down(void)
{
    (void)unlink(path);
    (void)unlink(lock);
    ck_assert_int_eq(rmdir(dir), 0); /* nothing else was left there */
    ck_assert_uint_eq(fds_open(), fds_before);
}

static void ck_assert_answers(const char *where)
{
    int client = packet_connect(where);

    ck_assert_int_ge(client, 0);
    ck_assert_int_eq(fcntl(client, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(fcntl(client, F_GETFL) & O_NONBLOCK, 0);
    (void)close(client);
}

START_TEST(a_listening_path_answers)
{
    int sock = packet_listen(path, 0600);

    ck_assert_int_ge(sock, 0);
    ck_assert_int_eq(fcntl(sock, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(fcntl(sock, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    ck_assert_answers(path);
    (void)close(sock);
    ck_assert_int_eq(packet_connect(path), -ECONNREFUSED);
}
END_TEST

START_TEST(the_mode_is_as_given_whatever_the_umask)
{
    static const mode_t modes[] = { 0600, 0660, 0666 };
    struct stat st;

    (void)umask(_i == 0 ? 0 : 077);
    int sock = packet_listen(path, modes[_i]);
    ck_assert_int_ge(sock, 0);
    ck_assert_int_eq(lstat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, modes[_i]);
    ck_assert_int_eq(lstat(lock, &st), 0);
    ck_assert_uint_eq(st.st_mode & 077, 0);
    (void)close(sock);
}
END_TEST

START_TEST(a_stale_path_is_replaced)
{
    int dead = packet_listen(path, 0600);

    ck_assert_int_ge(dead, 0);
    (void)close(dead); /* as by kill -9: the path stays */
    int sock = packet_listen(path, 0600);
    ck_assert_int_ge(sock, 0);
    ck_assert_answers(path);
    (void)close(sock);
}
END_TEST

START_TEST(a_live_path_is_in_use_and_stays)
{
    int sock = packet_listen(path, 0600);

    ck_assert_int_ge(sock, 0);
    ck_assert_int_eq(packet_listen(path, 0600), -EADDRINUSE);
    ck_assert_answers(path);
    (void)close(sock);
}
END_TEST

START_TEST(a_path_whose_backlog_is_full_lives)
{
    int sock = packet_listen(path, 0600);

    ck_assert_int_ge(sock, 0);
    ck_assert_int_eq(listen(sock, 0), 0);
    int client = packet_connect(path);
    ck_assert_int_ge(client, 0);
    ck_assert_int_eq(packet_listen(path, 0600), -EADDRINUSE);
    (void)close(client);
    (void)close(sock);
}
END_TEST

START_TEST(what_is_no_socket_is_left_alone)
{
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    struct stat st;

    ck_assert_int_eq(write(file, "letter", 6), 6);
    (void)close(file);
    ck_assert_int_eq(packet_listen(path, 0600), -EEXIST);
    ck_assert_int_eq(lstat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 6);
}
END_TEST

/* Listens when @start closes, and then until @end does. Exit status: 0 it listened, 1 somebody else does, 2 neither. */
static void run_starter(int start, int end)
{
    char byte;

    (void)!read(start, &byte, 1);
    int sock = packet_listen(path, 0600);
    if (sock >= 0)
        (void)!read(end, &byte, 1);
    _exit(sock >= 0 ? 0 : sock == -EADDRINUSE ? 1 : 2);
}

START_TEST(of_many_that_start_at_once_one_listens)
{
    enum { STARTERS = 16 };
    int start[2], end[2], status;

    int dead = packet_listen(path, 0600); /* a stale path to fight for */
    (void)close(dead);
    ck_assert_int_eq(pipe2(start, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(end, O_CLOEXEC), 0);
    for (int i = 0; i < STARTERS; i++) {
        if (fork() == 0) {
            (void)close(start[1]);
            (void)close(end[1]);
            run_starter(start[0], end[0]);
        }
    }
    fds_close_pair(start);
    for (int i = 0; i < STARTERS; i++) {
        if (i == STARTERS - 1)
            fds_close_pair(end); /* all but one have given up: were it two, this would not be reached */
        ck_assert_int_gt(wait(&status), 0);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), i < STARTERS - 1 ? 1 : 0);
    }
}
END_TEST

START_TEST(an_abstract_name_needs_no_file)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "@mmgc-test-%d", (int)getpid());
    int sock = packet_listen(name, 0600);
    ck_assert_int_ge(sock, 0);
    ck_assert_answers(name);
    ck_assert_int_eq(packet_listen(name, 0600), -EADDRINUSE);
    (void)close(sock);
    ck_assert_int_eq(packet_connect(name), -ECONNREFUSED);
}
END_TEST

START_TEST(paths_that_cannot_be_say_why)
{
    char letters[109], where[256];

    memset(letters, 'x', sizeof(letters) - 1);
    letters[108] = '\0';
    ck_assert_int_eq(packet_connect(letters), -ENAMETOOLONG);
    ck_assert_int_eq(packet_connect(""), -ENOENT);
    ck_assert_int_eq(packet_connect(path), -ENOENT);
    ck_assert_int_eq(packet_listen("", 0600), -ENOENT);
    (void)snprintf(where, sizeof(where), "%s/none/sock", dir);
    ck_assert_int_eq(packet_listen(where, 0600), -ENOENT);
    (void)snprintf(where, sizeof(where), "%s/%s", dir, letters);
    ck_assert_int_eq(packet_listen(where, 0600), -ENAMETOOLONG);
}
END_TEST

static Suite *listen_suite(void)
{
    Suite *suite = suite_create("listen");
    TCase *listening = tcase_create("listening");

    tcase_add_checked_fixture(listening, set_up, tear_down);
    tcase_add_test(listening, a_listening_path_answers);
    tcase_add_loop_test(listening, the_mode_is_as_given_whatever_the_umask, 0, 3);
    tcase_add_test(listening, a_stale_path_is_replaced);
    tcase_add_test(listening, a_live_path_is_in_use_and_stays);
    tcase_add_test(listening, a_path_whose_backlog_is_full_lives);
    tcase_add_test(listening, what_is_no_socket_is_left_alone);
    tcase_add_test(listening, of_many_that_start_at_once_one_listens);
    tcase_add_test(listening, an_abstract_name_needs_no_file);
    tcase_add_test(listening, paths_that_cannot_be_say_why);
    suite_add_tcase(suite, listening);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, listen_suite);
}
