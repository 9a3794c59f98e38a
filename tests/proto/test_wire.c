/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "proto/limit.h"
#include "tests/proto/fds.h"
#include "tests/proto/sample.h"
#include "tests/support/runner.h"

static unsigned fds_before;
static int pair[2];

static void set_up(void)
{
    fds_before = fds_open();
    fds_pair(pair, SOCK_NONBLOCK);
}

static void tear_down(void)
{
    fds_close_pair(pair);
    ck_assert_uint_eq(fds_open(), fds_before);
}

static void ck_assert_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
    size_t a_count, b_count;
    uint8_t *a_bytes = sample_pack(a, &a_count), *b_bytes = sample_pack(b, &b_count);

    ck_assert_uint_eq(a_count, b_count);
    ck_assert_mem_eq(a_bytes, b_bytes, a_count);
    free(a_bytes);
    free(b_bytes);
}

/* What wire_recv_request() says of @count @bytes sent as they are, with @fds. */
static enum wire_result receive(const void *bytes, size_t count, const struct packet_fds *fds,
                                wire_request **ret_request, struct packet_fds *ret_fds,
                                uint32_t *ret_serial, enum mmgc_error *ret_error)
{
    ck_assert_int_eq(packet_send(pair[0], bytes, count, fds), 0);
    return wire_recv_request(pair[1], ret_request, ret_fds, ret_serial, ret_error);
}

static enum wire_result parse(const char *bytes, size_t count, uint32_t *ret_serial)
{
    wire_request *request;
    enum mmgc_error error;
    enum wire_result result = wire_parse_request(bytes, count, &request, ret_serial, &error);

    ck_assert((request != NULL) == (result == WIRE_OK));
    ck_assert((error != MMGC_E_OK) == (result == WIRE_INVALID));
    wire_request_free(request);
    return result;
}
#define PARSE(literal, ret_serial) parse(literal, sizeof(literal) - 1, ret_serial)

/* ---- round trips ------------------------------------------------------------------------------ */

START_TEST(a_request_arrives_with_every_field)
{
    wire_request *sent = sample_request_new(sample_request_kind((size_t)_i)), *got;
    uint32_t serial;
    enum mmgc_error error;

    ck_assert_int_eq(wire_send_request(pair[0], sent, NULL), 0);
    ck_assert_int_eq(wire_recv_request(pair[1], &got, NULL, &serial, &error), WIRE_OK);
    ck_assert_uint_eq(serial, sent->serial);
    ck_assert_str_ne(wire_request_name(got), "nothing");
    ck_assert_same(&sent->base, &got->base);
    wire_request_free(sent);
    wire_request_free(got);
}
END_TEST

START_TEST(a_reply_arrives_with_every_field_and_its_fds)
{
    unsigned kind = sample_reply_kind((size_t)_i);
    wire_reply *sent = sample_reply_new(kind), *got;
    struct packet_fds fds = fds_new(wire_reply_limit(kind).fds_max), got_fds;

    ck_assert_int_eq(wire_send_reply(pair[0], sent, &fds), 0);
    ck_assert_int_eq(wire_recv_reply(pair[1], &got, &got_fds), WIRE_OK);
    ck_assert_uint_eq(got_fds.count, fds.count);
    ck_assert_same(&sent->base, &got->base);
    ck_assert_uint_le(wire_reply_bytes(sent), wire_reply_limit(kind).bytes);
    packet_fds_close(&fds);
    packet_fds_close(&got_fds);
    wire_reply_free(sent);
    wire_reply_free(got);
}
END_TEST

START_TEST(a_message_made_by_hand_is_empty_but_for_what_was_set)
{
    wire_hello hello = wire_hello_init();
    wire_request request = wire_request_init(), *got;
    uint32_t serial;
    enum mmgc_error error;

    hello.version_max = WIRE_VERSION_MAX;
    request.serial = 7;
    request.body_case = WIRE_REQUEST(HELLO);
    request.hello = &hello;
    ck_assert_int_eq(wire_send_request(pair[0], &request, NULL), 0);
    ck_assert_int_eq(wire_recv_request(pair[1], &got, NULL, &serial, &error), WIRE_OK);
    ck_assert_str_eq(wire_request_name(got), "Hello");
    ck_assert_str_eq(got->hello->client_name, "");
    ck_assert_uint_eq(got->hello->version_max, WIRE_VERSION_MAX);
    ck_assert_uint_eq(got->hello->features, 0);
    wire_request_free(got);
}
END_TEST

START_TEST(what_has_no_body_is_not_sent)
{
    wire_request request = wire_request_init();
    wire_reply reply = wire_reply_init();

    ck_assert_int_eq(wire_send_request(pair[0], &request, NULL), -EINVAL);
    ck_assert_int_eq(wire_send_reply(pair[0], &reply, NULL), -EINVAL);
    ck_assert_str_eq(wire_request_name(&request), "nothing");
    wire_request_free(NULL);
    wire_reply_free(NULL);
}
END_TEST

START_TEST(the_largest_reply_takes_a_whole_packet)
{
    wire_root_row row = wire_root_row_init();
    wire_root_row *rows[1024];
    wire_root_rows body = wire_root_rows_init();
    wire_reply reply = wire_reply_init(), *got;
    char *name = sample_letters(255);

    row.name = name;
    body.rows = rows;
    reply.body_case = WIRE_REPLY(ROOT_ROWS);
    reply.root_rows = &body;
    for (; wire_reply_bytes(&reply) + 512 < PACKET_BYTES_MAX; body.n_rows++)
        rows[body.n_rows] = &row;
    ck_assert_int_eq(wire_send_reply(pair[0], &reply, NULL), 0);
    ck_assert_int_eq(wire_recv_reply(pair[1], &got, NULL), WIRE_OK);
    ck_assert_uint_eq(got->root_rows->n_rows, body.n_rows);
    wire_reply_free(got);
    for (int i = 0; i < 3; i++)
        rows[body.n_rows++] = &row;
    ck_assert_int_eq(wire_send_reply(pair[0], &reply, NULL), -EMSGSIZE);
    free(name);
}
END_TEST

/* ---- what is refused -------------------------------------------------------------------------- */

START_TEST(nothing_and_the_end_are_no_messages)
{
    wire_request *request;
    wire_reply *reply;
    uint32_t serial;
    enum mmgc_error error;

    ck_assert_int_eq(wire_recv_request(pair[1], &request, NULL, &serial, &error), WIRE_AGAIN);
    ck_assert_int_eq(wire_recv_reply(pair[1], &reply, NULL), WIRE_AGAIN);
    (void)close(pair[0]);
    ck_assert_int_eq(wire_recv_request(pair[1], &request, NULL, &serial, &error), WIRE_CLOSED);
    ck_assert_int_eq(wire_recv_reply(pair[1], &reply, NULL), WIRE_CLOSED);
    ck_assert_ptr_null(request);
    ck_assert_ptr_null(reply);
    pair[0] = dup(pair[1]);
}
END_TEST

START_TEST(a_body_of_a_newer_peer_is_unknown_and_has_its_serial)
{
    uint32_t serial;

    ck_assert_int_eq(PARSE("\x08\x2a\xaa\x06\x02\x08\x01", &serial), WIRE_UNKNOWN); /* field 101 */
    ck_assert_uint_eq(serial, 42);
    ck_assert_int_eq(PARSE("\xaa\x06\x02\x08\x01\x08\x2a", &serial), WIRE_UNKNOWN); /* serial last */
    ck_assert_uint_eq(serial, 42);
    ck_assert_int_eq(PARSE("\x08\x2a", &serial), WIRE_UNKNOWN); /* no body at all */
    ck_assert_uint_eq(serial, 42);
    ck_assert_int_eq(PARSE("\x1a\x00", &serial), WIRE_OK); /* Ping, serial 0 */
    ck_assert_uint_eq(serial, 0);
}
END_TEST

START_TEST(a_field_of_a_newer_peer_is_stepped_over)
{
    uint32_t serial;

    ck_assert_int_eq(PARSE("\x08\x01\x1a\x02\xf8\x7f", &serial), WIRE_MALFORMED); /* no value */
    ck_assert_int_eq(PARSE("\x08\x01\x1a\x03\xf8\x7f\x01", &serial), WIRE_OK);    /* a varint */
    ck_assert_int_eq(PARSE("\x08\x01\x1a\x04\xfa\x7f\x01z", &serial), WIRE_OK);   /* bytes */
    ck_assert_int_eq(PARSE("\x08\x01\x1a\x06\xfd\x7f"
                           "4444",
                           &serial),
                     WIRE_OK); /* 32 bits */
    ck_assert_int_eq(PARSE("\x08\x01\x1a\x0a\xf9\x7f"
                           "88888888",
                           &serial),
                     WIRE_OK); /* 64 bits */
}
END_TEST

START_TEST(what_protobuf_tolerates_and_nobody_sends_is_malformed)
{
    uint32_t serial;

    ck_assert_int_eq(PARSE("\x08\x01\x08\x02\x1a\x00", &serial), WIRE_MALFORMED); /* serial twice */
    ck_assert_int_eq(PARSE("\x08\x01\x1a\x00\x1a\x00", &serial), WIRE_MALFORMED); /* a body twice */
    ck_assert_int_eq(PARSE("\x08\x01\x1a\x00\x3a\x00", &serial), WIRE_MALFORMED); /* two bodies */
    ck_assert_int_eq(PARSE("\x08\x01\x2a\x06\x0a\x01"
                           "a\x0a\x01"
                           "b",
                           &serial),
                     WIRE_MALFORMED); /* name twice */
    ck_assert_int_eq(PARSE("\x0d\x01\x00\x00\x00\x1a\x00", &serial), WIRE_MALFORMED); /* serial in 32 bits */
    ck_assert_int_eq(PARSE("\x08\x01\x1b\x1c", &serial), WIRE_MALFORMED);             /* a group */
    ck_assert_int_eq(PARSE("\x00\x01", &serial), WIRE_MALFORMED);                     /* field 0 */
    ck_assert_int_eq(PARSE("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &serial), WIRE_MALFORMED);
    ck_assert_int_eq(PARSE("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &serial),
                     WIRE_MALFORMED); /* 2^64 - 1 bytes */
    ck_assert_int_eq(PARSE("\x1a\xff\xff\xff\xff\x0f", &serial), WIRE_MALFORMED); /* 2^32 - 1 bytes */
    ck_assert_int_eq(PARSE("\x42\x03\x22\x01\x80", &serial), WIRE_MALFORMED); /* packed refs, half a number */
}
END_TEST

START_TEST(a_nul_inside_a_string_is_not_cut_but_refused)
{
    static const char bytes[] = "\x08\x05\x2a\x08\x0a\x06good\0x";
    uint32_t serial;

    ck_assert_int_eq(parse(bytes, sizeof(bytes) - 1, &serial), WIRE_INVALID);
    ck_assert_uint_eq(serial, 5);
    static const char reply[] = "\x08\x05\x12\x05\x12\x03"
                                "a\0b";
    wire_reply *got;
    ck_assert_int_eq(wire_parse_reply(reply, sizeof(reply) - 1, &got), WIRE_MALFORMED);
}
END_TEST

/* Ping with @extra bytes of an unknown field: as large as one likes, and otherwise good. */
static uint8_t *large_ping(size_t bytes)
{
    uint8_t *ping = calloc(1, bytes);

    ck_assert_uint_ge(bytes, 140);
    memcpy(ping, "\x08\x09\x1a\x00\xfa\x7f", 6);
    ping[6] = (uint8_t)(((bytes - 9) & 0x7f) | 0x80);
    ping[7] = (uint8_t)(((bytes - 9) >> 7 & 0x7f) | 0x80);
    ping[8] = (uint8_t)((bytes - 9) >> 14);
    return ping;
}

START_TEST(oversized_requests_are_dropped_and_have_their_serial)
{
    static const size_t sizes[] = { 140, WIRE_REQUEST_BYTES_MAX, WIRE_REQUEST_BYTES_MAX + 1,
                                    PACKET_BYTES_MAX };
    struct packet_fds gift = fds_new(2), got_fds;
    wire_request *got;
    uint32_t serial;
    enum mmgc_error error;

    uint8_t *bytes = large_ping(sizes[_i]);
    ck_assert_int_eq(receive(bytes, sizes[_i], &gift, &got, &got_fds, &serial, &error), WIRE_OVERSIZED);
    ck_assert_uint_eq(serial, 9);
    ck_assert_ptr_null(got);
    ck_assert_uint_eq(got_fds.count, 0);
    packet_fds_close(&gift);
    free(bytes);
    ck_assert_int_eq(receive("\x1a\x00", 2, NULL, &got, &got_fds, &serial, &error), WIRE_OK); /* and on it goes */
    wire_request_free(got);
}
END_TEST

START_TEST(half_a_message_is_malformed_and_keeps_no_fd)
{
    wire_request *request = sample_request_new(WIRE_REQUEST(ATTACH)), *got;
    struct packet_fds gift = fds_new(1), got_fds;
    uint32_t serial;
    enum mmgc_error error;
    size_t count;
    uint8_t *bytes = sample_pack(&request->base, &count);

    ck_assert_int_eq(receive(bytes, count - 1, &gift, &got, &got_fds, &serial, &error), WIRE_MALFORMED);
    ck_assert_uint_eq(got_fds.count, 0);
    packet_fds_close(&gift);
    free(bytes);
    wire_request_free(request);
}
END_TEST

/* ---- fds -------------------------------------------------------------------------------------- */

START_TEST(a_request_keeps_the_fds_its_kind_takes)
{
    unsigned kind = sample_request_kind((size_t)_i);
    wire_request *request = sample_request_new(kind), *got;
    struct packet_fds gift = fds_new(3), got_fds;
    uint32_t serial;
    enum mmgc_error error;

    ck_assert_int_eq(wire_send_request(pair[0], request, &gift), 0);
    packet_fds_close(&gift);
    ck_assert_int_eq(wire_recv_request(pair[1], &got, &got_fds, &serial, &error), WIRE_OK);
    ck_assert_uint_eq(got_fds.count, kind == WIRE_REQUEST(ATTACH) || kind == WIRE_REQUEST(SNAPSHOT) ? 1 : 0);
    ck_assert_uint_eq(fds_open(), fds_before + 2 + got_fds.count);
    packet_fds_close(&got_fds);
    wire_request_free(got);
    wire_request_free(request);
}
END_TEST

START_TEST(a_reply_without_its_fds_is_malformed)
{
    wire_reply *opened = sample_reply_new(WIRE_REPLY(HEAP_OPENED)), *got;
    struct packet_fds gift = fds_new(2), got_fds;

    ck_assert_int_eq(wire_send_reply(pair[0], opened, &gift), 0);
    packet_fds_close(&gift);
    ck_assert_int_eq(wire_recv_reply(pair[1], &got, &got_fds), WIRE_MALFORMED);
    ck_assert_ptr_null(got);
    ck_assert_uint_eq(got_fds.count, 0);
    wire_reply_free(opened);
}
END_TEST

START_TEST(fds_without_room_are_the_limit_of_the_request_that_brought_them)
{
    wire_request *attach = sample_request_new(WIRE_REQUEST(ATTACH)), *got;
    struct packet_fds gift = fds_new(1), got_fds;
    struct rlimit before;
    uint32_t serial;
    enum mmgc_error error;

    ck_assert_int_eq(wire_send_request(pair[0], attach, &gift), 0);
    packet_fds_close(&gift);
    bool tight = fds_leave_room(0, &before);
    enum wire_result result = wire_recv_request(pair[1], &got, &got_fds, &serial, &error);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (tight) {
        ck_assert_int_eq(result, WIRE_INVALID);
        ck_assert_int_eq(error, MMGC_E_LIMIT);
        ck_assert_uint_eq(serial, attach->serial);
        ck_assert_ptr_null(got);
    }
    packet_fds_close(&got_fds);
    wire_request_free(got);
    wire_request_free(attach);
}
END_TEST

/* ---- damage ----------------------------------------------------------------------------------- */

#define MUTATIONS 3500 /* a kind; all kinds together 10^5 */

/* Parses @bytes as a request or a reply. From a copy of just their size, so that a sanitizer sees one byte too many. */
static enum wire_result parse_copy(const uint8_t *bytes, size_t count, bool is_request)
{
    uint8_t *copy = malloc(count + (count == 0));
    wire_request *request = NULL;
    wire_reply *reply = NULL;
    uint32_t serial;
    enum mmgc_error error;

    memcpy(copy, bytes, count);
    enum wire_result result = is_request ? wire_parse_request(copy, count, &request, &serial, &error)
                                         : wire_parse_reply(copy, count, &reply);
    ck_assert((request != NULL || reply != NULL) == (result == WIRE_OK));
    wire_request_free(request);
    wire_reply_free(reply);
    free(copy);
    return result;
}

static void damage(const uint8_t *bytes, size_t count, bool is_request, uint64_t seed)
{
    uint8_t work[4096];
    size_t good = 0;

    ck_assert_uint_le(2 * count, sizeof(work));
    for (size_t i = 0; i < count; i++)
        ck_assert_int_ne(parse_copy(bytes, i, is_request), WIRE_OK);
    ck_assert_int_eq(parse_copy(bytes, count, is_request), WIRE_OK);
    for (int i = 0; i < MUTATIONS; i++) {
        memcpy(work, bytes, count);
        good += parse_copy(work, sample_mutate(work, count, sizeof(work), &seed), is_request) == WIRE_OK;
    }
    ck_assert_uint_lt(good, MUTATIONS);
}

START_TEST(no_damage_to_a_request_does_harm)
{
    wire_request *request = sample_request_new(sample_request_kind((size_t)_i));
    size_t count;
    uint8_t *bytes = sample_pack(&request->base, &count);

    damage(bytes, count, true, (uint64_t)_i);
    free(bytes);
    wire_request_free(request);
}
END_TEST

START_TEST(no_damage_to_a_reply_does_harm)
{
    wire_reply *reply = sample_reply_new(sample_reply_kind((size_t)_i));
    size_t count;
    uint8_t *bytes = sample_pack(&reply->base, &count);

    damage(bytes, count, false, 1000 + (uint64_t)_i);
    free(bytes);
    wire_reply_free(reply);
}
END_TEST

/* ---- the schema ------------------------------------------------------------------------------- */

START_TEST(the_scan_can_count_the_fields_of_every_message)
{
    static const ProtobufCMessageDescriptor *const all[] = {
#define DESCRIPTOR(c, Gen, GEN) &mmgc__wire__##c##__descriptor,
        WIRE_MESSAGES(DESCRIPTOR)
#undef DESCRIPTOR
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        ck_assert_uint_lt(all[i]->n_fields, 64);
}
END_TEST

/* ---- no memory -------------------------------------------------------------------------------- */

static int allocations_left;

static void *few(size_t bytes)
{
    return allocations_left-- > 0 ? malloc(bytes) : NULL;
}

/* It is known whose it was: one who asks is answered. */
START_TEST(a_request_there_is_no_memory_for_is_that_and_keeps_its_serial)
{
    wire_request *sent = sample_request_new(sample_request_kind((size_t)_i)), *got;
    size_t count;
    uint32_t serial = 0;
    enum mmgc_error error;
    enum wire_result result = WIRE_NO_MEMORY;

    sent->serial = 4711;
    uint8_t *bytes = sample_pack(&sent->base, &count);
    wire_use_memory(few, free);
    for (int left = 0; result == WIRE_NO_MEMORY; left++) {
        allocations_left = left;
        result = wire_parse_request(bytes, count, &got, &serial, &error);
        ck_assert_uint_eq(serial, 4711);
        ck_assert(result == WIRE_OK || (result == WIRE_NO_MEMORY && got == NULL && error == MMGC_E_OK));
        ck_assert_int_lt(left, 1000);
    }
    wire_request_free(got);
    wire_use_memory(malloc, free);
    free(bytes);
    wire_request_free(sent);
}
END_TEST

static Suite *wire_suite(void)
{
    Suite *suite = suite_create("wire");
    TCase *trips = tcase_create("round trips"), *refused = tcase_create("refused");
    TCase *fds = tcase_create("fds"), *damaged = tcase_create("damage");
    int requests = 0, replies = 0;

    while (sample_request_kind((size_t)requests) != 0)
        requests++;
    while (sample_reply_kind((size_t)replies) != 0)
        replies++;
    tcase_add_checked_fixture(trips, set_up, tear_down);
    tcase_add_loop_test(trips, a_request_arrives_with_every_field, 0, requests);
    tcase_add_loop_test(trips, a_reply_arrives_with_every_field_and_its_fds, 0, replies);
    tcase_add_test(trips, a_message_made_by_hand_is_empty_but_for_what_was_set);
    tcase_add_test(trips, what_has_no_body_is_not_sent);
    tcase_add_test(trips, the_largest_reply_takes_a_whole_packet);
    tcase_add_test(trips, the_scan_can_count_the_fields_of_every_message);
    suite_add_tcase(suite, trips);
    tcase_add_checked_fixture(refused, set_up, tear_down);
    tcase_add_test(refused, nothing_and_the_end_are_no_messages);
    tcase_add_test(refused, a_body_of_a_newer_peer_is_unknown_and_has_its_serial);
    tcase_add_test(refused, a_field_of_a_newer_peer_is_stepped_over);
    tcase_add_test(refused, what_protobuf_tolerates_and_nobody_sends_is_malformed);
    tcase_add_test(refused, a_nul_inside_a_string_is_not_cut_but_refused);
    tcase_add_loop_test(refused, a_request_there_is_no_memory_for_is_that_and_keeps_its_serial, 0, requests);
    tcase_add_loop_test(refused, oversized_requests_are_dropped_and_have_their_serial, 0, 4);
    tcase_add_test(refused, half_a_message_is_malformed_and_keeps_no_fd);
    suite_add_tcase(suite, refused);
    tcase_add_checked_fixture(fds, set_up, tear_down);
    tcase_add_loop_test(fds, a_request_keeps_the_fds_its_kind_takes, 0, requests);
    tcase_add_test(fds, a_reply_without_its_fds_is_malformed);
    tcase_add_test(fds, fds_without_room_are_the_limit_of_the_request_that_brought_them);
    suite_add_tcase(suite, fds);
    tcase_add_loop_test(damaged, no_damage_to_a_request_does_harm, 0, requests);
    tcase_add_loop_test(damaged, no_damage_to_a_reply_does_harm, 0, replies);
    tcase_set_timeout(damaged, 60);
    suite_add_tcase(suite, damaged);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, wire_suite);
}
