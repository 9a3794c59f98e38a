/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)

START_TEST(clients_are_told_of_the_shutdown)
{
    struct daemon *d = daemon_start(NULL);
    struct raw c, fresh;

    raw_start(&c, d, "client");
    raw_open(&c, "h", HEAP_BYTES);
    raw_connect(&fresh, d);
    kill(daemon_pid(d), SIGTERM);
    ck_assert_int_eq(raw_last_word(&c), MMGC_E_SHUTDOWN);
    ck_assert_int_eq(raw_last_word(&fresh), MMGC_E_SHUTDOWN);
    ck_assert_uint_eq(at_load_acquire(&c.control->epoch) & 1, 0); /* who is inside may go on reading */
    raw_close(&c);
    raw_close(&fresh);
    daemon_stop(d); /* a second SIGTERM changes nothing */
}
END_TEST

START_TEST(the_shutdown_waits_for_no_stubborn_thread)
{
    struct daemon *d = daemon_start(NULL); /* its deadline is ten seconds */
    struct raw c;
    struct raw_thread t;

    raw_start(&c, d, "client");
    raw_open(&c, "h", HEAP_BYTES);
    raw_attach(&t, &c, "stubborn");
    raw_enter(&t);
    raw_collect_begin(&c, "");
    usleep(20000);
    uint64_t before_ns = mm_now_ns();
    daemon_stop(d);
    ck_assert_uint_lt(mm_now_ns() - before_ns, UINT64_C(5000000000)); /* half of that */
    raw_close(&c);
}
END_TEST

START_TEST(the_shutdown_waits_for_no_deaf_client)
{
    struct daemon *d = daemon_start(NULL);
    struct raw c;

    raw_start(&c, d, "deaf");
    daemon_stop(d);
    raw_close(&c);
}
END_TEST

START_TEST(sessions_leave_no_fds_behind)
{
    struct daemon *d = daemon_start(NULL);
    struct raw keeper, c;
    struct raw_thread t;

    raw_start(&keeper, d, "keeper");
    raw_open(&keeper, "h", HEAP_BYTES);
    int before = daemon_fd_count(d);
    for (int i = 0; i < 200; i++) {
        raw_start(&c, d, "passing");
        raw_open(&c, "h", HEAP_BYTES);
        raw_attach(&t, &c, "thread");
        ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 4096), MMGC_E_OK);
        if (i % 2 == 0)
            ck_assert_int_eq(raw_detach(&t), MMGC_E_OK);
        raw_close(&c);
    }
    ck_assert(daemon_await_fds(d, before));
    raw_collect_wait(&keeper, raw_collect_begin(&keeper, ""));
    raw_close(&keeper);
    daemon_stop(d);
}
END_TEST

START_TEST(the_committer_ends_with_the_daemon_however_that_ends)
{
    struct daemon *d = daemon_start(NULL);
    pid_t committer = daemon_committer_pid(d);

    ck_assert_int_gt(committer, 0);
    daemon_kill(d);
    for (int tick = 0; tick < 5000 && kill(committer, 0) == 0; tick++)
        usleep(1000);
    ck_assert_int_lt(kill(committer, 0), 0);
}
END_TEST

START_TEST(a_hangup_reads_the_log_level_again)
{
    struct daemon *d = daemon_start(NULL);

    kill(daemon_pid(d), SIGHUP);
    ck_assert(daemon_log_has(d, "log_level is read again"));
    daemon_stop(d);
}
END_TEST

START_TEST(a_thread_whose_pidfd_ends_is_detached)
{
    struct daemon *d = daemon_start(NULL);
    struct raw c;
    RAW(attach, ATTACH, attach);
    RAW(detach, DETACH, detach);

    pid_t pid = fork(); /* a process does for a thread: its pidfd ends just so */
    if (pid == 0)
        for (;;)
            pause();
    raw_start(&c, d, "client");
    raw_open(&c, "h", HEAP_BYTES);
    struct packet_fds fds = { .fd = { (int)syscall(SYS_pidfd_open, pid, 0) }, .count = 1 };
    ck_assert_int_ge(fds.fd[0], 0);
    attach.serial = ++c.serial;
    ck_assert_int_eq(wire_send_request(c.sock, &attach, &fds), 0);
    wire_reply *reply = raw_receive(&c, NULL);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(ATTACHED));
    detach_body.thread = reply->attached->thread;
    wire_reply_free(reply);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert(daemon_log_has(d, "ended without detaching"));
    ck_assert_int_eq(raw_try(&c, &detach), MMGC_E_NO_THREAD);
    packet_fds_close(&fds);
    raw_close(&c);
    daemon_stop(d);
}
END_TEST

/* As systemd does it: a listening socket at fd 3, LISTEN_FDS and LISTEN_PID. */
START_TEST(a_socket_that_systemd_passes_is_used)
{
    char path[64] = "/tmp/mmgcd-passed-XXXXXX", pid_text[16];
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int status;

#if !MM_HAVE_SYSTEMD
    return;
#endif
    ck_assert_ptr_nonnull(mkdtemp(path));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", path);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(sock, 16), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(sock, 3);
        snprintf(pid_text, sizeof(pid_text), "%d", (int)getpid());
        setenv("LISTEN_FDS", "1", 1);
        setenv("LISTEN_PID", pid_text, 1);
        execl(daemon_program(), "mmgcd", "--foreground", "--threads", "2", (char *)NULL);
        _exit(127);
    }
    struct raw c = { .sock = packet_connect(address.sun_path) };
    raw_hello(&c, "client"); /* it was queued while the daemon came up */
    raw_close(&c);
    kill(pid, SIGTERM);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(access(address.sun_path, F_OK), 0); /* it is systemd's to remove */
    unlink(address.sun_path);
    rmdir(path);
    close(sock);
}
END_TEST

/* A daemon in the background has left its parent, and maybe its directory. */
static pid_t peer_pid(const struct raw *c)
{
    struct ucred peer = { .pid = 0 };
    socklen_t size = sizeof(peer);

    ck_assert_int_eq(getsockopt(c->sock, SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
    ck_assert_int_gt(peer.pid, 1);
    return peer.pid;
}

static void end_background(pid_t pid, const char *sock)
{
    char lock[160];

    kill(pid, SIGTERM);
    for (int tick = 0; tick < 5000 && access(sock, F_OK) == 0; tick++)
        usleep(1000);
    ck_assert_int_lt(access(sock, F_OK), 0);
    snprintf(lock, sizeof(lock), "%s.lock", sock);
    unlink(lock);
}

START_TEST(in_the_background_it_is_ready_when_the_command_returns)
{
    struct daemon *d = daemon_start(NULL); /* for its directory */
    char command[512], sock[128];

    snprintf(sock, sizeof(sock), "%s/other", daemon_directory(d));
    snprintf(command, sizeof(command), "%s --socket %s --threads 2", daemon_program(), sock);
    ck_assert_int_eq(system(command), 0);
    struct raw c = { .sock = packet_connect(sock) };
    raw_hello(&c, "client");
    snprintf(command, sizeof(command), "%s --foreground --socket %s", daemon_program(), sock);
    ck_assert_int_ne(system(command), 0); /* there is one already */
    pid_t pid = peer_pid(&c);
    raw_close(&c);
    end_background(pid, sock);
    daemon_stop(d);
}
END_TEST

START_TEST(in_the_background_relative_paths_are_from_where_it_was_started)
{
    struct daemon *d = daemon_start(NULL); /* for its directory */
    char program[PATH_MAX], command[PATH_MAX + 512], sock[128], config[128], log[128];

    ck_assert_ptr_nonnull(realpath(daemon_program(), program));
    snprintf(sock, sizeof(sock), "%s/other", daemon_directory(d));
    snprintf(config, sizeof(config), "%s/conf", daemon_directory(d));
    snprintf(log, sizeof(log), "%s/log2", daemon_directory(d));
    snprintf(command, sizeof(command), "cd %s && echo '[daemon]' >conf && %s --socket other --config conf --threads 2 2>log2",
             daemon_directory(d), program);
    ck_assert_int_eq(system(command), 0);
    struct raw c = { .sock = packet_connect(sock) };
    raw_hello(&c, "client");
    pid_t pid = peer_pid(&c);
    kill(pid, SIGHUP);
    snprintf(command, sizeof(command), "i=0; until grep -q 'read again' %s; do sleep 0.01; i=$((i+1)); [ $i -lt 2000 ] || exit 1; done", log);
    ck_assert_int_eq(system(command), 0);
    raw_close(&c);
    end_background(pid, sock);
    unlink(config);
    unlink(log);
    daemon_stop(d);
}
END_TEST

static Suite *life_suite(void)
{
    Suite *suite = suite_create("life");
    TCase *life = tcase_create("life");

    tcase_add_test(life, clients_are_told_of_the_shutdown);
    tcase_add_test(life, the_shutdown_waits_for_no_stubborn_thread);
    tcase_add_test(life, the_shutdown_waits_for_no_deaf_client);
    tcase_add_test(life, sessions_leave_no_fds_behind);
    tcase_add_test(life, the_committer_ends_with_the_daemon_however_that_ends);
    tcase_add_test(life, a_hangup_reads_the_log_level_again);
    tcase_add_test(life, a_thread_whose_pidfd_ends_is_detached);
    tcase_add_test(life, a_socket_that_systemd_passes_is_used);
    tcase_add_test(life, in_the_background_it_is_ready_when_the_command_returns);
    tcase_add_test(life, in_the_background_relative_paths_are_from_where_it_was_started);
    suite_add_tcase(suite, life);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, life_suite);
}
