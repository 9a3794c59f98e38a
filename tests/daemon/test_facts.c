/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(4) << 20)

static struct daemon *d;
static struct raw admin;

static void set_up(void)
{
    d = daemon_start("[daemon]\nthreads = 2\nmax_heaps = 200\nmax_threads = 300\n");
    raw_start(&admin, d, "admin");
}

static void tear_down(void)
{
    raw_close(&admin);
    daemon_stop(d);
}

START_TEST(heaps_are_listed_by_name_in_pages)
{
    enum { HEAPS = 150 };
    struct raw c[HEAPS];
    char name[16], last[WIRE_NAME_MAX + 1] = "";
    int seen = 0, pages = 0;
    bool more = true;
    RAW(list, HEAP_LIST, heap_list);

    for (int i = 0; i < HEAPS; i++) {
        snprintf(name, sizeof(name), "heap-%03d", (i * 37) % HEAPS);
        raw_start(&c[i], d, "maker");
        raw_open(&c[i], name, HEAP_BYTES);
    }
    for (; more; pages++) {
        list_body.after = last;
        wire_reply *reply = raw_ask(&admin, &list);
        ck_assert_int_eq(reply->body_case, WIRE_REPLY(HEAP_ROWS));
        for (size_t i = 0; i < reply->heap_rows->n_rows; i++, seen++) {
            wire_heap_row *row = reply->heap_rows->rows[i];
            snprintf(name, sizeof(name), "heap-%03d", seen);
            ck_assert_str_eq(row->name, name);
            ck_assert_uint_eq(row->sessions, 1);
            ck_assert_str_eq(row->plan, "concurrentstickyimmix");
            snprintf(last, sizeof(last), "%s", row->name);
        }
        more = reply->heap_rows->more;
        wire_reply_free(reply);
    }
    ck_assert_int_eq(seen, HEAPS);
    ck_assert_int_eq(pages, 3);
    for (int i = 0; i < HEAPS; i++)
        raw_close(&c[i]);
}
END_TEST

START_TEST(a_heap_tells_all_about_itself)
{
    struct raw c;
    struct raw_thread t;
    uint32_t refs[] = { 0 };
    RAW(info, HEAP_INFO, heap_info);

    raw_start(&c, d, "user");
    raw_open(&c, "h", 4 * HEAP_BYTES);
    raw_type(&c, "node", 16, 1, refs);
    raw_attach(&t, &c, "thread");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_BLOCKS, 65536), MMGC_E_OK);
    info_body.name = (char *)"h";
    wire_reply *reply = raw_ask(&admin, &info);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HEAP_FACTS));
    wire_heap_facts *facts = reply->heap_facts;
    ck_assert_uint_eq(facts->row->max_bytes, 4 * HEAP_BYTES);
    ck_assert_uint_eq(facts->limit_bytes, 4 * HEAP_BYTES);
    ck_assert_uint_ge(facts->row->used_bytes, 65536);
    ck_assert_uint_ge(facts->granted_bytes, 65536);
    ck_assert_uint_ge(facts->committed_bytes, 2 << 20);
    ck_assert_uint_ge(facts->resident_bytes, 2 << 20);
    ck_assert_uint_eq(facts->types, 1);
    ck_assert_uint_eq(facts->row->threads, 1);
    ck_assert_uint_eq(facts->workers, 2);
    ck_assert_uint_gt(facts->n_spaces, 0);
    ck_assert_ptr_nonnull(strstr(facts->pages, "pages"));
    wire_reply_free(reply);
    raw_close(&c);
}
END_TEST

START_TEST(clients_are_listed_with_their_threads_in_pages)
{
    enum { CLIENTS = 100 };
    struct raw c[CLIENTS];
    struct raw_thread t;
    uint64_t after = 0;
    int seen = 0;
    bool more = true;
    RAW(clients, CLIENTS, clients);

    for (int i = 0; i < CLIENTS; i++) {
        raw_start(&c[i], d, "one of many");
        raw_open(&c[i], "h", HEAP_BYTES);
        raw_attach(&t, &c[i], "its thread");
    }
    clients_body.heap = (char *)"h";
    while (more) {
        clients_body.after_session = after;
        wire_reply *reply = raw_ask(&admin, &clients);
        ck_assert_int_eq(reply->body_case, WIRE_REPLY(CLIENT_ROWS));
        for (size_t i = 0; i < reply->client_rows->n_rows; i++, seen++) {
            wire_client_row *row = reply->client_rows->rows[i];
            ck_assert_uint_gt(row->session, after);
            ck_assert_str_eq(row->name, "one of many");
            ck_assert_uint_eq(row->pid, (uint32_t)getpid());
            ck_assert_uint_eq(row->uid, getuid());
            ck_assert_uint_eq(row->n_threads, 1);
            ck_assert_str_eq(row->threads[0]->name, "its thread");
            ck_assert_str_eq(row->threads[0]->state, "out");
            after = row->session;
        }
        more = reply->client_rows->more;
        wire_reply_free(reply);
    }
    ck_assert_int_eq(seen, CLIENTS);
    clients_body.heap = (char *)"nowhere";
    ck_assert_int_eq(raw_try(&admin, &clients), MMGC_E_NO_HEAP);
    for (int i = 0; i < CLIENTS; i++)
        raw_close(&c[i]);
}
END_TEST

/* Ten clients of 300 threads with long names are more than a packet, and 300 more than a row. */
START_TEST(a_page_of_clients_ends_where_a_packet_does)
{
    struct raw c[10];
    struct raw_thread t;
    uint64_t after = 0;
    int seen = 0, pages = 0;
    bool more = true;
    RAW(clients, CLIENTS, clients);

    for (size_t i = 0; i < MM_ARRAY_LEN(c); i++) {
        raw_start(&c[i], d, "wide");
        raw_open(&c[i], "h", HEAP_BYTES);
        for (int j = 0; j < 300; j++)
            raw_attach(&t, &c[i], "a thread with a name that is just as long as a name may ever be");
    }
    for (; more; pages++) {
        clients_body.heap = (char *)"h";
        clients_body.after_session = after;
        wire_reply *reply = raw_ask(&admin, &clients);
        ck_assert_int_eq(reply->body_case, WIRE_REPLY(CLIENT_ROWS));
        ck_assert_uint_gt(reply->client_rows->n_rows, 0);
        for (size_t i = 0; i < reply->client_rows->n_rows; i++, seen++) {
            ck_assert_uint_eq(reply->client_rows->rows[i]->n_threads, 256);
            ck_assert_uint_eq(reply->client_rows->rows[i]->thread_count, 300);
            after = reply->client_rows->rows[i]->session;
        }
        more = reply->client_rows->more;
        wire_reply_free(reply);
    }
    ck_assert_int_eq(seen, 10);
    ck_assert_int_gt(pages, 1);
    for (size_t i = 0; i < MM_ARRAY_LEN(c); i++)
        raw_close(&c[i]);
}
END_TEST

START_TEST(named_roots_are_listed_in_pages)
{
    enum { ROOTS = 300 };
    char name[16], last[WIRE_NAME_MAX + 1] = "";
    struct raw c;
    int seen = 0;
    bool more = true;
    RAW(set, NAME_SET, name_set);
    RAW(roots, ROOTS, roots);

    raw_start(&c, d, "user");
    raw_open(&c, "h", HEAP_BYTES);
    set_body.name = name;
    for (int i = 0; i < ROOTS; i++) {
        snprintf(name, sizeof(name), "root-%03d", (i * 7) % ROOTS);
        set_body.ref = 4096 + (uint32_t)((i * 7) % ROOTS);
        ck_assert_int_eq(raw_try(&c, &set), MMGC_E_OK);
    }
    roots_body.heap = (char *)"h";
    while (more) {
        roots_body.after_name = last;
        wire_reply *reply = raw_ask(&admin, &roots);
        ck_assert_int_eq(reply->body_case, WIRE_REPLY(ROOT_ROWS));
        for (size_t i = 0; i < reply->root_rows->n_rows; i++, seen++) {
            snprintf(last, sizeof(last), "root-%03d", seen);
            ck_assert_str_eq(reply->root_rows->rows[i]->name, last);
            ck_assert_uint_eq(reply->root_rows->rows[i]->ref, 4096 + (uint32_t)seen);
        }
        more = reply->root_rows->more;
        wire_reply_free(reply);
    }
    ck_assert_int_eq(seen, ROOTS);
    raw_close(&c);
}
END_TEST

static Suite *facts_suite(void)
{
    Suite *suite = suite_create("facts");
    TCase *facts = tcase_create("facts");

    tcase_add_checked_fixture(facts, set_up, tear_down);
    tcase_add_test(facts, heaps_are_listed_by_name_in_pages);
    tcase_add_test(facts, a_heap_tells_all_about_itself);
    tcase_add_test(facts, clients_are_listed_with_their_threads_in_pages);
    tcase_add_test(facts, a_page_of_clients_ends_where_a_packet_does);
    tcase_add_test(facts, named_roots_are_listed_in_pages);
    suite_add_tcase(suite, facts);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, facts_suite);
}
