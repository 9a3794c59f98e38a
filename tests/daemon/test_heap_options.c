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

/* ---- nurseries ---- */

static struct heap_nursery nursery(const char *text)
{
    struct heap_nursery parsed;
    const char *why = "";

    ck_assert_msg(heap_nursery_parse(text, &parsed, &why), "%s: %s", text, why);
    return parsed;
}

START_TEST(a_nursery_is_a_size_or_two_bounds)
{
    ck_assert_int_eq(nursery("fixed:8M").kind, HEAP_NURSERY_FIXED);
    ck_assert_uint_eq(nursery("fixed:8M").max_bytes, 8 * MIB);
    ck_assert_uint_eq(nursery("fixed:64K").max_bytes, MIB / 16);
    ck_assert_int_eq(nursery("bounded:2M,32M").kind, HEAP_NURSERY_BOUNDED);
    ck_assert_uint_eq(nursery("bounded:2M,32M").min_bytes, 2 * MIB);
    ck_assert_uint_eq(nursery("bounded:2M,32M").max_bytes, 32 * MIB);
    ck_assert_int_eq(nursery("adaptive:4M,4M").kind, HEAP_NURSERY_ADAPTIVE);
    ck_assert_uint_eq(nursery("adaptive:4M,4M").min_bytes, 4 * MIB);
    ck_assert_int_eq(nursery("proportional:5,25").kind, HEAP_NURSERY_PROPORTIONAL);
    ck_assert_uint_eq(nursery("proportional:5,25").min_percent, 5);
    ck_assert_uint_eq(nursery("proportional:5,25").max_percent, 25);
    ck_assert_uint_eq(nursery("proportional:5,25").max_bytes, 0);
}
END_TEST

START_TEST(what_is_no_nursery_is_refused_and_changes_nothing)
{
    static const char *const wrong[] = { "",
                                         "fixed",
                                         "Fixed:8M",
                                         "fixed:",
                                         "fixed:63K",
                                         "fixed:33G",
                                         "fixed:2M,8M",
                                         "bounded:2M",
                                         "bounded:8M,2M",
                                         "bounded:32K,2M",
                                         "adaptive",
                                         "adaptive: 2M,4M",
                                         "proportional:0,25",
                                         "proportional:25,5",
                                         "proportional:5,101",
                                         "proportional:5M,25M",
                                         "proportional:5%,25%",
                                         "bound:2M,4M",
                                         ":2M,4M" };
    struct heap_nursery parsed = { HEAP_NURSERY_FIXED, 1, 2, 3, 4 };

    for (size_t i = 0; i < MM_ARRAY_LEN(wrong); i++) {
        const char *why = NULL;
        ck_assert_msg(!heap_nursery_parse(wrong[i], &parsed, &why), "'%s'", wrong[i]);
        ck_assert_ptr_nonnull(why);
        ck_assert_int_eq(parsed.kind, HEAP_NURSERY_FIXED);
        ck_assert_uint_eq(parsed.min_bytes + parsed.max_bytes + parsed.min_percent + parsed.max_percent, 10);
    }
}
END_TEST

static Suite *heap_options_suite(void)
{
    TCase *nurseries = tcase_create("nurseries");
    Suite *suite = suite_create("heap_options");
    TCase *triggers = tcase_create("triggers");

    tcase_add_test(triggers, a_trigger_is_a_word_or_two_bounds);
    tcase_add_test(triggers, what_is_no_trigger_is_refused_and_changes_nothing);
    suite_add_tcase(suite, triggers);
    tcase_add_test(nurseries, a_nursery_is_a_size_or_two_bounds);
    tcase_add_test(nurseries, what_is_no_nursery_is_refused_and_changes_nothing);
    suite_add_tcase(suite, nurseries);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, heap_options_suite);
}
