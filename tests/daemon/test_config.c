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
        run("; comment\n[daemon]\nworkers = 3\n  max_heaps=7 ; why\nstop_deadline = 250ms\n\n[heap]\nsize = 8M\n",
            "--check-config"),
        0);
    ck_assert_ptr_nonnull(strstr(said, "valid"));
    ck_assert_int_eq(run("", "--check-config"), 0);
}
END_TEST

START_TEST(mistakes_are_named_by_file_and_line)
{
    expect_complaint("[daemon]\nworkers = 3\nworker = 3\n", 3, "no key 'worker'");
    expect_complaint("\n[deamon]\nworkers = 3\n", 3, "no section [deamon]");
    expect_complaint("workers = 3\n", 1, "before the first section");
    expect_complaint("[daemon]\n\n\nworkers = many\n", 4, "not a whole number");
    expect_complaint("[daemon]\nworkers = 65\n", 2, "0 to 64");
    expect_complaint("[daemon]\nworkers = -1\n", 2, "not a whole number");
    expect_complaint("[daemon]\nstop_deadline = 5\n", 2, "not a time");
    expect_complaint("[daemon]\nstop_policy = murder\n", 2, "abandon strangers kill");
    expect_complaint("[daemon]\nsocket_mode = 0888\n", 2, "not a mode");
    expect_complaint("[daemon]\nsocket =\n", 2, "empty");
    expect_complaint("[heap]\nsize = 8X\n", 2, "not a size");
    expect_complaint("[heap]\nsize = 99999999999G\n", 2, "not a size");
    expect_complaint("[heap]\nsize = 1K\n", 2, "4M to 32G");
    expect_complaint("[daemon]\njust words\n", 2, "neither");
    expect_complaint("[daemon]\n  hello_timeout = 1\n", 2, "not a time");
}
END_TEST

START_TEST(every_mistake_is_named_at_once)
{
    ck_assert_int_eq(run("[daemon]\nworkers = x\nmax_heaps = y\n", "--check-config"), 2);
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
    static const char *const names[] = { "--socket ",      "--socket-mode ", "--max-sessions ",
                                         "--stop-policy ", "--heap-size ",   "--heap-huge-pages ",
                                         "--config ",      "--check-config", "--foreground" };

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
    while (fgets(line, sizeof(line), list) != NULL) { /* "daemon.workers\t0\thelp": as the file has it */
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
    ck_assert_int_eq(options, 16);
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
        { CONFIG_TYPE_time, "5us", 0 },
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
    tcase_add_test(config, every_mistake_is_named_at_once);
    tcase_add_test(config, a_line_too_long_is_an_error_not_two_lines);
    tcase_add_test(config, the_command_line_is_checked_like_the_file);
    tcase_add_test(config, a_missing_file_is_named);
    tcase_add_test(config, help_names_every_option_and_version_the_version);
    tcase_add_test(config, the_installed_file_is_valid_and_shows_every_default);
    tcase_add_test(config, numbers_are_read_exactly);
    suite_add_tcase(suite, config);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, config_suite);
}
