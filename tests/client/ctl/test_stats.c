/* SPDX-License-Identifier: Apache-2.0 */
/* top and map in front of a daemon that is not honest: an error by name, nothing that steers a terminal, no end that does not come. */
#include <string.h>

#include "shm/base.h"
#include "tests/client/ctl/fake.h"
#include "tests/client/ctl/run.h"
#include "tests/support/runner.h"

#define HOSTILE_HEAP "ce\ndar\033[31m"
#define HOSTILE_KIND "im\033mix"

enum way { HONEST, NO_ROW, NO_STOPS, NO_TOTALS, FEW_BUCKETS, FEW_PAUSE_BUCKETS, SAME_PAGE, NO_SUCH_KIND, UNEQUAL };
static const struct {
    const char *command;
    enum way way;
} lies[] = {
    { "top", NO_ROW },      { "top", NO_STOPS },          { "top", NO_TOTALS },
    { "top", FEW_BUCKETS }, { "top", FEW_PAUSE_BUCKETS }, { "top", SAME_PAGE },
    { "blocks", NO_SUCH_KIND }, { "blocks", UNEQUAL },
};

static bool answer_stats(int sock, const wire_request *request, enum way way)
{
    uint64_t ends[] = { 1000, 2000 }, buckets[] = { 1, 2 };
    wire_heap_row row = wire_heap_row_init();
    wire_pause_stats stops = wire_pause_stats_init(), pause = wire_pause_stats_init(), *pauses[] = { &pause };
    wire_heap_stats heap = wire_heap_stats_init(), *rows[] = { &heap };
    wire_daemon_stats daemon = wire_daemon_stats_init();
    wire_stats_rows page = wire_stats_rows_init();
    wire_reply reply = wire_reply_init();

    row.name = (char *)(way == SAME_PAGE ? "again" : HOSTILE_HEAP);
    row.plan = (char *)"immix";
    stops.buckets = pause.buckets = buckets;
    stops.n_buckets = way == FEW_BUCKETS ? 1 : 2;
    pause.n_buckets = way == FEW_PAUSE_BUCKETS ? 0 : 2;
    heap.row = way == NO_ROW ? NULL : &row;
    heap.stops = way == NO_STOPS ? NULL : &stops;
    heap.pauses = pauses;
    heap.n_pauses = 1;
    page.rows = rows;
    page.n_rows = 1;
    page.more = way == SAME_PAGE;
    page.daemon = way == NO_TOTALS ? NULL : &daemon;
    page.bucket_ns = ends;
    page.n_bucket_ns = 2;
    reply.body_case = WIRE_REPLY(STATS_ROWS);
    reply.stats_rows = &page;
    return fake_reply(sock, request, &reply);
}

static bool answer_blocks(int sock, const wire_request *request, enum way way)
{
    uint8_t kinds[] = { 0, way == NO_SUCH_KIND ? 2 : 1 }, used[] = { 0, 255 };
    char *names[] = { (char *)"free", (char *)HOSTILE_KIND };
    wire_block_map map = wire_block_map_init();
    wire_reply reply = wire_reply_init();

    map.block_bytes = 32768;
    map.blocks = 4;
    map.blocks_a_cell = 2;
    map.kinds.data = kinds;
    map.kinds.len = 2;
    map.used.data = used;
    map.used.len = way == UNEQUAL ? 1 : 2;
    map.kind_names = names;
    map.n_kind_names = 2;
    reply.body_case = WIRE_REPLY(BLOCK_MAP);
    reply.block_map = &map;
    return fake_reply(sock, request, &reply);
}

static bool answer(int sock, const wire_request *request, void *context)
{
    switch (request->body_case) {
    case WIRE_REQUEST(HELLO): return fake_welcome(sock, request);
    case WIRE_REQUEST(STATS): return answer_stats(sock, request, *(enum way *)context);
    case WIRE_REQUEST(BLOCKS): return answer_blocks(sock, request, *(enum way *)context);
    default: return fake_error(sock, request, MMGC_E_UNSUPPORTED, "");
    }
}

START_TEST(what_does_not_fit_together_is_a_protocol_error)
{
    enum way way = lies[_i].way;
    struct fake *fake = fake_start(answer, &way);
    struct ctl_run run = strcmp(lies[_i].command, "top") == 0 ? ctl_run(fake_socket(fake), "top", "--json", NULL)
                                                              : ctl_run(fake_socket(fake), "blocks", "h", "--json", NULL);
    json_t *json = parse_json(run.out);

    ck_assert_int_eq(run.status, 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "error"), "name")), "PROTOCOL");
    json_decref(json);
    ctl_run_free(&run);
    fake_stop(fake);
}
END_TEST

START_TEST(what_others_have_named_does_not_steer_a_terminal)
{
    enum way way = HONEST;
    struct fake *fake = fake_start(answer, &way);
    struct ctl_run run = ctl_run(fake_socket(fake), "top", "--batch", "--iterations=1", NULL);

    ck_assert_int_eq(run.status, 0);
    ck_assert_ptr_nonnull(strstr(run.out, "ce\\x0adar\\x1b[31m"));
    ck_assert_ptr_null(strchr(run.out, '\033'));
    ctl_run_free(&run);
    run = ctl_run(fake_socket(fake), "blocks", "h", NULL);
    ck_assert_int_eq(run.status, 0);
    ck_assert_ptr_nonnull(strstr(run.out, "h: 64.0 KiB a character\n"));
    ck_assert_ptr_nonnull(strstr(run.out, "  -?\n"));
    ck_assert_ptr_null(strchr(run.out, '\033'));
    ctl_run_free(&run);
    fake_stop(fake);
}
END_TEST

static Suite *stats_suite(void)
{
    Suite *suite = suite_create("stats");
    TCase *stats = tcase_create("stats");

    tcase_add_loop_test(stats, what_does_not_fit_together_is_a_protocol_error, 0, MM_ARRAY_LEN(lies));
    tcase_add_test(stats, what_others_have_named_does_not_steer_a_terminal);
    suite_add_tcase(suite, stats);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, stats_suite);
}
