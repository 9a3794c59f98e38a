/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_packets.c - Packets through a real socket, with fds beside them: as packets, as requests and as replies.
 *   An input is packets: two bytes say how each is sent and received, two how long it is, then it follows. Beyond not crashing: it arrives as it was
 *   sent or is refused, what is handed up is as documented, and no fd is left over */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/limit.h"
#include "proto/packet.h"
#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/proto/sample.h"

#define FDS_MAX 253u /* the kernel's */
#define SEND_BUFFER_BYTES (1 << 20)

static int pair[2] = { -1, -1 }, gifts[4], first_free;
static struct rlimit no_limit;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static int lowest_free_fd(void)
{
    int fd = dup(pair[0]);

    must(fd >= 0);
    (void)close(fd);
    return fd;
}

static void open_once(void)
{
    int bytes = SEND_BUFFER_BYTES, ends[2];

    if (pair[0] >= 0)
        return;
    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    must(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    gifts[0] = ends[0];
    gifts[1] = pair[1]; /* the socket itself */
    gifts[2] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    gifts[3] = ends[1];
    must(getrlimit(RLIMIT_NOFILE, &no_limit) == 0);
    first_free = lowest_free_fd();
}

struct parcel {
    const uint8_t *bytes;
    size_t count, fds;
    bool tight; /* who receives has no room for all fds */
};

static bool send_parcel(const struct parcel *p)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control = { 0 };
    struct iovec part = { .iov_base = (void *)p->bytes, .iov_len = p->count };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

    if (p->fds > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(p->fds * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(p->fds * sizeof(int));
        for (size_t i = 0; i < p->fds; i++)
            memcpy(CMSG_DATA(rights) + i * sizeof(int), &gifts[i % 4], sizeof(int));
    }
    return sendmsg(pair[0], &message, MSG_NOSIGNAL) >= 0;
}

static void leave_room_for(size_t fds)
{
    struct rlimit tight = { .rlim_cur = (rlim_t)first_free + fds, .rlim_max = no_limit.rlim_max };

    must(setrlimit(RLIMIT_NOFILE, &tight) == 0);
}

static void fds_are_good(const struct packet_fds *fds)
{
    must(fds->count <= PACKET_FDS_MAX);
    for (size_t i = 0; i < fds->count; i++)
        must(fds->fd[i] >= 0 && (fcntl(fds->fd[i], F_GETFD) & FD_CLOEXEC) != 0);
}

static void receive_packet(const struct parcel *p, size_t capacity)
{
    uint8_t *bytes = malloc(capacity + 1);
    struct packet_fds fds;

    must(bytes != NULL);
    ssize_t r = packet_recv(pair[1], bytes, capacity, &fds);
    fds_are_good(&fds);
    must(memcmp(bytes, p->bytes, capacity < p->count ? capacity : p->count) == 0);
    if (p->count > capacity)
        must(r == -EMSGSIZE && fds.count == 0);
    else if (p->tight)
        must((r == -EMFILE || p->count == 0) && fds.count == 0);
    else
        must(r == (ssize_t)p->count && fds.count == (r == 0                    ? 0
                                                     : p->fds < PACKET_FDS_MAX ? p->fds
                                                                               : PACKET_FDS_MAX));
    packet_fds_close(&fds);
    free(bytes);
}

static void receive_request(const struct parcel *p, bool takes_fds)
{
    wire_request *request, *again = NULL;
    struct packet_fds fds = { .count = 0 };
    uint32_t serial, serial_again = 0;
    enum mmgc_error error, error_again;

    enum wire_result result =
        wire_recv_request(pair[1], &request, takes_fds ? &fds : NULL, &serial, &error);
    fds_are_good(&fds);
    must((request != NULL) == (result == WIRE_OK) && result != WIRE_AGAIN);
    must(fds.count == 0 ||
         (result == WIRE_OK && fds.count <= wire_request_limit(request->body_case).fds_max));
    if (p->count > WIRE_REQUEST_BYTES_MAX)
        must(result == WIRE_OVERSIZED);
    else if (p->tight)
        must(result == WIRE_INVALID && error == MMGC_E_LIMIT);
    else if (p->count == 0)
        must(result == WIRE_CLOSED);
    else
        must(wire_parse_request(p->bytes, p->count, &again, &serial_again, &error_again) == result &&
             serial_again == serial && error_again == error);
    packet_fds_close(&fds);
    wire_request_free(again);
    wire_request_free(request);
}

static void receive_reply(const struct parcel *p, bool takes_fds)
{
    wire_reply *reply;
    struct packet_fds fds = { .count = 0 };

    enum wire_result result = wire_recv_reply(pair[1], &reply, takes_fds ? &fds : NULL);
    fds_are_good(&fds);
    must((reply != NULL) == (result == WIRE_OK) && result != WIRE_AGAIN);
    if (reply != NULL && takes_fds) {
        struct wire_limit limit = wire_reply_limit(reply->body_case);
        must(fds.count >= limit.fds_min && fds.count <= limit.fds_max && fds.count <= p->fds);
    } else {
        must(fds.count == 0);
    }
    packet_fds_close(&fds);
    wire_reply_free(reply);
}

static void one_packet(unsigned how, unsigned where, const uint8_t *bytes, size_t count)
{
    static const size_t amounts[8] = { 0, 1, 2, 3, 5, 6, 20, FDS_MAX };
    struct parcel p = { .bytes = bytes, .count = count, .fds = amounts[how % 8] };

    if (!send_parcel(&p))
        return;
    size_t room = p.fds > 0 && (how & 0x80) != 0 ? where % p.fds : p.fds;
    p.tight = room < p.fds;
    if (p.tight)
        leave_room_for(room);
    switch (how >> 3 & 7) {
    case 0: receive_packet(&p, count); break;
    case 1: receive_packet(&p, where * 16); break;
    case 2:
    case 3: receive_request(&p, (where & 1) != 0); break;
    case 4: receive_reply(&p, (where & 1) != 0); break;
    case 5: receive_reply(&p, true); break;
    default: receive_request(&p, true); break;
    }
    if (p.tight)
        must(setrlimit(RLIMIT_NOFILE, &no_limit) == 0);
    must(lowest_free_fd() == first_free);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const uint8_t *end = bytes + count;

    open_once();
    while (end - bytes >= 4) {
        size_t length = bytes[2] | (size_t)bytes[3] << 8;
        length = length < (size_t)(end - bytes - 4) ? length : (size_t)(end - bytes - 4);
        one_packet(bytes[0], bytes[1], bytes + 4, length);
        bytes += 4 + length;
    }
    return 0;
}

size_t fuzz_good_input(size_t i, uint8_t *bytes, size_t capacity)
{
    size_t requests = 0, count;

    while (sample_request_kind(requests) != 0)
        requests++;
    bool asks = i < requests;
    unsigned kind = asks ? sample_request_kind(i) : sample_reply_kind(i - requests);
    if (kind == 0)
        return 0;
    ProtobufCMessage *message = asks ? &sample_request_new(kind)->base : &sample_reply_new(kind)->base;
    uint8_t *packed = sample_pack(message, &count);
    protobuf_c_message_free_unpacked(message, NULL);
    must(count + 8 <= capacity);
    const uint8_t head[4] = { (uint8_t)((asks ? 7u << 3 : 5u << 3) | i % 8), (uint8_t)(i * 37),
                              (uint8_t)count, (uint8_t)(count >> 8) };
    memcpy(bytes, head, 4);
    memcpy(bytes + 4, packed, count);
    free(packed);
    bytes[4 + count] = (uint8_t)(i * 11); /* and an empty or a tight one */
    bytes[5 + count] = bytes[6 + count] = bytes[7 + count] = 0;
    return count + 8;
}
