/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/text.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/base.h"
#include "tests/support/runner.h"

static const struct {
    const char *given, *printed;
} texts[] = {
    { "", "" },
    { "trees", "trees" },
    { "größe 木 🌲", "größe 木 🌲" },
    { "a\nb\tc\033[31m\x7f", "a\\x0ab\\x09c\\x1b[31m\\x7f" },
    { "back\\slash", "back\\\\slash" },
    { "\xff\xfe", "\\xff\\xfe" },                   /* no UTF-8 */
    { "\xc0\x8a", "\\xc0\\x8a" },                   /* a newline, overlong */
    { "\xed\xa0\x80", "\\xed\\xa0\\x80" },          /* a surrogate */
    { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* past U+10FFFF */
    { "\xe6\x9c", "\\xe6\\x9c" },                   /* cut off */
    { "\xc2\x9b"
      "31m",
      "\\u{9b}31m" }, /* CSI as one character */
    { "txt\xe2\x80\xae"
      "exe",
      "txt\\u{202e}exe" }, /* right to left from here */
    { "\xe2\x80\xa8", "\\u{2028}" },
    { "a\xe2\x80\x8b"
      "b",
      "a\\u{200b}b" }, /* a space that is not seen */
};

START_TEST(what_could_steer_a_terminal_is_escaped)
{
    char *escaped = text_escape(texts[_i].given);

    ck_assert_str_eq(escaped, texts[_i].printed);
    free(escaped);
}
END_TEST

START_TEST(every_single_byte_comes_out_printable)
{
    for (int byte = 1; byte < 256; byte++) {
        char text[] = { (char)byte, '\0' };
        char *escaped = text_escape(text);
        for (const char *c = escaped; *c != '\0'; c++)
            ck_assert_msg(*c >= 0x20 && *c < 0x7f, "byte 0x%x", byte);
        free(escaped);
    }
}
END_TEST

START_TEST(what_is_no_utf8_is_replaced_byte_by_byte)
{
    char *utf8 = text_to_utf8("a\n\xff\xe6\x9c"
                              "木\\");

    ck_assert_str_eq(utf8, "a\n\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                           "木\\");
    free(utf8);
}
END_TEST

START_TEST(columns_count_characters_by_their_width)
{
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        return; /* no such locale: nothing to compare with */
    ck_assert_uint_eq(text_columns(""), 0);
    ck_assert_uint_eq(text_columns("trees"), 5);
    ck_assert_uint_eq(text_columns("größe"), 5);
    ck_assert_uint_eq(text_columns("木"), 2);
}
END_TEST

START_TEST(without_a_locale_a_character_is_one_column)
{
    setlocale(LC_CTYPE, "C");
    ck_assert_uint_eq(text_columns("größe"), 5);
}
END_TEST

static void expect_short(const char *text, size_t columns, const char *expected)
{
    char short_one[64];

    snprintf(short_one, sizeof(short_one), "%s", text);
    text_shorten(short_one, columns);
    ck_assert_str_eq(short_one, expected);
    ck_assert_uint_le(text_columns(short_one), columns);
}

START_TEST(what_is_too_wide_ends_in_two_dots)
{
    expect_short("trees", 5, "trees");
    expect_short("concurrentstickyimmix", 8, "concur..");
    expect_short("größenordnung", 8, "größen..");
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    expect_short("木木木木木", 8, "木木木..");
    expect_short("木木木木木", 9, "木木木..");
    expect_short("", 8, "");
}
END_TEST

static Suite *text_suite(void)
{
    Suite *suite = suite_create("text");
    TCase *escape = tcase_create("escape"), *columns = tcase_create("columns");

    tcase_add_loop_test(escape, what_could_steer_a_terminal_is_escaped, 0, MM_ARRAY_LEN(texts));
    tcase_add_test(escape, every_single_byte_comes_out_printable);
    tcase_add_test(escape, what_is_no_utf8_is_replaced_byte_by_byte);
    tcase_add_test(columns, columns_count_characters_by_their_width);
    tcase_add_test(columns, what_is_too_wide_ends_in_two_dots);
    tcase_add_test(columns, without_a_locale_a_character_is_one_column);
    suite_add_tcase(suite, escape);
    suite_add_tcase(suite, columns);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, text_suite);
}
