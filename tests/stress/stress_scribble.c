/* SPDX-License-Identifier: Apache-2.0 */
/* stress_scribble: a client writes anything everywhere it can - arena, its session and mutator segments, log, leases - without a pause while its heap
 * is collected. The daemon goes on; another client's graph in another heap of the same daemon equals its model all along; and the scribbled heap
 * is fine or quarantined (MMGC_E_CORRUPT).
 *   Seeds    replay what is asked and written, not when      Longer  --long, --times N (MMGC_STRESS=N)                              */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/futex.h"
#include "shm/object.h"
#include "tests/daemon/raw.h"
#include "tests/support/crew.h"
#include "tests/support/entry.h"
#include "tests/support/inspect.h"
#include "tests/support/shadow.h"
#include "tests/support/stress.h"
#include "tests/support/wild.h"

#define HEAP_BYTES (UINT64_C(8) << 20)
#define GRANULES ((uint32_t)(HEAP_BYTES / MM_GRANULE_BYTES))
#define RIGHT_BYTES (UINT64_C(24) << 20)
#define RIGHT_BUDGET_BYTES ((UINT64_C(1) << 20) / STRESS_SLOWER)
#define SECONDS_ALL 30.0
#define LIMIT_S 120.0
#define WAIT_US 200u
#define WAITS_MAX 300000u /* a minute: a collection that has not ended by then never will */
#define MADE 1024u
#define NAMES 16u
#define THREADS 3u

enum told { END = 1 };

/* ---- the other heap ------------------------------------------------------------------------------------------------ */

struct right_case {
    const char *socket, *plan, *options;
    uint64_t seed;
};

/* numbers: steps, comparisons. */
static void be_right(struct mate *mate, void *arg)
{
    const struct right_case *c = arg;
    struct entry e;
    entry_open(&e, &(struct entry_options){ .socket = c->socket,
                                            .heap = "right",
                                            .plan = c->plan,
                                            .max_bytes = stress_heap_bytes(c->plan, RIGHT_BYTES),
                                            .options = c->options,
                                            .name = "right" });
    struct shadow *shadow = shadow_new(&(struct shadow_config){ .label = "right",
                                                                .seed = c->seed,
                                                                .budget_bytes = RIGHT_BUDGET_BYTES,
                                                                .sleeps = true,
                                                                .collects = true });
    shadow_attach(shadow, e.heap, e.t, false, false);
    for (mate_say(mate, 1); at_load_acquire(&mate->told) < END;) {
        shadow_run(shadow, 200);
        at_store_relaxed(&mate->numbers[0], shadow_tally(shadow)->steps);
        at_store_relaxed(&mate->numbers[1], shadow_tally(shadow)->compared);
    }
    shadow_compare(shadow);
    shadow_drop(shadow);
    shadow_free(shadow);
    entry_close(&e);
}

/* ---- who scribbles ------------------------------------------------------------------------------------------------- */

struct area {
    char *at;
    size_t bytes;
    uint32_t share; /* of a hundred writes, about so many */
};
#define AREAS_MAX (5u + 2u * THREADS)

struct scribbler {
    struct raw c;
    struct raw_thread threads[THREADS];
    const char *socket, *options;
    struct daemon *daemon;
    uint64_t rng;
    uint32_t node, refs, heap_number;
    char heap[32];
    uint32_t made[MADE], made_count;
    uint64_t heaps, corrupt, collections;

    pthread_t writer;
    pthread_mutex_t lock; /* who writes has it, and who changes what there is to be written to */
    struct area areas[AREAS_MAX];
    uint32_t area_count;
    uint64_t writer_rng, written;
    _Atomic bool over;
};

static uint32_t below(struct scribbler *s, uint32_t n)
{
    return wild_below(&s->rng, n);
}

static void scribble_once(struct scribbler *s)
{
    uint32_t which = wild_below(&s->writer_rng, 100), i = 0;

    while (i + 1 < s->area_count && which >= s->areas[i].share)
        which -= s->areas[i++].share;
    struct area *a = &s->areas[i];
    size_t words = a->bytes / 8;
    size_t most = wild_below(&s->writer_rng, 3) == 0
                      ? words
                      : MM_MIN(words, (size_t)4096); /* where things are, as a rule */
    _Atomic uint64_t *at =
        (_Atomic uint64_t *)(void *)(a->at + 8 * (size_t)wild_below(&s->writer_rng, most));
    uint64_t word = wild_word(&s->writer_rng, GRANULES), before = at_load_relaxed(at);
    at_store_relaxed(at, word);
    if (wild_below(&s->writer_rng, 2) == 0)
        at_store_relaxed(at, before); /* and was never there, for who looks twice */
    s->written++;
}

/* A thread that stays inside would only hold collections up. */
static void come_out(struct scribbler *s)
{
    for (unsigned i = 0; i < THREADS; i++) {
        if (s->threads[i].m == NULL)
            continue;
        at_store_relaxed(&s->threads[i].m->state,
                         wild_below(&s->writer_rng, 2) == 0 ? SHM_OUT : SHM_PARKED);
        futex_wake_all(&s->threads[i].m->state);
    }
}

static void *scribble(void *arg)
{
    struct scribbler *s = arg;

    while (!at_load_acquire(&s->over)) {
        pthread_mutex_lock(&s->lock);
        uint32_t count = 1u << wild_below(&s->writer_rng, 9);
        for (uint32_t i = 0; i < count && s->area_count > 0; i++)
            scribble_once(s);
        come_out(s);
        pthread_mutex_unlock(&s->lock);
        usleep(wild_below(&s->writer_rng, 300)); /* the collector should have a turn, too */
    }
    return NULL;
}

static void add_area(struct scribbler *s, void *at, size_t bytes, uint32_t share)
{
    MM_ASSERT(s->area_count < AREAS_MAX);
    if (at != NULL)
        s->areas[s->area_count++] = (struct area){ at, bytes, share };
}

/* With the lock. */
static void find_areas(struct scribbler *s)
{
    s->area_count = 0;
    add_area(s, s->c.segment->row_words,
             offsetof(struct shm_session, row_notes) - offsetof(struct shm_session, row_words), 8);
    add_area(s, &s->c.segment->row_high, 64, 1);
    add_area(s, s->c.log, shm_log_bytes(HEAP_BYTES), 8);
    add_area(s, s->c.leases, sizeof(struct shm_leases), 8);
    for (unsigned i = 0; i < THREADS; i++) {
        if (s->threads[i].m == NULL)
            continue;
        add_area(s, s->threads[i].m, offsetof(struct shm_mutator, rings), 5);
        add_area(s, s->threads[i].m->hold_rows,
                 shm_mutator_bytes(0) - offsetof(struct shm_mutator, hold_rows), 4);
    }
    s->areas[s->area_count - 1].share = 0; /* the rest is the arena's */
    add_area(s, s->c.arena, HEAP_BYTES, 100);
}

/* ---- a heap to be scribbled on ------------------------------------------------------------------------------------- */

static uint32_t define_refs(struct raw *c)
{
    uint32_t zero[1] = { 0 };
    RAW(define, TYPE_DEFINE, type_define);

    define_body.name = (char *)"refs";
    define_body.element_bytes = 4;
    define_body.n_element_refs = 1;
    define_body.element_refs = zero;
    wire_reply *reply = raw_ask(c, &define);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(TYPE_DEFINED));
    uint32_t id = reply->type_defined->id;
    wire_reply_free(reply);
    return id;
}

static void attach_all(struct scribbler *s)
{
    for (unsigned i = 0; i < THREADS; i++)
        raw_attach(&s->threads[i], &s->c, "scribbling");
}

static void open_wrong(struct scribbler *s)
{
    static uint32_t refs[2] = { 0, 4 };

    snprintf(s->heap, sizeof(s->heap), "wrong-%" PRIu32, s->heap_number++);
    raw_start(&s->c, s->daemon, "scribbler");
    s->c.options = s->options;
    raw_open(&s->c, s->heap, HEAP_BYTES);
    ck_assert_uint_eq(s->c.arena_bytes, HEAP_BYTES);
    s->node = raw_type(&s->c, "node", 16, 2, refs);
    s->refs = define_refs(&s->c);
    attach_all(s);
    s->made_count = 0;
    s->heaps++;
    pthread_mutex_lock(&s->lock);
    find_areas(s);
    pthread_mutex_unlock(&s->lock);
}

static void unmap(struct scribbler *s)
{
    munmap(s->c.arena, HEAP_BYTES);
    munmap(s->c.segment, sizeof(struct shm_session));
    if (s->c.log != NULL)
        munmap(s->c.log, shm_log_bytes(HEAP_BYTES));
    if (s->c.leases != NULL)
        munmap(s->c.leases, sizeof(struct shm_leases));
    munmap((void *)s->c.control, sizeof(struct shm_control));
    for (unsigned i = 0; i < THREADS; i++)
        munmap(s->threads[i].m, sizeof(struct shm_mutator));
}

/* Dies of it as far as the daemon knows; what it wrote into its words is sealed, and its heap goes. */
static void close_wrong(struct scribbler *s, struct raw *admin)
{
    RAW(destroy, HEAP_DESTROY, heap_destroy);

    pthread_mutex_lock(&s->lock);
    s->area_count = 0;
    s->collections += at_load_acquire(&s->c.control->collections);
    s->corrupt += at_load_acquire(&s->c.control->corrupt);
    come_out(s);
    unmap(s);
    memset(s->threads, 0, sizeof(s->threads));
    raw_close(&s->c);
    pthread_mutex_unlock(&s->lock);
    destroy_body.name = s->heap;
    destroy_body.force = true;
    ck_assert_int_eq(raw_try(admin, &destroy), MMGC_E_OK);
}

/* ---- work for the collector ---------------------------------------------------------------------------------------- */

static uint32_t any_made(struct scribbler *s)
{
    return s->made_count == 0 ? 0 : s->made[below(s, MM_MIN(s->made_count, MADE))];
}

static void fill_span(struct scribbler *s, uint32_t start, uint32_t granules)
{
    uint32_t at = start, end = start + MM_MIN(granules, 4096u);

    while (at + 40 < end) {
        bool array = below(s, 8) == 0;
        uint32_t length = array ? 2 + below(s, 60) : 0, words = array ? (length + 1) / 2 : 2;
        uint64_t *object = (uint64_t *)(void *)(s->c.arena + 8 * (size_t)at);
        at_store_relaxed((_Atomic uint64_t *)object, object_header(array ? s->refs : s->node, length));
        for (uint32_t i = 1; i <= words; i++)
            at_store_relaxed((_Atomic uint64_t *)&object[i],
                             any_made(s) | (array ? (uint64_t)any_made(s) << 32 : 0));
        s->made[s->made_count++ % MADE] = at + 1;
        at += 1 + words;
    }
}

/* What it was granted, as far as its words are still to be believed. */
static void fill(struct scribbler *s)
{
    struct raw_thread *t = &s->threads[below(s, THREADS)];
    enum shm_grant_class class = below(s, 3) == 0 ? below(s, SHM_GRANT_CLASSES) : SHM_GRANT_LINES;
    uint32_t published = at_load_acquire(&t->m->mail[class].published),
             capacity = shm_ring_capacity(class);

    for (uint32_t i = published - 8; i != published; i++) {
        struct shm_grant row = shm_mutator_ring(t->m, class)[i % capacity];
        if ((uint64_t)row.start + row.granules <= GRANULES && row.granules > 64)
            fill_span(s, row.start, row.granules);
    }
    if (below(s, 4) > 0)
        at_store_release(&t->m->mail[class].taken, published);
}

static void root(struct scribbler *s)
{
    struct raw_thread *t = &s->threads[below(s, THREADS)];
    uint32_t row = 1 + below(s, 500);

    at_store_relaxed(&s->c.segment->row_words[row], any_made(s));
    at_store_release(&s->c.segment->row_tags[row], shm_row_tag(below(s, SHM_ROW_KINDS), below(s, 4)));
    at_store_relaxed(&s->c.segment->row_high, 500);
    at_store_relaxed((_Atomic uint32_t *)&t->m->roots[below(s, 200)], any_made(s));
    at_store_relaxed(&t->m->root_count, 200);
    at_store_relaxed(&t->m->locals[below(s, 200)], any_made(s));
    at_store_relaxed(&t->m->local_count, 200);
}

static void store_logged(struct scribbler *s)
{
    struct raw_thread *t = &s->threads[below(s, THREADS)];

    for (uint32_t n = below(s, 50); n > 0; n--) {
        uint32_t pushed = at_load_relaxed(&t->m->log.pushed);
        struct shm_log_entry *entry = &t->m->log_ring[pushed % SHM_LOG_CAPACITY];
        at_store_relaxed(&entry->object, any_made(s));
        at_store_relaxed(&entry->offset, below(s, 3));
        at_store_relaxed(&entry->old, any_made(s));
        at_store_release(&t->m->log.pushed, pushed + 1);
    }
}

/* ---- what it asks -------------------------------------------------------------------------------------------------- */

struct bodies {
    wire_grant grant;
    wire_name_set set;
    wire_stow stow;
    wire_stowed stowed;
    wire_lease_wait wait;
    wire_lease_released released;
    wire_lease_revoke revoke;
    wire_notices_open notices;
    wire_notices_taken taken;
    wire_handles handles;
    wire_clients clients;
    wire_roots roots;
    wire_histogram histogram;
    wire_verify verify;
    wire_heap_info info;
};

static void fill_grant(struct scribbler *s, wire_request *r, struct bodies *b)
{
    b->grant = wire_grant_init();
    b->grant.thread = s->threads[below(s, THREADS)].id;
    b->grant.grant_class = below(s, 3) == 0 ? below(s, SHM_GRANT_CLASSES) : SHM_GRANT_LINES;
    b->grant.bytes = below(s, 8) == 0 ? below(s, 1u << 21) : below(s, 1u << 17);
    b->grant.mail_serial = below(s, 1000);
    request_fill(r, WIRE_REQUEST(GRANT), &b->grant);
}

static void fill_lease(struct scribbler *s, wire_request *r, struct bodies *b)
{
    switch (below(s, 4)) {
    case 0:
        b->released = wire_lease_released_init();
        b->released.ref = any_made(s);
        request_fill(r, WIRE_REQUEST(LEASE_RELEASED), &b->released);
        return;
    case 1:
        b->revoke = wire_lease_revoke_init();
        b->revoke.session = s->c.session;
        b->revoke.slot = below(s, 500);
        request_fill(r, WIRE_REQUEST(LEASE_REVOKE), &b->revoke);
        return;
    default:
        b->wait = wire_lease_wait_init();
        b->wait.ref = any_made(s);
        b->wait.slot = below(s, 500);
        b->wait.over = below(s, 2) == 0;
        request_fill(r, WIRE_REQUEST(LEASE_WAIT), &b->wait);
        return;
    }
}

static void fill_moves(struct scribbler *s, wire_request *r, struct bodies *b)
{
    switch (below(s, 4)) {
    case 0:
        b->notices = wire_notices_open_init();
        b->notices.all = below(s, 2) == 0;
        request_fill(r, WIRE_REQUEST(NOTICES_OPEN), &b->notices);
        return;
    case 1:
        b->taken = wire_notices_taken_init();
        b->taken.number = below(s, 100);
        request_fill(r, WIRE_REQUEST(NOTICES_TAKEN), &b->taken);
        return;
    case 2:
        b->stowed = wire_stowed_init();
        b->stowed.slot = below(s, 500);
        request_fill(r, WIRE_REQUEST(STOWED), &b->stowed);
        return;
    default:
        b->stow = wire_stow_init();
        b->stow.slot = below(s, 500);
        request_fill(r, WIRE_REQUEST(STOW), &b->stow);
        return;
    }
}

static void fill_looking(struct scribbler *s, wire_request *r, struct bodies *b)
{
    if (below(s, 100) == 0) { /* finds something, as a rule, and quarantines */
        b->verify = wire_verify_init();
        request_fill(r, WIRE_REQUEST(VERIFY), &b->verify);
        return;
    }
    switch (below(s, 11)) {
    case 1:
        b->histogram = wire_histogram_init();
        request_fill(r, WIRE_REQUEST(HISTOGRAM), &b->histogram);
        return;
    case 2:
        b->info = wire_heap_info_init();
        b->info.name = s->heap;
        request_fill(r, WIRE_REQUEST(HEAP_INFO), &b->info);
        return;
    case 3:
    case 4:
        b->clients = wire_clients_init();
        request_fill(r, WIRE_REQUEST(CLIENTS), &b->clients);
        return;
    case 5:
    case 6:
        b->roots = wire_roots_init();
        request_fill(r, WIRE_REQUEST(ROOTS), &b->roots);
        return;
    default:
        b->handles = wire_handles_init();
        b->handles.leases = below(s, 2) == 0;
        request_fill(r, WIRE_REQUEST(HANDLES), &b->handles);
        return;
    }
}

static void fill_name(struct scribbler *s, wire_request *r, struct bodies *b)
{
    static char name[16];

    snprintf(name, sizeof(name), "n%" PRIu32, below(s, NAMES));
    b->set = wire_name_set_init();
    b->set.name = name;
    b->set.ref = any_made(s);
    request_fill(r, WIRE_REQUEST(NAME_SET), &b->set);
}

/* Answers are read later; that one comes is not asked here. */
static void ask_something(struct scribbler *s)
{
    static void (*const fills[])(struct scribbler *, wire_request *,
                                 struct bodies *) = { fill_grant, fill_grant,  fill_grant,
                                                      fill_grant, fill_lease,  fill_moves,
                                                      fill_name,  fill_looking };
    wire_request request = wire_request_init();
    struct bodies bodies;

    fills[below(s, MM_ARRAY_LEN(fills))](s, &request, &bodies);
    request.serial = ++s->c.serial;
    (void)wire_send_request(s->c.sock, &request, NULL);
}

/* Who takes no notice of moves is ended after a while, and that is tried elsewhere. */
static void take_notices(struct scribbler *s)
{
    RAW(taken, NOTICES_TAKEN, notices_taken);

    taken_body.number = at_load_acquire(&s->c.segment->notices) & ~SHM_NOTICES_DROPPED;
    taken.serial = ++s->c.serial;
    if (taken_body.number > 0)
        (void)wire_send_request(s->c.sock, &taken, NULL);
}

/* What has come, without waiting. False: the daemon has ended this session. */
static bool read_answers(struct scribbler *s)
{
    while (packet_wait(s->c.sock, 0) == 0) {
        wire_reply *reply = raw_receive(&s->c, NULL);
        if (reply == NULL)
            return false;
        wire_reply_free(reply);
    }
    return true;
}

/* Waits for a collection's end, unless there is none: the heap is quarantined, or the stop was given up. */
static void collect(struct scribbler *s)
{
    RAW(request, COLLECT, collect);
    uint64_t given_up = at_load_acquire(&s->c.control->abandoned_stops);
    wire_reply *reply = raw_ask(&s->c, &request);
    bool started = reply->body_case == WIRE_REPLY(COLLECT_STARTED);
    uint64_t number = started ? reply->collect_started->number : 0;

    ck_assert_msg(started || reply->error->code == MMGC_E_CORRUPT, "collecting: %s", s->c.detail);
    wire_reply_free(reply);
    for (uint32_t waits = 0; at_load_acquire(&s->c.control->collections) < number; waits++) {
        if (at_load_acquire(&s->c.control->corrupt) != 0 ||
            at_load_acquire(&s->c.control->abandoned_stops) != given_up)
            return;
        ck_assert_msg(waits < WAITS_MAX, "collection %" PRIu64 " of heap %s does not end", number,
                      s->heap);
        usleep(WAIT_US);
    }
}

/* One thread goes and another comes. */
static void attach_another(struct scribbler *s)
{
    uint32_t i = below(s, THREADS);
    void *words = s->threads[i].m;
    enum mmgc_error error = raw_detach(&s->threads[i]);

    ck_assert(error == MMGC_E_OK);
    pthread_mutex_lock(&s->lock);
    s->threads[i].m = NULL;
    find_areas(s);
    pthread_mutex_unlock(&s->lock);
    munmap(words, sizeof(struct shm_mutator));
    if (at_load_acquire(&s->c.control->corrupt) != 0)
        return;
    raw_attach(&s->threads[i], &s->c, "again");
    pthread_mutex_lock(&s->lock);
    find_areas(s);
    pthread_mutex_unlock(&s->lock);
}

static bool is_whole(const struct scribbler *s)
{
    for (unsigned i = 0; i < THREADS; i++)
        if (s->threads[i].m == NULL)
            return false;
    return at_load_acquire(&s->c.control->corrupt) == 0;
}

/* One turn of whatever. False: with this heap nothing more can be done. */
static bool turn(struct scribbler *s)
{
    for (uint32_t n = below(s, 6); n > 0; n--)
        ask_something(s);
    fill(s);
    root(s);
    store_logged(s);
    take_notices(s);
    if (!read_answers(s))
        return false;
    for (uint32_t n = below(s, 8); n > 0; n--)
        collect(s);
    if (below(s, 50) == 0)
        attach_another(s);
    return is_whole(s) && below(s, 2000) > 0;
}

/* ---- the case ------------------------------------------------------------------------------------------------------ */

/* Collections come of themselves, too, young ones and cycles; and some heaps are looked at twice and quarantined. */
static const char *wrong_options(const char *plan, uint64_t seed)
{
    static const char *const more[] = { "stress_factor=128K",
                                        "stress_factor=64K nursery=fixed:128K",
                                        "",
                                        "stress_factor=256K sanity=on",
                                        "nursery=fixed:256K immix_always_defrag=on",
                                        "stress_factor=512K pause_goal=1ms" };
    static char text[128];

    snprintf(text, sizeof(text), "plan=%s %s", plan, more[seed % MM_ARRAY_LEN(more)]);
    return text;
}

static void ping(struct raw *admin)
{
    RAW(request, PING, ping);

    ck_assert_int_eq(raw_try(admin, &request), MMGC_E_OK);
}

static void scribble_for(struct scribbler *s, const char *plan, struct mate *right, double seconds)
{
    struct raw admin;
    uint64_t end = mm_now_ns() + (uint64_t)(seconds * 1e9), seed = s->rng;

    raw_start(&admin, s->daemon, "admin");
    for (uint64_t round = 0; mm_now_ns() < end; round++) {
        s->options = wrong_options(plan, seed + round);
        open_wrong(s);
        while (mm_now_ns() < end && turn(s))
            mate_check(right);
        ping(&admin);
        close_wrong(s, &admin);
    }
    raw_close(&admin);
}

START_TEST(whoever_scribbles_harms_nobody_but_himself)
{
    const char *plan = stress_plan(_i), *others_plan = stress_plan((_i + 1) % stress_plan_count());
    struct daemon *d = daemon_start("[daemon]\nthreads = 2\nlog_level = error\n");
    static struct scribbler s;
    struct crew crew;

    if (stress_seconds(1) > 1)
        ck_assert_int_eq(kill(daemon_pid(d), SIGHUP), 0); /* no line for each lie */
    struct right_case c = { .socket = daemon_socket(d),
                            .plan = others_plan,
                            .options = stress_options(others_plan, 5100 + (uint64_t)_i),
                            .seed = stress_seed(5200 + (uint64_t)_i) };
    crew_init(&crew);
    struct mate *right = crew_start(&crew, be_right, &c);
    mate_await(right, 1, LIMIT_S);
    s = (struct scribbler){ .daemon = d,
                            .rng = stress_seed(5000 + (uint64_t)_i) | 1,
                            .writer_rng = stress_seed(5300 + (uint64_t)_i) | 1 };
    pthread_mutex_init(&s.lock, NULL);
    ck_assert_int_eq(pthread_create(&s.writer, NULL, scribble, &s), 0);
    scribble_for(&s, plan, right, stress_seconds_each(SECONDS_ALL, stress_plan_count()));
    at_store_release(&s.over, true);
    pthread_join(s.writer, NULL);
    mate_tell(right, END);
    mate_join(right, LIMIT_S);
    fprintf(stderr,
            "%s: %" PRIu64 " collections of %" PRIu64 " heaps, %" PRIu64 " quarantined, %" PRIu64
            " words written; beside it %" PRIu64 " steps and %" PRIu64 " comparisons under %s\n",
            plan, s.collections, s.heaps, s.corrupt, s.written, right->numbers[0],
            right->numbers[1], others_plan);
    crew_fini(&crew);
    daemon_stop(d);
}
END_TEST

static Suite *scribble_suite(void)
{
    Suite *suite = suite_create("stress_scribble");
    TCase *scribbling = tcase_create("scribbling");

    stress_limit(scribbling, 200);
    tcase_add_loop_test(scribbling, whoever_scribbles_harms_nobody_but_himself, 0, stress_plan_count());
    suite_add_tcase(suite, scribbling);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, scribble_suite);
}
