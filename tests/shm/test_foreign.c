/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/foreign.h"

#include "tests/support/runner.h"

static _Alignas(8) unsigned char bytes[32];

START_TEST(loads_read_little_endian_words_at_their_offset)
{
    foreign base = foreign_from(bytes);

    for (unsigned char i = 0; i < sizeof(bytes); i++)
        bytes[i] = i;
    ck_assert_uint_eq(foreign_load32(base, 0), UINT32_C(0x03020100));
    ck_assert_uint_eq(foreign_load32(base, 28), UINT32_C(0x1f1e1d1c));
    ck_assert_uint_eq(foreign_load64(base, 8), UINT64_C(0x0f0e0d0c0b0a0908));
}
END_TEST

START_TEST(a_store_writes_its_four_bytes_only)
{
    foreign base = foreign_from(bytes);

    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = 0xee;
    foreign_store32(base, 4, 0);
    ck_assert_uint_eq(foreign_load32(base, 0), UINT32_C(0xeeeeeeee));
    ck_assert_uint_eq(foreign_load32(base, 4), 0);
    ck_assert_uint_eq(foreign_load32(base, 8), UINT32_C(0xeeeeeeee));
}
END_TEST

START_TEST(addresses_count_bytes_from_the_base)
{
    foreign base = foreign_from(bytes);

    ck_assert_ptr_eq(foreign_address(base, 13), bytes + 13);
    foreign_prefetch(base, sizeof(bytes) - 1);
    foreign_prefetch(foreign_from(NULL), 64); /* never faults */
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("foreign");
    TCase *tc = tcase_create("foreign");

    tcase_add_test(tc, loads_read_little_endian_words_at_their_offset);
    tcase_add_test(tc, a_store_writes_its_four_bytes_only);
    tcase_add_test(tc, addresses_count_bytes_from_the_base);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
