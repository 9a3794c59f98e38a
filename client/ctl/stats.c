/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/stats.h"

#include <stdlib.h>
#include <string.h>

#include "shm/base.h"

/* X(field of wire_heap_stats): a key of the same name. */
/* clang-format off */
#define HEAP_NUMBERS(X)                                                                                             \
    X(limit_bytes) X(committed_bytes) X(resident_bytes) X(metadata_bytes) X(foreign_bytes) X(nursery_bytes)         \
    X(live_objects) X(types) X(names) X(handles) X(leases) X(granted_bytes) X(last_pause_ns) X(p50_pause_ns)        \
    X(p99_pause_ns) X(max_pause_ns) X(last_stop_ns) X(max_stop_ns) X(abandoned_stops) X(emergency_collections)      \
    X(concurrent_ns) X(fallbacks) X(barrier_slow_paths) X(barrier_losses) X(commits) X(released_bytes) X(out_of_memory)
#define DAEMON_NUMBERS(X) \
    X(uptime_ms) X(heaps) X(sessions) X(files) X(max_files) X(resident_bytes) X(requests) X(held_back) X(refused) X(connections)
/* clang-format on */

void stats_free(struct stats *stats)
{
    for (size_t i = 0; i < stats->count; i++)
        wire_reply_free(stats->pages[i]);
    free(stats->pages);
    *stats = (struct stats){ 0 };
}

/* What an honest daemon leaves out nowhere, so that nobody else has to look. */
static bool is_whole(const wire_stats_rows *page)
{
    for (size_t i = 0; i < page->n_rows; i++) {
        const wire_heap_stats *heap = page->rows[i];
        if (heap->row == NULL || heap->stops == NULL || heap->stops->n_buckets != page->n_bucket_ns)
            return false;
        for (size_t j = 0; j < heap->n_pauses; j++)
            if (heap->pauses[j]->n_buckets != page->n_bucket_ns)
                return false;
    }
    return page->daemon != NULL;
}

/* One page more. Each name is greater than the one before, or the daemon would keep us for ever. */
static enum mmgc_error ask_page(struct ctl *ctl, const char *heap, struct stats *stats, const char **after, bool *ret_more)
{
    wire_stats body = wire_stats_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.heap = (char *)(heap == NULL ? "" : heap);
    body.after = (char *)*after;
    request.body_case = WIRE_REQUEST(STATS);
    request.stats = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(STATS_ROWS), &reply);
    if (e != MMGC_E_OK)
        return e;
    const wire_stats_rows *page = reply->stats_rows;
    stats->pages = need(realloc(stats->pages, (stats->count + 1) * sizeof(*stats->pages)));
    stats->pages[stats->count++] = reply;
    if (!is_whole(page))
        return ctl_failed(ctl, MMGC_E_PROTOCOL, "rows of heaps that lack something");
    const char *last = page->n_rows > 0 ? page->rows[page->n_rows - 1]->row->name : "";
    if (page->more && strcmp(last, *after) <= 0)
        return ctl_failed(ctl, MMGC_E_PROTOCOL, "pages of heaps that do not go on");
    *after = last;
    *ret_more = page->more;
    return MMGC_E_OK;
}

enum mmgc_error stats_ask(struct ctl *ctl, const char *heap, struct stats *ret_stats)
{
    struct stats stats = { 0 };
    const char *after = "";
    enum mmgc_error e;
    bool more = false;

    do
        e = ask_page(ctl, heap, &stats, &after, &more);
    while (e == MMGC_E_OK && more);
    if (e != MMGC_E_OK)
        stats_free(&stats);
    else
        *ret_stats = stats;
    return e;
}

static void fill_pause(json_t *row, const wire_pause_stats *pause)
{
    document_text(row, "kind", pause->kind);
    document_count(row, "count", pause->count);
    document_count(row, "total_ns", pause->total_ns);
    json_t *buckets = document_array(row, "buckets");
    for (size_t i = 0; i < pause->n_buckets; i++)
        document_append_count(buckets, pause->buckets[i]);
}

static void fill_heap(json_t *row, const wire_heap_stats *heap)
{
    uint64_t total_ns = 0;

    ctl_heap_row(row, heap->row);
    document_count(row, "uid", heap->uid);
#define HEAP_NUMBER(field) document_count(row, #field, heap->field);
    HEAP_NUMBERS(HEAP_NUMBER)
#undef HEAP_NUMBER
    json_t *pauses = document_array(row, "pauses");
    for (size_t i = 0; i < heap->n_pauses; i++) {
        fill_pause(document_row(pauses), heap->pauses[i]);
        total_ns += heap->pauses[i]->total_ns;
    }
    fill_pause(document_object(row, "stops"), heap->stops);
    document_count(row, "total_pause_ns", total_ns);
}

static void fill(json_t *document, const struct stats *stats)
{
    const wire_stats_rows *last = stats->pages[stats->count - 1]->stats_rows;
    json_t *numbers = document_object(document, "daemon"), *heaps = document_array(document, "heaps");

#define DAEMON_NUMBER(field) document_count(numbers, #field, last->daemon->field);
    DAEMON_NUMBERS(DAEMON_NUMBER)
#undef DAEMON_NUMBER
    for (size_t i = 0; i < stats->count; i++)
        for (size_t j = 0; j < stats->pages[i]->stats_rows->n_rows; j++)
            fill_heap(document_row(heaps), stats->pages[i]->stats_rows->rows[j]);
    json_t *ends = document_array(document, "bucket_ns");
    for (size_t i = 0; i < last->n_bucket_ns; i++)
        document_append_count(ends, last->bucket_ns[i]);
}

enum mmgc_error stats_document(struct ctl *ctl, json_t *document)
{
    struct stats stats;
    enum mmgc_error e = stats_ask(ctl, ctl->options.operand, &stats);

    if (e != MMGC_E_OK)
        return e;
    fill(document, &stats);
    stats_free(&stats);
    return MMGC_E_OK;
}
