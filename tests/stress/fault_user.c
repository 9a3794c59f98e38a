/* SPDX-License-Identifier: Apache-2.0 */
/* fault_user.c - Fault user: heap, types, objects, names, handles, leases, holds, guardians, notices, stows; and what mmgcctl asks. */
#include "tests/stress/fault_user.h"

#include <check.h>
#include <inttypes.h>
#include <mmgc/guardian.h>
#include <mmgc/hold.h>
#include <mmgc/lease.h>
#include <mmgc/notice.h>
#include <mmgc/reference.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/packet.h"
#include "proto/wire.h"
#include "shm/base.h"

#define HEAP_BYTES (UINT64_C(16) << 20)
#define NODES 1500u
#define BYTES 100000u

const char *fault_socket, *fault_doing = "nothing";

/* ---- one client ---------------------------------------------------------------------------------------------------- */

struct node {
    mmgc_ref next, bytes;
    uint64_t value;
};
static int last(struct user *u)
{
    int code = mmgc_thread_error(u->t);
    return code == MMGC_OK ? MMGC_E_INVALID : code;
}

int do_connect(struct user *u)
{
    return u->client != NULL ? MMGC_OK : mmgc_connect(fault_socket, "asker", &u->client);
}

static int open_heap(struct user *u, const char *name)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = HEAP_BYTES };
    return u->heap != NULL ? MMGC_OK : mmgc_heap_open(u->client, name, &options, &u->heap);
}

static int do_open(struct user *u)
{
    return open_heap(u, ASKED);
}

static int do_types(struct user *u)
{
    int code = MMGC_DEFINE_TYPE(u->heap, node, &u->node, next, bytes);
    return code != MMGC_OK ? code : mmgc_type_bytes(u->heap, &u->bytes);
}

static int do_attach(struct user *u)
{
    return u->t != NULL ? MMGC_OK : mmgc_attach(u->heap, NULL, &u->t);
}

static int inside(struct user *u, int (*work)(struct user *u))
{
    int code = mmgc_enter(u->t);
    if (code != MMGC_OK)
        return code;
    code = work(u);
    mmgc_leave(u->t);
    return code;
}

/* One more node with @count bytes, all like its number. */
static int push(struct user *u, uint32_t count)
{
    struct node *node = mmgc_new(u->t, u->node);
    char *bytes = node == NULL ? NULL : mmgc_new_array(u->t, u->bytes, count);
    if (bytes == NULL)
        return last(u);
    memset(bytes, (int)(u->length & 0x7f), count);
    node->value = u->length + 1;
    mmgc_set(u->t, node, bytes, bytes);
    mmgc_set(u->t, node, next, u->length == 0 ? NULL : mmgc_handle_get(u->t, u->list));
    int code = u->list.slot == 0 ? mmgc_handle_new(u->t, node, &u->list)
                                 : mmgc_handle_set(u->t, u->list, node);
    u->length += code == MMGC_OK;
    return code;
}

static int fill(struct user *u)
{
    while (u->length < NODES) {
        int code = push(u, u->length % 500 == 0 ? BYTES : u->length % 40);
        if (code != MMGC_OK)
            return code;
    }
    return MMGC_OK;
}

static int do_fill(struct user *u)
{
    return inside(u, fill);
}

/* All of the list, as it was made. */
static int check(struct user *u)
{
    uint32_t left = u->length;
    struct node *node = left == 0 ? NULL : mmgc_handle_get(u->t, u->list);
    for (; node != NULL; node = mmgc_get(u->t, node, next), left--) {
        const char *bytes = mmgc_get(u->t, node, bytes);
        if (node->value != left)
            ck_abort_msg("%s: node %" PRIu32 " is %" PRIu64, fault_doing, left, node->value);
        for (uint32_t i = 0, end = mmgc_length(bytes); i < end; i++)
            if (bytes[i] != (char)((left - 1) & 0x7f))
                ck_abort_msg("%s: byte %" PRIu32 " of node %" PRIu32, fault_doing, i, left);
    }
    ck_assert_msg(left == 0, "%s: %" PRIu32 " of %" PRIu32 " nodes are gone", fault_doing, left,
                  u->length);
    return MMGC_OK;
}

static int do_check(struct user *u)
{
    return inside(u, check);
}

static int waste(struct user *u)
{
    for (int i = 0; i < 30; i++)
        if (mmgc_new_array(u->t, u->bytes, BYTES / 2) == NULL)
            return last(u);
    return MMGC_OK;
}

static int do_waste(struct user *u)
{
    return inside(u, waste);
}

static int do_collect(struct user *u)
{
    return mmgc_gc(u->t);
}

static int names(struct user *u)
{
    void *stands;
    int code = MMGC_OK;
    for (int i = 0; i < 20 && code == MMGC_OK; i++) {
        char name[16];
        snprintf(name, sizeof(name), "name-%d", i);
        code = mmgc_name_set(u->t, name, mmgc_handle_get(u->t, u->list));
        if (code == MMGC_OK && mmgc_name_get(u->t, name) != mmgc_handle_get(u->t, u->list))
            return last(u);
    }
    if (code == MMGC_OK)
        code = mmgc_name_claim(u->t, "name-3", mmgc_handle_get(u->t, u->list), &stands);
    for (int i = 0; i < 20 && code == MMGC_OK; i++) {
        char name[16];
        snprintf(name, sizeof(name), "name-%d", i);
        code = mmgc_name_set(u->t, name, NULL);
    }
    return code;
}

static int do_names(struct user *u)
{
    return inside(u, names);
}

static int handles(struct user *u)
{
    mmgc_handle many[300] = { { 0 } };
    mmgc_weak weak = { 0 };
    int code = mmgc_weak_new(u->t, mmgc_handle_get(u->t, u->list), &weak);
    for (int i = 0; i < 300 && code == MMGC_OK; i++)
        code = mmgc_handle_new(u->t, mmgc_handle_get(u->t, u->list), &many[i]);
    for (int i = 0; i < 300 && many[i].slot != 0; i++)
        (void)mmgc_handle_drop(u->heap, many[i]);
    if (weak.slot != 0)
        (void)mmgc_weak_drop(u->heap, weak);
    return code;
}

static int do_handles(struct user *u)
{
    return inside(u, handles);
}

/* Two leases that meet, so that the daemon has to hear of it. */
static int leases(struct user *u)
{
    mmgc_lease first, second;
    struct node *node = mmgc_handle_get(u->t, u->list);
    int code = mmgc_lease_take(u->t, node, MMGC_LEASE_EXCLUSIVE, "first", 1000000000, &first);
    if (code != MMGC_OK)
        return code;
    code = mmgc_lease_take(u->t, node, MMGC_LEASE_SHARED, "second", 1000000, &second);
    if (code == MMGC_OK)
        (void)mmgc_lease_release(u->heap, second);
    int released = mmgc_lease_release(u->heap, first);
    return code != MMGC_E_TIMEOUT && code != MMGC_OK ? code : released;
}

static int do_leases(struct user *u)
{
    return inside(u, leases);
}

static int hold(struct user *u)
{
    mmgc_hold hold;
    int code = mmgc_hold_begin(u->t, NULL, &hold);
    void *kept[1] = { NULL };
    if (code != MMGC_OK)
        return code;
    for (int i = 0; i < 100 && code == MMGC_OK; i++) {
        kept[0] = mmgc_new_array(u->t, u->bytes, 500);
        code = kept[0] == NULL ? last(u) : MMGC_OK;
    }
    if (code == MMGC_OK)
        memset(kept[0], 0x5a, 500);
    int ended = mmgc_hold_end(u->t, hold, kept, code == MMGC_OK ? 1 : 0);
    if (ended != MMGC_OK) /* then without what needs memory */
        (void)mmgc_hold_end(u->t, hold, NULL, 0);
    for (int i = 0; i < 500 && ended == MMGC_OK && code == MMGC_OK; i++)
        if (((char *)kept[0])[i] != 0x5a)
            ck_abort_msg("byte %d of what was stowed", i);
    return code != MMGC_OK ? code : ended;
}

static int do_hold(struct user *u)
{
    return inside(u, hold);
}

static int stow(struct user *u)
{
    struct mmgc_stow_result result;
    return mmgc_stow(u->t, mmgc_handle_get(u->t, u->list), &result);
}

static int do_stow(struct user *u)
{
    return inside(u, stow);
}

static int guard_one(struct user *u)
{
    mmgc_guard guard;
    void *object = mmgc_new_array(u->t, u->bytes, 32);
    int code = object == NULL ? last(u) : mmgc_guard_new(u->t, object, 7, &guard);
    (void)mmgc_guard_take(u->t, NULL);
    return code;
}

static int do_guardians(struct user *u)
{
    int code = mmgc_guardian_be(u->heap, "keeper");
    if (code == MMGC_OK)
        code = mmgc_guards_leave_to(u->heap, "heir");
    if (code == MMGC_OK)
        code = inside(u, guard_one);
    if (code == MMGC_OK)
        code = mmgc_guards_leave_to(u->heap, NULL);
    return code != MMGC_OK ? code : mmgc_guardian_be(u->heap, NULL);
}

static int do_notices(struct user *u)
{
    struct mmgc_notices *notices;
    struct mmgc_notice notice;
    struct mmgc_move moves[16];
    size_t count;
    int code = mmgc_notices_subscribe(u->heap, NULL, &notices);
    if (code != MMGC_OK)
        return code;
    code = mmgc_gc(u->t);
    if (code == MMGC_OK)
        code = mmgc_notices_next(notices, NULL, 0, moves, 16, &count, &notice);
    mmgc_notices_close(notices);
    return code == MMGC_E_NO_NOTICES ? MMGC_E_SYSTEM_NOMEM : code; /* its end is a way to say so */
}

static int do_reserve(struct user *u)
{
    int code = mmgc_enter(u->t);
    if (code != MMGC_OK)
        return code;
    code = mmgc_reserve(u->t, 256 << 10);
    if (code == MMGC_OK)
        code = mmgc_reserve(u->t, 0);
    mmgc_leave(u->t);
    return code;
}

static int do_detach(struct user *u)
{
    mmgc_detach(u->t);
    u->t = NULL;
    return MMGC_OK;
}

void user_leave(struct user *u)
{
    if (u->t != NULL)
        mmgc_detach(u->t);
    if (u->heap != NULL)
        mmgc_heap_close(u->heap);
    if (u->client != NULL)
        mmgc_disconnect(u->client);
    *u = (struct user){ 0 };
}

static int do_leave(struct user *u)
{
    user_leave(u);
    return MMGC_OK;
}

int do_destroy(struct user *u)
{
    int code = do_connect(u);
    if (code == MMGC_OK)
        code = mmgc_heap_destroy(u->client, ASKED, true);
    if (code == MMGC_E_NO_HEAP) /* the answer to a first try was lost */
        code = MMGC_OK;
    if (code == MMGC_OK)
        user_leave(u);
    return code;
}

/* ---- what mmgcctl asks -------------------------------------------------------------------------------------------- */

struct question {
    unsigned body_case;
    void *body;
};

/* The code of one answer; DISCONNECTED, if there is none. */
static int ask(int sock, uint32_t serial, unsigned body_case, void *body)
{
    wire_request request = wire_request_init();
    wire_reply *reply = NULL;

    request.body_case = body_case;
    request.hello = body; /* of the union */
    request.serial = serial;
    if (wire_send_request(sock, &request, NULL) < 0)
        return MMGC_E_DISCONNECTED;
    for (;;) {
        ck_assert_msg(packet_wait(sock, 20000) == 0, "%s: no answer to %s", fault_doing,
                      wire_request_name(&request));
        if (wire_recv_reply(sock, &reply, NULL) != WIRE_OK)
            return MMGC_E_DISCONNECTED;
        int code = reply->body_case == WIRE_REPLY(ERROR) ? (int)reply->error->code : MMGC_OK;
        bool ours = reply->serial == serial || code != MMGC_OK;
        wire_reply_free(reply);
        if (ours)
            return code;
    }
}

int fault_hello(int sock, uint32_t serial)
{
    wire_hello hello = wire_hello_init();

    hello.version_min = WIRE_VERSION_MIN;
    hello.version_max = WIRE_VERSION_MAX;
    hello.client_name = (char *)"inspect";
    return ask(sock, serial, WIRE_REQUEST(HELLO), &hello);
}

int do_inspect(struct user *u)
{
    wire_heap_list list = wire_heap_list_init();
    wire_heap_info info = wire_heap_info_init();
    wire_clients clients = wire_clients_init();
    wire_roots roots = wire_roots_init();
    wire_verify verify = wire_verify_init();
    wire_histogram histogram = wire_histogram_init();
    wire_handles handle_rows = wire_handles_init();
    wire_collect collect = wire_collect_init();
    wire_heap_resize resize = wire_heap_resize_init();
    const struct question questions[] = {
        { WIRE_REQUEST(HEAP_LIST), &list },      { WIRE_REQUEST(HEAP_INFO), &info },
        { WIRE_REQUEST(CLIENTS), &clients },     { WIRE_REQUEST(ROOTS), &roots },
        { WIRE_REQUEST(VERIFY), &verify },       { WIRE_REQUEST(HISTOGRAM), &histogram },
        { WIRE_REQUEST(HANDLES), &handle_rows }, { WIRE_REQUEST(HEAP_RESIZE), &resize },
        { WIRE_REQUEST(COLLECT), &collect },
    };
    int sock = packet_connect(fault_socket), code = sock < 0 ? MMGC_E_NO_DAEMON : fault_hello(sock, 1);

    (void)u;
    info.name = clients.heap = roots.heap = verify.heap = histogram.heap = handle_rows.heap =
        collect.heap = resize.heap = (char *)ASKED;
    resize.limit_bytes = HEAP_BYTES;
    for (uint32_t i = 0; i < MM_ARRAY_LEN(questions) && code == MMGC_OK; i++)
        code = ask(sock, i + 2, questions[i].body_case, questions[i].body);
    if (sock >= 0)
        close(sock);
    return code;
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

void user_prepare(struct user *u, const char *heap)
{
    *u = (struct user){ 0 };
    ck_assert_int_eq(do_connect(u), MMGC_OK);
    ck_assert_int_eq(open_heap(u, heap), MMGC_OK);
    ck_assert_int_eq(do_types(u), MMGC_OK);
    ck_assert_int_eq(do_attach(u), MMGC_OK);
    ck_assert_int_eq(do_fill(u), MMGC_OK);
}

const struct step asker_steps[] = {
    { "connect", do_connect },     { "open", do_open },       { "types", do_types },
    { "attach", do_attach },       { "fill", do_fill },       { "names", do_names },
    { "handles", do_handles },     { "leases", do_leases },   { "hold", do_hold },
    { "guardians", do_guardians }, { "notices", do_notices }, { "stow", do_stow },
    { "reserve", do_reserve },     { "waste", do_waste },     { "collect", do_collect },
    { "inspect", do_inspect },     { "check", do_check },     { "detach", do_detach },
    { "leave", do_leave },         { "destroy", do_destroy },
};
const struct step bystander_steps[] = {
    { "own waste", do_waste },
    { "own names", do_names },
    { "own collect", do_collect },
    { "own check", do_check },
};
const size_t asker_step_count = MM_ARRAY_LEN(asker_steps),
             bystander_step_count = MM_ARRAY_LEN(bystander_steps);
