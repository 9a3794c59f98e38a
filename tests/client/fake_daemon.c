/* SPDX-License-Identifier: Apache-2.0 */
/* fake_daemon.c - Fake daemon: one loop, one heap, a bump for an allocator. */
#include "tests/client/fake_daemon.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/wire.h"
#include "shm/barrier.h"
#include "shm/base.h"
#include "shm/futex.h"
#include "shm/units.h"

struct answer { /* one request at hand */
    struct fake_daemon *fake;
    int connection;
    const wire_request *request;
    wire_reply reply;
    struct packet_fds fds;
};

static void send_answer(struct answer *a)
{
    a->reply.serial = a->request->serial;
    (void)wire_send_reply(a->fake->sockets[a->connection], &a->reply, &a->fds);
}

static void answer_error(struct answer *a, enum mmgc_error code)
{
    wire_error error = wire_error_init();

    error.code = code;
    error.detail = (char *)"the fake says so";
    a->reply.body_case = WIRE_REPLY(ERROR);
    a->reply.error = &error;
    send_answer(a);
}

static void answer_done(struct answer *a)
{
    wire_done done = wire_done_init();

    a->reply.body_case = WIRE_REPLY(DONE);
    a->reply.done = &done;
    send_answer(a);
}

static void on_hello(struct answer *a)
{
    wire_welcome welcome = wire_welcome_init();

    (void)at_add_relaxed(&a->fake->hellos, 1);
    welcome.version = WIRE_VERSION_MAX;
    a->reply.body_case = WIRE_REPLY(WELCOME);
    a->reply.welcome = &welcome;
    send_answer(a);
}

static void on_heap_open(struct answer *a)
{
    struct fake_daemon *fake = a->fake;
    wire_heap_opened opened = wire_heap_opened_init();
    struct shm_segment **session = &fake->session_segments[a->connection];

    if (strcmp(a->request->heap_open->name, "absent") == 0)
        return answer_error(a, MMGC_E_NO_HEAP);
    MM_ASSERT(shm_segment_new(session, sizeof(struct shm_session), "fake session") == 0);
    struct shm_session *s = shm_segment_address(*session);
    s->version = SHM_SESSION_VERSION;
    s->row_limit = fake->row_limit == 0 ? SHM_ROWS_MAX : fake->row_limit;
    s->lease_holder = a->request->heap_open->read_only ? 0 : (uint32_t)a->connection + 1;
    s->may_lease = s->lease_holder != 0;
    at_store_release(&s->magic, SHM_SESSION_MAGIC);
    opened.control_bytes = shm_segment_bytes(fake->control_segment);
    opened.arena_bytes = FAKE_ARENA_BYTES;
    opened.session_bytes = shm_segment_bytes(*session);
    int control = shm_segment_reopen_read_only(fake->control_segment);
    int arena = a->request->heap_open->read_only ? shm_segment_reopen_read_only(fake->arena_segment)
                                                 : dup(shm_segment_fd(fake->arena_segment));
    a->fds = (struct packet_fds){ .fd = { control, arena, shm_segment_fd(*session) }, .count = 3 };
    if (fake->control->barrier != SHM_BARRIER_NONE && !a->request->heap_open->read_only) {
        opened.log_bytes = shm_segment_bytes(fake->log_segment);
        a->fds.fd[a->fds.count++] = shm_segment_fd(fake->log_segment);
    }
    if (!a->request->heap_open->read_only) {
        opened.lease_bytes = shm_segment_bytes(fake->lease_segment);
        a->fds.fd[a->fds.count++] = shm_segment_fd(fake->lease_segment);
    }
    a->reply.body_case = WIRE_REPLY(HEAP_OPENED);
    a->reply.heap_opened = &opened;
    send_answer(a);
    (void)close(control);
    (void)close(arena);
}

static void on_attach(struct answer *a, size_t fds)
{
    struct fake_daemon *fake = a->fake;
    wire_attached attached = wire_attached_init();
    uint32_t id = at_load_relaxed(&fake->attaches) + 1;
    uint64_t stack_bytes = a->request->attach->stack_bytes;
    uint32_t capacity = (uint32_t)MM_MIN(stack_bytes / 8 + 64, UINT64_C(1) << 21);

    (void)at_add_relaxed(&fake->pidfds, (uint32_t)fds);
    MM_ASSERT(id <= FAKE_THREADS);
    struct shm_segment **segment = &fake->mutator_segments[id - 1];
    MM_ASSERT(shm_segment_new(segment, shm_mutator_bytes(capacity), "fake mutator") == 0);
    struct shm_mutator *m = shm_segment_address(*segment);
    m->version = SHM_MUTATOR_VERSION;
    m->id = id;
    m->root_capacity = capacity;
    at_store_release(&m->magic, SHM_MUTATOR_MAGIC);
    at_store_release(&fake->attaches, id); /* pairs with fake_stop_world() */
    attached.thread = id;
    attached.mutator_bytes = shm_segment_bytes(*segment);
    a->fds = (struct packet_fds){ .fd = { shm_segment_fd(*segment) }, .count = 1 };
    a->reply.body_case = WIRE_REPLY(ATTACHED);
    a->reply.attached = &attached;
    send_answer(a);
}

static void on_type_define(struct answer *a)
{
    struct fake_daemon *fake = a->fake;
    wire_type_defined defined = wire_type_defined_init();
    const wire_type_define *define = a->request->type_define;
    uint32_t count = MM_MAX(at_load_relaxed(&fake->control->type_count), 1u); /* row 0 is no type */

    for (uint32_t id = 1; id < count && defined.id == 0; id++)
        if (strcmp(fake->control->types[id].name, define->name) == 0)
            defined.id = id;
    if (defined.id != 0 && fake->control->types[defined.id].fixed_bytes != define->fixed_bytes)
        return answer_error(a, MMGC_E_TYPE_CLASH);
    if (defined.id == 0) {
        struct shm_type_row *row = &fake->control->types[count];
        row->fixed_bytes = define->fixed_bytes;
        row->element_bytes = define->element_bytes;
        (void)snprintf(row->name, sizeof(row->name), "%s", define->name);
        at_store_release(&fake->control->type_count, count + 1);
        defined.id = count;
    }
    a->reply.body_case = WIRE_REPLY(TYPE_DEFINED);
    a->reply.type_defined = &defined;
    send_answer(a);
}

static void on_name(struct answer *a)
{
    const wire_request *request = a->request;
    bool set = request->body_case == WIRE_REQUEST(NAME_SET);
    const char *name = set ? request->name_set->name : request->name_get->name;
    wire_name_value value = wire_name_value_init();
    struct fake_name *free_row = NULL, *row = NULL;

    for (size_t i = 0; i < FAKE_NAMES; i++) {
        struct fake_name *other = &a->fake->names[i];
        if (other->ref != 0 && strcmp(other->name, name) == 0)
            row = other;
        else if (other->ref == 0)
            free_row = other;
    }
    if (!set && row == NULL)
        return answer_error(a, MMGC_E_NO_NAME);
    if (set && (row == NULL || !request->name_set->only_if_absent)) {
        row = row != NULL ? row : free_row;
        MM_ASSERT(row != NULL);
        (void)snprintf(row->name, sizeof(row->name), "%s", name);
        row->ref = request->name_set->ref;
    }
    if (set && !request->name_set->only_if_absent)
        return answer_done(a);
    value.ref = row->ref;
    a->reply.body_case = WIRE_REPLY(NAME_VALUE);
    a->reply.name_value = &value;
    send_answer(a);
}

/* One span from the arena's bump, never across a block, with a line left out before each. */
static bool grant_span(struct fake_daemon *fake, uint64_t bytes, struct shm_grant *ret_grant)
{
    uint64_t start = at_load_relaxed(&fake->arena_next);

    if (bytes >= MM_BLOCK_BYTES)
        start = mm_align_up(start, MM_BLOCK_BYTES);
    else if (start / MM_BLOCK_BYTES != (start + MM_LINE_BYTES + bytes - 1) / MM_BLOCK_BYTES)
        start = mm_align_up(start, MM_BLOCK_BYTES);
    else
        start += MM_LINE_BYTES;
    if (start + bytes > FAKE_ARENA_BYTES)
        return false;
    bool zeroed = at_load_relaxed(&fake->zeroed);
    if (!zeroed)
        memset(fake->arena + start, FAKE_GARBAGE, bytes);
    *ret_grant = (struct shm_grant){
        .start = (uint32_t)(start >> MM_GRANULE_LOG),
        .granules = (uint32_t)(bytes >> MM_GRANULE_LOG),
        .flags = zeroed ? SHM_GRANT_ZEROED : 0,
    };
    at_store_relaxed(&fake->arena_next, start + bytes);
    return true;
}

static enum mmgc_error grant_fill(struct fake_daemon *fake, struct shm_mutator *m, const wire_grant *grant)
{
    enum shm_grant_class class = (enum shm_grant_class)grant->grant_class;
    struct shm_mailbox *mail = &m->mail[class];
    uint32_t capacity = shm_ring_capacity(class), published = at_load_relaxed(&mail->published);
    uint32_t span_bytes = at_load_relaxed(&fake->span_bytes);
    uint32_t spans_max = at_load_relaxed(&fake->spans_max);
    uint64_t given = 0;

    if (class == SHM_GRANT_LARGE)
        span_bytes = (uint32_t)mm_align_up(grant->bytes, MM_PAGE_BYTES);
    else if (span_bytes == 0 || grant->reserve || span_bytes < grant->min_bytes)
        span_bytes = MM_BLOCK_BYTES;
    if (class >= SHM_GRANT_CELLS)
        span_bytes -= span_bytes % shm_cell_bytes(class - SHM_GRANT_CELLS);
    while (given < grant->bytes && published - at_load_acquire(&mail->taken) < capacity) {
        if (!grant_span(fake, span_bytes, &shm_mutator_ring(m, class)[published % capacity]))
            break;
        published++;
        given += span_bytes;
        if (class == SHM_GRANT_LINES && spans_max != 0 && --spans_max == 0)
            break;
    }
    at_store_release(&mail->published, published);
    return given == 0 ? MMGC_E_NOMEM : MMGC_E_OK;
}

static void on_grant(struct answer *a)
{
    struct fake_daemon *fake = a->fake;
    const wire_grant *grant = a->request->grant;
    struct shm_mutator *m = fake_mutator(fake, grant->thread);
    struct shm_mailbox *mail = &m->mail[grant->grant_class];
    int error = at_load_acquire(&fake->grant_error);

    at_store_relaxed(&fake->last_grant_bytes[grant->grant_class], grant->bytes);
    (void)at_add_acq_rel(&fake->grants[grant->grant_class], 1);
    while (at_load_acquire(&fake->hold_grants))
        (void)usleep(100);
    if (error == MMGC_E_OK)
        error = (int)grant_fill(fake, m, grant);
    at_store_relaxed(&mail->error, (uint32_t)error);
    at_store_release(&mail->answered, grant->mail_serial);
    futex_wake_all(&mail->answered);
}

static void on_collect(struct answer *a)
{
    wire_collect_started started = wire_collect_started_init();

    started.number = at_load_relaxed(&a->fake->collect_number);
    a->reply.body_case = WIRE_REPLY(COLLECT_STARTED);
    a->reply.collect_started = &started;
    send_answer(a);
}

static void on_notices_open(struct answer *a)
{
    at_store_relaxed(&a->fake->notice_deadline, a->request->notices_open->deadline_ns);
    at_store_release(&a->fake->subscriber, a->connection);
    answer_done(a);
}

void fake_notice(struct fake_daemon *fake, wire_notice *notice, int fd)
{
    int connection = at_load_acquire(&fake->subscriber);
    struct packet_fds fds = { .fd = { fd }, .count = fd >= 0 };
    struct shm_session *session = shm_segment_address(fake->session_segments[connection]);
    wire_reply reply = wire_reply_init();

    reply.body_case = WIRE_REPLY(NOTICE);
    reply.notice = notice;
    (void)at_add_relaxed(&session->notices, 1);
    MM_ASSERT(wire_send_reply(fake->sockets[connection], &reply, &fds) == 0);
}

/* ---- leases: as in daemon/leases.c, without its doubts ------------------------------------------------------------ */

static void wake_session(struct fake_daemon *fake, int connection)
{
    struct shm_session *s = shm_segment_address(fake->session_segments[connection]);

    (void)at_add_acq_rel(&s->lease_go, 1);
    futex_wake_all(&s->lease_go);
}

static struct fake_waiter *find_waiter(struct fake_daemon *fake, int connection, uint32_t slot)
{
    for (size_t i = 0; i < FAKE_WAITERS; i++)
        if (fake->waiters[i].ref != 0 && fake->waiters[i].connection == connection && fake->waiters[i].slot == slot)
            return &fake->waiters[i];
    return NULL;
}

static void show_waiters(struct fake_daemon *fake, uint32_t ref)
{
    struct shm_lease_bucket *home = shm_lease_bucket(fake->leases, shm_lease_home(ref), 0);
    uint32_t any = 0;

    for (size_t i = 0; i < FAKE_WAITERS; i++)
        any |= fake->waiters[i].ref != 0 && shm_lease_home(fake->waiters[i].ref) == shm_lease_home(ref);
    atomic_store(&home->waiters, any);
}

static void on_lease_wait(struct answer *a)
{
    const wire_lease_wait *wait = a->request->lease_wait;
    struct fake_daemon *fake = a->fake;
    struct fake_waiter *w = find_waiter(fake, a->connection, wait->slot);

    (void)at_add_relaxed(&fake->lease_waits, !wait->over);
    for (size_t i = 0; w == NULL && i < FAKE_WAITERS; i++)
        if (fake->waiters[i].ref == 0)
            w = &fake->waiters[i];
    MM_ASSERT(w != NULL);
    *w = (struct fake_waiter){ wait->over ? 0 : wait->ref, wait->slot, a->connection };
    show_waiters(fake, wait->ref);
    if (!wait->over)
        wake_session(fake, a->connection);
}

static void on_lease_released(struct answer *a)
{
    struct fake_daemon *fake = a->fake;

    (void)at_add_relaxed(&fake->lease_releases, 1);
    for (size_t i = 0; i < FAKE_WAITERS && !at_load_relaxed(&fake->lose_wakes); i++)
        if (fake->waiters[i].ref == a->request->lease_released->ref)
            wake_session(fake, fake->waiters[i].connection);
}

static void on_request(struct answer *a, size_t fds)
{
    if (at_load_relaxed(&a->fake->mute))
        return;
    switch ((int)a->request->body_case) {
    case WIRE_REQUEST(HELLO): return on_hello(a);
    case WIRE_REQUEST(HEAP_OPEN): return on_heap_open(a);
    case WIRE_REQUEST(TYPE_DEFINE): return on_type_define(a);
    case WIRE_REQUEST(ATTACH): return on_attach(a, fds);
    case WIRE_REQUEST(DETACH): (void)at_add_relaxed(&a->fake->detaches, 1); return answer_done(a);
    case WIRE_REQUEST(GRANT): return on_grant(a);
    case WIRE_REQUEST(DRAIN): (void)at_add_relaxed(&a->fake->drains, 1); return;
    case WIRE_REQUEST(NAME_SET):
    case WIRE_REQUEST(NAME_GET): return on_name(a);
    case WIRE_REQUEST(COLLECT): return on_collect(a);
    case WIRE_REQUEST(PING): return answer_done(a);
    case WIRE_REQUEST(NOTICES_OPEN): return on_notices_open(a);
    case WIRE_REQUEST(NOTICES_TAKEN): at_store_release(&a->fake->notice_taken, a->request->notices_taken->number); return;
    case WIRE_REQUEST(LEASE_WAIT): return on_lease_wait(a);
    case WIRE_REQUEST(LEASE_RELEASED): return on_lease_released(a);
    default: return answer_error(a, MMGC_E_UNSUPPORTED);
    }
}

static void serve_one(struct fake_daemon *fake, int connection)
{
    struct answer a = { .fake = fake, .connection = connection, .reply = wire_reply_init() };
    struct packet_fds fds = { .count = 0 };
    wire_request *request;
    uint32_t serial;
    enum mmgc_error error;

    switch (wire_recv_request(fake->sockets[connection], &request, &fds, &serial, &error)) {
    case WIRE_OK: break;
    case WIRE_AGAIN: return;
    default:
        (void)close(fake->sockets[connection]);
        fake->sockets[connection] = -1;
        return;
    }
    a.request = request;
    on_request(&a, fds.count);
    packet_fds_close(&fds);
    wire_request_free(request);
}

static void accept_one(struct fake_daemon *fake)
{
    int sock = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);

    for (size_t i = 0; i < FAKE_CONNECTIONS; i++) {
        if (fake->sockets[i] >= 0 || fake->session_segments[i] != NULL)
            continue;
        fake->sockets[i] = sock;
        return;
    }
    (void)close(sock);
}

static void *serve(void *arg)
{
    struct fake_daemon *fake = arg;

    for (;;) {
        struct pollfd polls[FAKE_CONNECTIONS + 2];
        for (size_t i = 0; i < FAKE_CONNECTIONS; i++)
            polls[i] = (struct pollfd){ .fd = fake->sockets[i], .events = POLLIN };
        polls[FAKE_CONNECTIONS] = (struct pollfd){ .fd = fake->listener, .events = POLLIN };
        polls[FAKE_CONNECTIONS + 1] = (struct pollfd){ .fd = fake->wake[0], .events = POLLIN };
        (void)poll(polls, MM_ARRAY_LEN(polls), -1);
        if (polls[FAKE_CONNECTIONS + 1].revents != 0)
            return NULL;
        for (int i = 0; i < (int)FAKE_CONNECTIONS; i++)
            if (polls[i].fd >= 0 && polls[i].revents != 0)
                serve_one(fake, i);
        if (polls[FAKE_CONNECTIONS].revents != 0)
            accept_one(fake);
    }
}

struct fake_daemon *fake_start(void)
{
    static _Atomic unsigned number;
    struct fake_daemon *fake = calloc(1, sizeof(*fake));

    MM_ASSERT(fake != NULL);
    (void)snprintf(fake->path, sizeof(fake->path), "@mmgc-fake-%d-%u", getpid(),
                   at_add_relaxed(&number, 1));
    for (size_t i = 0; i < FAKE_CONNECTIONS; i++)
        at_store_relaxed(&fake->sockets[i], -1);
    at_store_relaxed(&fake->subscriber, -1);
    MM_ASSERT(shm_segment_new(&fake->control_segment, sizeof(struct shm_control), "fake control") == 0);
    MM_ASSERT(shm_segment_new(&fake->arena_segment, FAKE_ARENA_BYTES, "fake arena") == 0);
    MM_ASSERT(shm_segment_new(&fake->log_segment, shm_log_bytes(FAKE_ARENA_BYTES), "fake log") == 0);
    MM_ASSERT(shm_segment_new(&fake->lease_segment, sizeof(struct shm_leases), "fake leases") == 0);
    fake->leases = shm_segment_address(fake->lease_segment);
    fake->log_lines = shm_segment_address(fake->log_segment);
    fake->log_bits = (_Atomic uint64_t *)(void *)((char *)fake->log_lines + shm_log_bits_offset(FAKE_ARENA_BYTES));
    fake->control = shm_segment_address(fake->control_segment);
    fake->arena = shm_segment_address(fake->arena_segment);
    fake->control->version = SHM_CONTROL_VERSION;
    fake->control->arena_bytes = FAKE_ARENA_BYTES;
    fake->control->small_max_bytes = MM_SMALL_MAX_BYTES;
    (void)snprintf(fake->control->plan, sizeof(fake->control->plan), "fake");
    at_store_relaxed(&fake->control->limit_bytes, FAKE_ARENA_BYTES);
    at_store_release(&fake->control->magic, SHM_CONTROL_MAGIC);
    at_store_relaxed(&fake->arena_next, MM_BLOCK_BYTES);
    fake->listener = packet_listen(fake->path, 0600);
    MM_ASSERT(fake->listener >= 0);
    MM_ASSERT(pipe(fake->wake) == 0);
    MM_ASSERT(pthread_create(&fake->thread, NULL, serve, fake) == 0);
    return fake;
}

void fake_stop(struct fake_daemon *fake)
{
    (void)close(fake->wake[1]);
    (void)pthread_join(fake->thread, NULL);
    (void)close(fake->wake[0]);
    (void)close(fake->listener);
    for (size_t i = 0; i < FAKE_CONNECTIONS; i++) {
        if (fake->sockets[i] >= 0)
            (void)close(fake->sockets[i]);
        shm_segment_unref(fake->session_segments[i]);
    }
    for (size_t i = 0; i < FAKE_THREADS; i++)
        shm_segment_unref(fake->mutator_segments[i]);
    shm_segment_unref(fake->control_segment);
    shm_segment_unref(fake->arena_segment);
    shm_segment_unref(fake->log_segment);
    shm_segment_unref(fake->lease_segment);
    free(fake);
}

struct shm_mutator *fake_mutator(struct fake_daemon *fake, uint32_t id)
{
    MM_ASSERT(id >= 1 && id <= FAKE_THREADS && fake->mutator_segments[id - 1] != NULL);
    return shm_segment_address(fake->mutator_segments[id - 1]);
}

struct shm_session *fake_session(struct fake_daemon *fake)
{
    for (size_t i = FAKE_CONNECTIONS; i-- > 0;)
        if (fake->session_segments[i] != NULL)
            return shm_segment_address(fake->session_segments[i]);
    MM_ASSERT(false);
    return NULL;
}

void fake_event(struct fake_daemon *fake, enum mmgc_error code)
{
    wire_error error = wire_error_init();
    wire_reply reply = wire_reply_init();

    error.code = code;
    reply.body_case = WIRE_REPLY(ERROR);
    reply.error = &error;
    for (size_t i = 0; i < FAKE_CONNECTIONS; i++)
        if (fake->sockets[i] >= 0)
            (void)wire_send_reply(fake->sockets[i], &reply, NULL);
}

void fake_drop_all(struct fake_daemon *fake)
{
    for (size_t i = 0; i < FAKE_CONNECTIONS; i++)
        if (fake->sockets[i] >= 0)
            (void)shutdown(fake->sockets[i], SHUT_RDWR); /* the server thread reads the end and closes */
}

bool fake_stop_world(struct fake_daemon *fake, unsigned timeout_ms)
{
    uint64_t deadline_ns = mm_now_ns() + timeout_ms * UINT64_C(1000000);

    at_store_release(&fake->control->epoch, at_load_relaxed(&fake->control->epoch) | 1);
    (void)shm_barrier_all();
    for (uint32_t id = 1; id <= at_load_acquire(&fake->attaches); id++) {
        struct shm_mutator *m = fake_mutator(fake, id);
        while (at_load_acquire(&m->state) == SHM_IN) {
            if (mm_now_ns() > deadline_ns)
                return false;
            (void)futex_wait(&m->state, SHM_IN, UINT64_C(10000000));
        }
    }
    return true;
}

void fake_resume_world(struct fake_daemon *fake)
{
    at_store_release(&fake->control->epoch, at_load_relaxed(&fake->control->epoch) + 1);
    for (size_t i = 0; i < FAKE_CONNECTIONS; i++) {
        if (fake->session_segments[i] == NULL)
            continue;
        struct shm_session *s = shm_segment_address(fake->session_segments[i]);
        (void)at_add_acq_rel(&s->go, 1);
        futex_wake_all(&s->go);
    }
}
