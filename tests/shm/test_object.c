/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/object.h"

#include "shm/type.h"
#include "tests/support/runner.h"

START_TEST(a_header_gives_back_what_it_was_made_of)
{
    uint64_t header = object_header(OBJECT_TYPE_MAX, UINT32_MAX);

    ck_assert_uint_eq(object_header_type(header), OBJECT_TYPE_MAX);
    ck_assert_uint_eq(object_header_length(header), UINT32_MAX);
    header = object_header(1, 7);
    ck_assert_uint_eq(header, UINT64_C(0x700000001));
    ck_assert_uint_eq(object_header_identity(header, true), 0);
    ck_assert_uint_eq(object_header_identity(object_header(1, 0), false), 0);
}
END_TEST

START_TEST(an_identity_changes_nothing_else)
{
    uint64_t array = object_header_identified(object_header(OBJECT_TYPE_MAX, 7), true, OBJECT_IDENTITY_MAX);
    uint64_t plain = object_header_identified(object_header(OBJECT_TYPE_MAX, 0), false, UINT32_MAX);

    ck_assert_uint_eq(object_header_type(array), OBJECT_TYPE_MAX);
    ck_assert_uint_eq(object_header_length(array), 7);
    ck_assert_uint_eq(object_header_identity(array, true), OBJECT_IDENTITY_MAX);
    ck_assert_uint_eq(object_header_type(plain), OBJECT_TYPE_MAX);
    ck_assert_uint_eq(object_header_identity(plain, false), UINT32_MAX);
    ck_assert(object_header_is_sound(array, true) && object_header_is_sound(plain, false));
    ck_assert(!object_header_is_moved(array) && !object_header_is_moved(plain));
}
END_TEST

START_TEST(other_bits_are_unsound)
{
    for (unsigned bit = OBJECT_IDENTITY_SHIFT; bit < 32; bit++) {
        ck_assert(!object_header_is_sound(object_header(1, 0) | UINT64_C(1) << bit, false));
        ck_assert(object_header_is_sound(object_header(1, 0) | UINT64_C(1) << bit, true) == (bit != 31));
    }
    ck_assert(!object_header_is_sound(object_header_moved(UINT32_MAX), true));
    ck_assert(!object_header_is_sound(object_header_moved(1), false));
}
END_TEST

START_TEST(no_header_of_a_type_is_the_padding_word)
{
    ck_assert_uint_ne(object_header(1, 0), 0);
    ck_assert_uint_eq(object_header_type(0), 0);
}
END_TEST

START_TEST(sizes_are_whole_granules_with_header_and_a_payload)
{
    ck_assert_uint_eq(object_bytes(0, 0, 0), MM_OBJECT_MIN_BYTES);
    ck_assert_uint_eq(object_bytes(1, 0, 0), 16);
    ck_assert_uint_eq(object_bytes(8, 0, 0), 16);
    ck_assert_uint_eq(object_bytes(9, 0, 0), 24);
    ck_assert_uint_eq(object_bytes(0, 4, 3), 24);
    ck_assert_uint_eq(object_bytes(4, 1, 5), 24);
    ck_assert_uint_eq(object_bytes(16, 0, UINT32_MAX), 24);
}
END_TEST

START_TEST(the_largest_object_of_a_legal_type_does_not_overflow)
{
    uint64_t payload = SHM_TYPE_FIXED_MAX + (uint64_t)SHM_TYPE_ELEMENT_MAX * UINT32_MAX;

    ck_assert_uint_eq(object_bytes(SHM_TYPE_FIXED_MAX, SHM_TYPE_ELEMENT_MAX, UINT32_MAX),
                      OBJECT_HEADER_BYTES + payload);
    ck_assert_uint_gt(payload, MM_ARENA_MAX_BYTES); /* so comparing with an arena refuses it */
}
END_TEST

/* Nobody defines such a type; a forged size must still not wrap to a small one. */
START_TEST(not_even_impossible_sizes_wrap)
{
    ck_assert_uint_eq(object_bytes(UINT32_MAX, UINT32_MAX, UINT32_MAX), UINT64_C(0xffffffff00000008));
}
END_TEST

START_TEST(sizes_grow_with_the_length)
{
    static const uint32_t elements[] = { 1, 3, 4, 8, 4096, SHM_TYPE_ELEMENT_MAX };
    uint64_t last = object_bytes(0, elements[_i], 0);

    for (uint32_t bit = 0; bit < 32; bit++) {
        uint64_t bytes = object_bytes(0, elements[_i], UINT32_C(1) << bit);
        ck_assert_uint_ge(bytes, last);
        ck_assert_uint_eq(bytes % MM_GRANULE_BYTES, 0);
        last = bytes;
    }
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("object");
    TCase *tc = tcase_create("object");

    tcase_add_test(tc, a_header_gives_back_what_it_was_made_of);
    tcase_add_test(tc, an_identity_changes_nothing_else);
    tcase_add_test(tc, other_bits_are_unsound);
    tcase_add_test(tc, no_header_of_a_type_is_the_padding_word);
    tcase_add_test(tc, sizes_are_whole_granules_with_header_and_a_payload);
    tcase_add_test(tc, the_largest_object_of_a_legal_type_does_not_overflow);
    tcase_add_test(tc, not_even_impossible_sizes_wrap);
    tcase_add_loop_test(tc, sizes_grow_with_the_length, 0, 6);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
