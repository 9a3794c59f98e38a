/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/config_value.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"

static char path[64], said[8192];

static void set_up(void)
{
    snprintf(path, sizeof(path), "/tmp/mmgcd-config-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void tear_down(void)
{
    (void)unlink(path);
}

/* Runs mmgcd with these arguments after --config PATH; its exit status, and what it said in `said`. */
static int run(const char *file_text, const char *arguments)
{
    char command[512];
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    fputs(file_text, file);
    fclose(file);
    snprintf(command, sizeof(command), "exec %s --config %s %s 2>&1", daemon_program(), path, arguments);
    FILE *output = popen(command, "re");
    ck_assert_ptr_nonnull(output);
    said[fread(said, 1, sizeof(said) - 1, output)] = '\0';
    int status = pclose(output);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect_complaint(const char *file_text, int line, const char *words)
{
    char where[96];

    ck_assert_int_eq(run(file_text, "--check-config"), 2);
    snprintf(where, sizeof(where), "%s:%d: ", path, line);
    ck_assert_msg(strstr(said, where) != NULL && strstr(said, words) != NULL,
                  "expected '%s' and '%s', was told: %s", where, words, said);
}

START_TEST(a_good_file_is_good)
{
    ck_assert_int_eq(
        run("; comment\n[daemon]\nthreads = 3\n  max_heaps=7 ; why\nstop_deadline = 250ms\n\n[heap]\nsize = 8M\n",
            "--check-config"),
        0);
    ck_assert_ptr_nonnull(strstr(said, "valid"));
    ck_assert_int_eq(run("", "--check-config"), 0);
}
END_TEST

START_TEST(mistakes_are_named_by_file_and_line)
{
    expect_complaint("[daemon]\nthreads = 3\nworker = 3\n", 3, "no key 'worker'");
    expect_complaint("\n[deamon]\nthreads = 3\n", 3, "no section [deamon]");
    expect_complaint("threads = 3\n", 1, "before the first section");
    expect_complaint("[daemon]\n\n\nthreads = many\n", 4, "not a whole number");
    expect_complaint("[daemon]\nthreads = 65\n", 2, "0 to 64");
    expect_complaint("[daemon]\nthreads = -1\n", 2, "not a whole number");
    expect_complaint("[daemon]\nstop_deadline = 5\n", 2, "not a time");
    expect_complaint("[daemon]\nstop_policy = murder\n", 2, "abandon strangers kill");
    expect_complaint("[daemon]\nsocket_mode = 0888\n", 2, "not a mode");
    expect_complaint("[daemon]\nsocket =\n", 2, "empty");
    expect_complaint("[heap]\nsize = 8X\n", 2, "not a size");
    expect_complaint("[heap]\nsize = 99999999999G\n", 2, "not a size");
    expect_complaint("[heap]\nsize = 1K\n", 2, "4M to 32G");
    expect_complaint("[daemon]\njust words\n", 2, "neither");
    expect_complaint("[heap]\nplan = imix\n", 2, "nogc immix");
    expect_complaint("[heap]\nsanity = maybe\n", 2, "on or off");
    expect_complaint("[heap]\ngc_trigger = dynamic\n", 2, "dynamic:MIN,MAX");
    expect_complaint("[heap]\nnursery = fixed\n", 2, "fixed:SIZE");
    expect_complaint("[heap]\npause_goal = 1\n", 2, "not a time");
    expect_complaint("[heap]\npause_goal = 11s\n", 2, "0 to 10s");
    expect_complaint("[heap]\nimmix_defrag_headroom_percent = 51\n", 2, "1 to 50");
    expect_complaint("[daemon]\nthread_affinity = somewhere\n", 2, "thread_affinity = somewhere");
    expect_complaint("[daemon]\nworkers = 2\n", 2, "no key 'workers'");
    expect_complaint("[daemon]\n  hello_timeout = 1\n", 2, "not a time");
}
END_TEST

START_TEST(mistakes_in_the_section_of_a_heap_are_named_too)
{
    expect_complaint("[heap trees]\nsize = 8M\nstress = 1M\n", 3, "no key 'stress' in [heap trees]");
    expect_complaint("[heap trees]\n\nsize = 8X\n", 3, "size = 8X: not a size");
    expect_complaint("[heap ]\nsize = 8M\n", 2, "no heap can be called so");
    expect_complaint("[heaptrees]\nsize = 8M\n", 2, "no section [heaptrees]");
    expect_complaint("[heap trees]\nthreads = 2\n", 2, "no key 'threads'");
    ck_assert_int_eq(
        run("[heap]\nmax_size = 16M\nsize = 8M\n[heap trees]\nsize = 32M\n", "--check-config"), 2);
    ck_assert_ptr_nonnull(strstr(said, "trees: size 33554432 is above max_size 16777216"));
    ck_assert_int_eq(run("[heap]\nmax_size = 16M\nsize = 8M\n[heap trees]\nsize = 32M\nmax_size = 1G\n",
                         "--check-config"),
                     0);
}
END_TEST

START_TEST(mistakes_about_users_and_groups_are_named_too)
{
    expect_complaint("[user]\nmax_heap = 3\n", 2, "no key 'max_heap'");
    expect_complaint("[user]\nmax_heaps = few\n", 2, "write one, or unlimited");
    expect_complaint("[user]\nmax_bytes = 4X\n", 2, "write 64M, 2G or unlimited");
    expect_complaint("[user]\nrequests_per_second = 0\n", 2, "1 to 10000000");
    expect_complaint("[user no such user]\nmax_heaps = 3\n", 2, "there is no such user");
    expect_complaint("[user 4294967295]\nmax_heaps = 3\n", 2, "there is no such user");
    expect_complaint("[user 0]\nsize = 3\n", 2, "no key 'size'");
    expect_complaint("[daemon]\nadmin_group = no such group\n", 2, "there is no such group");
    ck_assert_int_eq(run("[daemon]\nadmin_group = root\n[user]\nmax_bytes = unlimited\n[user root]\nmax_heaps = 0\n"
                         "[user 123456]\nmax_heaps = unlimited\n",
                         "--check-config --user-max-types unlimited"),
                     0);
    ck_assert_int_eq(run("", "--check-config --user-max-types many"), 2);
    ck_assert_ptr_nonnull(strstr(said, "--user-max-types many"));
}
END_TEST

START_TEST(every_mistake_is_named_at_once)
{
    ck_assert_int_eq(run("[daemon]\nthreads = x\nmax_heaps = y\n", "--check-config"), 2);
    ck_assert_ptr_nonnull(strstr(said, ":2: "));
    ck_assert_ptr_nonnull(strstr(said, ":3: "));
}
END_TEST

START_TEST(a_line_too_long_is_an_error_not_two_lines)
{
    char text[600] = "[daemon]\nsocket = /";

    memset(text + strlen(text), 'x', 500);
    expect_complaint(text, 2, "too long");
}
END_TEST

START_TEST(the_command_line_is_checked_like_the_file)
{
    ck_assert_int_eq(run("", "--check-config --heap-size 2M"), 2);
    ck_assert_ptr_nonnull(strstr(said, "--heap-size 2M"));
    ck_assert_int_eq(run("", "--check-config --no-such-thing"), 2);
    ck_assert_int_eq(run("", "--check-config stray"), 2);
    ck_assert_ptr_nonnull(strstr(said, "'stray'"));
    ck_assert_int_eq(run("", "--check-config --heap-size 1G --heap-max-size 512M"), 2);
    ck_assert_ptr_nonnull(strstr(said, "max_size"));
    ck_assert_int_eq(run("[heap]\nsize = 1G\nmax_size = 512M\n", "--check-config --heap-max-size 2G"),
                     0); /* it wins */
}
END_TEST

START_TEST(a_missing_file_is_named)
{
    ck_assert_int_eq(run("", "--config /nonexistent/mmgcd.conf --check-config"), 2);
    ck_assert_ptr_nonnull(strstr(said, "/nonexistent/mmgcd.conf"));
}
END_TEST

START_TEST(help_names_every_option_and_version_the_version)
{
    static const char *const names[] = {
        "--socket ",          "--socket-mode ",     "--max-sessions ",
        "--stop-policy ",     "--heap-size ",       "--heap-huge-pages ",
        "--heap-gc-trigger ", "--thread-affinity ", "--heap-immix-defrag-headroom-percent\n",
        "--config ",          "--check-config",     "--foreground"
    };

    ck_assert_int_eq(run("", "--help"), 0);
    for (size_t i = 0; i < MM_ARRAY_LEN(names); i++)
        ck_assert_msg(strstr(said, names[i]) != NULL, "%s", names[i]);
    ck_assert_int_eq(run("", "--version"), 0);
    ck_assert_str_eq(said, "mmgcd " MM_VERSION "\n");
}
END_TEST

START_TEST(the_installed_file_is_valid_and_shows_every_default)
{
    char command[512], line[512];
    const char *root = getenv("MMGC_SOURCE_ROOT");
    int options = 0;

    snprintf(command, sizeof(command),
             "sed 's/^;\\([a-z_]* = \\)/\\1/' %s/systemd/mmgcd.conf >%s && %s --config %s --check-config 2>&1",
             root == NULL ? "." : root, path, daemon_program(), path);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof(command), "%s --list-options", daemon_program());
    FILE *list = popen(command, "re");
    while (fgets(line, sizeof(line), list) != NULL) { /* "daemon.threads\t0\thelp": as the file has it */
        char *key = strchr(line, '.') + 1, *fallback = strchr(line, '\t') + 1;
        key[strcspn(key, "\t")] = '\0';
        fallback[strcspn(fallback, "\t")] = '\0';
        snprintf(command, sizeof(command), "grep -qx ';%s = %s' %s/systemd/mmgcd.conf", key,
                 fallback, root == NULL ? "." : root);
        ck_assert_msg(system(command) == 0, "systemd/mmgcd.conf does not show ';%s = %s'", key,
                      fallback);
        options++;
    }
    pclose(list);
    ck_assert_int_eq(options, (int)(daemon_option_table.count + heap_option_table.count + user_option_table.count));
}
END_TEST

/* ---- by what was read ---- */

static struct config was_read;

/* Reads these two, and what the administrator says of heap @name by them. */
static struct heap_settings settings_of(const char *file_text, const char *name, int argc, char **argv)
{
    struct heap_settings settings;
    char *with_file[8] = { (char *)"mmgcd", (char *)"--config", path };
    FILE *file = fopen(path, "we");

    fputs(file_text, file);
    fclose(file);
    for (int i = 0; i < argc; i++)
        with_file[3 + i] = argv[i];
    ck_assert_int_eq(config_read(&was_read, 3 + argc, with_file), CONFIG_RUN);
    config_heap(&was_read, name, &settings);
    return settings;
}

/* A value of each option that is not its default. */
static const struct {
    const char *key, *value;
} others[] = {
    { "size", "12M" },
    { "max_size", "1G" },
    { "limit", "8M" },
    { "plan", "nogc" },
    { "gc_trigger", "dynamic:4M,12M" },
    { "max_names", "7" },
    { "huge_pages", "never" },
    { "pretouch", "on" },
    { "mode", "0640" },
    { "ignore_system_gc", "on" },
    { "full_heap_system_gc", "on" },
    { "immix_always_defrag", "on" },
    { "immix_defrag_every_block", "on" },
    { "immix_defrag_headroom_percent", "9" },
    { "nursery", "proportional:5,25" },
    { "pause_goal", "500us" },
    { "soft_ms_per_mib", "77" },
    { "count_live_bytes_in_gc", "on" },
    { "stress_factor", "64K" },
    { "precise_stress", "on" },
    { "sanity", "on" },
};

static void expect_value(const struct heap_settings *settings, const char *key, const char *value)
{
    char text[OPTION_TEXT_MAX];

    option_print(option_find(&heap_option_table, key), settings, text);
    ck_assert_str_eq(text, value);
}

static void expect_default(const struct heap_settings *settings, const char *key)
{
    expect_value(settings, key, option_find(&heap_option_table, key)->fallback);
}

START_TEST(every_option_of_a_heap_comes_from_file_section_and_command_line)
{
    const char *key = others[_i].key, *value = others[_i].value;
    char text[160], option[64];

    ck_assert_uint_eq(heap_option_table.count, MM_ARRAY_LEN(others));
    struct heap_settings settings = settings_of("", "trees", 0, NULL);
    expect_default(&settings, key);

    snprintf(text, sizeof(text), "[heap]\n%s = %s\n", key, value);
    settings = settings_of(text, "trees", 0, NULL);
    expect_value(&settings, key, value);

    snprintf(text, sizeof(text), "[heap trees]\n%s = %s\n", key, value);
    settings = settings_of(text, "trees", 0, NULL);
    expect_value(&settings, key, value);
    config_heap(&was_read, "tree", &settings);
    expect_default(&settings, key);
    config_fini(&was_read);

    snprintf(option, sizeof(option), "--heap-%s", key);
    for (char *c = option; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    settings = settings_of("", "trees", 2, (char *[]){ option, (char *)value });
    expect_value(&settings, key, value);
}
END_TEST

START_TEST(the_section_of_a_heap_wins_over_the_command_line_and_that_over_the_file)
{
    char *arguments[] = { (char *)"--heap-plan", (char *)"semispace" };
    static const char file_text[] =
        "[heap]\nplan = marksweep\nmode = 0666\n[heap a b]\nplan = nogc\n[daemon]\n"
        "max_heaps = 3\n[heap a b]\nmode = 0640\n";
    struct heap_settings settings = settings_of(file_text, "a b", 2, arguments);

    expect_value(&settings, "plan", "nogc");
    expect_value(&settings, "mode", "0640");
    config_heap(&was_read, "a", &settings);
    expect_value(&settings, "plan", "semispace");
    expect_value(&settings, "mode", "0666");
    ck_assert_uint_eq(was_read.max_heaps, 3);
    config_fini(&was_read);
}
END_TEST

START_TEST(the_section_of_a_heap_takes_its_whole_name)
{
    char text[256] = "[heap ", name[101] = { 0 };

    memset(name, 'n', 100);
    snprintf(text + strlen(text), 200, "%s]\nplan = nogc\n", name);
    struct heap_settings settings = settings_of(text, name, 0, NULL);
    expect_value(&settings, "plan", "nogc");
    name[99] = '\0'; /* what libinih alone would keep is shorter still */
    config_heap(&was_read, name, &settings);
    expect_value(&settings, "plan", "concurrentstickyimmix");
    config_fini(&was_read);
}
END_TEST

START_TEST(a_printed_default_is_the_text_of_the_table)
{
    static const struct option_table *const tables[] = { &daemon_option_table, &heap_option_table, &user_option_table };
    char text[OPTION_TEXT_MAX];

    (void)settings_of("", "trees", 0, NULL);
    for (size_t t = 0; t < MM_ARRAY_LEN(tables); t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            option_print(&tables[t]->rows[i], t == 0 ? (void *)&was_read : t == 1 ? (void *)&was_read.heap : &was_read.user, text);
            ck_assert_str_eq(text, tables[t]->rows[i].fallback);
        }
}
END_TEST

static uint64_t most_of(uid_t uid, enum quota_kind kind)
{
    const struct user_section *section;
    struct user_limits limits;

    config_user(&was_read, uid, &limits, &section);
    return limits.most[kind];
}

START_TEST(the_section_of_a_user_wins_over_the_command_line_and_that_over_the_file)
{
    enum { ONE = 123456, OTHER = 123457 };
    char *arguments[] = { (char *)"--user-max-heaps", (char *)"6" };
    static const char file_text[] = "[user]\nmax_heaps = 5\nmax_types = 50\n[user 123456]\nmax_heaps = 7\n[user 123456]\nmax_bytes = 1G\n"
                                    "[user 0]\nmax_types = 9\n";

    (void)settings_of(file_text, "trees", 2, arguments);
    ck_assert_uint_eq(most_of(OTHER, QUOTA_HEAPS), 6);
    ck_assert_uint_eq(most_of(OTHER, QUOTA_TYPES), 50);
    ck_assert_uint_eq(most_of(ONE, QUOTA_HEAPS), 7);
    ck_assert_uint_eq(most_of(ONE, QUOTA_BYTES), UINT64_C(1) << 30);
    ck_assert_uint_eq(most_of(ONE, QUOTA_TYPES), 50);
    ck_assert_uint_eq(most_of(0, QUOTA_TYPES), 9); /* root is bound by its own section, and by what that names */
    ck_assert_uint_eq(most_of(0, QUOTA_HEAPS), CONFIG_UNLIMITED);
    config_fini(&was_read);
}
END_TEST

START_TEST(a_flag_has_many_words)
{
    static const char *const words[] = { "on", "off", "true", "false", "yes", "no", "1", "0" };
    static const char *const wrong[] = { "", "On", "2", "on ", "enabled" };
    const struct option_row *row = option_find(&heap_option_table, "sanity");
    struct heap_settings settings;
    const char *why;

    for (size_t i = 0; i < MM_ARRAY_LEN(words); i++) {
        settings.collector.sanity = i % 2 != 0;
        ck_assert_msg(option_set(row, &settings, words[i], &why), "%s", words[i]);
        ck_assert_int_eq(settings.collector.sanity, i % 2 == 0);
    }
    for (size_t i = 0; i < MM_ARRAY_LEN(wrong); i++)
        ck_assert_msg(!option_set(row, &settings, wrong[i], &why), "%s", wrong[i]);
}
END_TEST

START_TEST(numbers_are_read_exactly)
{
    static const struct {
        enum config_type type;
        const char *text;
        uint64_t value; /* 0: refused */
    } rows[] = {
        { CONFIG_TYPE_size, "1", 1 },
        { CONFIG_TYPE_size, "4K", 4096 },
        { CONFIG_TYPE_size, "2m", 2 << 20 },
        { CONFIG_TYPE_size, "1G", 1 << 30 },
        { CONFIG_TYPE_size, "1GB", 0 },
        { CONFIG_TYPE_size, "", 0 },
        { CONFIG_TYPE_size, " 1", 0 },
        { CONFIG_TYPE_size, "+1", 0 },
        { CONFIG_TYPE_size, "0x10", 0 },
        { CONFIG_TYPE_size, "18446744073709551616", 0 },
        { CONFIG_TYPE_size, "17179869184G", 0 },
        { CONFIG_TYPE_time, "5ms", 5000000 },
        { CONFIG_TYPE_time, "2s", 2000000000 },
        { CONFIG_TYPE_time, "1min", UINT64_C(60000000000) },
        { CONFIG_TYPE_time, "5", 0 },
        { CONFIG_TYPE_time, "5us", 5000 },
        { CONFIG_TYPE_time, "5ns", 0 },
    };
    const struct config_range any = { 1, UINT64_MAX, NULL };
    const char *why;

    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++) {
        uint64_t value = 77;
        bool good = config_value_parse(rows[i].type, &any, rows[i].text, &value, sizeof(value), &why);
        ck_assert_msg(good == (rows[i].value != 0), "'%s'", rows[i].text);
        ck_assert_uint_eq(value, good ? rows[i].value : 77);
    }
}
END_TEST

static Suite *config_suite(void)
{
    Suite *suite = suite_create("config");
    TCase *config = tcase_create("config");

    tcase_add_checked_fixture(config, set_up, tear_down);
    tcase_add_test(config, a_good_file_is_good);
    tcase_add_test(config, mistakes_are_named_by_file_and_line);
    tcase_add_test(config, mistakes_in_the_section_of_a_heap_are_named_too);
    tcase_add_test(config, mistakes_about_users_and_groups_are_named_too);
    tcase_add_test(config, every_mistake_is_named_at_once);
    tcase_add_test(config, a_line_too_long_is_an_error_not_two_lines);
    tcase_add_test(config, the_command_line_is_checked_like_the_file);
    tcase_add_test(config, a_missing_file_is_named);
    tcase_add_test(config, help_names_every_option_and_version_the_version);
    tcase_add_test(config, the_installed_file_is_valid_and_shows_every_default);
    tcase_add_loop_test(config, every_option_of_a_heap_comes_from_file_section_and_command_line, 0,
                        MM_ARRAY_LEN(others));
    tcase_add_test(config, the_section_of_a_heap_wins_over_the_command_line_and_that_over_the_file);
    tcase_add_test(config, the_section_of_a_heap_takes_its_whole_name);
    tcase_add_test(config, a_printed_default_is_the_text_of_the_table);
    tcase_add_test(config, the_section_of_a_user_wins_over_the_command_line_and_that_over_the_file);
    tcase_add_test(config, a_flag_has_many_words);
    tcase_add_test(config, numbers_are_read_exactly);
    suite_add_tcase(suite, config);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, config_suite);
}
