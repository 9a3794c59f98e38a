/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/heap/bitmap.h"

#include <string.h>

#include "tests/support/runner.h"

#define BITS 512u

static _Atomic uint64_t words[BITS / 64];

static void setup(void)
{
    memset((void *)words, 0, sizeof(words));
}

START_TEST(ranges_touch_their_bits_and_no_others)
{
    for (uint64_t first = 0; first < 200; first += 7)
        for (uint64_t end = first; end < BITS; end += 13) {
            setup();
            bitmap_set_range(words, first, end);
            uint64_t wrong = 0;
            for (uint64_t i = 0; i < BITS; i++)
                wrong += bitmap_test(words, i) != (i >= first && i < end);
            memset((void *)words, 0xff, sizeof(words));
            bitmap_clear_range(words, first, end);
            for (uint64_t i = 0; i < BITS; i++)
                wrong += bitmap_test(words, i) == (i >= first && i < end);
            ck_assert_uint_eq(wrong, 0);
        }
}
END_TEST

START_TEST(finding_agrees_with_looking_at_each_bit)
{
    const uint64_t bits[] = { 3, 63, 64, 65, 200, 319, 320, 511 };
    for (size_t i = 0; i < MM_ARRAY_LEN(bits); i++)
        bitmap_set(words, bits[i]);
    for (uint64_t first = 0; first < BITS; first++) {
        uint64_t set = first, clear = first, below = first;
        while (set < BITS && !bitmap_test(words, set))
            set++;
        while (clear < BITS && bitmap_test(words, clear))
            clear++;
        while (below > 2 && !bitmap_test(words, below))
            below--;
        bool good = bitmap_find_set(words, first, BITS) == set &&
                    bitmap_find_clear(words, first, BITS) == clear &&
                    (first < 3 || bitmap_find_below(words, first, 3) == below) &&
                    bitmap_find_set(words, first, first) == first;
        if (!good)
            ck_abort_msg("from bit %u", (unsigned)first);
    }
    ck_assert(bitmap_find_below(words, 62, 4) == BITMAP_NONE);
    ck_assert_uint_eq(bitmap_find_set(words, 66, 200), 200);
}
END_TEST

START_TEST(one_of_many_sets_a_bit)
{
    ck_assert(bitmap_set_shared(words, 77));
    ck_assert(!bitmap_set_shared(words, 77));
    bitmap_clear(words, 77);
    ck_assert(bitmap_set_shared(words, 77));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *s = suite_create("bitmap");
    TCase *tc = tcase_create("bitmap");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, ranges_touch_their_bits_and_no_others);
    tcase_add_test(tc, finding_agrees_with_looking_at_each_bit);
    tcase_add_test(tc, one_of_many_sets_a_bit);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make_suite);
}
