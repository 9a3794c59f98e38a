/* SPDX-License-Identifier: Apache-2.0 */
/* Random requests from several connections at once, with forged words in between: whatever it is, the daemon goes on and serves
 * the others. The seed is fixed, so a failure comes again; races with the daemon do not. */
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define CONNECTIONS 6
#define ROUNDS 20000
#define HEAP_BYTES (UINT64_C(8) << 20)

static unsigned seed;

static uint32_t any_below(uint32_t n)
{
    return (uint32_t)rand_r(&seed) % n;
}

/* Mostly small, at times a corner. */
static uint64_t any_number(void)
{
    static const uint64_t corners[] = {
        0, 1, 4095, 65536, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX - 1, UINT64_MAX
    };

    return any_below(3) == 0 ? corners[any_below(MM_ARRAY_LEN(corners))] : any_below(1 << 18);
}

static char *any_name(void)
{
    static char *const names[] = { "a", "b", "c", "d", "" };

    return names[any_below(MM_ARRAY_LEN(names))];
}

struct bodies { /* one of each kind, to be filled and pointed at */
    wire_heap_open open;
    wire_heap_destroy destroy;
    wire_heap_info info;
    wire_type_define type;
    wire_attach attach;
    wire_detach detach;
    wire_drain drain;
    wire_grant grant;
    wire_name_set set;
    wire_collect collect;
    wire_verify verify;
    wire_histogram histogram;
    wire_clients clients;
    wire_roots roots;
    wire_bequeath bequeath;
    wire_guardian guardian;
    wire_inherit inherit;
    wire_stow stow;
    wire_stowed stowed;
};

static void fill_for_heaps(wire_request *r, struct bodies *b)
{
    switch (any_below(8)) {
    case 0:
        b->open = wire_heap_open_init();
        b->open.name = any_name();
        b->open.create = any_below(4) > 0;
        b->open.max_bytes = any_below(2) == 0 ? HEAP_BYTES : any_number();
        b->open.limit_bytes = any_below(2) == 0 ? 0 : any_number();
        request_fill(r, WIRE_REQUEST(HEAP_OPEN), &b->open);
        return;
    case 1:
        b->destroy = wire_heap_destroy_init();
        b->destroy.name = any_name();
        b->destroy.force = any_below(8) == 0;
        request_fill(r, WIRE_REQUEST(HEAP_DESTROY), &b->destroy);
        return;
    case 2:
        b->info = wire_heap_info_init();
        b->info.name = any_name();
        request_fill(r, WIRE_REQUEST(HEAP_INFO), &b->info);
        return;
    case 3:
        b->collect = wire_collect_init();
        b->collect.heap = any_name();
        request_fill(r, WIRE_REQUEST(COLLECT), &b->collect);
        return;
    case 4:
        b->verify = wire_verify_init();
        b->verify.heap = any_name();
        request_fill(r, WIRE_REQUEST(VERIFY), &b->verify);
        return;
    case 5:
        b->histogram = wire_histogram_init();
        b->histogram.heap = any_name();
        b->histogram.after_type = (uint32_t)any_number();
        request_fill(r, WIRE_REQUEST(HISTOGRAM), &b->histogram);
        return;
    case 6:
        b->clients = wire_clients_init();
        b->clients.heap = any_name();
        b->clients.after_session = any_number();
        request_fill(r, WIRE_REQUEST(CLIENTS), &b->clients);
        return;
    default:
        b->roots = wire_roots_init();
        b->roots.heap = any_name();
        b->roots.after_name = any_name();
        request_fill(r, WIRE_REQUEST(ROOTS), &b->roots);
        return;
    }
}

static void fill_for_threads(wire_request *r, struct bodies *b)
{
    static uint32_t refs[4] = { 0, 4, 8, 12 };

    switch (any_below(12)) {
    case 10:
        b->stow = wire_stow_init();
        b->stow.slot = any_below(2) == 0 ? any_below(4) : (uint32_t)any_number();
        request_fill(r, WIRE_REQUEST(STOW), &b->stow);
        return;
    case 11:
        b->stowed = wire_stowed_init();
        b->stowed.slot = any_below(2) == 0 ? any_below(4) : (uint32_t)any_number();
        request_fill(r, WIRE_REQUEST(STOWED), &b->stowed);
        return;
    case 7:
        b->bequeath = wire_bequeath_init();
        b->bequeath.heir = any_name();
        request_fill(r, WIRE_REQUEST(BEQUEATH), &b->bequeath);
        return;
    case 8:
        b->guardian = wire_guardian_init();
        b->guardian.name = any_name();
        request_fill(r, WIRE_REQUEST(GUARDIAN), &b->guardian);
        return;
    case 9:
        b->inherit = wire_inherit_init();
        request_fill(r, WIRE_REQUEST(INHERIT), &b->inherit);
        return;
    case 0:
        b->type = wire_type_define_init();
        b->type.name = any_name();
        b->type.fixed_bytes = any_below(2) == 0 ? 16 : (uint32_t)any_number();
        b->type.element_bytes = any_below(2) == 0 ? 0 : (uint32_t)any_number();
        b->type.n_refs = any_below(5);
        b->type.refs = refs;
        request_fill(r, WIRE_REQUEST(TYPE_DEFINE), &b->type);
        return;
    case 1:
        b->attach = wire_attach_init();
        b->attach.stack_bytes = any_number();
        b->attach.exact = any_below(2) == 0;
        b->attach.name = any_name();
        request_fill(r, WIRE_REQUEST(ATTACH), &b->attach);
        return;
    case 2:
        b->detach = wire_detach_init();
        b->detach.thread = any_below(12);
        request_fill(r, WIRE_REQUEST(DETACH), &b->detach);
        return;
    case 3:
        b->set = wire_name_set_init();
        b->set.name = any_name();
        b->set.ref = (uint32_t)any_number();
        b->set.only_if_absent = any_below(2) == 0;
        request_fill(r, WIRE_REQUEST(NAME_SET), &b->set);
        return;
    case 4:
        b->drain = wire_drain_init();
        b->drain.thread = any_below(12);
        request_fill(r, WIRE_REQUEST(DRAIN), &b->drain);
        return;
    default:
        b->grant = wire_grant_init();
        b->grant.thread = any_below(12);
        b->grant.grant_class = any_below(4);
        b->grant.bytes = any_number();
        b->grant.min_bytes = (uint32_t)any_number();
        b->grant.mail_serial = (uint32_t)any_number();
        b->grant.reserve = any_below(8) == 0;
        request_fill(r, WIRE_REQUEST(GRANT), &b->grant);
        return;
    }
}

static void map_session(struct raw *c, struct packet_fds *fds, const wire_reply *reply)
{
    if (reply->body_case != WIRE_REPLY(HEAP_OPENED))
        return;
    c->segment = mmap(NULL, reply->heap_opened->session_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                      fds->fd[2], 0);
    ck_assert_ptr_ne(c->segment, MAP_FAILED);
}

/* Threads of all connections, the newest of them: their words are forged while they wait for nothing. */
#define THREADS 64
static struct shm_mutator *threads[THREADS];
static unsigned thread_count;

static void map_thread(struct packet_fds *fds, const wire_reply *reply)
{
    if (reply->body_case != WIRE_REPLY(ATTACHED))
        return;
    struct shm_mutator *m =
        mmap(NULL, reply->attached->mutator_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds->fd[0], 0);
    ck_assert_ptr_ne(m, MAP_FAILED);
    struct shm_mutator **slot = &threads[thread_count++ % THREADS];
    if (*slot != NULL)
        munmap(*slot, sizeof(struct shm_mutator));
    *slot = m;
}

static void forge(void)
{
    struct shm_mutator *m = threads[any_below(THREADS)];

    if (m == NULL)
        return;
    at_store_relaxed(&m->mail[any_below(SHM_GRANT_CLASSES)].taken, (uint32_t)any_number());
    at_store_relaxed(&m->root_count, (uint32_t)any_number());
    at_store_relaxed(&m->local_count, (uint32_t)any_number());
    at_store_relaxed(&m->locals[any_below(64)], (uint32_t)any_number());
    m->base = (char *)(uintptr_t)any_number();
    m->lines.cursor = (char *)(uintptr_t)any_number();
    m->lines.limit = (char *)(uintptr_t)any_number();
    at_store_relaxed(&m->state, any_below(20) == 0 ? SHM_IN : (uint32_t)any_number());
}

/* Reads what has come, without waiting. False: the daemon has closed it. */
static bool drain(struct raw *c)
{
    while (packet_wait(c->sock, 0) == 0) {
        struct packet_fds fds;
        wire_reply *reply = raw_receive(c, &fds);
        if (reply == NULL)
            return false;
        map_session(c, &fds, reply);
        map_thread(&fds, reply);
        packet_fds_close(&fds);
        wire_reply_free(reply);
    }
    return true;
}

static void reconnect(struct raw *c, const struct daemon *d)
{
    if (c->segment != NULL)
        munmap(c->segment, sizeof(*c->segment));
    raw_close(c);
    raw_start(c, d, "random");
}

START_TEST(random_requests_and_forged_words_harm_nobody_else)
{
    struct daemon *d = daemon_start(
        "[daemon]\nthreads = 2\nstop_deadline = 5ms\nmax_threads = 20\nlog_level = error\n");
    struct raw c[CONNECTIONS] = { 0 }, honest;
    struct bodies bodies;

    seed = (unsigned)_i + 1;
    raw_start(&honest, d, "honest");
    raw_open(&honest, "honest", HEAP_BYTES);
    for (int i = 0; i < CONNECTIONS; i++)
        raw_start(&c[i], d, "random");
    for (int round = 0; round < ROUNDS; round++) {
        struct raw *at = &c[any_below(CONNECTIONS)];
        wire_request request = wire_request_init();
        if (any_below(3) == 0)
            fill_for_heaps(&request, &bodies);
        else
            fill_for_threads(&request, &bodies);
        request.serial = ++at->serial;
        if (any_below(200) == 0 || !drain(at) || wire_send_request(at->sock, &request, NULL) < 0)
            reconnect(at, d);
        if (at->segment != NULL) {
            at_store_relaxed(&at->segment->row_high, (uint32_t)any_number());
            at_store_relaxed(&at->segment->row_words[any_below(64)], (uint32_t)any_number());
            at_store_relaxed(&at->segment->row_tags[any_below(64)], (uint32_t)any_number());
        }
        forge();
        if (round % 1000 == 0)
            raw_collect_wait(&honest, raw_collect_begin(&honest, ""));
    }
    raw_collect_wait(&honest, raw_collect_begin(&honest, ""));
    for (int i = 0; i < CONNECTIONS; i++)
        raw_close(&c[i]);
    raw_close(&honest);
    daemon_stop(d);
}
END_TEST

static Suite *random_suite(void)
{
    Suite *suite = suite_create("random");
    TCase *requests = tcase_create("requests");

    tcase_set_timeout(requests, 120);
    tcase_add_loop_test(requests, random_requests_and_forged_words_harm_nobody_else, 0, 3);
    suite_add_tcase(suite, requests);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, random_suite);
}
