/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/proto/fds.h"
#include "tests/support/runner.h"

static unsigned fds_before;
static int pair[2];

static void set_up(void)
{
    fds_before = fds_open();
    fds_pair(pair, 0);
}

static void tear_down(void)
{
    fds_close_pair(pair);
    ck_assert_uint_eq(fds_open(), fds_before);
}

/* Sends one byte and @count fds, more than packet_send() would. */
static void send_many_fds(int sock, size_t count)
{
    char control[CMSG_SPACE(253 * sizeof(int))] = { 0 };
    struct iovec part = { "x", 1 };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (size_t i = 0; i < count; i++)
        memcpy(CMSG_DATA(rights) + i * sizeof(int), &sock, sizeof(int));
    ck_assert_int_eq(sendmsg(sock, &message, 0), 1);
}

START_TEST(a_packet_arrives_as_it_was_sent)
{
    char bytes[64];
    struct packet_fds fds;

    ck_assert_int_eq(packet_send(pair[0], "one", 3, NULL), 0);
    ck_assert_int_eq(packet_send(pair[0], "three", 5, NULL), 0);
    ck_assert_int_eq(packet_recv(pair[1], bytes, sizeof(bytes), &fds), 3);
    ck_assert_mem_eq(bytes, "one", 3);
    ck_assert_int_eq(packet_recv(pair[1], bytes, sizeof(bytes), &fds), 5);
    ck_assert_mem_eq(bytes, "three", 5);
    ck_assert_uint_eq(fds.count, 0);
}
END_TEST

START_TEST(fds_arrive_in_order_and_close_on_exec)
{
    struct packet_fds sent = fds_new(PACKET_FDS_MAX), got;
    char byte;

    ck_assert_int_eq(packet_send(pair[0], "x", 1, &sent), 0);
    packet_fds_close(&sent);
    ck_assert_int_eq(packet_recv(pair[1], &byte, 1, &got), 1);
    ck_assert_uint_eq(got.count, PACKET_FDS_MAX);
    for (size_t i = 0; i < got.count; i++) {
        struct stat st;
        ck_assert_int_eq(fstat(got.fd[i], &st), 0);
        ck_assert_int_eq(st.st_size, (off_t)i + 1);
        ck_assert_int_eq(fcntl(got.fd[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    packet_fds_close(&got);
    ck_assert_uint_eq(got.count, 0);
}
END_TEST

START_TEST(an_fd_taken_out_is_not_closed)
{
    struct packet_fds fds = fds_new(2);
    int taken = fds.fd[0];

    fds.fd[0] = -1;
    packet_fds_close(&fds);
    ck_assert_int_ge(fcntl(taken, F_GETFD), 0);
    (void)close(taken);
}
END_TEST

START_TEST(surplus_fds_are_closed)
{
    static const size_t counts[] = { 5, 64, 253 };
    struct packet_fds got;
    char byte;

    unsigned before = fds_open();
    send_many_fds(pair[0], counts[_i]);
    ck_assert_int_eq(packet_recv(pair[1], &byte, 1, &got), 1);
    ck_assert_uint_eq(got.count, PACKET_FDS_MAX);
    ck_assert_uint_eq(fds_open(), before + PACKET_FDS_MAX);
    packet_fds_close(&got);
}
END_TEST

START_TEST(fds_of_a_dropped_packet_are_closed)
{
    struct packet_fds sent = fds_new(3), got;
    char bytes[2];

    ck_assert_int_eq(packet_send(pair[0], "too long", 8, &sent), 0);
    packet_fds_close(&sent);
    ck_assert_int_eq(packet_recv(pair[1], bytes, sizeof(bytes), &got), -EMSGSIZE);
    ck_assert_mem_eq(bytes, "to", 2);
    ck_assert_uint_eq(got.count, 0);
    ck_assert_int_eq(packet_send(pair[0], "ok", 2, NULL), 0);
    ck_assert_int_eq(packet_recv(pair[1], bytes, sizeof(bytes), &got), 2);
}
END_TEST

START_TEST(fds_that_do_not_fit_the_process_drop_the_packet)
{
    struct packet_fds sent = fds_new(4), got;
    struct rlimit before;
    char byte = 0;

    ck_assert_int_eq(packet_send(pair[0], "x", 1, &sent), 0);
    packet_fds_close(&sent);
    bool tight = fds_leave_room(2, &before);
    ssize_t r = packet_recv(pair[1], &byte, 1, &got);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (!tight) {
        packet_fds_close(&got);
        return;
    }
    ck_assert_int_eq(r, -EMFILE);
    ck_assert_int_eq(byte, 'x');
    ck_assert_uint_eq(got.count, 0);
}
END_TEST

START_TEST(an_empty_packet_is_an_end_and_keeps_no_fd)
{
    struct packet_fds gift = fds_new(1), got;
    char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte;
    struct msghdr message = { .msg_control = control, .msg_controllen = sizeof(control) };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    ck_assert_int_eq(packet_send(pair[0], "", 0, NULL), -EINVAL);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), gift.fd, sizeof(int));
    ck_assert_int_eq(sendmsg(pair[0], &message, 0), 0);
    packet_fds_close(&gift);
    ck_assert_int_eq(packet_recv(pair[1], &byte, 1, &got), 0);
    ck_assert_uint_eq(got.count, 0);
}
END_TEST

START_TEST(a_peer_that_went_is_epipe_without_a_signal)
{
    struct packet_fds got;
    char byte;

    (void)signal(SIGPIPE, SIG_DFL); /* would end this test */
    (void)close(pair[1]);
    ck_assert_int_eq(packet_send(pair[0], "x", 1, NULL), -EPIPE);
    ck_assert_int_eq(packet_recv(pair[0], &byte, 1, &got), 0);
    pair[1] = dup(pair[0]);
}
END_TEST

START_TEST(a_full_socket_and_an_empty_one_say_again)
{
    static char bytes[PACKET_BYTES_MAX];
    struct packet_fds got;
    int r;

    ck_assert_int_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(packet_recv(pair[0], bytes, sizeof(bytes), &got), -EAGAIN);
    do
        r = packet_send(pair[0], bytes, sizeof(bytes), NULL);
    while (r == 0);
    ck_assert_int_eq(r, -EAGAIN);
}
END_TEST

START_TEST(a_packet_over_the_largest_is_refused)
{
    static char bytes[PACKET_BYTES_MAX + 1];
    struct packet_fds got, five = { .count = PACKET_FDS_MAX + 1 };

    ck_assert_int_eq(packet_send(pair[0], bytes, sizeof(bytes), NULL), -EMSGSIZE);
    ck_assert_int_eq(packet_send(pair[0], bytes, 1, &five), -EINVAL);
    ck_assert_int_eq(packet_send(pair[0], bytes, PACKET_BYTES_MAX, NULL), 0);
    ck_assert_int_eq(packet_recv(pair[1], bytes, sizeof(bytes), &got), PACKET_BYTES_MAX);
}
END_TEST

START_TEST(a_socket_that_passes_no_fds_refuses_them_at_the_sender)
{
    struct packet_fds sent = fds_new(1), got;
    char byte;
    int r = packet_pass_fds(pair[1], false);

    if (r == 0) {
        ck_assert_int_eq(packet_send(pair[0], "x", 1, &sent), -EPERM);
        ck_assert_int_eq(packet_pass_fds(pair[1], true), 0);
    } else {
        ck_assert_int_eq(r, -ENOPROTOOPT);
    }
    ck_assert_int_eq(packet_send(pair[0], "x", 1, &sent), 0);
    packet_fds_close(&sent);
    ck_assert_int_eq(packet_recv(pair[1], &byte, 1, &got), 1);
    ck_assert_uint_eq(got.count, 1);
    packet_fds_close(&got);
}
END_TEST

START_TEST(waiting_ends_with_a_packet_the_end_or_the_time)
{
    ck_assert_int_eq(packet_wait(pair[1], 0), -ETIMEDOUT);
    ck_assert_int_eq(packet_wait(pair[1], 20), -ETIMEDOUT);
    ck_assert_int_eq(packet_send(pair[0], "x", 1, NULL), 0);
    ck_assert_int_eq(packet_wait(pair[1], -1), 0);
    (void)close(pair[1]);
    ck_assert_int_eq(packet_wait(pair[0], 1000), 0);
    pair[1] = dup(pair[0]);
    ck_assert_int_eq(packet_wait(9999, 0), -EBADF);
}
END_TEST

#define PACKETS_EACH 2000

static void *send_own_letter(void *letter)
{
    char bytes[1000];

    memset(bytes, *(char *)letter, sizeof(bytes));
    for (size_t i = 0; i < PACKETS_EACH; i++)
        if (packet_send(pair[0], bytes, 1 + i % sizeof(bytes), NULL) < 0)
            return letter;
    return NULL;
}

START_TEST(two_threads_that_send_at_once_never_mix)
{
    char letters[2] = { 'a', 'b' };
    size_t next[2] = { 0, 0 };
    pthread_t senders[2];
    void *failed;

    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&senders[i], NULL, send_own_letter, &letters[i]), 0);
    for (int n = 0; n < 2 * PACKETS_EACH; n++) {
        char bytes[1000];
        struct packet_fds fds;
        ssize_t count = packet_recv(pair[1], bytes, sizeof(bytes), &fds);
        ck_assert_int_gt(count, 0);
        size_t *expected = &next[bytes[0] == 'b'];
        ck_assert_int_eq(count, (ssize_t)(1 + (*expected)++ % sizeof(bytes)));
        ck_assert_mem_eq(bytes, bytes + 1, (size_t)count - 1); /* all as the first */
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(senders[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
}
END_TEST

static Suite *packet_suite(void)
{
    Suite *suite = suite_create("packet");
    TCase *packets = tcase_create("packets"), *fds = tcase_create("fds");

    tcase_add_checked_fixture(packets, set_up, tear_down);
    tcase_add_test(packets, a_packet_arrives_as_it_was_sent);
    tcase_add_test(packets, a_peer_that_went_is_epipe_without_a_signal);
    tcase_add_test(packets, a_full_socket_and_an_empty_one_say_again);
    tcase_add_test(packets, a_packet_over_the_largest_is_refused);
    tcase_add_test(packets, waiting_ends_with_a_packet_the_end_or_the_time);
    tcase_add_test(packets, two_threads_that_send_at_once_never_mix);
    suite_add_tcase(suite, packets);
    tcase_add_checked_fixture(fds, set_up, tear_down);
    tcase_add_test(fds, fds_arrive_in_order_and_close_on_exec);
    tcase_add_test(fds, an_fd_taken_out_is_not_closed);
    tcase_add_loop_test(fds, surplus_fds_are_closed, 0, 3);
    tcase_add_test(fds, fds_of_a_dropped_packet_are_closed);
    tcase_add_test(fds, fds_that_do_not_fit_the_process_drop_the_packet);
    tcase_add_test(fds, an_empty_packet_is_an_end_and_keeps_no_fd);
    tcase_add_test(fds, a_socket_that_passes_no_fds_refuses_them_at_the_sender);
    suite_add_tcase(suite, fds);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, packet_suite);
}
