/* SPDX-License-Identifier: Apache-2.0 */
/* limit.c - Limits: what the fields of a request may hold.
 *   L1  every string field of every request has a row below (test_wire_limits fails for one that has not)
 *   L2  a string that passed is UTF-8 without control characters: it may be logged, listed and compared as it is */
#include "proto/limit.h"

#include <string.h>

#include "proto/scan.h"

/* X(message, field, may be empty, most bytes, error) */
/* clang-format off */
#define STRING_LIMITS(X)                                                        \
    X(hello,        client_name, true,  WIRE_LABEL_MAX, NAME_TOO_LONG)          \
    X(heap_open,    name,        false, WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(heap_open,    plan,        true,  WIRE_PLAN_MAX,  NO_PLAN)                \
    X(heap_open,    options,     true,  WIRE_OPTIONS_MAX, INVALID)              \
    X(heap_destroy, name,        false, WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(heap_list,    after,       true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(heap_info,    name,        false, WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(type_define,  name,        false, WIRE_LABEL_MAX, NAME_TOO_LONG)          \
    X(attach,       name,        true,  WIRE_LABEL_MAX, NAME_TOO_LONG)          \
    X(name_set,     name,        false, WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(name_get,     name,        false, WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(collect,      heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(verify,       heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(histogram,    heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(clients,      heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(roots,        heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(roots,        after_name,  true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(heap_resize,  heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(delegate,     heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(decide,       heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(bequeath,     heir,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(guardian,     name,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG) \
    X(handles,      heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(lease_revoke, heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(snapshot,     heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(trace_begin,  heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(watch,        heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(stats,        after,       true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(stats,        heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)          \
    X(blocks,       heap,        true,  WIRE_NAME_MAX,  NAME_TOO_LONG)
/* clang-format on */

struct string_limit {
    const ProtobufCMessageDescriptor *message;
    size_t offset;
    bool may_be_empty;
    size_t max;
    enum mmgc_error error;
};

static const struct string_limit string_limits[] = {
#define STRING_LIMIT(message, field, may_be_empty, max, error) \
    { &mmgc__wire__##message##__descriptor, offsetof(wire_##message, field), may_be_empty, max, \
      MMGC_E_##error },
    STRING_LIMITS(STRING_LIMIT)
#undef STRING_LIMIT
};

struct wire_limit wire_request_limit(unsigned body_case)
{
    switch (body_case) {
#define REQUEST_LIMIT(KIND, bytes, fewest, most) \
    case WIRE_REQUEST(KIND): return (struct wire_limit){ bytes, fewest, most };
        WIRE_REQUEST_LIMITS(REQUEST_LIMIT)
#undef REQUEST_LIMIT
    default: return (struct wire_limit){ 0 };
    }
}

struct wire_limit wire_reply_limit(unsigned body_case)
{
    switch (body_case) {
#define REPLY_LIMIT(KIND, bytes, fewest, most) \
    case WIRE_REPLY(KIND): return (struct wire_limit){ bytes, fewest, most };
        WIRE_REPLY_LIMITS(REPLY_LIMIT)
#undef REPLY_LIMIT
    default: return (struct wire_limit){ 0 };
    }
}

static enum mmgc_error check_strings(const ProtobufCMessage *body)
{
    for (size_t i = 0; i < sizeof(string_limits) / sizeof(string_limits[0]); i++) {
        const struct string_limit *limit = &string_limits[i];
        if (limit->message != body->descriptor)
            continue;
        const char *string = *(char *const *)((const char *)body + limit->offset);
        if (string[0] == '\0' ? !limit->may_be_empty : !wire_name_valid(string, limit->max))
            return limit->error;
    }
    return MMGC_E_OK;
}

enum mmgc_error wire_request_check(const wire_request *request)
{
    if (request->body_case == WIRE_REQUEST(TYPE_DEFINE)) {
        const wire_type_define *type = request->type_define;
        if (type->n_refs > WIRE_REFS_MAX || type->n_element_refs > WIRE_REFS_MAX - type->n_refs)
            return MMGC_E_TYPE_LAYOUT;
    }
    return check_strings((const ProtobufCMessage *)request->hello); /* the union: every body begins as this one */
}

/* Bytes of the character at @s (UTF-8 without overlong forms, surrogates, or anything past U+10FFFF), or 0. RFC 3629. */
static size_t utf8_length(const unsigned char *s)
{
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte, which rule out the forms above */
    size_t length;

    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        length = 2;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        length = 3;
        low = s[0] == 0xe0 ? 0xa0 : 0x80;
        high = s[0] == 0xed ? 0x9f : 0xbf;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        length = 4;
        low = s[0] == 0xf0 ? 0x90 : 0x80;
        high = s[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) /* stops at the terminating NUL, which is no continuation */
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* C0, DEL, C1 (U+0080 to U+009F): what could steer a terminal that shows the name. */
static bool is_control(const unsigned char *s)
{
    return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

bool wire_name_valid(const char *name, size_t max)
{
    size_t bytes = strnlen(name, max + 1);

    if (bytes == 0 || bytes > max)
        return false;
    for (const unsigned char *s = (const unsigned char *)name; *s != '\0';) {
        size_t length = utf8_length(s);
        if (length == 0 || is_control(s))
            return false;
        s += length;
    }
    return true;
}
