/* SPDX-License-Identifier: Apache-2.0 */
/* shared_heap.c - Shared heap: made, pumped, ended.
 *   H1  heap and names are touched with the lock held, by the loop only after a try; nothing is called back under it
 *   H2  the pump is idempotent: it may be called whenever anything has changed, and twice
 *   H3  promised > completed <=> a collection is wanted; numbers are given out once and only grow
 *   H4  the collector thread's reference is dropped when it has been joined and libuv has closed its wake-up */
#include "daemon/shared_heap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/grants.h"
#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/watch.h"
#include "shm/units.h"

#define ARENA_BYTES_MIN ((uint64_t)MM_CHUNK_BYTES)
#define ARENA_BYTES_MAX \
    (MM_ARENA_MAX_BYTES - MM_CHUNK_BYTES) /* so that its end has a number in granules, too */

/* ---- what it has of users' ---- */

static void definers_fini(struct shared_heap *h)
{
    struct definer *d;

    while ((d = TAILQ_FIRST(&h->definers)) != NULL) {
        TAILQ_REMOVE(&h->definers, d, link);
        charges_fini(&d->charges);
        free(d);
    }
}

struct charges *shared_heap_definer(struct shared_heap *h, struct account *account)
{
    struct definer *d;

    TAILQ_FOREACH(d, &h->definers, link)
    if (d->charges.account == account)
        return &d->charges;
    d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    charges_init(&d->charges, account);
    TAILQ_INSERT_TAIL(&h->definers, d, link);
    return &d->charges;
}

/* Of its creator's: the heap, its size, and its segments' file descriptors. False: it may not have that, and @ret_why says it. */
static bool charge(struct shared_heap *h, bool administrator, char ret_why[QUOTA_WHY_MAX])
{
    uint64_t files = heap_log_bytes(h->settings.plan, h->max_bytes) > 0 ? 5 : 4;
    struct account *a = h->charges.account;

    if (!charges_take(&h->charges, QUOTA_HEAPS, 1))
        (void)account_explain(a, QUOTA_HEAPS, 1, ret_why);
    else if (!charges_take(&h->charges, QUOTA_BYTES, h->max_bytes))
        (void)account_explain(a, QUOTA_BYTES, h->max_bytes, ret_why);
    else if (!charges_take_files(&h->charges, files, administrator))
        (void)account_explain(a, QUOTA_FILES, files, ret_why);
    else
        return true;
    return false;
}

/* ---- references and the lock ---- */

struct shared_heap *shared_heap_ref(struct shared_heap *h)
{
    h->refs++;
    return h;
}

static void heap_free(struct shared_heap *h)
{
    MM_ASSERT(TAILQ_EMPTY(&h->sessions) && TAILQ_EMPTY(&h->mutators) && TAILQ_EMPTY(&h->seals) && TAILQ_EMPTY(&h->testators) &&
              TAILQ_EMPTY(&h->waiting) && TAILQ_EMPTY(&h->deferred));
    heap_unref(h->heap);
    names_fini(&h->names);
    estate_fini(&h->estate);
    notices_fini(&h->notices);
    shm_segment_unref(h->arena);
    shm_segment_unref(h->private);
    shm_segment_unref(h->control_segment);
    shm_segment_unref(h->log_segment);
    stows_fini(&h->stows);
    leases_fini(&h->leases);
    definers_fini(h);
    charges_fini(&h->charges);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

struct shared_heap *shared_heap_unref(struct shared_heap *h)
{
    if (h == NULL || --h->refs > 0)
        return NULL;
    struct server *server = h->server;
    heap_free(h);
    server_heap_ended(server);
    return NULL;
}

bool shared_heap_try_lock(struct shared_heap *h)
{
    return pthread_mutex_trylock(&h->lock) == 0;
}

void shared_heap_unlock(struct shared_heap *h)
{
    pthread_mutex_unlock(&h->lock);
}

/* ---- making ---- */

/* What was said, in the units that memory comes in. */
static int choose_sizes(struct shared_heap *h)
{
    struct heap_settings *s = &h->settings;
    uint64_t limit = s->limit_bytes == 0 ? s->size_bytes : MM_MIN(s->limit_bytes, s->size_bytes);

    if (s->size_bytes > s->max_size_bytes)
        return -E2BIG;
    h->max_bytes = MM_MIN(mm_align_up(MM_MAX(s->size_bytes, ARENA_BYTES_MIN), MM_CHUNK_BYTES), ARENA_BYTES_MAX);
    s->trigger.max_bytes = MM_MIN(s->trigger.max_bytes, h->max_bytes);
    s->trigger.min_bytes = MM_MIN(s->trigger.min_bytes, s->trigger.max_bytes);
    if (s->trigger.kind == TRIGGER_DYNAMIC)
        limit = trigger_first_limit(&s->trigger, s->limit_bytes);
    h->limit_bytes =
        MM_MIN(mm_align_up(MM_MAX(limit, (uint64_t)MM_COMMIT_BYTES), MM_COMMIT_BYTES), h->max_bytes);
    return 0;
}

static int make_segments(struct shared_heap *h, const char *plan)
{
    int r = shm_segment_new(&h->arena, h->max_bytes, "mmgc-arena");

    if (r == 0)
        r = shm_segment_new(&h->private, heap_private_bytes(plan, h->max_bytes), "mmgc-private");
    if (r == 0)
        r = shm_segment_new_published(&h->control_segment,
                                      sizeof(struct shm_control) + heap_page_map_bytes(plan, h->max_bytes),
                                      "mmgc-control");
    if (r == 0 && heap_log_bytes(plan, h->max_bytes) > 0)
        r = shm_segment_new(&h->log_segment, heap_log_bytes(plan, h->max_bytes), "mmgc-log");
    if (r == 0)
        r = leases_init(&h->leases);
    return r;
}

static void publish(struct shared_heap *h)
{
    struct shm_control *c = h->control = shm_segment_address(h->control_segment);

    c->version = SHM_CONTROL_VERSION;
    c->features = SHM_CONTROL_FEATURES;
    c->incarnation = h->server->incarnation;
    c->arena_bytes = h->max_bytes;
    c->barrier = heap_plan_barrier(h->heap);
    shared_heap_show_barrier(h);
    c->allocator = heap_plan_allocator(h->heap);
    c->small_max_bytes = MM_SMALL_MAX_BYTES;
    c->page_map_offset = heap_page_map_bytes(heap_plan_name(h->heap), h->max_bytes) > 0 ? sizeof(*c) : 0;
    snprintf(c->plan, sizeof(c->plan), "%s", heap_plan_name(h->heap));
    at_store_relaxed(&c->limit_bytes, h->limit_bytes);
    at_store_relaxed(&c->type_count, 1); /* row 0 is no type */
    h->collects = heap_plan_collects(h->heap);
    at_store_release(&c->magic, SHM_CONTROL_MAGIC); /* pairs with the client's acquire */
}

static int make_heap(struct shared_heap *h, bool administrator, char ret_why[QUOTA_WHY_MAX])
{
    struct heap_config config = { .plan = h->settings.plan, .options = h->settings.collector };
    int r = choose_sizes(h);

    if (r < 0)
        return r;
    config.max_bytes = h->max_bytes;
    config.limit_bytes = h->limit_bytes;
    if (heap_private_bytes(config.plan, h->max_bytes) == 0)
        return -ENOENT;
    if (!charge(h, administrator, ret_why))
        return -EDQUOT;
    r = make_segments(h, config.plan);
    if (r < 0)
        return r;
    if (heap_page_map_bytes(config.plan, h->max_bytes) > 0)
        config.page_map = (char *)shm_segment_address(h->control_segment) + sizeof(struct shm_control);
    if (h->log_segment != NULL)
        config.log = shm_segment_address(h->log_segment);
    r = heap_new(&h->heap, &config, h->arena, h->private);
    return r == -EINVAL ? -ENOENT : r; /* the sizes are good */
}

static struct shared_heap *heap_blank(struct server *server, const char *name,
                                      const struct heap_settings *settings, const struct session *creator)
{
    struct shared_heap *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return NULL;
    h->refs = 1;
    h->server = server;
    snprintf(h->name, sizeof(h->name), "%s", name);
    h->owner = creator->peer.uid;
    h->group = creator->peer.gid;
    charges_init(&h->charges, creator->charges.account);
    TAILQ_INIT(&h->definers);
    h->settings = *settings;
    h->mode = settings->mode;
    pthread_mutex_init(&h->lock, NULL);
    names_init(&h->names, settings->max_names);
    stows_init(&h->stows);
    notices_init(&h->notices);
    TAILQ_INIT(&h->sessions);
    TAILQ_INIT(&h->mutators);
    TAILQ_INIT(&h->testators);
    TAILQ_INIT(&h->settled);
    TAILQ_INIT(&h->seals);
    TAILQ_INIT(&h->sealed);
    TAILQ_INIT(&h->waiting);
    TAILQ_INIT(&h->deferred);
    TAILQ_INIT(&h->inspections);
    return h;
}

int shared_heap_new(struct shared_heap **ret_heap, struct server *server, const char *name,
                    const struct heap_settings *settings, const struct session *creator, char ret_why[QUOTA_WHY_MAX])
{
    if (server->heaps.count >= server->config.max_heaps)
        return -ENOSPC;
    struct shared_heap *h = heap_blank(server, name, settings, creator);
    if (h == NULL)
        return -ENOMEM;
    int r = make_heap(h, creator->peer.administrator, ret_why);
    if (r == 0) {
        publish(h);
        r = registry_add(&server->heaps, h);
    }
    if (r == 0 && ((r = release_start(h)) < 0 || (r = trigger_start(h)) < 0 || (r = patience_start(h)) < 0 || (r = collector_start(h)) < 0))
        registry_remove(&server->heaps, h);
    if (r < 0) {
        release_end(h);
        trigger_end(h);
        patience_end(h);
        heap_free(h);
        return r;
    }
    server->live_heaps++;
    log_info("heap '%s' made by user %u: %s, %llu MiB", h->name, (unsigned)h->owner,
             h->control->plan, (unsigned long long)(h->max_bytes >> 20));
    server_report(server);
    watch_heap(h, WATCH_HEAP_MADE, h->control->plan);
    shared_heap_pump(h); /* commits ahead; our first reference is now the collector's (H4) */
    *ret_heap = h;
    return 0;
}

/* ---- rights ---- */

static bool is_master(const struct shared_heap *h, const struct session *s)
{
    return s->peer.uid == h->owner || s->peer.administrator;
}

bool shared_heap_may_open(const struct shared_heap *h, const struct session *s, bool read_only)
{
    unsigned need = read_only ? 4 : 6;
    bool of_group = peer_is_of(&s->peer, h->group, &h->server->strangers);
    unsigned have = of_group ? h->mode >> 3 : h->mode;

    return is_master(h, s) || (have & need) == need;
}

bool shared_heap_may_destroy(const struct shared_heap *h, const struct session *s)
{
    return is_master(h, s);
}

/* ---- going on ---- */

static void seal_locked(struct shared_heap *h)
{
    struct heap_mutator_view view;
    struct mutator *m;

    if (heap_cycle(h->heap) != HEAP_CYCLE_NONE && !h->collector.ended) /* it is being looked at; its view counts as ever */
        return;
    while ((m = TAILQ_FIRST(&h->seals)) != NULL) {
        TAILQ_REMOVE(&h->seals, m, in_seals);
        mutator_drain_locked(m, h);
        if (m->record != NULL) {
            mutator_view(m, h->max_bytes, &view);
            heap_mutator_seal(h->heap, m->record, &view);
            m->record = NULL;
        }
        TAILQ_INSERT_TAIL(&h->sealed, m, in_seals);
    }
}

/* No collection is between its snapshot and its stop: then its rows would be gone with neither. */
static void inherit_locked(struct shared_heap *h)
{
    struct session *s;

    while ((s = TAILQ_FIRST(&h->testators)) != NULL) {
        TAILQ_REMOVE(&h->testators, s, in_testators);
        uint32_t lost = estate_inherit(&h->estate, s->heir, s->words, session_rows_racy(s));
        if (lost > 0)
            log_warning("heap '%s': %u guarded objects of client '%s' were not left to '%s': there is no room for more than %u", h->name, lost,
                        s->name, s->heir, ESTATE_MAX);
        at_store_release(&s->dead, true);
        TAILQ_INSERT_TAIL(&h->settled, s, in_testators);
    }
}

static void wake_guardian(struct shared_heap *h, const char *name)
{
    struct session *s;

    TAILQ_FOREACH(s, &h->sessions, in_heap)
    if (s->guardian != NULL && strcmp(s->guardian, name) == 0)
        session_wake(s); /* what it has inherited may be ready already */
}

/* References are dropped without the lock: the last one may end a session, or this heap. */
static void drop_sealed(struct shared_heap *h)
{
    struct mutator *m;
    struct session *s;

    while ((s = TAILQ_FIRST(&h->settled)) != NULL) {
        TAILQ_REMOVE(&h->settled, s, in_testators);
        wake_guardian(h, s->heir);
        session_unref(s);
    }
    while ((m = TAILQ_FIRST(&h->sealed)) != NULL) {
        TAILQ_REMOVE(&h->sealed, m, in_seals);
        mutator_unref(m);
    }
}

static void read_gauges_locked(struct shared_heap *h)
{
    struct heap_gauges *g = &h->gauges;

    g->free_bytes = heap_free_bytes(h->heap);
    g->used_bytes = heap_used_bytes(h->heap);
    g->uncommitted_bytes = heap_uncommitted_bytes(h->heap);
    g->excess_bytes = heap_excess_bytes(h->heap);
    g->metadata_bytes = heap_metadata_bytes(h->heap);
    g->types = heap_type_count(h->heap);
    g->names = h->names.count;
    g->log = heap_log_totals(h->heap);
    g->nursery_bytes = heap_nursery_bytes(h->heap);
    g->nursery_rests = heap_nursery_rests(h->heap);
    g->space_count = heap_spaces(h->heap, g->spaces, SPACES_MAX);
}

void shared_heap_read_gauges(struct shared_heap *h)
{
    if (!shared_heap_try_lock(h))
        return;
    read_gauges_locked(h);
    shared_heap_unlock(h);
}

static void post(struct shared_heap *h, enum collector_work work)
{
    if (work == WORK_COLLECT || work == WORK_CLEAR)
        report_begin(h);
    int r = collector_post(h, work);

    if (r == 0)
        return;
    log_error("heap '%s': no memory to begin a collection", h->name);
    if (work >= WORK_END) {
        h->end_posted = false; /* the next pump tries again */
        return;
    }
    (void)at_add_relaxed(&h->control->abandoned_stops, 1); /* who waits for a number learns that it will not come */
    struct collector_task failed = { .work = work, .outcome = OUTCOME_FAILED, .error = r };
    shared_heap_task_done(h, &failed);
}

static bool inspection_is_wanted(const struct shared_heap *h)
{
    return !TAILQ_EMPTY(&h->inspections) || h->quarantine.doubted;
}

/* Those that somebody waits for first. */
static enum collector_work next_inspection(struct shared_heap *h)
{
    h->inspecting = TAILQ_FIRST(&h->inspections);
    if (h->inspecting == NULL) {
        h->quarantine.doubted = false;
        return WORK_VERIFY;
    }
    TAILQ_REMOVE(&h->inspections, h->inspecting, link);
    return (enum collector_work)h->inspecting->work;
}

/* By turns with inspections: a client that never stops asking for collections would keep them waiting for ever. */
static bool collection_is_next(const struct shared_heap *h)
{
    return h->promised > h->completed && (!h->collected_last || !inspection_is_wanted(h));
}

static void start_next(struct shared_heap *h)
{
    enum collector_work work;

    if (h->collector.busy)
        cycle_hurry(h);
    if (h->collector.busy || h->end_posted)
        return;
    if (h->ending) {
        h->end_posted = true;
        at_store_relaxed(&h->collector.give_up, h->server->stopping);
        post(h, h->server->stopping ? WORK_QUIT : WORK_END);
    } else if (h->server->stopping) {
        return;
    } else if (patience_waits(h)) {
        return;
    } else if (cycle_next_work(h, &work)) {
        post(h, work);
    } else if (collection_is_next(h)) {
        h->collected_last = true;
        post(h, WORK_COLLECT);
    } else if (inspection_is_wanted(h)) {
        h->collected_last = false;
        post(h, next_inspection(h));
    }
}

void shared_heap_pump(struct shared_heap *h)
{
    shared_heap_ref(h);
    if (shared_heap_try_lock(h)) {
        inherit_locked(h);
        seal_locked(h);
        grants_pump_locked(h);
        release_pump_locked(h);
        read_gauges_locked(h);
        shared_heap_unlock(h);
        drop_sealed(h);
        trigger_pump(h);
    }
    start_next(h);
    shared_heap_unref(h);
}

void shared_heap_set_limit_locked(struct shared_heap *h, uint64_t bytes)
{
    uint64_t limit = MM_MIN(mm_align_up(MM_MIN(bytes, h->max_bytes), MM_COMMIT_BYTES), h->max_bytes);
    uint64_t before = h->limit_bytes;

    h->limit_bytes = MM_MAX(limit, (uint64_t)MM_COMMIT_BYTES);
    heap_set_limit(h->heap, h->limit_bytes);
    at_store_relaxed(&h->control->limit_bytes, h->limit_bytes);
    watch_limit(h, before);
}

uint64_t shared_heap_next_collection_locked(const struct shared_heap *h)
{
    return at_load_relaxed(&h->control->collections) +
           1; /* the lock orders it: raised before the collector drops it */
}

uint64_t shared_heap_promise_collection_locked(struct shared_heap *h, enum collection_cause cause)
{
    uint64_t next = shared_heap_next_collection_locked(h);

    h->promised = MM_MAX(h->promised, next);
    report_promised(h, next, cause);
    return next;
}

/* The one under way, if it has begun, looks at the heap as it was. */
uint64_t shared_heap_promise_unbegun_locked(struct shared_heap *h, enum collection_cause cause)
{
    uint64_t next = shared_heap_next_collection_locked(h) + heap_in_collection(h->heap);

    h->promised = MM_MAX(h->promised, next);
    report_promised(h, next, cause);
    return next;
}

uint64_t shared_heap_ask_collection(struct shared_heap *h)
{
    uint64_t next;

    if (shared_heap_try_lock(h)) { /* if one is pending, it has not stopped the world: what is garbage now it will find */
        next = shared_heap_promise_unbegun_locked(h, CAUSE_ASKED);
        at_store_relaxed(&h->wished_until, next);
        shared_heap_unlock(h);
    } else {
        bool collecting = h->collector.busy && h->collector.task.work == WORK_COLLECT;
        next = h->completed + 1 + collecting;
        report_promised(h, next, CAUSE_ASKED);
        at_store_relaxed(&h->wished_until, next);
    }
    h->promised = MM_MAX(h->promised, next);
    if (at_load_relaxed(&h->control->abandoned_stops) != h->given_up_seen)
        h->promised_late =
            next; /* who asks now has seen that count: only the collection itself will answer */
    return next;
}

void shared_heap_end(struct shared_heap *h)
{
    if (h->ending)
        return;
    h->ending = true;
    log_info("heap '%s' ends", h->name);
    registry_remove(&h->server->heaps, h); /* the collector's reference keeps it */
    charges_give_back(&h->charges, QUOTA_HEAPS, 1);
    server_report(h->server);
    at_store_relaxed(&h->collector.give_up, true); /* a stop that is pending serves nobody any more */
    release_end(h);
    trigger_end(h);
    patience_end(h);
    trace_heap_ends(h);
    watch_heap(h, WATCH_HEAP_GONE, h->control->plan);
    shared_heap_pump(h);
}

void shared_heap_drain_locked(struct shared_heap *h)
{
    struct mutator *m;

    TAILQ_FOREACH(m, &h->mutators, in_heap)
    mutator_drain_running_locked(m, h);
    TAILQ_FOREACH(m, &h->seals, in_seals)
    mutator_drain_locked(m, h);
}

/* Relaxed: the release of the even epoch shows it to whoever goes on (client/safepoint.c). */
void shared_heap_show_barrier(struct shared_heap *h)
{
    at_store_relaxed(&h->control->barrier_active, heap_barrier_active(h->heap));
    at_store_relaxed(&h->control->keeps, heap_keeps_found(h->heap));
}
