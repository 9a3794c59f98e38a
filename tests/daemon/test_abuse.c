/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that abuse the socket itself: floods, dribbles, fds where none belong, packets over every limit, replies nobody reads. Each is ended or told
 * off, costs no fd, and another client is served all the while. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/daemon/raw.h"
#include "tests/proto/sample.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(8) << 20)
#define HELLO_MS 300u
#define SESSIONS_MAX 24u
#define SERVED_MS 4000u /* a ping's round trip on a machine that others use, too */
#define KERNELS_FDS 253u

static struct daemon *d;
static struct raw other; /* the one who is served */
static int fds_before;

static void setup(void)
{
    char config[160];

    snprintf(config, sizeof(config),
             "[daemon]\nthreads = 1\nhello_timeout = %ums\nmax_sessions = %u\nlog_level = error\n",
             HELLO_MS, SESSIONS_MAX);
    d = daemon_start(config);
    raw_start(&other, d, "other");
    raw_open(&other, "others", HEAP_BYTES);
    raw_collect_wait(&other, raw_collect_begin(&other, "")); /* the pool has its fds by now */
    fds_before = daemon_fd_count(d);
}

static void other_is_served(void)
{
    uint64_t before_ns = mm_now_ns();

    ck_assert_int_eq(raw_ping(&other), MMGC_E_OK);
    ck_assert_uint_lt((mm_now_ns() - before_ns) / 1000000, SERVED_MS);
}

/* As before it all began, but for what libuv keeps for its pool. */
static void no_fd_is_left(void)
{
    ck_assert_msg(daemon_await_fds(d, fds_before + 1), "the daemon has %d fds, and had %d",
                  daemon_fd_count(d), fds_before);
}

static void teardown(void)
{
    other_is_served();
    raw_collect_wait(&other, raw_collect_begin(&other, ""));
    no_fd_is_left();
    raw_close(&other);
    daemon_stop(d);
}

static void nonblocking(struct raw *c)
{
    ck_assert_int_eq(fcntl(c->sock, F_SETFL, fcntl(c->sock, F_GETFL) | O_NONBLOCK), 0);
}

/* Whatever was said to it is read, and then the end. */
static void is_ended(struct raw *c)
{
    char scrap[4096];
    ssize_t got;

    do {
        ck_assert_int_eq(packet_wait(c->sock, 20000), 0);
        got = recv(c->sock, scrap, sizeof(scrap), MSG_DONTWAIT);
    } while (got > 0);
    ck_assert(got == 0 || errno == ECONNRESET);
    raw_close(c);
}

/* ---- floods ------------------------------------------------------------------------------------------------------- */

static void fill_asking(wire_request *request, wire_heap_info *info, wire_clients *clients, int which)
{
    *info = wire_heap_info_init();
    *clients = wire_clients_init();
    *request = wire_request_init();
    info->name = (char *)"others";
    clients->heap = (char *)"others";
    if (which % 2 == 0)
        request_fill(request, WIRE_REQUEST(HEAP_INFO), info);
    else
        request_fill(request, WIRE_REQUEST(CLIENTS), clients);
}

/* As many as go. */
static unsigned flood(struct raw *c, unsigned most)
{
    wire_heap_info info;
    wire_clients clients;
    wire_request request;
    unsigned sent = 0;

    for (; sent < most; sent++) {
        fill_asking(&request, &info, &clients, (int)sent);
        request.serial = ++c->serial;
        if (wire_send_request(c->sock, &request, NULL) < 0)
            break;
    }
    return sent;
}

START_TEST(who_floods_and_reads_nothing_takes_nobodys_turn)
{
    struct raw c[4];
    unsigned sent = 0;

    for (int i = 0; i < 4; i++) {
        raw_start(&c[i], d, "flood");
        nonblocking(&c[i]);
    }
    uint64_t rss_before = daemon_resident_bytes(d);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 4; i++)
            sent += flood(&c[i], 2000);
        other_is_served();
        usleep(5000);
    }
    ck_assert_uint_gt(sent, 100);
    ck_assert_uint_lt(daemon_resident_bytes(d), rss_before + (UINT64_C(16) << 20)); /* replies do not pile up */
    for (int i = 0; i < 4; i++)
        raw_close(&c[i]);
}
END_TEST

START_TEST(a_flood_of_what_is_no_request_ends_at_the_first)
{
    for (int i = 0; i < 40; i++) {
        struct raw c;
        raw_connect(&c, d);
        for (int k = 0; k < 1000 && packet_send(c.sock, "\xff\xff\xff", 3, NULL) == 0; k++)
            continue;
        is_ended(&c);
        if (i % 8 == 0)
            other_is_served();
    }
}
END_TEST

START_TEST(connections_that_come_and_go_leave_nothing)
{
    for (int i = 0; i < 1500; i++) {
        struct raw c;
        raw_connect(&c, d);
        if (i % 3 == 0) {
            RAW(hello, HELLO, hello);
            hello_body.version_min = hello_body.version_max = WIRE_VERSION_MAX;
            hello.serial = 1;
            (void)wire_send_request(c.sock, &hello, NULL);
        }
        raw_close(&c);
        if (i % 100 == 0)
            other_is_served();
    }
}
END_TEST

/* The bytes of @request, and how many. */
static size_t pack(const wire_request *request, uint8_t bytes[256])
{
    size_t count;
    uint8_t *packed = sample_pack(&request->base, &count);

    ck_assert_uint_le(count, 256);
    memcpy(bytes, packed, count);
    free(packed);
    return count;
}

/* ---- dribbles ----------------------------------------------------------------------------------------------------- */

static size_t hello_bytes(uint8_t bytes[256])
{
    RAW(hello, HELLO, hello);

    hello_body.version_min = hello_body.version_max = WIRE_VERSION_MAX;
    hello_body.client_name = (char *)"slow";
    hello.serial = 1;
    size_t count = pack(&hello, bytes);
    ck_assert_uint_gt(count, 4);
    return count;
}

/* A packet is whole or nothing: who sends one byte after another has said no Hello. */
START_TEST(a_request_in_pieces_is_none)
{
    uint8_t bytes[256];
    size_t count = hello_bytes(bytes);

    for (size_t piece = 1; piece < count; piece++) {
        struct raw c;
        raw_connect(&c, d);
        for (size_t at = 0; at < count; at += piece)
            if (packet_send(c.sock, bytes + at, MM_MIN(piece, count - at), NULL) < 0)
                break;
        enum mmgc_error error = raw_last_word(&c);
        ck_assert(error == MMGC_E_PROTOCOL || error == MMGC_E_ORDER || error == MMGC_E_TIMEOUT);
        raw_close(&c);
    }
    other_is_served();
}
END_TEST

START_TEST(silent_connections_give_their_places_up)
{
    struct raw c[SESSIONS_MAX], late;

    for (unsigned i = 0; i + 1 < SESSIONS_MAX; i++)
        raw_connect(&c[i], d);
    other_is_served();
    for (unsigned i = 0; i + 1 < SESSIONS_MAX; i++) {
        ck_assert_int_eq(raw_last_word(&c[i]), MMGC_E_TIMEOUT);
        raw_close(&c[i]);
    }
    other_is_served();
    raw_start(&late, d, "late");
    raw_close(&late);
}
END_TEST

/* One that says an empty packet, or closes one direction, and then nothing. */
START_TEST(half_closed_connections_are_closed)
{
    for (int i = 0; i < 30; i++) {
        struct raw c;
        if (i % 2 == 0)
            raw_connect(&c, d);
        else
            raw_start(&c, d, "half");
        if (i % 3 == 0)
            (void)send(c.sock, "", 0, MSG_NOSIGNAL);
        else
            ck_assert_int_eq(shutdown(c.sock, SHUT_WR), 0);
        is_ended(&c);
    }
    other_is_served();
}
END_TEST

START_TEST(who_cannot_be_answered_is_ended)
{
    for (int i = 0; i < 30; i++) {
        struct raw c;
        RAW(ping, PING, ping);
        raw_start(&c, d, "deaf");
        ck_assert_int_eq(shutdown(c.sock, SHUT_RD), 0);
        ping.serial = 1;
        for (int k = 0; k < 100 && wire_send_request(c.sock, &ping, NULL) == 0; k++)
            continue;
        other_is_served();
        raw_close(&c);
    }
}
END_TEST

/* ---- fds ---------------------------------------------------------------------------------------------------------- */

static int odd_fd(const struct raw *c, int which)
{
    int ends[2], fd;

    switch (which % 9) {
    case 0: return open("/dev/null", O_RDONLY | O_CLOEXEC);
    case 1: return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    case 2: return open("/", O_PATH | O_CLOEXEC);
    case 3: return dup(c->sock);
    case 4: return eventfd(0, EFD_CLOEXEC);
    case 5: return epoll_create1(EPOLL_CLOEXEC);
    case 6: return packet_connect(daemon_socket(d)); /* another connection to the same daemon */
    case 7: return (int)syscall(SYS_pidfd_open, getpid(), 0);
    default:
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        fd = ends[which % 2];
        close(ends[1 - which % 2]);
        return fd;
    }
}

/* All of @count at once, the same. -errno. */
static int send_with(const struct raw *c, const void *bytes, size_t length, int fd, size_t count)
{
    char control[CMSG_SPACE(KERNELS_FDS * sizeof(int))] __attribute__((aligned(8))) = { 0 };
    struct iovec part = { .iov_base = (void *)bytes, .iov_len = length };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (size_t i = 0; i < count; i++)
        memcpy(CMSG_DATA(rights) + i * sizeof(int), &fd, sizeof(int));
    return sendmsg(c->sock, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void ping_with_fds(struct raw *c, int fd, size_t count)
{
    uint8_t bytes[256];
    RAW(ping, PING, ping);

    ping.serial = ++c->serial;
    size_t length = pack(&ping, bytes);
    int r = send_with(c, bytes, length, fd, count);
    ck_assert(r == 0 || r == -EPERM); /* Linux from 6.16 on lets no fds through before a heap is open */
    if (r < 0)
        return;
    wire_reply *reply = raw_receive(c, NULL);
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->serial, c->serial);
    wire_reply_free(reply);
}

START_TEST(fds_where_none_belong_are_closed_however_many_and_whatever_they_are)
{
    struct raw c;

    raw_start(&c, d, "generous");
    for (int open = 0; open < 2; open++) {
        for (int i = 0; i < 36; i++) {
            static const size_t counts[] = { 1, 5, 6, KERNELS_FDS };
            int fd = odd_fd(&c, i);
            ck_assert_int_ge(fd, 0);
            ping_with_fds(&c, fd, counts[i / 9]);
            close(fd);
        }
        other_is_served();
        if (open == 0)
            raw_open(&c, "others", 0);
    }
    raw_close(&c);
}
END_TEST

START_TEST(a_thread_is_watched_through_a_pidfd_or_not_at_all)
{
    struct raw c;
    uint8_t bytes[256];

    raw_start(&c, d, "attaching");
    raw_open(&c, "others", 0);
    for (int i = 0; i < 36; i++) {
        struct packet_fds fds;
        RAW(attach, ATTACH, attach);
        int fd = odd_fd(&c, i);
        attach_body.stack_bytes = 65536;
        attach_body.name = (char *)"odd";
        attach.serial = ++c.serial;
        size_t length = pack(&attach, bytes);
        ck_assert_int_eq(send_with(&c, bytes, length, fd, 1 + (size_t)i % 3), 0);
        close(fd);
        wire_reply *reply = raw_receive(&c, &fds);
        ck_assert_int_eq(reply->body_case, WIRE_REPLY(ATTACHED));
        struct raw_thread t = { .client = &c, .id = reply->attached->thread };
        wire_reply_free(reply);
        packet_fds_close(&fds);
        ck_assert_int_eq(raw_detach(&t), MMGC_E_OK);
    }
    other_is_served();
    raw_close(&c);
}
END_TEST

START_TEST(what_is_refused_keeps_no_fds_either)
{
    static const char *const texts[] = { "\xff\xff\xff", "\x08\x07\xfa\x3e\x00", "\x08\x01\x12" };
    static char large[65536] = "\x08\x2a";

    for (int i = 0; i < 40; i++) {
        struct raw c;
        raw_start(&c, d, "refused");
        raw_open(&c, "others", 0);
        int fd = odd_fd(&c, i);
        const char *text = i % 4 == 3 ? large : texts[i % 4];
        ck_assert_int_eq(
            send_with(&c, text, i % 4 == 3 ? sizeof(large) : strlen(text), fd, 1 + (size_t)i * 6), 0);
        close(fd);
        wire_reply_free(raw_receive(&c, NULL));
        raw_close(&c);
    }
    other_is_served();
}
END_TEST

/* The peer's end lies unread in our queue: its own close is never seen there. Its death is, or that we read at last. */
START_TEST(a_client_that_sends_us_its_own_end_is_no_session_for_ever)
{
    RAW(ping, PING, ping);
    uint8_t bytes[256];

    ping.serial = 1;
    size_t length = pack(&ping, bytes);
    for (int i = 0; i < 40; i++) { /* more than there may be sessions */
        struct raw c;
        raw_start(&c, d, "knot");
        raw_open(&c, "others", 0);
        nonblocking(&c);
        for (int k = 0; k < 50; k++)
            if (send_with(&c, bytes, length, c.sock, 3) < 0)
                break;
        raw_close(&c);
        other_is_served();
        for (int tick = 0; i % 10 == 9 && tick < 5000 && daemon_fd_count(d) > fds_before + 1; tick++)
            usleep(1000);
    }
}
END_TEST

/* ---- sizes -------------------------------------------------------------------------------------------------------- */

START_TEST(packets_over_the_limit_are_refused_whatever_their_size)
{
    static const size_t sizes[] = { 4097, 8192, 65535, 65536, 100000, 160000 };
    char *bytes = calloc(1, 160000);
    struct raw c;

    ck_assert_ptr_nonnull(bytes);
    raw_start(&c, d, "large");
    for (size_t i = 0; i < 3 * MM_ARRAY_LEN(sizes); i++) {
        size_t size = sizes[i % MM_ARRAY_LEN(sizes)];
        memset(bytes, i < MM_ARRAY_LEN(sizes) ? 0 : 0x7a, size);
        memcpy(bytes, "\x08\x2a", 2);
        if (send(c.sock, bytes, size, MSG_NOSIGNAL) < 0)
            continue; /* this system sends none so large */
        wire_reply *reply = raw_receive(&c, NULL);
        ck_assert_int_eq(reply->body_case, WIRE_REPLY(ERROR));
        ck_assert_uint_eq(reply->error->code, MMGC_E_TOO_BIG_MESSAGE);
        wire_reply_free(reply);
    }
    ck_assert_int_eq(raw_ping(&c), MMGC_E_OK);
    other_is_served();
    raw_close(&c);
    free(bytes);
}
END_TEST

/* ---- tables that claim to be full ---------------------------------------------------------------------------------- */

/* A page of the clients that come after @*after; how many. */
static size_t list_clients(uint64_t *after, bool *ret_more)
{
    RAW(clients, CLIENTS, clients);

    clients_body.after_session = *after;
    wire_reply *reply = raw_ask(&other, &clients);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(CLIENT_ROWS));
    size_t count = reply->client_rows->n_rows;
    ck_assert_uint_gt(count, 0);
    *after = reply->client_rows->rows[count - 1]->session;
    *ret_more = reply->client_rows->more;
    wire_reply_free(reply);
    return count;
}

/* All of them would be a second of everybody's time, with some hundred clients. */
START_TEST(no_request_has_more_than_one_full_table_counted)
{
    enum { CLAIMING = 6 };
    RAW(info, HEAP_INFO, heap_info);
    struct raw c[CLAIMING];
    uint64_t after = 0;
    size_t seen = 0;
    bool more = true;

    for (int i = 0; i < CLAIMING; i++) {
        raw_start(&c[i], d, "claiming");
        raw_open(&c[i], "others", 0);
        at_store_relaxed(&c[i].segment->row_high, UINT32_MAX);
        at_store_relaxed(&c[i].segment->row_tags[1 + i], shm_row_tag(SHM_ROW_STRONG, 1));
    }
    for (int pages = 0; more; pages++) {
        size_t count = list_clients(&after, &more);
        ck_assert_uint_le(count, 2); /* one, and perhaps one whose table is empty */
        ck_assert_int_lt(pages, 2 * CLAIMING);
        seen += count;
    }
    ck_assert_uint_eq(seen, CLAIMING + 1);
    info_body.name = (char *)"others";
    wire_reply *reply = raw_ask(&other, &info);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HEAP_FACTS));
    ck_assert_uint_eq(reply->heap_facts->handles, 1); /* of the first; then it had looked at enough */
    wire_reply_free(reply);
    for (int i = 0; i < CLAIMING; i++)
        raw_close(&c[i]);
}
END_TEST

/* ---- replies that nobody reads ------------------------------------------------------------------------------------ */

static void ask_for_fds(struct raw *c, int threads)
{
    RAW(open, HEAP_OPEN, heap_open);
    RAW(attach, ATTACH, attach);

    open_body.name = (char *)"others";
    open.serial = ++c->serial;
    (void)wire_send_request(c->sock, &open, NULL);
    attach_body.stack_bytes = 65536;
    attach_body.name = (char *)"deaf";
    for (int i = 0; i < threads; i++) {
        attach.serial = ++c->serial;
        if (wire_send_request(c->sock, &attach, NULL) < 0)
            break;
    }
}

START_TEST(fds_in_replies_that_nobody_reads_are_not_kept)
{
    for (int i = 0; i < 20; i++) {
        struct raw c;
        raw_start(&c, d, "deaf");
        nonblocking(&c);
        ask_for_fds(&c, 100);
        other_is_served();
        raw_close(&c);
    }
}
END_TEST

START_TEST(a_client_that_never_reads_is_not_answered_for_ever)
{
    struct raw c[8];

    for (int i = 0; i < 8; i++) {
        raw_start(&c[i], d, "deaf");
        nonblocking(&c[i]);
        ask_for_fds(&c[i], 20);
    }
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < 8; i++)
            (void)flood(&c[i], 500);
        other_is_served();
    }
    for (int i = 0; i < 8; i++)
        raw_close(&c[i]);
}
END_TEST

static Suite *abuse_suite(void)
{
    Suite *suite = suite_create("abuse");
    TCase *abuse = tcase_create("abuse");

    tcase_add_checked_fixture(abuse, setup, teardown);
    tcase_set_timeout(abuse, 60);
    tcase_add_test(abuse, who_floods_and_reads_nothing_takes_nobodys_turn);
    tcase_add_test(abuse, a_flood_of_what_is_no_request_ends_at_the_first);
    tcase_add_test(abuse, connections_that_come_and_go_leave_nothing);
    tcase_add_test(abuse, a_request_in_pieces_is_none);
    tcase_add_test(abuse, silent_connections_give_their_places_up);
    tcase_add_test(abuse, half_closed_connections_are_closed);
    tcase_add_test(abuse, who_cannot_be_answered_is_ended);
    tcase_add_test(abuse, fds_where_none_belong_are_closed_however_many_and_whatever_they_are);
    tcase_add_test(abuse, a_thread_is_watched_through_a_pidfd_or_not_at_all);
    tcase_add_test(abuse, what_is_refused_keeps_no_fds_either);
    tcase_add_test(abuse, a_client_that_sends_us_its_own_end_is_no_session_for_ever);
    tcase_add_test(abuse, packets_over_the_limit_are_refused_whatever_their_size);
    tcase_add_test(abuse, no_request_has_more_than_one_full_table_counted);
    tcase_add_test(abuse, fds_in_replies_that_nobody_reads_are_not_kept);
    tcase_add_test(abuse, a_client_that_never_reads_is_not_answered_for_ever);
    suite_add_tcase(suite, abuse);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, abuse_suite);
}
