/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)

static struct daemon *d;

static void set_up(void)
{
    d = daemon_start(NULL);
}

static void tear_down(void)
{
    daemon_stop(d);
}

/* The daemon still does its work for others. */
static void expect_others_served(void)
{
    struct raw other;

    raw_start(&other, d, "other");
    ck_assert_int_eq(raw_ping(&other), MMGC_E_OK);
    raw_close(&other);
}

START_TEST(requests_before_hello_are_out_of_order_and_the_end)
{
    struct raw c;

    raw_connect(&c, d);
    ck_assert_int_eq(raw_ping(&c), MMGC_E_ORDER);
    ck_assert_int_eq(raw_last_word(&c), MMGC_E_ORDER);
    expect_others_served();
}
END_TEST

START_TEST(a_second_hello_is_out_of_order_and_changes_nothing)
{
    struct raw c;
    RAW(hello, HELLO, hello);

    raw_start(&c, d, "twice");
    hello_body.version_min = hello_body.version_max = WIRE_VERSION_MAX;
    ck_assert_int_eq(raw_try(&c, &hello), MMGC_E_ORDER);
    ck_assert_int_eq(raw_ping(&c), MMGC_E_OK);
    raw_close(&c);
}
END_TEST

START_TEST(no_version_in_common_is_named_and_the_end)
{
    struct raw c;
    RAW(hello, HELLO, hello);

    raw_connect(&c, d);
    hello_body.version_min = WIRE_VERSION_MAX + 7;
    hello_body.version_max = WIRE_VERSION_MAX + 9;
    ck_assert_int_eq(raw_try(&c, &hello), MMGC_E_VERSION);
    ck_assert_ptr_nonnull(strstr(c.detail, "8 to 10"));
    ck_assert_int_eq(raw_last_word(&c), MMGC_E_VERSION);
}
END_TEST

START_TEST(what_is_no_message_ends_the_connection)
{
    static const char *const texts[] = { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x12",
                                         "\x12\x7f", "GET / HTTP/1.1" };
    struct raw c;

    raw_start(&c, d, "malformed");
    ck_assert_int_eq(packet_send(c.sock, texts[_i], strlen(texts[_i]), NULL), 0);
    ck_assert_int_eq(raw_last_word(&c), MMGC_E_PROTOCOL);
    expect_others_served();
}
END_TEST

START_TEST(a_packet_too_large_is_refused_and_the_connection_goes_on)
{
    static char bytes[PACKET_BYTES_MAX];
    struct raw c;

    raw_start(&c, d, "oversized");
    memset(bytes, 0x7a, sizeof(bytes));
    memcpy(bytes, "\x08\x2a", 2); /* serial 42 */
    ck_assert_int_eq(packet_send(c.sock, bytes, sizeof(bytes), NULL), 0);
    wire_reply *reply = raw_receive(&c, NULL);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(ERROR));
    ck_assert_uint_eq(reply->error->code, MMGC_E_TOO_BIG_MESSAGE);
    wire_reply_free(reply);
    ck_assert_int_eq(raw_ping(&c), MMGC_E_OK);
    raw_close(&c);
}
END_TEST

START_TEST(an_unknown_message_is_unsupported_and_the_connection_goes_on)
{
    struct raw c;

    raw_start(&c, d, "newer");
    ck_assert_int_eq(packet_send(c.sock, "\x08\x07\xfa\x3e\x00", 5, NULL), 0); /* serial 7, field 1007 */
    wire_reply *reply = raw_receive(&c, NULL);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(ERROR));
    ck_assert_uint_eq(reply->error->code, MMGC_E_UNSUPPORTED);
    ck_assert_uint_eq(reply->serial, 7);
    wire_reply_free(reply);
    ck_assert_int_eq(raw_ping(&c), MMGC_E_OK);
    raw_close(&c);
}
END_TEST

START_TEST(fds_that_nobody_asked_for_are_closed)
{
    struct packet_fds fds = { .count = PACKET_FDS_MAX };
    struct raw c;
    RAW(ping, PING, ping);

    raw_start(&c, d, "fds");
    raw_open(&c, "h", HEAP_BYTES);
    int before = daemon_fd_count(d);
    for (size_t i = 0; i < fds.count; i++)
        fds.fd[i] = open("/dev/null", O_RDONLY);
    ping.serial = ++c.serial;
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(wire_send_request(c.sock, &ping, &fds), 0);
    for (int i = 0; i < 50; i++)
        wire_reply_free(raw_receive(&c, NULL));
    raw_close(&c);
    packet_fds_close(&fds);
    ck_assert(daemon_await_fds(d, before + 4)); /* the pool's own */
}
END_TEST

START_TEST(a_heap_is_its_creators_alone)
{
    struct raw c;
    RAW(list, HEAP_LIST, heap_list);
    RAW(info, HEAP_INFO, heap_info);
    RAW(collect, COLLECT, collect);
    RAW(destroy, HEAP_DESTROY, heap_destroy);

    if (geteuid() != 0)
        return; /* it takes two users */
    raw_start(&c, d, "creator");
    raw_open(&c, "mine", HEAP_BYTES);
    raw_close(&c);
    ck_assert_int_eq(chmod(daemon_directory(d), 0755), 0);
    ck_assert_int_eq(seteuid(12345), 0);
    raw_start(&c, d, "another user");
    ck_assert_int_eq(seteuid(0), 0);
    info_body.name = destroy_body.name = collect_body.heap = (char *)"mine";
    ck_assert_int_eq(raw_try_open(&c, "mine", 0), MMGC_E_DENIED);
    ck_assert_int_eq(raw_try_open(&c, "mine", HEAP_BYTES), MMGC_E_DENIED);
    ck_assert_int_eq(raw_try(&c, &info), MMGC_E_DENIED);
    ck_assert_int_eq(raw_try(&c, &collect), MMGC_E_DENIED);
    destroy_body.force = true;
    ck_assert_int_eq(raw_try(&c, &destroy), MMGC_E_DENIED);
    wire_reply *reply = raw_ask(&c, &list);
    ck_assert_uint_eq(reply->heap_rows->n_rows, 0);
    wire_reply_free(reply);
    raw_close(&c);
}
END_TEST

START_TEST(strangers_to_the_user_namespace_are_refused)
{
    struct raw c;

    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chmod(daemon_directory(d), 0755), 0);
    ck_assert_int_eq(seteuid(65534), 0); /* what they appear as */
    raw_connect(&c, d);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(raw_last_word(&c), MMGC_E_DENIED);
    raw_close(&c);
}
END_TEST

START_TEST(unknown_heaps_are_named)
{
    struct raw c;
    RAW(info, HEAP_INFO, heap_info);
    RAW(destroy, HEAP_DESTROY, heap_destroy);

    raw_start(&c, d, "lost");
    ck_assert_int_eq(raw_try_open(&c, "nowhere", 0), MMGC_E_NO_HEAP);
    ck_assert_ptr_nonnull(strstr(c.detail, "nowhere"));
    info_body.name = destroy_body.name = (char *)"nowhere";
    ck_assert_int_eq(raw_try(&c, &info), MMGC_E_NO_HEAP);
    ck_assert_int_eq(raw_try(&c, &destroy), MMGC_E_NO_HEAP);
    raw_close(&c);
}
END_TEST

START_TEST(a_connection_opens_one_heap)
{
    struct raw c;

    raw_start(&c, d, "greedy");
    raw_open(&c, "first", HEAP_BYTES);
    ck_assert_int_eq(raw_try_open(&c, "second", HEAP_BYTES), MMGC_E_ORDER);
    ck_assert_ptr_nonnull(strstr(c.detail, "first"));
    raw_close(&c);
}
END_TEST

START_TEST(exclusive_creation_meets_what_is_there)
{
    struct raw first, second;
    RAW(open, HEAP_OPEN, heap_open);

    raw_start(&first, d, "first");
    raw_open(&first, "once", HEAP_BYTES);
    raw_start(&second, d, "second");
    open_body.name = (char *)"once";
    open_body.create = open_body.exclusive = true;
    ck_assert_int_eq(raw_try(&second, &open), MMGC_E_HEAP_EXISTS);
    raw_close(&first);
    raw_close(&second);
}
END_TEST

START_TEST(impossible_sizes_and_plans_are_refused)
{
    struct raw c;
    RAW(open, HEAP_OPEN, heap_open);

    raw_start(&c, d, "sizes");
    open_body.name = (char *)"huge";
    open_body.create = true;
    open_body.max_bytes = UINT64_MAX;
    ck_assert_int_eq(raw_try(&c, &open), MMGC_E_TOO_LARGE);
    open_body.max_bytes = (UINT64_C(32) << 30) + 1;
    ck_assert_int_eq(raw_try(&c, &open), MMGC_E_TOO_LARGE);
    open_body.max_bytes = HEAP_BYTES;
    open_body.limit_bytes = UINT64_MAX;
    ck_assert_int_eq(raw_try(&c, &open), MMGC_E_INVALID);
    open_body.limit_bytes = 0;
    open_body.plan = (char *)"lottery";
    ck_assert_int_eq(raw_try(&c, &open), MMGC_E_NO_PLAN);
    ck_assert_str_eq(c.detail, "'lottery'");
    ck_assert_int_eq(raw_try_open(&c, "huge", 0), MMGC_E_NO_HEAP);
    raw_open(&c, "tiny", 1);
    ck_assert_uint_eq(c.arena_bytes, 4 << 20);
    raw_close(&c);
}
END_TEST

START_TEST(control_is_read_only_and_says_what_the_heap_is)
{
    struct packet_fds fds;
    struct raw c;
    RAW(open, HEAP_OPEN, heap_open);

    raw_start(&c, d, "reader");
    open_body.name = (char *)"page";
    open_body.create = true;
    open_body.read_only = true;
    open_body.max_bytes = HEAP_BYTES;
    raw_send(&c, &open);
    wire_reply *reply = raw_receive(&c, &fds);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HEAP_OPENED));
    ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds.fd[0], 0), MAP_FAILED);
    ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds.fd[1], 0), MAP_FAILED);
    struct shm_control *control = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds.fd[0], 0);
    ck_assert_uint_eq(at_load_acquire(&control->magic), SHM_CONTROL_MAGIC);
    ck_assert_uint_eq(control->arena_bytes, HEAP_BYTES);
    ck_assert_str_eq(control->plan, "concurrentstickyimmix");
    wire_reply_free(reply);
    packet_fds_close(&fds);
    raw_close(&c);
}
END_TEST

START_TEST(a_type_clash_names_both_layouts)
{
    struct raw c;
    uint32_t refs[] = { 0, 4 };
    RAW(clash, TYPE_DEFINE, type_define);

    raw_start(&c, d, "types");
    raw_open(&c, "types", HEAP_BYTES);
    uint32_t id = raw_type(&c, "node", 16, 2, refs);
    ck_assert_uint_eq(raw_type(&c, "node", 16, 2, refs), id);
    ck_assert_uint_gt(at_load_acquire(&c.control->type_count), id);
    ck_assert_str_eq(c.control->types[id].name, "node");
    clash_body.name = (char *)"node";
    clash_body.fixed_bytes = 24;
    clash_body.n_refs = 1;
    clash_body.refs = refs;
    ck_assert_int_eq(raw_try(&c, &clash), MMGC_E_TYPE_CLASH);
    ck_assert_ptr_nonnull(strstr(c.detail, "fixed 16"));
    ck_assert_ptr_nonnull(strstr(c.detail, "fixed 24"));
    clash_body.name = (char *)"odd";
    refs[0] = 3;
    ck_assert_int_eq(raw_try(&c, &clash), MMGC_E_TYPE_LAYOUT);
    raw_close(&c);
}
END_TEST

START_TEST(names_are_limited_in_length_and_reach)
{
    char name[WIRE_NAME_MAX + 2];
    struct raw c;
    RAW(set, NAME_SET, name_set);
    RAW(get, NAME_GET, name_get);

    raw_start(&c, d, "names");
    raw_open(&c, "names", HEAP_BYTES);
    memset(name, 'n', sizeof(name));
    name[WIRE_NAME_MAX + 1] = '\0';
    set_body.name = name;
    set_body.ref = 4096;
    ck_assert_int_eq(raw_try(&c, &set), MMGC_E_NAME_TOO_LONG);
    name[WIRE_NAME_MAX] = '\0';
    ck_assert_int_eq(raw_try(&c, &set), MMGC_E_OK);
    set_body.ref = (uint32_t)(HEAP_BYTES / 8);
    ck_assert_int_eq(raw_try(&c, &set), MMGC_E_INVALID);
    get_body.name = name;
    wire_reply *reply = raw_ask(&c, &get);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(NAME_VALUE));
    ck_assert_uint_eq(reply->name_value->ref, 4096);
    wire_reply_free(reply);
    set_body.ref = 8192;
    set_body.only_if_absent = true;
    reply = raw_ask(&c, &set);
    ck_assert_uint_eq(reply->name_value->ref, 4096);
    wire_reply_free(reply);
    set_body.ref = 0;
    set_body.only_if_absent = false;
    ck_assert_int_eq(raw_try(&c, &set), MMGC_E_OK);
    ck_assert_int_eq(raw_try(&c, &set), MMGC_E_NO_NAME);
    ck_assert_int_eq(raw_try(&c, &get), MMGC_E_NO_NAME);
    raw_close(&c);
}
END_TEST

START_TEST(threads_that_are_not_attached_get_nothing)
{
    struct raw c;
    struct raw_thread t;
    RAW(grant, GRANT, grant);
    RAW(detach, DETACH, detach);
    RAW(drain, DRAIN, drain);

    raw_start(&c, d, "threads");
    ck_assert_int_eq(raw_try(&c, &detach), MMGC_E_ORDER);
    ck_assert_int_eq(raw_try(&c, &drain), MMGC_E_ORDER);
    raw_open(&c, "threads", HEAP_BYTES);
    raw_attach(&t, &c, "one");
    grant_body.bytes = 4096;
    for (uint32_t id = 0; id < 3; id++) {
        grant_body.thread = detach_body.thread = drain_body.thread = id == t.id ? UINT32_MAX : id;
        ck_assert_int_eq(raw_try(&c, &grant), MMGC_E_NO_THREAD);
        ck_assert_int_eq(raw_try(&c, &detach), MMGC_E_NO_THREAD);
        ck_assert_int_eq(raw_try(&c, &drain), MMGC_E_NO_THREAD);
    }
    ck_assert_int_eq(raw_detach(&t), MMGC_E_OK);
    ck_assert_int_eq(raw_detach(&t), MMGC_E_NO_THREAD);
    raw_close(&c);
}
END_TEST

START_TEST(impossible_grants_and_stacks_are_refused)
{
    struct raw c;
    struct raw_thread t;
    RAW(grant, GRANT, grant);
    RAW(attach, ATTACH, attach);

    raw_start(&c, d, "sizes");
    raw_open(&c, "sizes", HEAP_BYTES);
    attach_body.stack_bytes = UINT64_MAX;
    ck_assert_int_eq(raw_try(&c, &attach), MMGC_E_INVALID);
    raw_attach(&t, &c, "one");
    grant_body.thread = t.id;
    ck_assert_int_eq(raw_try(&c, &grant), MMGC_E_INVALID); /* no bytes */
    grant_body.bytes = 4096;
    grant_body.grant_class = SHM_GRANT_CLASSES;
    ck_assert_int_eq(raw_try(&c, &grant), MMGC_E_INVALID);
    grant_body.grant_class = UINT32_MAX;
    ck_assert_int_eq(raw_try(&c, &grant), MMGC_E_INVALID);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LARGE, UINT64_MAX), MMGC_E_TOO_LARGE);
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LARGE, HEAP_BYTES + 1), MMGC_E_TOO_LARGE);
    raw_close(&c);
}
END_TEST

START_TEST(a_read_only_session_may_not_write)
{
    struct raw writer, reader;
    uint32_t refs[] = { 0 };
    RAW(open, HEAP_OPEN, heap_open);
    RAW(set, NAME_SET, name_set);
    RAW(type, TYPE_DEFINE, type_define);
    RAW(drain, DRAIN, drain);

    raw_start(&writer, d, "writer");
    raw_open(&writer, "shared", HEAP_BYTES);
    uint32_t id = raw_type(&writer, "node", 16, 1, refs);
    raw_start(&reader, d, "reader");
    open_body.name = (char *)"shared";
    open_body.read_only = true;
    ck_assert_int_eq(raw_try(&reader, &open), MMGC_E_OK);
    ck_assert_uint_eq(raw_type(&reader, "node", 16, 1, refs), id); /* what is there may be asked for */
    set_body.name = type_body.name = (char *)"new";
    set_body.ref = 4096;
    type_body.fixed_bytes = 8;
    ck_assert_int_eq(raw_try(&reader, &set), MMGC_E_READ_ONLY);
    ck_assert_int_eq(raw_try(&reader, &type), MMGC_E_READ_ONLY);
    ck_assert_int_eq(raw_try(&reader, &drain), MMGC_E_READ_ONLY);
    raw_close(&reader);
    raw_close(&writer);
}
END_TEST

START_TEST(a_heap_in_use_is_destroyed_only_by_force)
{
    struct raw user, admin;
    struct raw_thread t;
    RAW(destroy, HEAP_DESTROY, heap_destroy);

    raw_start(&user, d, "user");
    raw_open(&user, "doomed", HEAP_BYTES);
    raw_attach(&t, &user, "one");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 65536), MMGC_E_OK);
    raw_start(&admin, d, "admin");
    destroy_body.name = (char *)"doomed";
    ck_assert_int_eq(raw_try(&admin, &destroy), MMGC_E_HEAP_BUSY);
    destroy_body.force = true;
    ck_assert_int_eq(raw_try(&admin, &destroy), MMGC_E_OK);
    ck_assert_int_eq(raw_last_word(&user), MMGC_E_HEAP_GONE);
    ck_assert_uint_eq(at_load_acquire(&user.control->epoch) & 1, 1); /* nobody enters again */
    ck_assert_int_eq(raw_try(&admin, &destroy), MMGC_E_NO_HEAP);
    raw_open(&admin, "doomed", HEAP_BYTES); /* the name is free */
    raw_close(&admin);
    raw_close(&user);
}
END_TEST

START_TEST(an_unused_heap_is_destroyed_and_its_memory_goes)
{
    struct raw c, admin;
    int before = daemon_fd_count(d);
    RAW(destroy, HEAP_DESTROY, heap_destroy);

    raw_start(&c, d, "user");
    raw_open(&c, "unused", HEAP_BYTES);
    raw_close(&c);
    raw_start(&admin, d, "admin");
    destroy_body.name = (char *)"unused";
    enum mmgc_error code;
    while ((code = raw_try(&admin, &destroy)) == MMGC_E_HEAP_BUSY)
        usleep(1000);
    ck_assert_int_eq(code, MMGC_E_OK);
    raw_close(&admin);
    ck_assert(daemon_await_fds(d, before));
}
END_TEST

static Suite *protocol_suite(void)
{
    Suite *suite = suite_create("protocol");
    TCase *order = tcase_create("order"), *form = tcase_create("form"), *heaps = tcase_create("heaps");
    TCase *all[] = { order, form, heaps };

    tcase_add_test(order, requests_before_hello_are_out_of_order_and_the_end);
    tcase_add_test(order, a_second_hello_is_out_of_order_and_changes_nothing);
    tcase_add_test(order, no_version_in_common_is_named_and_the_end);
    tcase_add_test(order, a_connection_opens_one_heap);
    tcase_add_loop_test(form, what_is_no_message_ends_the_connection, 0, 4);
    tcase_add_test(form, a_packet_too_large_is_refused_and_the_connection_goes_on);
    tcase_add_test(form, an_unknown_message_is_unsupported_and_the_connection_goes_on);
    tcase_add_test(form, fds_that_nobody_asked_for_are_closed);
    tcase_add_test(heaps, a_heap_is_its_creators_alone);
    tcase_add_test(heaps, strangers_to_the_user_namespace_are_refused);
    tcase_add_test(heaps, unknown_heaps_are_named);
    tcase_add_test(heaps, exclusive_creation_meets_what_is_there);
    tcase_add_test(heaps, impossible_sizes_and_plans_are_refused);
    tcase_add_test(heaps, control_is_read_only_and_says_what_the_heap_is);
    tcase_add_test(heaps, a_type_clash_names_both_layouts);
    tcase_add_test(heaps, names_are_limited_in_length_and_reach);
    tcase_add_test(heaps, threads_that_are_not_attached_get_nothing);
    tcase_add_test(heaps, impossible_grants_and_stacks_are_refused);
    tcase_add_test(heaps, a_read_only_session_may_not_write);
    tcase_add_test(heaps, a_heap_in_use_is_destroyed_only_by_force);
    tcase_add_test(heaps, an_unused_heap_is_destroyed_and_its_memory_goes);
    for (size_t i = 0; i < MM_ARRAY_LEN(all); i++) {
        tcase_add_checked_fixture(all[i], set_up, tear_down);
        suite_add_tcase(suite, all[i]);
    }
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, protocol_suite);
}
