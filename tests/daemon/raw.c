/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/daemon/raw.h"

#include <check.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/futex.h"

#define ANSWER_MS 20000
#define TICK_US 200
#define TICKS (ANSWER_MS * 1000 / TICK_US)

void raw_connect(struct raw *c, const struct daemon *d)
{
    *c = (struct raw){ .sock = packet_connect(daemon_socket(d)) };
    ck_assert_msg(c->sock >= 0, "cannot connect: %s", strerror(-c->sock));
}

void raw_close(struct raw *c)
{
    if (c->sock >= 0)
        close(c->sock);
    c->sock = -1;
}

void raw_send(struct raw *c, wire_request *request)
{
    request->serial = ++c->serial;
    ck_assert_int_eq(wire_send_request(c->sock, request, NULL), 0);
}

wire_reply *raw_receive(struct raw *c, struct packet_fds *ret_fds)
{
    struct packet_fds fds;
    wire_reply *reply = NULL;

    ck_assert_int_eq(packet_wait(c->sock, ANSWER_MS), 0);
    enum wire_result result = wire_recv_reply(c->sock, &reply, &fds);
    ck_assert(result == WIRE_OK || result == WIRE_CLOSED);
    if (ret_fds != NULL)
        *ret_fds = fds;
    else
        packet_fds_close(&fds);
    return reply;
}

static void note_error(struct raw *c, const wire_reply *reply)
{
    snprintf(c->detail, sizeof(c->detail), "%s",
             reply->body_case == WIRE_REPLY(ERROR) ? reply->error->detail : "");
}

static wire_reply *ask(struct raw *c, wire_request *request, struct packet_fds *ret_fds)
{
    raw_send(c, request);
    for (;;) {
        wire_reply *reply = raw_receive(c, ret_fds);
        ck_assert_msg(reply != NULL, "the daemon closed instead of answering %s",
                      wire_request_name(request));
        note_error(c, reply);
        if (reply->serial == request->serial)
            return reply;
        wire_reply_free(reply);
    }
}

wire_reply *raw_ask(struct raw *c, wire_request *request)
{
    return ask(c, request, NULL);
}

static enum mmgc_error code_of(const wire_reply *reply)
{
    return reply->body_case == WIRE_REPLY(ERROR) ? (enum mmgc_error)reply->error->code : MMGC_E_OK;
}

enum mmgc_error raw_try(struct raw *c, wire_request *request)
{
    wire_reply *reply = raw_ask(c, request);
    enum mmgc_error code = code_of(reply);

    wire_reply_free(reply);
    return code;
}

enum mmgc_error raw_ping(struct raw *c)
{
    RAW(ping, PING, ping);
    return raw_try(c, &ping);
}

enum mmgc_error raw_last_word(struct raw *c)
{
    enum mmgc_error code = MMGC_E_OK;
    wire_reply *reply;

    while ((reply = raw_receive(c, NULL)) != NULL) {
        if (reply->serial == 0) {
            code = code_of(reply);
            note_error(c, reply);
        }
        wire_reply_free(reply);
    }
    return code;
}

void raw_hello(struct raw *c, const char *name)
{
    RAW(request, HELLO, hello);

    request_body.version_min = WIRE_VERSION_MIN;
    request_body.version_max = WIRE_VERSION_MAX;
    request_body.client_name = (char *)name;
    wire_reply *reply = raw_ask(c, &request);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(WELCOME));
    c->session = reply->welcome->session;
    wire_reply_free(reply);
}

void raw_start(struct raw *c, const struct daemon *d, const char *name)
{
    raw_connect(c, d);
    raw_hello(c, name);
}

bool raw_is_root(void)
{
    if (geteuid() == 0)
        return true;
    fprintf(stderr, "# skipped: it takes root to be two users\n");
    return false;
}

void raw_connect_as(struct raw *c, const struct daemon *d, const struct raw_user *user)
{
    gid_t groups[64], gid = getegid();
    int count = getgroups(64, groups);

    ck_assert_int_ge(count, 0);
    ck_assert_int_eq(chmod(daemon_directory(d), 0755), 0);
    ck_assert_int_eq(setgroups((size_t)user->group_count, user->groups), 0);
    ck_assert_int_eq(setegid(user->gid), 0);
    ck_assert_int_eq(seteuid(user->uid), 0);
    raw_connect(c, d);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(setegid(gid), 0);
    ck_assert_int_eq(setgroups((size_t)count, groups), 0);
}

void raw_start_as(struct raw *c, const struct daemon *d, const char *name, const struct raw_user *user)
{
    raw_connect_as(c, d, user);
    raw_hello(c, name);
}

static void *map(int fd, size_t bytes, int protection)
{
    void *address = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);

    ck_assert_ptr_ne(address, MAP_FAILED);
    return address;
}

enum mmgc_error raw_try_open(struct raw *c, const char *heap, uint64_t max_bytes)
{
    struct packet_fds fds;
    RAW(request, HEAP_OPEN, heap_open);

    request_body.name = (char *)heap;
    request_body.create = max_bytes > 0 || c->options != NULL;
    request_body.max_bytes = max_bytes;
    request_body.read_only = c->read_only;
    if (c->options != NULL)
        request_body.options = (char *)c->options;
    wire_reply *reply = ask(c, &request, &fds);
    enum mmgc_error code = code_of(reply);
    if (reply->body_case == WIRE_REPLY(HEAP_OPENED)) {
        const wire_heap_opened *opened = reply->heap_opened;
        size_t log = 3, leases = 3 + (opened->log_bytes > 0);
        ck_assert_uint_eq(fds.count, leases + (opened->lease_bytes > 0));
        c->arena_bytes = reply->heap_opened->arena_bytes;
        c->control = map(fds.fd[0], reply->heap_opened->control_bytes, PROT_READ);
        c->arena = map(fds.fd[1], c->arena_bytes, c->read_only ? PROT_READ : PROT_READ | PROT_WRITE);
        c->segment = map(fds.fd[2], reply->heap_opened->session_bytes, PROT_READ | PROT_WRITE);
        c->log = opened->log_bytes == 0 ? NULL : map(fds.fd[log], opened->log_bytes, PROT_READ | PROT_WRITE);
        c->leases = opened->lease_bytes == 0 ? NULL : map(fds.fd[leases], opened->lease_bytes, PROT_READ | PROT_WRITE);
    }
    packet_fds_close(&fds);
    wire_reply_free(reply);
    return code;
}

void raw_open(struct raw *c, const char *heap, uint64_t max_bytes)
{
    enum mmgc_error code = raw_try_open(c, heap, max_bytes);

    ck_assert_msg(code == MMGC_E_OK, "opening '%s': %s %s", heap, mmgc_error_name(code), c->detail);
}

void raw_attach(struct raw_thread *t, struct raw *c, const char *name)
{
    struct packet_fds fds;
    RAW(request, ATTACH, attach);

    request_body.stack_bytes = 1 << 20;
    request_body.name = (char *)name;
    request_body.tid = (uint32_t)gettid();
    wire_reply *reply = ask(c, &request, &fds);
    ck_assert_msg(reply->body_case == WIRE_REPLY(ATTACHED), "attaching: %s", c->detail);
    ck_assert_uint_eq(fds.count, 1);
    *t = (struct raw_thread){ .client = c, .id = reply->attached->thread };
    t->m = map(fds.fd[0], reply->attached->mutator_bytes, PROT_READ | PROT_WRITE);
    t->m->base = c->arena;
    packet_fds_close(&fds);
    wire_reply_free(reply);
}

enum mmgc_error raw_detach(struct raw_thread *t)
{
    RAW(request, DETACH, detach);

    request_body.thread = t->id;
    return raw_try(t->client, &request);
}

uint32_t raw_type(struct raw *c, const char *name, uint32_t fixed_bytes, size_t ref_count, uint32_t *refs)
{
    RAW(request, TYPE_DEFINE, type_define);

    request_body.name = (char *)name;
    request_body.fixed_bytes = fixed_bytes;
    request_body.n_refs = ref_count;
    request_body.refs = refs;
    wire_reply *reply = raw_ask(c, &request);
    ck_assert_msg(reply->body_case == WIRE_REPLY(TYPE_DEFINED), "defining '%s': %s", name, c->detail);
    uint32_t id = reply->type_defined->id;
    wire_reply_free(reply);
    return id;
}

void raw_grant_send(struct raw_thread *t, enum shm_grant_class class, uint64_t bytes)
{
    RAW(request, GRANT, grant);

    request_body.thread = t->id;
    request_body.grant_class = class;
    request_body.bytes = bytes;
    request_body.mail_serial = ++t->mail_serial;
    raw_send(t->client, &request);
}

enum mmgc_error raw_grant_wait(struct raw_thread *t, enum shm_grant_class class)
{
    struct shm_mailbox *mail = &t->m->mail[class];

    for (int tick = 0; at_load_acquire(&mail->answered) != t->mail_serial; tick++) {
        ck_assert_msg(tick < TICKS, "a grant was not answered");
        usleep(TICK_US);
    }
    return (enum mmgc_error)at_load_relaxed(&mail->error);
}

enum mmgc_error raw_grant(struct raw_thread *t, enum shm_grant_class class, uint64_t bytes)
{
    raw_grant_send(t, class, bytes);
    return raw_grant_wait(t, class);
}

void raw_enter(struct raw_thread *t)
{
    for (int tick = 0; tick < TICKS; tick++) {
        atomic_store(&t->m->state, SHM_IN);
        if ((atomic_load(&t->client->control->epoch) & 1) == 0)
            return;
        atomic_store(&t->m->state, SHM_OUT);
        futex_wake_all(&t->m->state);
        usleep(TICK_US);
    }
    ck_abort_msg("the world was never resumed");
}

void raw_leave(struct raw_thread *t)
{
    atomic_store(&t->m->root_count, 0);
    atomic_store(&t->m->state, SHM_OUT);
    futex_wake_all(&t->m->state);
}

uint64_t raw_collect_begin(struct raw *c, const char *heap)
{
    RAW(request, COLLECT, collect);

    request_body.heap = (char *)heap;
    wire_reply *reply = raw_ask(c, &request);
    ck_assert_msg(reply->body_case == WIRE_REPLY(COLLECT_STARTED), "collecting: %s", c->detail);
    uint64_t number = reply->collect_started->number;
    wire_reply_free(reply);
    return number;
}

void raw_collect_wait(struct raw *c, uint64_t number)
{
    for (int tick = 0; at_load_acquire(&c->control->collections) < number; tick++) {
        ck_assert_msg(tick < TICKS, "collection %llu did not come", (unsigned long long)number);
        usleep(TICK_US);
    }
}

char *raw_make_cells(struct raw_thread *t, uint32_t type, int count)
{
    struct shm_grant *span = shm_mutator_ring(t->m, SHM_GRANT_LINES);
    char *start = t->client->arena + 8 * (uint64_t)span->start,
         *end = start + 8 * (uint64_t)span->granules;

    memset(start, 0, (size_t)(end - start));
    t->m->lines = (struct shm_bump){ start, end, end };
    for (int i = 0; i < count; i++) {
        *(uint64_t *)(void *)t->m->lines.cursor = type;
        t->m->lines.cursor += 16;
    }
    return start + 8;
}
