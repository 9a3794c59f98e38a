/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/heap_options.h"

#include "shm/base.h"
#include "tests/support/runner.h"

#define MIB (UINT64_C(1) << 20)

static struct trigger_config trigger(const char *text)
{
    struct trigger_config parsed;
    const char *why = "";

    ck_assert_msg(heap_trigger_parse(text, &parsed, &why), "%s: %s", text, why);
    return parsed;
}

START_TEST(a_trigger_is_a_word_or_two_bounds)
{
    ck_assert_int_eq(trigger("fixed").kind, TRIGGER_FIXED);
    ck_assert_int_eq(trigger("delegated").kind, TRIGGER_DELEGATED);
    ck_assert_int_eq(trigger("dynamic:2M,1G").kind, TRIGGER_DYNAMIC);
    ck_assert_uint_eq(trigger("dynamic:2M,1G").min_bytes, 2 * MIB);
    ck_assert_uint_eq(trigger("dynamic:2M,1G").max_bytes, 1024 * MIB);
    ck_assert_uint_eq(trigger("dynamic:8m,8388608").max_bytes, 8 * MIB);
}
END_TEST

START_TEST(what_is_no_trigger_is_refused_and_changes_nothing)
{
    static const char *const wrong[] = { "",
                                         "Fixed",
                                         "dynamic",
                                         "dynamic:",
                                         "dynamic:16M",
                                         "dynamic:16M,",
                                         "dynamic:,16M",
                                         "dynamic:16M,8M",
                                         "dynamic:1M,16M",
                                         "dynamic:16M,33G",
                                         "dynamic:16M,32M,64M",
                                         "dynamic: 16M,32M",
                                         "delegated:16M,32M",
                                         "dynamic:000000000000000000000000016M,32M" };
    struct trigger_config parsed = { TRIGGER_DELEGATED, 1, 2 };

    for (size_t i = 0; i < MM_ARRAY_LEN(wrong); i++) {
        const char *why = NULL;
        ck_assert_msg(!heap_trigger_parse(wrong[i], &parsed, &why), "'%s'", wrong[i]);
        ck_assert_ptr_nonnull(why);
        ck_assert_int_eq(parsed.kind, TRIGGER_DELEGATED);
        ck_assert_uint_eq(parsed.min_bytes + parsed.max_bytes, 3);
    }
}
END_TEST

static Suite *heap_options_suite(void)
{
    Suite *suite = suite_create("heap_options");
    TCase *triggers = tcase_create("triggers");

    tcase_add_test(triggers, a_trigger_is_a_word_or_two_bounds);
    tcase_add_test(triggers, what_is_no_trigger_is_refused_and_changes_nothing);
    suite_add_tcase(suite, triggers);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, heap_options_suite);
}
