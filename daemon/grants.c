/* SPDX-License-Identifier: Apache-2.0 */
/* grants.c - Grants: what a thread asked for, from the request to the word that wakes it.
 *   G1  entries are written first, published is raised (release), then error, then answered = serial (release), then the wake:
 *       who acquires answered sees the rest
 *   G2  a request fails with NOMEM only after a collection that looked at the heap after it had arrived, and an
 *       emergency collection after that. Under generational plans the first may be of what is young; the second never is. Nor
 *       while memory is on its way: being committed, or given back to the system, after which it can be committed again
 *   G3  the ring's place and free room follow from our own counts; of the client's words only taken is read, once
 *   G4  one grant brings at most a thread's share of what is free, and of an eighth of the heap: with a slab in use and one ahead
 *       the threads together hold a quarter of the heap at most, however many they are. A thread's sizes of cells, and other
 *       classes that it may have many of, divide its share. Never less than a block, or nobody would get anywhere. Nor more than
 *       its share of a quarter of the nursery, if there is one: one grant should not go far beyond it
 *   G5  stress_factor, and the nursery of a generational plan: a collection is promised as soon as so much was granted since the last
 *       one, and nobody waits for it. If precise_stress is on, nothing is granted that would go beyond stress_factor; what is larger
 *       by itself comes first after a collection */
#include "daemon/grants.h"

#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/watch.h"
#include "plans/work/probe.h"
#include "shm/futex.h"
#include "shm/units.h"

#define ROWS_A_GRANT 2048u

enum service { SERVED, REFUSED, NOT_YET, HELD };

static void answer_mail(struct mutator *m, enum shm_grant_class class, uint32_t serial,
                        enum mmgc_error error)
{
    struct shm_mailbox MM_NODEREF *mail = &m->words->mail[class];

    at_store_relaxed(&mail->error, (uint32_t)error);
    at_store_release(&mail->answered, serial); /* pairs with the client's acquire (G1) */
    futex_wake_all(&mail->answered);
}

void grants_refuse(struct mutator *m, enum shm_grant_class class, uint32_t serial, enum mmgc_error why)
{
    answer_mail(m, class, serial, why);
}

static void finish(struct shared_heap *h, struct grant_wait *w, enum mmgc_error error)
{
    TAILQ_REMOVE(&h->waiting, w, link);
    w->waiting = false;
    h->out_of_memory += error == MMGC_E_NOMEM || error == MMGC_E_SYSTEM_NOMEM || error == MMGC_E_RESERVE;
    answer_mail(w->mutator, w->class, w->serial, error);
}

/* Of the classes that a thread may have many of, those that @m was ever granted; at least 1. */
static uint64_t classes_of(const struct mutator *m)
{
    uint64_t many = heap_mutator_classes(m->record) >> SHM_GRANT_NONMOVING;

    return MM_MAX((uint64_t)__builtin_popcountll(many), UINT64_C(1));
}

/* G4. @nursery_bytes: 0: none. */
static uint64_t share(const struct shared_heap *h, const struct grant_wait *w, uint64_t nursery_bytes)
{
    uint64_t threads = MM_MAX(h->mutator_count, 1u);
    uint64_t available = heap_free_bytes(h->heap) + heap_hole_bytes(h->heap);
    uint64_t bytes = MM_MIN(available / 2, h->limit_bytes / 8) / threads;

    if (nursery_bytes > 0)
        bytes = MM_MIN(bytes, nursery_bytes / 4 / threads);
    if (w->class >= SHM_GRANT_NONMOVING)
        bytes /= classes_of(w->mutator);
    return MM_MAX(bytes, (uint64_t)MM_BLOCK_BYTES);
}

/* ---- what is granted between two collections (G5) ---- */

static bool stresses(const struct shared_heap *h)
{
    return h->settings.stress_bytes > 0 && h->collects;
}

static uint64_t granted_since_collection(const struct shared_heap *h)
{
    return at_load_relaxed(&h->control->granted_bytes) - h->granted_at_collection;
}

static bool is_due(const struct shared_heap *h, uint64_t nursery_bytes)
{
    uint64_t since = granted_since_collection(h);

    return (stresses(h) && since >= h->settings.stress_bytes) || (nursery_bytes > 0 && since >= nursery_bytes);
}

uint64_t grants_nursery_left_locked(const struct shared_heap *h)
{
    uint64_t bytes = heap_nursery_bytes(h->heap);

    return bytes == 0 ? UINT64_MAX : bytes - MM_MIN(bytes, granted_since_collection(h));
}

bool grants_nursery_is_over(const struct shared_heap *h)
{
    uint64_t bytes = heap_nursery_bytes(h->heap) * (h->settings.collector.pause_goal_ns == 0 ? 2 : 1);

    return bytes > 0 && granted_since_collection(h) >= bytes;
}

/* What a grant to @w may be asked to bring; 0: nothing before a collection. A grant's last piece may go beyond what it was
 * asked for by all but a byte. */
static uint64_t stress_allows(const struct shared_heap *h, const struct grant_wait *w)
{
    uint64_t piece = w->class == SHM_GRANT_LARGE ? mm_align_up(w->bytes, MM_PAGE_BYTES) : MM_BLOCK_BYTES;
    uint64_t since = granted_since_collection(h), factor = h->settings.stress_bytes;

    if (!stresses(h) || !h->settings.precise_stress)
        return UINT64_MAX;
    if (since == 0)
        return MM_MAX(factor, piece) - piece + 1;
    return since + piece <= factor ? factor - since - piece + 1 : 0;
}

/* ---- serving ---- */

static uint32_t ring_room(const struct mutator *m, enum shm_grant_class class)
{
    uint32_t taken = at_load_acquire(&m->words->mail[class].taken); /* G3 */
    uint32_t used = heap_mutator_outstanding(m->record, class, taken);
    uint32_t capacity = shm_ring_capacity(class);

    return used >= capacity ? 0 : capacity - used;
}

/* Read by the client once it is published, and by us never again. */
static void put_row(struct shm_grant MM_NODEREF *place, const struct shm_grant *row)
{
    *(struct shm_grant *)(uintptr_t)place = *row;
}

/* Puts @count rows into the mailbox; their bytes. */
static uint64_t publish(struct shared_heap *h, struct mutator *m, enum shm_grant_class class,
                        const struct shm_grant *rows, size_t count)
{
    struct shm_grant MM_NODEREF *ring = shm_mutator_ring(m->words, class);
    uint64_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        uint32_t at = (m->published[class] + (uint32_t)i) % shm_ring_capacity(class);
        put_row(&ring[at], &rows[i]);
        if (class == SHM_GRANT_HOLD)
            at_store_relaxed(&m->words->hold_rows[at], 0); /* it was another block's */
        bytes += (uint64_t)rows[i].granules << MM_GRANULE_LOG;
    }
    m->published[class] += (uint32_t)count;
    at_store_release(&m->words->mail[class].published, m->published[class]); /* pairs with the client's acquire */
    m->granted_bytes += bytes;
    (void)at_add_relaxed(&h->control->granted_bytes, bytes);
    MM_PROBE(grant, h->name, m->session->id, m->id, (int)class, bytes);
    commits_note_granted(h, bytes);
    return bytes;
}

/* G5 */
static void promise_due(struct shared_heap *h, uint64_t nursery_bytes)
{
    if (is_due(h, nursery_bytes))
        shared_heap_promise_collection_locked(h, nursery_bytes > 0 && granted_since_collection(h) >= nursery_bytes ? CAUSE_NURSERY : CAUSE_STRESS);
    else if (cycle_is_due_locked(h))
        shared_heap_promise_collection_locked(h, CAUSE_AHEAD);
}

/* One bite of what is wanted; 0 rows: nothing there. */
static size_t bite(struct shared_heap *h, struct grant_wait *w, uint32_t room, uint64_t most,
                   uint64_t *ret_bytes)
{
    struct shm_grant rows[ROWS_A_GRANT];
    uint64_t nursery_bytes = heap_nursery_bytes(h->heap);
    uint64_t bytes = w->all ? w->bytes : MM_MIN(w->bytes, share(h, w, heap_nursery_usual_bytes(h->heap)));

    bytes = w->class == SHM_GRANT_LARGE ? w->bytes : MM_MIN(bytes, most);
    size_t count = heap_grant(h->heap, w->mutator->record, w->class, bytes, w->min_bytes, rows,
                              MM_MIN(room, ROWS_A_GRANT));

    *ret_bytes = count == 0 ? 0 : publish(h, w->mutator, w->class, rows, count);
    if (count > 0)
        promise_due(h, nursery_bytes);
    return count;
}

/* A thread that a running stop's snapshot does not know may not be granted what that collection then would not know of. */
static bool is_newcomer(const struct shared_heap *h, const struct mutator *m)
{
    return h->collector.busy && h->collector.stops && m->since_task == h->collector.begun;
}

static enum service serve(struct shared_heap *h, struct grant_wait *w, enum mmgc_error *ret_error)
{
    struct mutator *m = w->mutator;
    uint64_t got;

    if (is_newcomer(h, m))
        return NOT_YET;
    if (m->record == NULL)
        m->record = heap_mutator_new(h->heap);
    *ret_error = MMGC_E_SYSTEM_NOMEM;
    if (m->record == NULL)
        return REFUSED;
    for (;;) {
        uint32_t room = ring_room(m, w->class);
        *ret_error = MMGC_E_LIMIT; /* it has a ring full of memory that it did not touch */
        if (room == 0)
            return REFUSED;
        uint64_t most = stress_allows(h, w);
        if (most == 0) {
            shared_heap_promise_collection_locked(h, CAUSE_STRESS);
            return HELD;
        }
        if (bite(h, w, room, most, &got) == 0)
            return NOT_YET;
        w->bytes -= MM_MIN(w->bytes, got);
        if (!w->all || w->bytes == 0)
            return SERVED;
    }
}

/* ---- waiting ---- */

static bool try_finish(struct shared_heap *h, struct grant_wait *w)
{
    enum mmgc_error error = MMGC_E_OK;
    enum service service = serve(h, w, &error);

    w->held = service == HELD;
    if (service == NOT_YET || service == HELD)
        return false;
    finish(h, w, service == SERVED ? MMGC_E_OK : error);
    return true;
}

static uint64_t serve_all(struct shared_heap *h)
{
    struct grant_wait *w, *next;
    uint64_t wanted = 0;

    for (w = TAILQ_FIRST(&h->waiting); w != NULL; w = next) {
        next = TAILQ_NEXT(w, link);
        if (!try_finish(h, w) && !w->held && !is_newcomer(h, w->mutator))
            wanted += MM_MIN(w->bytes, UINT64_MAX - wanted);
    }
    return wanted;
}

static const char *what_is_wanted(enum shm_grant_class class)
{
    switch (class) {
    case SHM_GRANT_LINES: return "of lines";
    case SHM_GRANT_BLOCKS: return "of blocks";
    case SHM_GRANT_LARGE: return "in one piece";
    case SHM_GRANT_NONMOVING: return "of what does not move";
    case SHM_GRANT_IMMORTAL: return "of what is never freed";
    case SHM_GRANT_HOLD: return "of blocks for holds";
    default: return "of cells";
    }
}

static void say_full(const struct shared_heap *h, const struct grant_wait *w)
{
    log_debug("heap '%s' is full: thread %u of client '%s' (pid %d) wants %llu bytes %s, %llu lie free in blocks, %llu between objects",
             h->name, w->mutator->id, w->mutator->session->name, (int)w->mutator->session->peer.pid,
             (unsigned long long)(w->all || w->class == SHM_GRANT_LARGE ? w->bytes : w->min_bytes), what_is_wanted(w->class),
             (unsigned long long)heap_free_bytes(h->heap), (unsigned long long)heap_hole_bytes(h->heap));
}

static void fail(struct shared_heap *h, struct grant_wait *w)
{
    say_full(h, w);
    watch_no_memory(h, w->mutator, MM_MAX(w->bytes, (uint64_t)w->min_bytes));
    finish(h, w,
           w->commit_failed ? MMGC_E_SYSTEM_NOMEM
           : w->all         ? MMGC_E_RESERVE
                            : MMGC_E_NOMEM);
}

/* A collection, an emergency collection, then the end of its hopes (G2). */
static void collect_or_fail(struct shared_heap *h, struct grant_wait *w)
{
    if (!h->collects || w->emergency) {
        fail(h, w);
        return;
    }
    w->emergency = w->collection != 0 && !h->last.nursery_begun; /* a cycle has left what is young */
    if (!w->emergency) {
        w->collection = shared_heap_promise_collection_locked(h, CAUSE_FULL);
        return;
    }
    w->collection = shared_heap_promise_unbegun_locked(h, CAUSE_EMERGENCY);
    at_store_relaxed(&h->emergency_until, w->collection);
}

/* Nobody's limit is raised for what a collection of the whole heap might have freed. */
static bool waited_in_vain(const struct shared_heap *h, const struct grant_wait *w)
{
    bool collected = w->collection != 0 && !heap_pause_is_partial(h->last.kind) && !h->last.nursery_begun;

    return collected || w->emergency || !h->collects;
}

static enum trigger_move move_of(struct shared_heap *h, const struct grant_wait *w)
{
    bool whole = w->all || w->class == SHM_GRANT_LARGE;

    if (w->commit_failed) /* no limit is in the way */
        return TRIGGER_COLLECTS;
    return trigger_full_locked(h, whole ? w->bytes : MM_MAX(w->min_bytes, MM_BLOCK_BYTES), waited_in_vain(h, w));
}

/* No memory can be committed for it. True: the limit was raised, and it may be served. */
static bool press(struct shared_heap *h, struct grant_wait *w)
{
    if (w->held || is_newcomer(h, w->mutator) || w->collection > h->completed)
        return false;
    switch (move_of(h, w)) {
    case TRIGGER_COLLECTS: collect_or_fail(h, w); return false;
    case TRIGGER_GROWS: return true;
    case TRIGGER_WAITS: return false;
    case TRIGGER_REFUSES: fail(h, w); return false;
    }
    return false;
}

/* True: a limit was raised. */
static bool press_all(struct shared_heap *h)
{
    struct grant_wait *w, *next;
    bool grew = false;

    for (w = TAILQ_FIRST(&h->waiting); w != NULL; w = next) {
        next = TAILQ_NEXT(w, link);
        grew = press(h, w) || grew;
    }
    trigger_settled_locked(h);
    return grew;
}

void grants_pump_locked(struct shared_heap *h)
{
    uint64_t wanted;

    commits_settle_locked(h);
    release_settle_locked(h);
    foreign_pages_settle_locked(h);
    if (h->ending) {
        grants_fail_locked(h, MMGC_E_HEAP_GONE);
        return;
    }
    do {
        wanted = serve_all(h);
        if (commits_ask_locked(h, wanted) || (wanted > 0 && (release_under_way(h) || foreign_pages_under_way(h))))
            return;
    } while (press_all(h) && wanted > 0);
}

void grants_fail_locked(struct shared_heap *h, enum mmgc_error why)
{
    struct grant_wait *w, *next;

    for (w = TAILQ_FIRST(&h->waiting); w != NULL; w = next) {
        next = TAILQ_NEXT(w, link);
        if (why == MMGC_E_HEAP_GONE || !try_finish(h, w))
            finish(h, w, why);
    }
}

void grants_forget(struct shared_heap *h, struct mutator *m)
{
    for (size_t i = 0; i < SHM_GRANT_CLASSES; i++) {
        if (m->wait[i].waiting)
            TAILQ_REMOVE(&h->waiting, &m->wait[i], link);
        m->wait[i].waiting = false;
    }
}

void grants_ask(struct shared_heap *h, struct mutator *m, const wire_grant *grant)
{
    struct grant_wait *w = &m->wait[grant->grant_class];

    if (!w->waiting) /* a second request of its kind replaces the first */
        TAILQ_INSERT_TAIL(&h->waiting, w, link);
    w->waiting = true;
    w->all = grant->reserve;
    w->commit_failed = mm_now_ns() < h->commit_again_ns;
    w->bytes = grant->bytes;
    w->min_bytes = MM_MIN(grant->min_bytes, MM_BLOCK_BYTES);
    w->serial = grant->mail_serial;
    w->collection = 0;
    w->emergency = w->held = false;
}
