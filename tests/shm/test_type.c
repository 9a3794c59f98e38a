/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/type.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/runner.h"

#define REFS(...) \
    MM_ARRAY_LEN(((const uint32_t[]){ __VA_ARGS__ })), .refs = (const uint32_t[]) \
    { \
        __VA_ARGS__ \
    }
#define ELEMENT_REFS(...) \
    MM_ARRAY_LEN(((const uint32_t[]){ __VA_ARGS__ })), .element_refs = (const uint32_t[]) \
    { \
        __VA_ARGS__ \
    }
#define KIND(kind, offset) ((uint32_t)SHM_REF_##kind << SHM_REF_KIND_SHIFT | (offset))
#define NAME_63 "123456789 123456789 123456789 123456789 123456789 123456789 123"

static const struct shm_type_layout legal[] = {
    { .name = "empty" },
    { .name = "node", .fixed_bytes = 16, .ref_count = REFS(0, 4) },
    { .name = "last word", .fixed_bytes = 16, .ref_count = REFS(12) },
    { .name = "reference array", .element_bytes = 4, .element_ref_count = ELEMENT_REFS(0) },
    { .name = "byte array", .element_bytes = 1 },
    { .name = "odd", .fixed_bytes = 7, .element_bytes = 3, .ref_count = REFS(0) },
    { .name = "both",
      .fixed_bytes = 12,
      .element_bytes = 8,
      .ref_count = REFS(8),
      .element_ref_count = ELEMENT_REFS(0, 4) },
    { .name = "largest",
      .fixed_bytes = SHM_TYPE_FIXED_MAX,
      .element_bytes = SHM_TYPE_ELEMENT_MAX,
      .ref_count = REFS(SHM_TYPE_FIXED_MAX - 4),
      .element_ref_count = ELEMENT_REFS(SHM_TYPE_ELEMENT_MAX - 4) },
    { .name = "kinds",
      .fixed_bytes = 40,
      .element_bytes = 8,
      .ref_count = REFS(0, KIND(WEAK, 4), KIND(SOFT, 8), KIND(PHANTOM, 16), KIND(EPHEMERON, 20), KIND(QUEUE, 28), KIND(LINK, 36)),
      .element_ref_count = ELEMENT_REFS(KIND(EPHEMERON, 0)) },
    { .name = NAME_63, .fixed_bytes = 8 },
    { .name = "Stra\u00dfe \u20ac \U0001f333", .fixed_bytes = 8 },
    { .name = "\u00a0\uffff\U0010ffff", .fixed_bytes = 8 },
};

static const struct {
    struct shm_type_layout layout;
    const char *why; /* part of the sentence */
} illegal[] = {
    { { .name = NULL }, "needs a name" },
    { { .name = "" }, "needs a name" },
    { { .name = NAME_63 "4" }, "longer than 63" },
    { { .name = "a\nb" }, "control character" },
    { { .name = "\x7f" }, "control character" },
    { { .name = "\xc2\x85" }, "control character" },
    { { .name = "\x80" }, "not UTF-8" }, /* a continuation of nothing */
    { { .name = "\xc3" }, "not UTF-8" }, /* cut short */
    { { .name = "\xe2\x82" }, "not UTF-8" },
    { { .name = "\xf0\x9f\x8c" }, "not UTF-8" },
    { { .name = "\xc3x" }, "not UTF-8" },
    { { .name = "\xc0\xaf" }, "not UTF-8" }, /* overlong */
    { { .name = "\xe0\x80\xaf" }, "not UTF-8" },
    { { .name = "\xf0\x80\x80\xaf" }, "not UTF-8" },
    { { .name = "\xed\xa0\x80" }, "not UTF-8" },     /* a surrogate */
    { { .name = "\xf4\x90\x80\x80" }, "not UTF-8" }, /* past U+10FFFF */
    { { .name = "\xf8\x88\x80\x80\x80" }, "not UTF-8" },
    { { .name = "\xff" }, "not UTF-8" },
    { { .name = "t", .fixed_bytes = SHM_TYPE_FIXED_MAX + 1 }, "fixed part is larger" },
    { { .name = "t", .fixed_bytes = UINT32_MAX }, "fixed part is larger" },
    { { .name = "t", .element_bytes = SHM_TYPE_ELEMENT_MAX + 1 }, "element is larger" },
    { { .name = "t", .fixed_bytes = 8, .ref_count = UINT32_MAX, .element_ref_count = 1 }, "256" },
    { { .name = "t", .fixed_bytes = 8, .ref_count = 1 }, "are missing" },
    { { .name = "t", .element_bytes = 4, .element_ref_count = 1 }, "are missing" },
    { { .name = "t", .fixed_bytes = 8, .ref_count = REFS(2) }, "not at a multiple of 4" },
    { { .name = "t", .element_bytes = 8, .element_ref_count = ELEMENT_REFS(1) }, "not at a multiple" },
    { { .name = "t", .ref_count = REFS(0) }, "outside its part" },
    { { .name = "t", .fixed_bytes = 7, .ref_count = REFS(4) }, "outside its part" },
    { { .name = "t", .fixed_bytes = 8, .ref_count = REFS(8) }, "outside its part" },
    { { .name = "t", .fixed_bytes = 8, .ref_count = REFS(0xfffffc) }, "outside its part" },
    { { .name = "t", .fixed_bytes = 8, .ref_count = REFS(0xfffffffc) }, "no such kind" },
    { { .name = "t", .fixed_bytes = 8, .ref_count = REFS(KIND(KINDS, 0)) }, "no such kind" },
    { { .name = "t", .fixed_bytes = 12, .ref_count = REFS(KIND(SOFT, 8)) }, "outside its part" },
    { { .name = "t", .element_bytes = 4, .element_ref_count = ELEMENT_REFS(KIND(EPHEMERON, 0)) }, "outside its part" },
    { { .name = "t", .fixed_bytes = 12, .ref_count = REFS(KIND(SOFT, 0), 4) }, "within a soft one or an ephemeron" },
    { { .name = "t", .fixed_bytes = 12, .ref_count = REFS(KIND(WEAK, 4), 0) }, "ascending" },
    { { .name = "t", .fixed_bytes = 8, .ref_count = REFS(KIND(QUEUE, 0)) }, "one queue and one link" },
    { { .name = "t", .fixed_bytes = 12, .ref_count = REFS(KIND(QUEUE, 0), KIND(LINK, 4), KIND(LINK, 8)) }, "one queue and one link" },
    { { .name = "t", .element_bytes = 8, .element_ref_count = ELEMENT_REFS(KIND(LINK, 4)) }, "in an element" },
    { { .name = "t", .fixed_bytes = 8, .element_ref_count = ELEMENT_REFS(0) }, "outside its part" },
    { { .name = "t", .element_bytes = 4, .element_ref_count = ELEMENT_REFS(4) }, "outside its part" },
    { { .name = "t", .fixed_bytes = 8, .ref_count = REFS(4, 0) }, "ascending" },
    { { .name = "t", .fixed_bytes = 8, .ref_count = REFS(4, 4) }, "ascending" },
    { { .name = "t", .element_bytes = 8, .element_ref_count = ELEMENT_REFS(4, 0) }, "ascending" },
    { { .name = "t", .fixed_bytes = 6, .element_bytes = 4, .element_ref_count = ELEMENT_REFS(0) },
      "follow a fixed part" },
    { { .name = "t", .element_bytes = 6, .element_ref_count = ELEMENT_REFS(0) }, "no multiple of 4" },
};

START_TEST(legal_layouts_are_accepted)
{
    const char *why = "untouched";

    ck_assert_int_eq(shm_type_check(&legal[_i], &why), 0);
    ck_assert_str_eq(why, "untouched");
}
END_TEST

START_TEST(every_rule_has_its_sentence)
{
    const char *why = "";

    ck_assert_int_eq(shm_type_check(&illegal[_i].layout, &why), -EINVAL);
    ck_assert_msg(strstr(why, illegal[_i].why) != NULL, "%d: \"%s\" has no \"%s\"", _i, why,
                  illegal[_i].why);
}
END_TEST

START_TEST(references_of_both_parts_count_together)
{
    uint32_t offsets[SHM_TYPE_REFS_MAX];
    const char *why = "";

    for (uint32_t i = 0; i < SHM_TYPE_REFS_MAX; i++)
        offsets[i] = 4 * i;
    struct shm_type_layout layout = {
        .name = "many",
        .fixed_bytes = 4096,
        .element_bytes = 4096,
        .ref_count = SHM_TYPE_REFS_MAX - 10,
        .element_ref_count = 10,
        .refs = offsets,
        .element_refs = offsets,
    };
    ck_assert_int_eq(shm_type_check(&layout, &why), 0);
    layout.element_ref_count++;
    ck_assert_int_eq(shm_type_check(&layout, &why), -EINVAL);
    ck_assert_str_eq(why, "the type has more than 256 references");
}
END_TEST

/* A name is read up to its 64th byte and no further: it may lie at the end of a page. */
START_TEST(a_name_without_end_is_refused)
{
    char name[SHM_TYPE_NAME_MAX + 1];
    const char *why = "";

    memset(name, 'x', sizeof(name));
    ck_assert_int_eq(shm_type_check(&(struct shm_type_layout){ .name = name }, &why), -EINVAL);
    ck_assert_str_eq(why, "the type's name is longer than 63 bytes");
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("type");
    TCase *tc = tcase_create("type");

    tcase_add_loop_test(tc, legal_layouts_are_accepted, 0, MM_ARRAY_LEN(legal));
    tcase_add_loop_test(tc, every_rule_has_its_sentence, 0, MM_ARRAY_LEN(illegal));
    tcase_add_test(tc, references_of_both_parts_count_together);
    tcase_add_test(tc, a_name_without_end_is_refused);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
