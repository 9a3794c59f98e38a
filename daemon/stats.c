/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - Stats: what is read again and again, of all heaps at once: by `mmgcctl top`, `mmgcctl serve`, whatever draws curves.
 *   Cost     some microseconds a heap, a page of 32 heaps at a time, so that others' requests come between. Quantiles are looked up
 *            only for heaps that had a pause since; the rows of sessions' tables that are counted are bounded as in facts.c
 *   Rights   the heaps that HeapList names. The daemon's own totals, which name nobody, are for all */
#include "daemon/facts.h"
#include "daemon/procfs.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "shm/units.h"

#define PAGE_ROWS 32u
#define NS_PER_MS UINT64_C(1000000)

/* The longest name and plan, the largest number in each field: a page of such rows still is a packet. */
#define NUMBER_BYTES 12u
#define ROW_BYTES_MAX (WIRE_NAME_MAX + WIRE_PLAN_MAX + 40u * NUMBER_BYTES + (HEAP_PAUSES + 1) * (64u + COUNTERS_BUCKETS * 10u))
static_assert(PAGE_ROWS * ROW_BYTES_MAX + 1024u <= PACKET_BYTES_MAX, "a page of rows fits in a packet");

struct pause_stats {
    wire_pause_stats row;
    uint64_t buckets[COUNTERS_BUCKETS];
};
struct heap_stats {
    wire_heap_stats stats;
    wire_heap_row row;
    struct pause_stats kinds[HEAP_PAUSES], stops;
    wire_pause_stats *pointers[HEAP_PAUSES];
};
struct page {
    wire_stats_rows rows;
    wire_heap_stats *row_pointers[PAGE_ROWS];
    struct heap_stats heaps[PAGE_ROWS];
    uint32_t rows_left; /* of sessions' tables */
};

static void fill_pause(struct pause_stats *to, const char *kind, const struct latency *latency,
                       const struct counters_buckets *buckets)
{
    uint64_t so_far = 0;

    to->row = (wire_pause_stats)wire_pause_stats_init();
    to->row.kind = (char *)kind;
    to->row.count = latency->count;
    to->row.total_ns = latency->total_ns;
    for (size_t i = 0; i < COUNTERS_BUCKETS; i++)
        to->buckets[i] = so_far += buckets->of[i];
    to->row.n_buckets = COUNTERS_BUCKETS;
    to->row.buckets = to->buckets;
}

static void fill_pauses(struct heap_stats *to, const struct counters *counters)
{
    wire_heap_stats *stats = &to->stats;

    stats->pauses = to->pointers;
    for (enum heap_pause kind = 0; kind < HEAP_PAUSES; kind++) {
        if (counters->pauses[kind].count == 0)
            continue;
        struct pause_stats *row = &to->kinds[stats->n_pauses];
        fill_pause(row, heap_pause_name(kind), &counters->pauses[kind], &counters->pause_buckets[kind]);
        to->pointers[stats->n_pauses++] = &row->row;
    }
    fill_pause(&to->stops, "stop", &counters->stops, &counters->stop_buckets);
    stats->stops = &to->stops.row;
}

static void fill_collections(wire_heap_stats *stats, struct shared_heap *h)
{
    const struct counters_quantiles *pauses = counters_quantiles(&h->counters);

    stats->last_pause_ns = at_load_relaxed(&h->control->last_pause_ns);
    stats->p50_pause_ns = pauses->p50_ns;
    stats->p99_pause_ns = pauses->p99_ns;
    stats->max_pause_ns = pauses->max_ns;
    stats->last_stop_ns = counters_last_stop_ns(&h->counters);
    stats->max_stop_ns = h->counters.stops.max_ns;
    stats->abandoned_stops = h->abandoned_stops;
    stats->emergency_collections = h->emergencies;
    stats->concurrent_ns = at_load_relaxed(&h->counters.concurrent_ns);
    stats->fallbacks = at_load_relaxed(&h->counters.fallbacks);
    stats->barrier_slow_paths = h->gauges.log.entries;
    stats->barrier_losses = h->gauges.log.losses;
    stats->nursery_bytes = h->gauges.nursery_bytes;
}

static void fill_sizes(wire_heap_stats *stats, const struct shared_heap *h, uint32_t *rows_left)
{
    struct facts_tables tables = facts_count_tables(h, rows_left);

    stats->uid = h->owner;
    stats->limit_bytes = h->limit_bytes;
    stats->committed_bytes = facts_committed_bytes(h);
    stats->resident_bytes = shm_resident_bytes(shm_segment_fd(h->arena));
    stats->metadata_bytes = h->gauges.metadata_bytes;
    stats->foreign_bytes = h->foreign.bytes;
    stats->live_objects = h->last.live_objects;
    stats->types = h->gauges.types;
    stats->names = h->gauges.names;
    stats->handles = tables.handles;
    stats->leases = tables.leases;
    stats->granted_bytes = at_load_relaxed(&h->control->granted_bytes);
    stats->commits = h->commits;
    stats->released_bytes = h->released_bytes;
    stats->out_of_memory = h->out_of_memory;
}

static void add_heap(struct page *page, struct shared_heap *h)
{
    struct heap_stats *to = &page->heaps[page->rows.n_rows];

    shared_heap_read_gauges(h);
    to->stats = (wire_heap_stats)wire_heap_stats_init();
    to->row = facts_heap_row(h);
    to->stats.row = &to->row;
    fill_sizes(&to->stats, h, &page->rows_left);
    fill_collections(&to->stats, h);
    fill_pauses(to, &h->counters);
    page->row_pointers[page->rows.n_rows++] = &to->stats;
}

/* One heap. False: the request was refused. */
static bool fill_one(struct page *page, struct request *r)
{
    struct shared_heap *h = request_heap_meant(r, r->message->stats->heap);

    if (h == NULL)
        return false;
    add_heap(page, h);
    return true;
}

/* Heaps after @after, until the page is full, or what may be looked at for it. */
static void fill_all(struct page *page, const struct session *asker, const char *after)
{
    const struct registry *heaps = &asker->server->heaps;

    for (size_t i = registry_after(heaps, after); i < heaps->count; i++) {
        if (!shared_heap_may_open(heaps->rows[i], asker, true))
            continue;
        if (page->rows.n_rows == PAGE_ROWS || page->rows_left == 0) {
            page->rows.more = true;
            return;
        }
        add_heap(page, heaps->rows[i]);
    }
}

static wire_daemon_stats daemon_stats(const struct server *server)
{
    wire_daemon_stats stats = wire_daemon_stats_init();

    stats.uptime_ms = (mm_now_ns() - server->started_ns) / NS_PER_MS;
    stats.heaps = server->heaps.count;
    stats.sessions = server->session_count;
    stats.files = server->quota.files;
    stats.max_files = server->quota.files_max;
    stats.resident_bytes = procfs_resident_bytes();
    stats.requests = server->requests;
    stats.held_back = server->quota.held_back;
    stats.refused = server->quota.refused;
    stats.connections = server->next_session;
    return stats;
}

enum handled request_stats(struct request *r)
{
    const wire_stats *asked = r->message->stats;
    struct page page = { .rows = wire_stats_rows_init(), .rows_left = FACTS_ROWS_A_REQUEST };
    wire_daemon_stats daemon = daemon_stats(r->session->server);
    wire_reply reply = wire_reply_init();

    page.rows.rows = page.row_pointers;
    if (asked->heap[0] == '\0')
        fill_all(&page, r->session, asked->after);
    else if (!fill_one(&page, r))
        return HANDLED;
    page.rows.daemon = &daemon;
    page.rows.bucket_ns = (uint64_t *)counters_bucket_ns;
    page.rows.n_bucket_ns = COUNTERS_BUCKETS;
    reply.body_case = WIRE_REPLY(STATS_ROWS);
    reply.stats_rows = &page.rows;
    return answer(r, &reply, NULL);
}
