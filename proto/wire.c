/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c - Wire: a message into a packet, and a packet into a message that has been checked.
 *   W1  nothing is decoded before its size and its shape are known to be good (scan.h): what protobuf-c allocates is bounded
 *       by the packet, 4 KiB for requests
 *   W2  fds have an owner at every return: the caller, for WIRE_OK, of as many as the message's kind takes; nobody otherwise
 *   W3  a request is judged in this order: malformed, oversized, unknown, invalid; so the peer hears the gravest */
#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/limit.h"
#include "proto/scan.h"

/* ---- sending ---------------------------------------------------------------------------------- */

static int send_message(int sock, const ProtobufCMessage *message, size_t max,
                        const struct packet_fds *fds)
{
    uint8_t small[2048], *bytes = small; /* an Error, and most that is said, needs no memory that could be missing */
    size_t count = protobuf_c_message_get_packed_size(message);

    if (max == 0)
        return -EINVAL; /* no body */
    if (count > max)
        return -EMSGSIZE;
    if (count > sizeof(small) && (bytes = malloc(count)) == NULL)
        return -ENOMEM;
    (void)protobuf_c_message_pack(message, bytes);
    int r = packet_send(sock, bytes, count, fds);
    if (bytes != small)
        free(bytes);
    return r;
}

int wire_send_request(int sock, const wire_request *request, const struct packet_fds *fds)
{
    return send_message(sock, &request->base, wire_request_limit(request->body_case).bytes, fds);
}

int wire_send_reply(int sock, const wire_reply *reply, const struct packet_fds *fds)
{
    return send_message(sock, &reply->base, wire_reply_limit(reply->body_case).bytes, fds);
}

size_t wire_reply_bytes(const wire_reply *reply)
{
    return protobuf_c_message_get_packed_size(&reply->base);
}

/* ---- memory of what is received --------------------------------------------------------------- */

static void *(*take_memory)(size_t bytes) = malloc;
static void (*give_memory)(void *piece) = free;

static void *take(void *unused, size_t bytes)
{
    return take_memory(bytes);
}

static void give(void *unused, void *piece)
{
    give_memory(piece);
}

static ProtobufCAllocator memory = { .alloc = take, .free = give };

void wire_use_memory(void *(*alloc)(size_t bytes), void (*free_piece)(void *piece))
{
    take_memory = alloc;
    give_memory = free_piece;
}

/* ---- parsing ---------------------------------------------------------------------------------- */

enum wire_result wire_parse_request(const void *bytes, size_t count, wire_request **ret_request,
                                    uint32_t *ret_serial, enum mmgc_error *ret_error)
{
    struct wire_scan scan;
    bool whole = wire_scan(bytes, count, &mmgc__wire__request__descriptor, &scan);

    *ret_request = NULL;
    *ret_serial = scan.serial;
    *ret_error = MMGC_E_OK;
    if (!whole)
        return WIRE_MALFORMED;
    if (count > (scan.body == NULL ? WIRE_REQUEST_BYTES_MAX : wire_request_limit(scan.body->id).bytes))
        return WIRE_OVERSIZED;
    if (scan.body == NULL)
        return WIRE_UNKNOWN;
    if (scan.nul) {
        *ret_error = MMGC_E_NAME_TOO_LONG;
        return WIRE_INVALID;
    }
    wire_request *request = mmgc__wire__request__unpack(&memory, count, bytes);
    if (request == NULL)
        return WIRE_NO_MEMORY; /* the scan leaves it nothing else to fail for */
    *ret_error = wire_request_check(request);
    if (*ret_error != MMGC_E_OK) {
        wire_request_free(request);
        return WIRE_INVALID;
    }
    *ret_request = request;
    return WIRE_OK;
}

enum wire_result wire_parse_reply(const void *bytes, size_t count, wire_reply **ret_reply)
{
    struct wire_scan scan;

    *ret_reply = NULL;
    if (!wire_scan(bytes, count, &mmgc__wire__reply__descriptor, &scan) || scan.nul)
        return WIRE_MALFORMED;
    if (count > (scan.body == NULL ? PACKET_BYTES_MAX : wire_reply_limit(scan.body->id).bytes))
        return WIRE_OVERSIZED;
    if (scan.body == NULL)
        return WIRE_UNKNOWN;
    *ret_reply = mmgc__wire__reply__unpack(&memory, count, bytes);
    return *ret_reply == NULL ? WIRE_NO_MEMORY : WIRE_OK;
}

/* ---- receiving -------------------------------------------------------------------------------- */

static enum wire_result failed_receive(ssize_t r)
{
    switch (r) {
    case -ENOMEM: /* the system's, for the moment: the packet is still there */
    case -ENOBUFS:
    case -EAGAIN: return WIRE_AGAIN;
    case -EMSGSIZE: return WIRE_OVERSIZED;
    case -EMFILE: return WIRE_INVALID;
    default: return WIRE_CLOSED; /* 0, and what the socket failed with */
    }
}

/* Keeps as many of @fds as @limit takes. False: too few came, all are closed. */
static bool settle_fds(struct packet_fds *fds, struct wire_limit limit, struct packet_fds *ret_fds)
{
    if (ret_fds == NULL)
        limit = (struct wire_limit){ 0 };
    bool enough = fds->count >= limit.fds_min;
    while (fds->count > (enough ? limit.fds_max : 0)) {
        struct packet_fds last = { .fd = { fds->fd[--fds->count] }, .count = 1 };
        packet_fds_close(&last);
    }
    if (ret_fds != NULL)
        *ret_fds = *fds;
    return enough;
}

enum wire_result wire_recv_request(int sock, wire_request **ret_request, struct packet_fds *ret_fds,
                                   uint32_t *ret_serial, enum mmgc_error *ret_error)
{
    uint8_t bytes[WIRE_REQUEST_BYTES_MAX] = { 0 };
    struct packet_fds fds;
    struct wire_limit limit = { 0 };
    struct wire_scan scan = { 0 };

    *ret_request = NULL;
    ssize_t count = packet_recv(sock, bytes, sizeof(bytes), &fds);
    if (count == -EMSGSIZE || count == -EMFILE) /* dropped, but the serial stands first in what is there */
        (void)wire_scan(bytes, sizeof(bytes), &mmgc__wire__request__descriptor, &scan);
    *ret_serial = scan.serial;
    *ret_error = count == -EMFILE ? MMGC_E_LIMIT : MMGC_E_OK;
    enum wire_result result =
        count <= 0 ? failed_receive(count)
                   : wire_parse_request(bytes, (size_t)count, ret_request, ret_serial, ret_error);
    if (result == WIRE_OK)
        limit = wire_request_limit((*ret_request)->body_case);
    (void)settle_fds(&fds, limit, ret_fds); /* no request needs any */
    return result;
}

enum wire_result wire_recv_reply(int sock, wire_reply **ret_reply, struct packet_fds *ret_fds)
{
    struct packet_fds fds = { 0 };
    struct wire_limit limit = { 0 };
    uint8_t *bytes = malloc(PACKET_BYTES_MAX); /* clients' stacks may be fibres': not there */

    *ret_reply = NULL;
    if (bytes == NULL)
        return WIRE_NO_MEMORY;
    ssize_t count = packet_recv(sock, bytes, PACKET_BYTES_MAX, &fds);
    enum wire_result result =
        count <= 0 ? failed_receive(count) : wire_parse_reply(bytes, (size_t)count, ret_reply);
    free(bytes);
    if (result == WIRE_OK)
        limit = wire_reply_limit((*ret_reply)->body_case);
    if (settle_fds(&fds, limit, ret_fds))
        return result;
    wire_reply_free(*ret_reply);
    *ret_reply = NULL;
    return WIRE_MALFORMED;
}

/* ---- ending and naming ------------------------------------------------------------------------ */

void wire_request_free(wire_request *request)
{
    mmgc__wire__request__free_unpacked(request, &memory);
}

void wire_reply_free(wire_reply *reply)
{
    mmgc__wire__reply__free_unpacked(reply, &memory);
}

const char *wire_request_name(const wire_request *request)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(&mmgc__wire__request__descriptor, request->body_case);

    if (field == NULL)
        return "nothing";
    return ((const ProtobufCMessageDescriptor *)field->descriptor)->short_name;
}
