/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/limit.h"

#include <stdlib.h>
#include <string.h>

#include "shm/type.h"
#include "tests/proto/sample.h"
#include "tests/support/runner.h"

/* ---- names ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    bool valid;
} names[] = {
    { "", false },
    { "a", true },
    { "with space, and: punctuation/even\\this", true },
    { "gr\xc3\xbc\xc3\x9f", true },
    { "\xe6\x97\xa5\xe6\x9c\xac", true },
    { "\xf0\x9f\x8c\xb2", true },
    { "\xf4\x8f\xbf\xbf", true },         /* U+10FFFF */
    { "\xc2\xa0", true },                 /* U+00A0: the first after the controls */
    { "\xed\x9f\xbf\xee\x80\x80", true }, /* on both sides of the surrogates */
    { "a\nb", false },                    /* controls: C0, DEL, C1 */
    { "a\tb", false },
    { "\x1b[31m", false },
    { "\x7f", false },
    { "\xc2\x80", false },
    { "\xc2\x9f", false },
    { "\xc0\x80", false },         /* overlong NUL */
    { "\xc1\xbf", false },         /* overlong in two bytes */
    { "\xe0\x9f\xbf", false },     /* in three */
    { "\xf0\x8f\xbf\xbf", false }, /* in four */
    { "\xed\xa0\x80", false },     /* surrogates */
    { "\xed\xbf\xbf", false },
    { "\xf4\x90\x80\x80", false }, /* U+110000 */
    { "\xf5\x80\x80\x80", false },
    { "\xff", false },
    { "\x80", false }, /* a continuation alone */
    { "\xc3", false }, /* cut short */
    { "\xe6\x97", false },
    { "\xf0\x9f\x8c", false },
    { "\xc3(", false }, /* followed by what is none */
    { "\xe6(\xa5", false },
    { "ok\xf0\x9f\x8c(", false },
};

START_TEST(a_name_is_utf8_without_controls)
{
    ck_assert_msg(wire_name_valid(names[_i].name, 255) == names[_i].valid, "row %d: '%s'", _i,
                  names[_i].name);
}
END_TEST

START_TEST(a_name_has_a_longest)
{
    char *name = sample_letters(256);

    ck_assert(!wire_name_valid(name, 255));
    ck_assert(wire_name_valid(name, 256));
    name[255] = '\0';
    ck_assert(wire_name_valid(name, 255));
    ck_assert(!wire_name_valid(name, 254));
    free(name);
}
END_TEST

/* ---- the table -------------------------------------------------------------------------------- */

/* Packs @request and parses what came out. */
static enum wire_result parse(const wire_request *request, enum mmgc_error *ret_error)
{
    wire_request *parsed;
    uint32_t serial;
    size_t count;
    uint8_t *bytes = sample_pack(&request->base, &count);
    enum wire_result result = wire_parse_request(bytes, count, &parsed, &serial, ret_error);

    ck_assert_uint_eq(serial, request->serial);
    ck_assert((parsed != NULL) == (result == WIRE_OK));
    wire_request_free(parsed);
    free(bytes);
    return result;
}

/* The @n-th string field of @request's body, or NULL. */
static char **string_slot(wire_request *request, unsigned n, const char **ret_field)
{
    ProtobufCMessage *body = (ProtobufCMessage *)request->hello;

    for (unsigned i = 0; i < body->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &body->descriptor->fields[i];
        if (field->type != PROTOBUF_C_TYPE_STRING || n-- > 0)
            continue;
        *ret_field = field->name;
        return (char **)((char *)body + field->offset);
    }
    return NULL;
}

static size_t longest(const char *kind, const char *field)
{
    if (strcmp(field, "plan") == 0)
        return WIRE_PLAN_MAX;
    if (strcmp(field, "options") == 0)
        return WIRE_OPTIONS_MAX;
    if (strcmp(field, "client_name") == 0 || strcmp(kind, "Attach") == 0 ||
        strcmp(kind, "TypeDefine") == 0)
        return WIRE_LABEL_MAX;
    return WIRE_NAME_MAX;
}

START_TEST(every_string_of_every_request_has_a_limit)
{
    const char *field;

    for (unsigned n = 0;; n++) {
        wire_request *request = sample_request_new(sample_request_kind((size_t)_i));
        char **slot = string_slot(request, n, &field);
        if (slot != NULL) {
            enum mmgc_error error,
                expected = strcmp(field, "plan") == 0      ? MMGC_E_NO_PLAN
                           : strcmp(field, "options") == 0 ? MMGC_E_INVALID
                                                           : MMGC_E_NAME_TOO_LONG;
            size_t max = longest(wire_request_name(request), field);
            char *letters = sample_letters(max + 1);
            sample_set_string(slot, letters + 1);
            ck_assert_msg(parse(request, &error) == WIRE_OK, "%s.%s at its longest",
                          wire_request_name(request), field);
            sample_set_string(slot, letters);
            ck_assert_msg(parse(request, &error) == WIRE_INVALID, "%s.%s one longer",
                          wire_request_name(request), field);
            ck_assert_int_eq(error, expected);
            sample_set_string(slot, "tab\tinside");
            ck_assert_msg(parse(request, &error) == WIRE_INVALID, "%s.%s controls",
                          wire_request_name(request), field);
            ck_assert_int_eq(error, expected);
            free(letters);
        }
        wire_request_free(request);
        if (slot == NULL)
            break;
    }
}
END_TEST

START_TEST(what_must_be_named_is_named)
{
    static const unsigned must[] = { WIRE_REQUEST(HEAP_OPEN), WIRE_REQUEST(HEAP_DESTROY),
                                     WIRE_REQUEST(HEAP_INFO), WIRE_REQUEST(TYPE_DEFINE),
                                     WIRE_REQUEST(NAME_SET),  WIRE_REQUEST(NAME_GET) };
    unsigned kind = sample_request_kind((size_t)_i);
    bool needs_name = false;
    const char *field;
    enum mmgc_error error;

    for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++)
        needs_name |= must[i] == kind;
    wire_request *request = sample_request_new(kind);
    for (unsigned n = 0;; n++) {
        char **slot = string_slot(request, n, &field);
        if (slot == NULL)
            break;
        sample_set_string(slot, "");
    }
    ck_assert_int_eq(parse(request, &error), needs_name ? WIRE_INVALID : WIRE_OK);
    wire_request_free(request);
}
END_TEST

static void set_refs(wire_request *request, size_t refs, size_t element_refs)
{
    wire_type_define *type = request->type_define;

    free(type->refs);
    free(type->element_refs);
    type->refs = calloc(refs + 1, sizeof(uint32_t));
    type->element_refs = calloc(element_refs + 1, sizeof(uint32_t));
    type->n_refs = refs;
    type->n_element_refs = element_refs;
    memset(type->refs, 0xff, refs * sizeof(uint32_t)); /* five bytes each on the wire: the most */
    memset(type->element_refs, 0xff, element_refs * sizeof(uint32_t));
}

START_TEST(a_type_has_256_references_at_most)
{
    wire_request *request = sample_request_new(WIRE_REQUEST(TYPE_DEFINE));
    enum mmgc_error error;

    ck_assert_uint_eq(WIRE_REFS_MAX, SHM_TYPE_REFS_MAX);
    ck_assert_uint_eq(WIRE_LABEL_MAX, SHM_TYPE_NAME_MAX);
    set_refs(request, 256, 0);
    ck_assert_int_eq(parse(request, &error), WIRE_OK);
    set_refs(request, 128, 128);
    ck_assert_int_eq(parse(request, &error), WIRE_OK);
    set_refs(request, 128, 129);
    ck_assert_int_eq(parse(request, &error), WIRE_INVALID);
    ck_assert_int_eq(error, MMGC_E_TYPE_LAYOUT);
    set_refs(request, 0, 257);
    ck_assert_int_eq(parse(request, &error), WIRE_INVALID);
    ck_assert_int_eq(error, MMGC_E_TYPE_LAYOUT);
    wire_request_free(request);
}
END_TEST

/* Sets every field of @message to what takes most room and is allowed. */
static void enlarge(wire_request *request)
{
    ProtobufCMessage *body = (ProtobufCMessage *)request->hello;

    request->serial = UINT32_MAX;
    if (request->body_case == WIRE_REQUEST(TYPE_DEFINE))
        set_refs(request, 128, 128);
    for (unsigned i = 0; i < body->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &body->descriptor->fields[i];
        char *at = (char *)body + field->offset;
        if (field->type == PROTOBUF_C_TYPE_STRING) {
            char *letters = sample_letters(longest(wire_request_name(request), field->name));
            sample_set_string((char **)at, letters);
            free(letters);
        } else if (field->label != PROTOBUF_C_LABEL_REPEATED && field->type == PROTOBUF_C_TYPE_UINT64) {
            *(uint64_t *)at = UINT64_MAX;
        } else if (field->label != PROTOBUF_C_LABEL_REPEATED && field->type == PROTOBUF_C_TYPE_UINT32) {
            *(uint32_t *)at = UINT32_MAX;
        }
    }
}

START_TEST(the_largest_request_of_a_kind_fits_and_leaves_room)
{
    unsigned kind = sample_request_kind((size_t)_i);
    wire_request *request = sample_request_new(kind);
    struct wire_limit limit = wire_request_limit(kind);
    enum mmgc_error error;
    size_t count;

    enlarge(request);
    uint8_t *bytes = sample_pack(&request->base, &count);
    ck_assert_uint_le(limit.bytes, WIRE_REQUEST_BYTES_MAX);
    ck_assert_uint_le(count + 32, limit.bytes); /* for fields of later versions */
    ck_assert_int_eq(parse(request, &error), WIRE_OK);
    free(bytes);
    wire_request_free(request);
}
END_TEST

START_TEST(every_reply_has_a_limit_that_a_packet_holds)
{
    struct wire_limit limit = wire_reply_limit(sample_reply_kind((size_t)_i));

    ck_assert_uint_ge(limit.bytes, 64);
    ck_assert_uint_le(limit.bytes, PACKET_BYTES_MAX);
    ck_assert_uint_le(limit.fds_max, PACKET_FDS_MAX);
    ck_assert_uint_le(limit.fds_min, limit.fds_max);
}
END_TEST

static Suite *limit_suite(void)
{
    Suite *suite = suite_create("limit");
    TCase *tc_names = tcase_create("names"), *tc_table = tcase_create("table");
    int requests = 0, replies = 0;

    while (sample_request_kind((size_t)requests) != 0)
        requests++;
    while (sample_reply_kind((size_t)replies) != 0)
        replies++;
    tcase_add_loop_test(tc_names, a_name_is_utf8_without_controls, 0, sizeof(names) / sizeof(names[0]));
    tcase_add_test(tc_names, a_name_has_a_longest);
    suite_add_tcase(suite, tc_names);
    tcase_add_loop_test(tc_table, every_string_of_every_request_has_a_limit, 0, requests);
    tcase_add_loop_test(tc_table, what_must_be_named_is_named, 0, requests);
    tcase_add_test(tc_table, a_type_has_256_references_at_most);
    tcase_add_loop_test(tc_table, the_largest_request_of_a_kind_fits_and_leaves_room, 0, requests);
    tcase_add_loop_test(tc_table, every_reply_has_a_limit_that_a_packet_holds, 0, replies);
    suite_add_tcase(suite, tc_table);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, limit_suite);
}
