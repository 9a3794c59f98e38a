/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_wire.c - Any bytes, as a request and as a reply.
 *   Beyond not crashing: what was taken keeps its limits, can be said again, and is taken again as the same. */
#include <stdlib.h>
#include <string.h>

#include "proto/limit.h"
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

/* A string that may be logged, and that nothing here is too small for. */
static void must_be_harmless(const char *string)
{
    must(strnlen(string, WIRE_OPTIONS_MAX + 1) <= WIRE_OPTIONS_MAX);
    for (; *string != '\0'; string++)
        must((uint8_t)*string >= 0x20 && *string != 0x7f);
}

/* By what the schema says of itself, not by the table of limits. */
static void must_keep_limits(const wire_request *request, size_t count)
{
    const ProtobufCMessage *body =
        (const ProtobufCMessage *)request->hello; /* the union: every body begins as this one */

    must(count <= wire_request_limit(request->body_case).bytes);
    for (unsigned i = 0; i < body->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &body->descriptor->fields[i];
        if (field->label == PROTOBUF_C_LABEL_REPEATED)
            must(*(const size_t *)((const char *)body + field->quantifier_offset) <= WIRE_REFS_MAX);
        else if (field->type == PROTOBUF_C_TYPE_STRING)
            must_be_harmless(*(char *const *)((const char *)body + field->offset));
    }
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
    must(serial == request->serial);
    must_keep_limits(request, count);
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
