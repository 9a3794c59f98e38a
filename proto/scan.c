/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - Scan: is this a message, which one, and does any string hide a NUL?
 *   N1  a length is compared with what is left before it is used: no sum of attacker's numbers
 *   N2  the walk goes down only into messages of the schema, which does not recur: depth is bounded by mmgc.proto
 *   N3  every round consumes a byte at least: the walk ends
 *   An unknown field is stepped over, whatever it is: newer peers may say more than we know. */
#include "proto/scan.h"

#include <string.h>

#define SERIAL_FIELD 1u

enum wire_type { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

struct cursor {
    const uint8_t *at, *end;
};

static bool read_varint(struct cursor *c, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70 && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;
        value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
        if ((byte & 0x80) == 0) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* Cuts the next field's value out of @c: of a varint the number, of all others the bytes. */
static bool read_value(struct cursor *c, unsigned type, uint64_t *ret_number, struct cursor *ret_bytes)
{
    uint64_t length;

    *ret_number = 0;
    *ret_bytes = (struct cursor){ c->at, c->at };
    switch (type) {
    case VARINT: return read_varint(c, ret_number);
    case FIXED64: length = 8; break;
    case FIXED32: length = 4; break;
    case LENGTH:
        if (!read_varint(c, &length))
            return false;
        break;
    default: return false; /* groups ended with proto2 */
    }
    if (length > (size_t)(c->end - c->at)) /* N1 */
        return false;
    *ret_bytes = (struct cursor){ c->at, c->at + length };
    c->at += length;
    return true;
}

static unsigned wire_type_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return LENGTH;
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT: return FIXED32;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return FIXED64;
    default: return VARINT;
    }
}

/* A repeated number may also come packed: many in one run of bytes, the last of them whole. */
static bool type_fits(const ProtobufCFieldDescriptor *field, unsigned type, const struct cursor *bytes)
{
    unsigned expected = wire_type_of(field);

    if (type == expected)
        return true;
    if (field->label != PROTOBUF_C_LABEL_REPEATED || type != LENGTH)
        return false;
    struct cursor rest = *bytes;
    uint64_t number;
    struct cursor none;
    while (rest.at < rest.end)
        if (!read_value(&rest, expected, &number, &none))
            return false;
    return true;
}

/* Singular fields come once; of a oneof, one comes once. @seen has a bit a field, @oneof says that one has come. */
static bool comes_first(const ProtobufCMessageDescriptor *message,
                        const ProtobufCFieldDescriptor *field, uint64_t *seen, bool *oneof)
{
    uint64_t bit =
        UINT64_C(1) << (field - message->fields); /* messages have fewer than 64 fields: test_wire */

    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return true;
    if ((*seen & bit) != 0)
        return false;
    *seen |= bit;
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
        return true;
    bool first = !*oneof;
    *oneof = true;
    return first;
}

static bool scan_message(struct cursor c, const ProtobufCMessageDescriptor *message,
                         struct wire_scan *scan, bool envelope)
{
    uint64_t seen = 0, tag, number;
    bool oneof = false;
    struct cursor bytes;

    while (c.at < c.end) {
        if (!read_varint(&c, &tag) || tag >> 3 == 0 || tag > UINT32_MAX ||
            !read_value(&c, tag & 7, &number, &bytes))
            return false;
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(message, (unsigned)(tag >> 3));
        if (field == NULL)
            continue;
        if (!type_fits(field, tag & 7, &bytes) || !comes_first(message, field, &seen, &oneof))
            return false;
        if (envelope && field->id == SERIAL_FIELD)
            scan->serial = (uint32_t)number;
        if (envelope && (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
            scan->body = field;
        if (field->type == PROTOBUF_C_TYPE_STRING &&
            memchr(bytes.at, '\0', (size_t)(bytes.end - bytes.at)) != NULL)
            scan->nul = true;
        if (field->type == PROTOBUF_C_TYPE_MESSAGE &&
            !scan_message(bytes, field->descriptor, scan, false))
            return false;
    }
    return true;
}

bool wire_scan(const void *bytes, size_t count, const ProtobufCMessageDescriptor *envelope,
               struct wire_scan *ret)
{
    struct cursor all = { bytes, (const uint8_t *)bytes + count };

    *ret = (struct wire_scan){ 0 };
    return scan_message(all, envelope, ret, true);
}
