/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c - Facts: what mmgcctl shows: heaps, one heap, clients, named roots.
 *   Nothing here waits: the plans' numbers are as of the last time the heap's lock was to be had. A user is shown what it may
 *   open, and its own sessions. A page ends at its most rows, when the packet is full, or when so many rows of tables were looked at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/facts.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "plans/work/engine.h"
#include "shm/foreign.h"
#include "shm/object.h"
#include "shm/units.h"

#define HEAP_PAGE_ROWS 64u
#define CLIENT_PAGE_ROWS 64u
#define THREAD_ROWS_MAX 256u
#define ROOT_PAGE_ROWS 128u
#define NS_PER_MS UINT64_C(1000000)

wire_heap_row facts_heap_row(const struct shared_heap *h)
{
    wire_heap_row row = wire_heap_row_init();

    row.name = (char *)h->name;
    row.plan = h->control->plan;
    row.max_bytes = h->max_bytes;
    row.used_bytes = h->gauges.used_bytes;
    row.live_bytes = at_load_relaxed(&h->control->live_bytes);
    row.sessions = h->session_count;
    row.threads = h->mutator_count;
    row.collections = at_load_relaxed(&h->control->collections);
    row.corrupt = h->corrupt;
    return row;
}

enum handled request_heap_list(struct request *r)
{
    const struct registry *heaps = &r->session->server->heaps;
    wire_heap_row rows[HEAP_PAGE_ROWS], *row_pointers[HEAP_PAGE_ROWS];
    wire_heap_rows page = wire_heap_rows_init();
    wire_reply reply = wire_reply_init();

    for (size_t i = registry_after(heaps, r->message->heap_list->after); i < heaps->count; i++) {
        struct shared_heap *h = heaps->rows[i];
        if (!shared_heap_may_open(h, r->session, true))
            continue;
        if (page.n_rows == HEAP_PAGE_ROWS) {
            page.more = true;
            break;
        }
        shared_heap_read_gauges(h);
        rows[page.n_rows] = facts_heap_row(h);
        row_pointers[page.n_rows] = &rows[page.n_rows];
        page.n_rows++;
    }
    page.rows = row_pointers;
    reply.body_case = WIRE_REPLY(HEAP_ROWS);
    reply.heap_rows = &page;
    return answer(r, &reply, NULL);
}

/* ---- one heap ---- */

static uint32_t handles_in(const struct session_counts *counts)
{
    return counts->of[SHM_ROW_STRONG] + counts->of[SHM_ROW_WEAK] + counts->of[SHM_ROW_SOFT];
}

struct facts_tables facts_count_tables(const struct shared_heap *h, uint32_t *rows_left)
{
    struct facts_tables tables = { 0 };
    const struct session *s;

    TAILQ_FOREACH(s, &h->sessions, in_heap)
    {
        struct session_counts counts = session_count_racy(s, rows_left);
        tables.handles += handles_in(&counts);
        tables.leases += session_counts_leases(&counts);
    }
    return tables;
}

static uint64_t handle_count(const struct shared_heap *h)
{
    uint32_t rows_left = FACTS_ROWS_A_REQUEST;

    return facts_count_tables(h, &rows_left).handles;
}

static const char *pages_sentence(const struct shared_heap *h)
{
    if (h->settings.huge_pages == SHM_HUGE_NEVER)
        return "4 KiB pages, as huge_pages = never says";
    return h->pages_known ? shm_pages_name(h->pages) : "not known before the first commit";
}

static void fill_collections(wire_heap_facts *facts, const struct shared_heap *h,
                             struct counters_rows *rows)
{
    facts->abandoned_stops = h->abandoned_stops;
    facts->emergency_collections = h->emergencies;
    facts->last_pause_ns = at_load_relaxed(&h->control->last_pause_ns);
    facts->barrier_slow_paths = h->gauges.log.entries;
    facts->barrier_losses = h->gauges.log.losses;
    facts->nursery_bytes = h->gauges.nursery_bytes;
    facts->nursery_rests = h->gauges.nursery_rests;
    counters_fill(&h->counters, facts, rows);
}

static wire_packet_row packet_row(const struct packet_counters *counters)
{
    wire_packet_row row = wire_packet_row_init();

    row.name = (char *)counters->name;
    row.count = counters->count;
    row.total_ns = counters->total_ns;
    row.min_ns = counters->min_ns;
    row.max_ns = counters->max_ns;
    return row;
}

uint64_t facts_committed_bytes(const struct shared_heap *h)
{
    uint64_t coming = (uint64_t)h->commits_in_flight * MM_COMMIT_BYTES + h->gauges.uncommitted_bytes;

    return h->limit_bytes + h->gauges.excess_bytes - MM_MIN(coming, h->limit_bytes);
}

static void fill_sizes(wire_heap_facts *facts, const struct shared_heap *h)
{
    facts->limit_bytes = h->limit_bytes;
    facts->committed_bytes = facts_committed_bytes(h);
    facts->resident_bytes = shm_resident_bytes(shm_segment_fd(h->arena));
    facts->foreign_bytes = h->foreign.bytes;
    facts->foreign_punched_bytes = h->foreign.punched_bytes;
    facts->granted_bytes = at_load_relaxed(&h->control->granted_bytes);
    facts->metadata_bytes = h->gauges.metadata_bytes;
    facts->live_objects = h->last.live_objects;
    facts->types = h->gauges.types;
    facts->names = h->gauges.names;
    facts->handles = handle_count(h);
    facts->workers = engine_workers(h->server->engine);
}

/* Those that are not the default. */
struct option_facts {
    wire_option_row rows[HEAP_OPTIONS_MAX], *pointers[HEAP_OPTIONS_MAX];
    char values[HEAP_OPTIONS_MAX][OPTION_TEXT_MAX];
};

static void fill_options(wire_heap_facts *facts, const struct heap_settings *settings,
                         struct option_facts *options)
{
    const struct option_table *table = &heap_option_table;
    size_t n = 0;

    for (size_t i = 0; i < table->count; i++) {
        option_print(&table->rows[i], settings, options->values[n]);
        if (strcmp(options->values[n], table->rows[i].fallback) == 0)
            continue;
        options->rows[n] = wire_option_row_init();
        options->rows[n].key = (char *)table->rows[i].key;
        options->rows[n].value = options->values[n];
        options->pointers[n] = &options->rows[n];
        n++;
    }
    facts->n_options = n;
    facts->options = options->pointers;
}

enum handled request_heap_info(struct request *r)
{
    const char *name = r->message->heap_info->name;
    struct shared_heap *h = registry_find(&r->session->server->heaps, name);
    wire_heap_facts facts = wire_heap_facts_init();
    wire_reply reply = wire_reply_init();
    wire_space_row spaces[SPACES_MAX], *space_pointers[SPACES_MAX];
    wire_packet_row packets[HEAP_PACKET_KINDS_MAX], *packet_pointers[HEAP_PACKET_KINDS_MAX];
    struct counters_rows collections;
    struct option_facts options;

    if (h == NULL)
        return answer_error(r, MMGC_E_NO_HEAP, "'%s'", name);
    if (!shared_heap_may_open(h, r->session, true))
        return answer_error(r, MMGC_E_DENIED, "heap '%s' is user %u's, mode %04o", h->name,
                            (unsigned)h->owner, h->mode);
    shared_heap_read_gauges(h);
    wire_heap_row row = facts_heap_row(h);
    facts.row = &row;
    fill_sizes(&facts, h);
    fill_collections(&facts, h, &collections);
    facts.pages = (char *)pages_sentence(h);
    for (size_t i = 0; i < h->gauges.space_count; i++) {
        spaces[i] = wire_space_row_init();
        spaces[i].name = (char *)h->gauges.spaces[i].name;
        spaces[i].used_bytes = h->gauges.spaces[i].used_bytes;
        spaces[i].blocks = h->gauges.spaces[i].blocks;
        spaces[i].live_bytes = h->settings.collector.count_live_bytes_in_gc ? h->gauges.spaces[i].live_bytes : 0;
        space_pointers[i] = &spaces[i];
    }
    fill_options(&facts, &h->settings, &options);
    facts.n_spaces = h->gauges.space_count;
    facts.spaces = space_pointers;
    for (size_t i = 0; i < h->last.packet_kinds; i++) {
        packets[i] = packet_row(&h->last.packets[i]);
        packet_pointers[i] = &packets[i];
    }
    facts.n_packets = h->last.packet_kinds;
    facts.packets = packet_pointers;
    reply.body_case = WIRE_REPLY(HEAP_FACTS);
    reply.heap_facts = &facts;
    return answer(r, &reply, NULL);
}

/* ---- clients ---- */

static const char *state_name(enum shm_state state)
{
    return state == SHM_IN ? "in" : state == SHM_PARKED ? "parked" : "out";
}

static void fill_thread(wire_thread_row *row, struct mutator *m)
{
    *row = wire_thread_row_init();
    row->thread = m->id;
    row->name = m->name;
    row->tid = m->tid;
    row->state = (char *)state_name(mutator_state(m));
    row->exact = m->exact;
    row->granted_bytes = m->granted_bytes;
    row->late_stops = at_load_relaxed(&m->late_stops);
    row->max_stop_ns = at_load_relaxed(&m->max_stop_ns);
}

struct client_page {
    uint32_t rows_left; /* of tables, to be looked at */
    wire_client_row rows[CLIENT_PAGE_ROWS], *row_pointers[CLIENT_PAGE_ROWS];
    wire_thread_row *threads[CLIENT_PAGE_ROWS], **thread_pointers[CLIENT_PAGE_ROWS]; /* owned */
};

static void fill_subscription(wire_client_row *row, const struct subscription *sub)
{
    if (sub == NULL)
        return;
    row->notices = sub->all ? (char *)"all" : (char *)"watched";
    row->notices_due = sub->count;
}

static bool fill_client(struct client_page *page, size_t index, struct session *s)
{
    size_t count = MM_MIN(s->mutator_count, THREAD_ROWS_MAX), i = 0;
    wire_client_row *row = page->row_pointers[index] = &page->rows[index];
    struct mutator *m;

    page->threads[index] = calloc(count + 1, sizeof(page->threads[index][0]));
    page->thread_pointers[index] = calloc(count + 1, sizeof(page->thread_pointers[index][0]));
    if (page->threads[index] == NULL || page->thread_pointers[index] == NULL)
        return false;
    TAILQ_FOREACH(m, &s->mutators, in_session)
    {
        if (i == count)
            break;
        fill_thread(&page->threads[index][i], m);
        page->thread_pointers[index][i] = &page->threads[index][i];
        i++;
    }
    *row = wire_client_row_init();
    row->session = s->id;
    row->name = s->name;
    row->pid = (uint32_t)s->peer.pid;
    row->uid = s->peer.uid;
    row->heap = s->heap == NULL ? (char *)"" : s->heap->name;
    row->read_only = s->read_only;
    row->connected_ms = (mm_now_ns() - s->connected_ns) / NS_PER_MS;
    struct session_counts counts = session_count_racy(s, &page->rows_left);
    row->handles = handles_in(&counts);
    row->leases = session_counts_leases(&counts);
    row->threads = page->thread_pointers[index];
    row->n_threads = i;
    row->thread_count = s->mutator_count;
    fill_subscription(row, at_load_relaxed(&s->subscription));
    return true;
}

bool facts_may_see(const struct session *asker, const struct session *s, const struct shared_heap *only)
{
    if (s->stage >= SESSION_CLOSING || (only != NULL && s->heap != only))
        return false;
    return asker->peer.uid == s->peer.uid || asker->peer.administrator ||
           (s->heap != NULL && shared_heap_may_open(s->heap, asker, true));
}

/* Adds rows until the page or the packet is full. False: no memory. */
static bool fill_clients(struct client_page *page, wire_reply *reply, struct session *asker,
                         const struct shared_heap *only, uint64_t after)
{
    wire_client_rows *rows = reply->client_rows;
    struct session *s;

    TAILQ_FOREACH(s, &asker->server->sessions, in_server)
    {
        if (s->id <= after || !facts_may_see(asker, s, only))
            continue;
        if (rows->n_rows == CLIENT_PAGE_ROWS || (rows->n_rows > 0 && session_rows_racy(s) > page->rows_left)) {
            rows->more = true;
            return true;
        }
        if (!fill_client(page, rows->n_rows, s))
            return false;
        rows->n_rows++;
        if (wire_reply_bytes(reply) > PACKET_BYTES_MAX) {
            rows->n_rows--;
            rows->more = true;
            return true;
        }
    }
    return true;
}

enum handled request_clients(struct request *r)
{
    const wire_clients *clients = r->message->clients;
    struct shared_heap *only = clients->heap[0] == '\0' ? NULL : request_heap_meant(r, clients->heap);
    if (only == NULL && clients->heap[0] != '\0')
        return HANDLED;
    struct client_page *page = calloc(1, sizeof(*page));
    wire_client_rows rows = wire_client_rows_init();
    wire_reply reply = wire_reply_init();
    bool filled = false;

    reply.serial = r->message->serial;
    reply.body_case = WIRE_REPLY(CLIENT_ROWS);
    reply.client_rows = &rows;
    if (page != NULL) {
        rows.rows = page->row_pointers;
        page->rows_left = FACTS_ROWS_A_REQUEST;
        filled = fill_clients(page, &reply, r->session, only, clients->after_session);
    }
    if (filled)
        answer(r, &reply, NULL);
    else
        answer_errno(r, -ENOMEM, "listing the clients");
    for (size_t i = 0; page != NULL && i < CLIENT_PAGE_ROWS; i++) {
        free(page->threads[i]);
        free(page->thread_pointers[i]);
    }
    free(page);
    return HANDLED;
}

/* ---- roots ---- */

static uint64_t local_count(const struct shared_heap *h)
{
    const struct mutator *m;
    uint64_t count = 0;

    TAILQ_FOREACH(m, &h->mutators, in_heap)
    count += mutator_locals_racy(m);
    return count;
}

bool facts_object(const struct shared_heap *h, uint32_t ref, struct facts_object *ret_object)
{
    uint64_t at = (uint64_t)ref * MM_GRANULE_BYTES;
    char *arena = shm_segment_address(h->arena);
    unsigned char present = 0;

    if (ref == 0 || at >= h->max_bytes)
        return false;
    at -= OBJECT_HEADER_BYTES;
    if (mincore(arena + mm_align_down(at, MM_PAGE_BYTES), MM_PAGE_BYTES, &present) < 0 || (present & 1) == 0)
        return false;
    uint64_t header = foreign_load64(foreign_from(arena), at);
    uint32_t type = object_header_type(header);
    if (type == 0 || type >= at_load_relaxed(&h->control->type_count))
        return false;
    struct shm_type_row *t = &h->control->types[type];
    ret_object->type = t->name;
    ret_object->bytes = object_bytes(t->fixed_bytes, t->element_bytes, t->element_bytes == 0 ? 0 : object_header_length(header));
    return true;
}

static void fill_roots(wire_root_rows *page, wire_root_row rows[ROOT_PAGE_ROWS],
                       const struct shared_heap *h, const char *after)
{
    const struct names *names = &h->names;
    size_t from = names_after(names, after);

    for (size_t i = from; i < names->count; i++) {
        if (page->n_rows == ROOT_PAGE_ROWS) {
            page->more = true;
            return;
        }
        wire_root_row *row = page->rows[page->n_rows] = &rows[page->n_rows];
        *row = wire_root_row_init();
        row->name = names->rows[i].name;
        row->ref = at_load_relaxed(&names->words[names->rows[i].slot]);
        struct facts_object object;
        if (facts_object(h, row->ref, &object)) {
            row->type = object.type;
            row->bytes = object.bytes;
        }
        page->n_rows++;
    }
}

enum handled request_roots(struct request *r)
{
    const wire_roots *roots = r->message->roots;
    struct shared_heap *h = request_heap_meant(r, roots->heap);
    wire_root_row rows[ROOT_PAGE_ROWS], *row_pointers[ROOT_PAGE_ROWS];
    wire_root_rows page = wire_root_rows_init();
    wire_reply reply = wire_reply_init();

    if (h == NULL)
        return HANDLED;
    if (!shared_heap_try_lock(h))
        return answer_later(r, h);
    page.rows = row_pointers;
    fill_roots(&page, rows, h, roots->after_name);
    page.handles = handle_count(h);
    page.local_slots = local_count(h);
    reply.body_case = WIRE_REPLY(ROOT_ROWS);
    reply.root_rows = &page;
    answer(r, &reply, NULL); /* sends, or ends the session, which only tries this lock */
    shared_heap_unlock(h);
    return HANDLED;
}
