/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "proto/wire.h"
#include "tests/support/runner.h"

static const struct {
    const char *name;
    int number;
} rows[] = {
#define ROW(name, number, sentence) { #name, number },
    MMGC_ERRORS(ROW)
#undef ROW
};
static const int row_count = sizeof(rows) / sizeof(rows[0]);

START_TEST(a_row_has_a_number_of_its_own_a_name_and_a_sentence)
{
    const char *sentence = mmgc_error_sentence((enum mmgc_error)rows[_i].number);

    ck_assert_str_eq(mmgc_error_name((enum mmgc_error)rows[_i].number), rows[_i].name);
    ck_assert_uint_ge(strlen(sentence), 8);
    for (int i = 0; i < _i; i++) {
        ck_assert_int_ne(rows[i].number, rows[_i].number);
        ck_assert_str_ne(mmgc_error_sentence((enum mmgc_error)rows[i].number), sentence);
    }
    ck_assert_int_lt(rows[_i].number, MMGC_E_COUNT);
}
END_TEST

START_TEST(a_newer_peers_code_has_a_sentence_too)
{
    static const unsigned codes[] = { MMGC_E_COUNT, 4711, UINT32_MAX };

    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(mmgc_error_name((enum mmgc_error)codes[i]), "UNKNOWN");
        ck_assert_ptr_nonnull(strstr(mmgc_error_sentence((enum mmgc_error)codes[i]), "does not know"));
    }
}
END_TEST

static Suite *error_suite(void)
{
    Suite *suite = suite_create("error");
    TCase *errors = tcase_create("errors");

    tcase_add_loop_test(errors, a_row_has_a_number_of_its_own_a_name_and_a_sentence, 0, row_count);
    tcase_add_test(errors, a_newer_peers_code_has_a_sentence_too);
    suite_add_tcase(suite, errors);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, error_suite);
}
