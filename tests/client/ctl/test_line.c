/* SPDX-License-Identifier: Apache-2.0 */
/* The command line and the way to the daemon: wrong use, no daemon, and daemons that misbehave. */
#include <string.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/client/ctl/fake.h"
#include "tests/client/ctl/run.h"
#include "tests/support/runner.h"

#define NOWHERE "/nonexistent/mmgcd.sock"

#define assert_has(text_, part) \
    ck_assert_msg(strstr(text_, part) != NULL, "no '%s' in:\n%s", part, text_)

/* ---- the line -------------------------------------------------------------------------------- */

static const struct {
    const char *words[4], *said;
} wrong_lines[] = {
    { { NULL }, "A command is missing" },
    { { "frobnicate" }, "there is no command 'frobnicate'" },
    { { "info" }, "info needs a heap's name" },
    { { "gc", "a", "b" }, "gc takes one name only" },
    { { "list", "a" }, "list takes no 'a'" },
    { { "info", "" }, "cannot be a heap's name" },
    { { "info", "a\nb" }, "cannot be a heap's name" },
    { { "list", "--sort=name" }, "list does not know --sort" },
    { { "list", "--force" }, "list does not know --force" },
    { { "info", "a", "-n3" }, "info does not know --limit" },
    { { "list", "-n", "many" }, "--limit takes a number, not 'many'" },
    { { "list", "--timeout=soon" }, "--timeout takes a time" },
    { { "histogram", "a", "--sort=age" }, "--sort takes bytes, objects or name, not 'age'" },
    { { "list", "--frob" }, "unrecognized option '--frob'" },
    { { "list", "--socket" }, "requires an argument" },
    { { "resize", "a" }, "resize needs a heap's name and a size" },
    { { "resize", "a", "1M", "b" }, "resize needs a heap's name and a size" },
    { { "resize", "a", "much" }, "resize takes a size like 4096, 512M or 2G, not 'much'" },
    { { "resize", "a", "1MiB" }, "resize takes a size" },
    { { "trigger" }, "trigger needs a heap's name" },
    { { "trigger", "a", "--grow=-1" }, "--grow takes a size" },
    { { "trigger", "a", "--up-to=17179869184G" }, "--up-to takes a size" },
    { { "trace" }, "trace needs a heap's name" },
    { { "trace", "a", "--for=soon" }, "--for takes a time" },
    { { "trace", "a", "--collections=all" }, "--collections takes a number" },
    { { "list", "--for=1s" }, "list does not know --for" },
    { { "watch", "a", "b" }, "there is no event 'b'" },
    { { "watch", "limit", "a" }, "there is no event 'a'" },
    { { "gc", "a", "--grow=1M" }, "gc does not know --grow" },
    { { "snapshot", "a" }, "snapshot needs a heap's name, and what comes after it" },
    { { "why", "a" }, "why needs a heap's name, and what comes after it" },
    { { "why", "--from=f" }, "why needs more words" },
    { { "why", "--from=f", "a", "b" }, "why takes no 'b'" },
    { { "retained" }, "retained needs a heap's name" },
    { { "retained", "--from=f", "a" }, "retained takes no 'a'" },
    { { "retained", "a", "--by=colour" }, "--by takes type, client or object, not 'colour'" },
    { { "show", "a\nb", "0x8" }, "cannot be a heap's name" },
    { { "snapshot", "a", "f", "--from=f" }, "snapshot does not know --from" },
    { { "gc", "a", "--anyway" }, "gc does not know --anyway" },
    { { "why", "a", "b", "--follow" }, "why does not know --follow" },
    { { "dump", "a" }, "dump needs a heap's name, and what comes after it" },
    { { "dump", "--from=f", "g", "h" }, "dump takes no 'h'" },
    { { "diff", "a" }, "diff takes two files" },
    { { "map", "a", "--columns=many" }, "--columns takes a number, not 'many'" },
    { { "info", "a", "--since=m" }, "info does not know --since" },
    { { "dump", "a", "b", "--color" }, "dump does not know --color" },
    { { "help", "frob" }, "there is no command 'frob'" },
};

START_TEST(a_wrong_line_is_status_2_and_says_why)
{
    const char *const *w = wrong_lines[_i].words;
    struct ctl_run run = ctl_run(NOWHERE, w[0], w[1], w[2], w[3], NULL);

    ck_assert_int_eq(run.status, 2);
    ck_assert_str_eq(run.out, "");
    assert_has(run.err, wrong_lines[_i].said);
    ck_assert_int_eq(strncmp(run.err, "mmgcctl: ", 9), 0);
    assert_has(run.err, "Try `mmgcctl --help`.\n");
    ctl_run_free(&run);
}
END_TEST

START_TEST(help_is_an_answer_on_stdout)
{
    static const char *const words[][2] = {
        { "--help" }, { "-h" }, { "help" }, { "list", "--help" }, { "help", "gc" }
    };
    struct ctl_run run = ctl_run(NOWHERE, words[_i][0], words[_i][1], NULL);

    ck_assert_int_eq(run.status, 0);
    ck_assert_str_eq(run.err, "");
    assert_has(run.out, "usage: mmgcctl ");
    assert_has(run.out, "--socket=PATH");
    ctl_run_free(&run);
}
END_TEST

START_TEST(help_names_every_command)
{
    static const char *const names[] = {
        "list",
        "top [HEAP]",
        "info HEAP",
        "clients [HEAP]",
        "threads [HEAP]",
        "users",
        "histogram HEAP",
        "roots HEAP",
        "handles",
        "leases",
        "revoke HEAP SESSION SLOT",
        "evict SESSION",
        "snapshot HEAP FILE",
        "dump HEAP FILE",
        "why HEAP WHAT",
        "retained HEAP",
        "show HEAP OBJECT",
        "find HEAP TYPE [FIELD=VALUE]",
        "blocks HEAP",
        "map HEAP",
        "diff FILE FILE",
        "gc HEAP",
        "verify HEAP",
        "resize HEAP SIZE",
        "trigger",
        "trace",
        "watch",
        "destroy",
        "profile",
        "serve",
        "ping",
        "help",
    };
    struct ctl_run run = ctl_run(NOWHERE, "--help", NULL);

    for (size_t i = 0; i < MM_ARRAY_LEN(names); i++)
        assert_has(run.out, names[i]);
    ctl_run_free(&run);
    run = ctl_run(NOWHERE, "help", "--json", NULL);
    json_auto_t *json = parse_json(run.out);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "commands")), MM_ARRAY_LEN(names));
    ctl_run_free(&run);
}
END_TEST

START_TEST(version_is_one_line)
{
    struct ctl_run run = ctl_run(NOWHERE, "--version", NULL);

    ck_assert_int_eq(run.status, 0);
    ck_assert_str_eq(run.out, "mmgcctl (mmgcd) " MM_VERSION "\n");
    ctl_run_free(&run);
}
END_TEST

/* ---- no daemon ------------------------------------------------------------------------------- */

START_TEST(no_daemon_is_status_3_and_says_how_to_start_one)
{
    struct ctl_run run = ctl_run(NOWHERE, "list", NULL);

    ck_assert_int_eq(run.status, 3);
    ck_assert_str_eq(run.out, "");
    assert_has(run.err, "mmgcctl: list: no daemon answers on the socket");
    assert_has(run.err, NOWHERE ": No such file or directory\n");
    assert_has(run.err, "systemctl start mmgcd.socket");
    ctl_run_free(&run);
}
END_TEST

START_TEST(no_daemon_in_json_is_a_document_too)
{
    struct ctl_run run = ctl_run("/elsewhere", "list", "--json", "--socket", NOWHERE, NULL);
    json_auto_t *json = parse_json(run.out);

    ck_assert_int_eq(run.status, 3);
    ck_assert_str_eq(run.err, "");
    const json_t *error = json_object_get(json, "error");
    ck_assert_str_eq(json_string_value(json_object_get(error, "name")), "NO_DAEMON");
    assert_has(json_string_value(json_object_get(error, "detail")), NOWHERE);
    ctl_run_free(&run);
}
END_TEST

/* ---- daemons that misbehave ------------------------------------------------------------------ */

struct odd {
    enum {
        SILENT,
        HANGS_UP,
        REFUSES,
        SHUTS_DOWN,
        SILENT_LATER,
        HANGS_UP_LATER,
        SHUTS_DOWN_LATER,
        WRONG_KIND,
        SAME_PAGE,
        NO_ROW,
        NO_REASON
    } way;
};

/* The event that ends a connection; then its end. */
static bool last_word(int sock, enum mmgc_error code)
{
    wire_request nobodys = wire_request_init();

    (void)fake_error(sock, &nobodys, code, "a last word");
    return false;
}

static bool answer_later(const struct odd *odd, int sock, const wire_request *request)
{
    wire_heap_row row = wire_heap_row_init(), *rows[] = { &row };
    wire_heap_rows page = wire_heap_rows_init();
    wire_heap_facts facts = wire_heap_facts_init();
    wire_reply reply = wire_reply_init();

    row.name = (char *)"again";
    page.rows = rows;
    page.n_rows = 1;
    page.more = true;
    switch (odd->way) {
    case SILENT_LATER: return true;
    case SHUTS_DOWN_LATER: return last_word(sock, MMGC_E_SHUTDOWN);
    case WRONG_KIND: return fake_done(sock, request);
    case NO_REASON: return fake_error(sock, request, MMGC_E_OK, "");
    case SAME_PAGE:
        reply.body_case = WIRE_REPLY(HEAP_ROWS);
        reply.heap_rows = &page;
        return fake_reply(sock, request, &reply);
    case NO_ROW:
        reply.body_case = WIRE_REPLY(HEAP_FACTS);
        reply.heap_facts = &facts;
        return fake_reply(sock, request, &reply);
    default: return false;
    }
}

static bool odd_answer(int sock, const wire_request *request, void *context)
{
    const struct odd *odd = context;

    if (request->body_case != WIRE_REQUEST(HELLO))
        return answer_later(odd, sock, request);
    switch (odd->way) {
    case SILENT: return true;
    case HANGS_UP: return false;
    case REFUSES: return last_word(sock, MMGC_E_VERSION);
    case SHUTS_DOWN: return last_word(sock, MMGC_E_SHUTDOWN);
    default: return fake_welcome(sock, request);
    }
}

static const struct {
    struct odd odd;
    const char *words[2];
    int status;
    const char *name, *said;
} oddities[] = {
    { { SILENT }, { "list" }, 3, "TIMEOUT", "waited 500.0 ms; --timeout sets how long" },
    { { HANGS_UP }, { "list" }, 3, "DISCONNECTED", "mmgcd.sock" },
    { { REFUSES }, { "list" }, 1, "VERSION", "a last word" },
    { { SHUTS_DOWN }, { "list" }, 3, "SHUTDOWN", "a last word" },
    { { SILENT_LATER }, { "list" }, 1, "TIMEOUT", "waited 500.0 ms" },
    { { HANGS_UP_LATER }, { "list" }, 1, "DISCONNECTED", "mmgcd.sock" },
    { { SHUTS_DOWN_LATER }, { "list" }, 1, "SHUTDOWN", "a last word" },
    { { WRONG_KIND }, { "list" }, 1, "PROTOCOL", "another question" },
    { { SAME_PAGE }, { "list" }, 1, "PROTOCOL", "do not go on" },
    { { NO_ROW }, { "info", "trees" }, 1, "PROTOCOL", "without a row" },
    { { NO_REASON }, { "list" }, 1, "PROTOCOL", "another question" },
};

START_TEST(an_odd_daemon_is_an_error_with_a_name)
{
    struct odd odd = oddities[_i].odd;
    struct fake *fake = fake_start(odd_answer, &odd);
    const char *const *w = oddities[_i].words;
    struct ctl_run run = ctl_run(fake_socket(fake), "--json", "--timeout=500ms", w[0], w[1], NULL);
    json_auto_t *json = parse_json(run.out);

    ck_assert_int_eq(run.status, oddities[_i].status);
    const json_t *error = json_object_get(json, "error");
    ck_assert_str_eq(json_string_value(json_object_get(error, "name")), oddities[_i].name);
    assert_has(json_string_value(json_object_get(error, "detail")), oddities[_i].said);
    ctl_run_free(&run);
    fake_stop(fake);
}
END_TEST

static bool chatty_answer(int sock, const wire_request *request, void *context)
{
    wire_done done = wire_done_init();
    wire_reply event = wire_reply_init();

    event.body_case = WIRE_REPLY(DONE);
    event.done = &done;
    event.serial = 0;
    ck_assert_int_eq(wire_send_reply(sock, &event, NULL), 0);
    event.serial = 4711;
    ck_assert_int_eq(wire_send_reply(sock, &event, NULL), 0);
    return request->body_case == WIRE_REQUEST(HELLO) ? fake_welcome(sock, request)
                                                     : fake_done(sock, request);
}

START_TEST(events_and_other_peoples_answers_are_passed_over)
{
    struct fake *fake = fake_start(chatty_answer, NULL);
    struct ctl_run run = ctl_run(fake_socket(fake), "ping", NULL);

    ck_assert_str_eq(run.err, "");
    ck_assert_int_eq(run.status, 0);
    ctl_run_free(&run);
    fake_stop(fake);
}
END_TEST

static bool garbage_answer(int sock, const wire_request *request, void *context)
{
    return packet_send(sock, "\xff\xff\xff\xff", 4, NULL) == 0;
}

START_TEST(garbage_is_a_protocol_error)
{
    struct fake *fake = fake_start(garbage_answer, NULL);
    struct ctl_run run = ctl_run(fake_socket(fake), "list", NULL);

    ck_assert_int_eq(run.status, 1);
    assert_has(run.err, "is it of another release?");
    ctl_run_free(&run);
    fake_stop(fake);
}
END_TEST

/* ---- stdout ---------------------------------------------------------------------------------- */

START_TEST(an_answer_that_cannot_be_written_is_a_failure)
{
    if (access("/dev/full", W_OK) < 0)
        return;
    struct ctl_run run = ctl_run_onto("/dev/full", NOWHERE, "--help", NULL);
    ck_assert_int_eq(run.status, 1);
    assert_has(run.err, "mmgcctl: cannot write the answer: No space left on device\n");
    ctl_run_free(&run);
}
END_TEST

static Suite *line_suite(void)
{
    Suite *suite = suite_create("line");
    TCase *line = tcase_create("line"), *nobody = tcase_create("nobody"), *odd = tcase_create("odd");

    tcase_add_loop_test(line, a_wrong_line_is_status_2_and_says_why, 0, MM_ARRAY_LEN(wrong_lines));
    tcase_add_loop_test(line, help_is_an_answer_on_stdout, 0, 5);
    tcase_add_test(line, help_names_every_command);
    tcase_add_test(line, version_is_one_line);
    tcase_add_test(line, an_answer_that_cannot_be_written_is_a_failure);
    tcase_add_test(nobody, no_daemon_is_status_3_and_says_how_to_start_one);
    tcase_add_test(nobody, no_daemon_in_json_is_a_document_too);
    tcase_add_loop_test(odd, an_odd_daemon_is_an_error_with_a_name, 0, MM_ARRAY_LEN(oddities));
    tcase_add_test(odd, events_and_other_peoples_answers_are_passed_over);
    tcase_add_test(odd, garbage_is_a_protocol_error);
    suite_add_tcase(suite, line);
    suite_add_tcase(suite, nobody);
    suite_add_tcase(suite, odd);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, line_suite);
}
