/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_wire.c - Any bytes, as a request and as a reply.
 *   Beyond not crashing: what was taken can be said again, and is taken again as the same. */
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"
#include "tests/proto/sample.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void must_be_same(const ProtobufCMessage *message, const uint8_t *bytes, size_t count)
{
    size_t again_count;
    uint8_t *again = sample_pack(message, &again_count);

    must(again_count == count && memcmp(again, bytes, count) == 0);
    free(again);
}

static void fuzz_request(const uint8_t *bytes, size_t count)
{
    wire_request *request, *again;
    uint32_t serial, serial_again;
    enum mmgc_error error;
    size_t packed_count;

    enum wire_result result = wire_parse_request(bytes, count, &request, &serial, &error);
    must((request != NULL) == (result == WIRE_OK));
    must((error != MMGC_E_OK) == (result == WIRE_INVALID));
    if (result != WIRE_OK)
        return;
    must(serial == request->serial && count <= WIRE_REQUEST_BYTES_MAX);
    uint8_t *packed = sample_pack(&request->base, &packed_count);
    result = wire_parse_request(packed, packed_count, &again, &serial_again, &error);
    must(result == WIRE_OK || result == WIRE_OVERSIZED); /* packing one number of a repeated field adds a byte */
    must(serial_again == serial);
    if (again != NULL)
        must_be_same(&again->base, packed, packed_count);
    wire_request_free(again);
    wire_request_free(request);
    free(packed);
}

static void fuzz_reply(const uint8_t *bytes, size_t count)
{
    wire_reply *reply;

    enum wire_result result = wire_parse_reply(bytes, count, &reply);
    must((reply != NULL) == (result == WIRE_OK));
    must(result != WIRE_AGAIN && result != WIRE_CLOSED && result != WIRE_INVALID);
    if (reply != NULL)
        must(wire_reply_bytes(reply) > 0);
    wire_reply_free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    fuzz_request(bytes, count);
    fuzz_reply(bytes, count);
    return 0;
}

size_t fuzz_good_input(size_t i, uint8_t *bytes, size_t capacity)
{
    size_t requests = 0;

    while (sample_request_kind(requests) != 0)
        requests++;
    unsigned kind = i < requests ? sample_request_kind(i) : sample_reply_kind(i - requests);
    if (kind == 0)
        return 0;
    ProtobufCMessage *message =
        i < requests ? &sample_request_new(kind)->base : &sample_reply_new(kind)->base;
    size_t count;
    uint8_t *packed = sample_pack(message, &count);
    must(count <= capacity);
    memcpy(bytes, packed, count);
    free(packed);
    protobuf_c_message_free_unpacked(message, NULL);
    return count;
}
