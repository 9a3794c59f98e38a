/* SPDX-License-Identifier: Apache-2.0 */
/* sample.c - Samples: what the descriptors say, filled in. */
#include "tests/proto/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPEATED 3u

static void *must(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

static ProtobufCMessage *fill(const ProtobufCMessageDescriptor *type, unsigned body_case,
                              unsigned *next);

static void fill_value(const ProtobufCFieldDescriptor *field, void *at, unsigned *next)
{
    char text[16];

    *next += 1;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        (void)snprintf(text, sizeof(text), "n%u", *next);
        *(char **)at = must(strdup(text));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)at = (ProtobufCBinaryData){ .len = REPEATED, .data = must(malloc(REPEATED)) };
        memset(((ProtobufCBinaryData *)at)->data, (int)*next, REPEATED);
        break;
    case PROTOBUF_C_TYPE_BOOL: *(protobuf_c_boolean *)at = 1; break;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT32: *(uint32_t *)at = *next; break;
    case PROTOBUF_C_TYPE_UINT64: *(uint64_t *)at = UINT64_C(0x100000000) + *next; break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)at = fill(field->descriptor, 0, next);
        break;
    default: abort(); /* the schema has a new sort of field: teach it here */
    }
}

static size_t value_bytes(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT32: return sizeof(uint32_t);
    default: return 8;
    }
}

static ProtobufCMessage *fill(const ProtobufCMessageDescriptor *type, unsigned body_case, unsigned *next)
{
    ProtobufCMessage *message = must(malloc(type->sizeof_message));

    protobuf_c_message_init(type, message);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        char *at = (char *)message + field->offset;
        void *quantifier = (char *)message + field->quantifier_offset;
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            if (field->id != body_case)
                continue;
            *(uint32_t *)quantifier = body_case;
        }
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            *(size_t *)quantifier = REPEATED;
            *(char **)at = must(calloc(REPEATED, 8));
            for (unsigned n = 0; n < REPEATED; n++)
                fill_value(field, *(char **)at + n * value_bytes(field), next);
        } else {
            fill_value(field, at, next);
        }
    }
    return message;
}

static unsigned kind(const ProtobufCMessageDescriptor *envelope, size_t i)
{
    for (unsigned f = 0; f < envelope->n_fields; f++)
        if ((envelope->fields[f].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 && i-- == 0)
            return envelope->fields[f].id;
    return 0;
}

unsigned sample_request_kind(size_t i)
{
    return kind(&mmgc__wire__request__descriptor, i);
}

unsigned sample_reply_kind(size_t i)
{
    return kind(&mmgc__wire__reply__descriptor, i);
}

wire_request *sample_request_new(unsigned body_case)
{
    unsigned next = 0;

    return (wire_request *)fill(&mmgc__wire__request__descriptor, body_case, &next);
}

wire_reply *sample_reply_new(unsigned body_case)
{
    unsigned next = 0;

    return (wire_reply *)fill(&mmgc__wire__reply__descriptor, body_case, &next);
}

uint8_t *sample_pack(const ProtobufCMessage *message, size_t *ret_count)
{
    *ret_count = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = must(malloc(*ret_count + 1));

    (void)protobuf_c_message_pack(message, bytes);
    return bytes;
}

void sample_set_string(char **slot, const char *value)
{
    if (*slot != protobuf_c_empty_string)
        free(*slot);
    *slot = must(strdup(value));
}

char *sample_letters(size_t bytes)
{
    char *string = must(malloc(bytes + 1));

    memset(string, 'x', bytes);
    string[bytes] = '\0';
    return string;
}

/* ---- chance ----------------------------------------------------------------------------------- */

uint64_t sample_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t mutate_once(uint8_t *bytes, size_t count, size_t capacity, uint64_t *state)
{
    static const uint8_t hurting[] = { 0x00, 0x01, 0x07, 0x0a, 0x12, 0x7f, 0x80, 0xff };
    size_t at = (size_t)(sample_random(state) % count);
    size_t length = 1 + (size_t)(sample_random(state) % 16);

    switch (sample_random(state) % 6) {
    case 0: bytes[at] ^= (uint8_t)(1u << sample_random(state) % 8); return count;
    case 1: bytes[at] = hurting[sample_random(state) % sizeof(hurting)]; return count;
    case 2: bytes[at] = (uint8_t)sample_random(state); return count;
    case 3: /* cut the end off */ return at > 0 ? at : 1;
    case 4: /* cut a piece out */
        if (at + length >= count)
            return count;
        memmove(bytes + at, bytes + at + length, count - at - length);
        return count - length;
    default: /* say a piece twice */
        if (at + length > count || count + length > capacity)
            return count;
        memmove(bytes + at + length, bytes + at, count - at);
        return count + length;
    }
}

size_t sample_mutate(uint8_t *bytes, size_t count, size_t capacity, uint64_t *state)
{
    for (uint64_t left = 1 + sample_random(state) % 8; left > 0 && count > 0; left--)
        count = mutate_once(bytes, count, capacity, state);
    return count;
}
