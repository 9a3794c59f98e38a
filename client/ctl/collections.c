/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/collections.h"

#include <stdio.h>

#include "client/ctl/document.h"
#include "client/ctl/samples.h"
#include "client/ctl/table.h"
#include "shm/base.h"

/* clang-format off */
static const struct column collection_facts[] = {
    { "done",                            "collections",           CELL_COUNT },
    { "given up, a thread did not stop", "abandoned_stops",       CELL_COUNT },
    { "of the done, in an emergency",    "emergency_collections", CELL_COUNT },
    { "workers",                         "workers",               CELL_COUNT },
    { "paused in all",                   "total_pause_ns",        CELL_NS },
    { "paused the last time",            "last_pause_ns",         CELL_NS },
    { "of it, to stop the threads",      "last_stop_ns",          CELL_NS },
};
static const struct column pause_columns[] = {
    { "PAUSE",  "kind",      CELL_TEXT },
    { "COUNT",  "count",     CELL_COUNT },
    { "TOTAL",  "total_ns",  CELL_NS },
    { "P50",    "p50_ns",    CELL_NS },
    { "P99",    "p99_ns",    CELL_NS },
    { "P99.9",  "p99_9_ns",  CELL_NS },
    { "P99.99", "p99_99_ns", CELL_NS },
    { "MAX",    "max_ns",    CELL_NS },
};
static const struct column young_facts[] = {
    { "looked at",                     "young_new_bytes",    CELL_BYTES },
    { "promoted",                      "promoted_bytes",     CELL_BYTES },
    { "survived",                      "survival_rate",      CELL_SHARE },
    { "survived the last one",         "last_survival_rate", CELL_SHARE },
    { "nursery",                       "nursery_bytes",      CELL_BYTES },
    { "times that it rested",          "nursery_rests",      CELL_COUNT },
};
static const struct column concurrent_facts[] = {
    { "worked while clients ran",      "concurrent_ns",      CELL_NS },
    { "became full collections",       "fallbacks",          CELL_COUNT },
};
static const struct column barrier_facts[] = {
    { "stores logged",                 "barrier_slow_paths", CELL_COUNT },
    { "times that some were lost",     "barrier_losses",     CELL_COUNT },
};
static const struct column packet_columns[] = {
    { "PACKET", "name",     CELL_TEXT },
    { "COUNT",  "count",    CELL_COUNT },
    { "TOTAL",  "total_ns", CELL_NS },
    { "MEAN",   "mean_ns",  CELL_NS },
    { "MIN",    "min_ns",   CELL_NS },
    { "MAX",    "max_ns",   CELL_NS },
};
/* clang-format on */

/* ---- the document ---- */

/* One of "pause" and "stop": the numbers as flat keys, and the measurements themselves. */
static void fill_times(json_t *document, const char *time, uint64_t last_ns, uint64_t max_ns,
                       const uint64_t *recent, size_t count)
{
    struct samples samples = samples_of(recent, count);
    const struct {
        const char *format;
        uint64_t ns;
    } numbers[] = {
        { "last_%s_ns", last_ns },
        { "max_%s_ns", max_ns },
        { "recent_mean_%s_ns", samples.mean },
        { "recent_p50_%s_ns", samples.median },
        { "recent_p99_%s_ns", samples.p99 },
        { "recent_max_%s_ns", samples.max },
    };
    char key[32];

    for (size_t i = 0; i < MM_ARRAY_LEN(numbers); i++) {
        snprintf(key, sizeof(key), numbers[i].format, time);
        document_count(document, key, numbers[i].ns);
    }
    snprintf(key, sizeof(key), "recent_%s_ns", time);
    json_t *values = document_array(document, key);
    for (size_t i = 0; i < count; i++)
        document_append_count(values, recent[i]);
}

static uint64_t mean(uint64_t total, uint64_t count)
{
    return count == 0 ? 0 : total / count;
}

static void fill_pause_numbers(json_t *row, const wire_pause_row *pause)
{
    document_count(row, "count", pause->count);
    document_count(row, "total_ns", pause->total_ns);
    document_count(row, "mean_ns", mean(pause->total_ns, pause->count));
    document_count(row, "min_ns", pause->min_ns);
    document_count(row, "p50_ns", pause->p50_ns);
    document_count(row, "p90_ns", pause->p90_ns);
    document_count(row, "p99_ns", pause->p99_ns);
    document_count(row, "p99_9_ns", pause->p99_9_ns);
    document_count(row, "p99_99_ns", pause->p99_99_ns);
    document_count(row, "max_ns", pause->max_ns);
}

/* @pause: NULL, if the daemon is too old to say. */
static void fill_all(json_t *document, const char *key, const wire_pause_row *pause)
{
    wire_pause_row none = wire_pause_row_init();

    fill_pause_numbers(document_object(document, key), pause == NULL ? &none : pause);
}

static void fill_pauses(json_t *document, const wire_heap_facts *facts)
{
    json_t *pauses = document_array(document, "pauses");

    for (size_t i = 0; i < facts->n_pauses; i++) {
        json_t *row = document_row(pauses);
        document_text(row, "kind", facts->pauses[i]->kind);
        fill_pause_numbers(row, facts->pauses[i]);
    }
    fill_all(document, "all_pauses", facts->all_pauses);
    fill_all(document, "all_stops", facts->all_stops);
}

static double rate(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

static void fill_work(json_t *document, const wire_heap_facts *facts)
{
    document_count(document, "concurrent_ns", facts->concurrent_ns);
    document_count(document, "fallbacks", facts->fallbacks);
    document_count(document, "barrier_slow_paths", facts->barrier_slow_paths);
    document_count(document, "barrier_losses", facts->barrier_losses);
    document_count(document, "young_new_bytes", facts->young_new_bytes);
    document_count(document, "promoted_bytes", facts->promoted_bytes);
    document_real(document, "survival_rate", rate(facts->promoted_bytes, facts->young_new_bytes));
    document_count(document, "last_young_new_bytes", facts->last_young_new_bytes);
    document_count(document, "last_promoted_bytes", facts->last_promoted_bytes);
    document_real(document, "last_survival_rate",
                  rate(facts->last_promoted_bytes, facts->last_young_new_bytes));
    document_count(document, "nursery_bytes", facts->nursery_bytes);
    document_count(document, "nursery_rests", facts->nursery_rests);
}

static void fill_packets(json_t *document, const wire_heap_facts *facts)
{
    json_t *packets = document_array(document, "packets");

    for (size_t i = 0; i < facts->n_packets; i++) {
        const wire_packet_row *packet = facts->packets[i];
        json_t *row = document_row(packets);
        document_text(row, "name", packet->name);
        document_count(row, "count", packet->count);
        document_count(row, "total_ns", packet->total_ns);
        document_count(row, "mean_ns", mean(packet->total_ns, packet->count));
        document_count(row, "min_ns", packet->min_ns);
        document_count(row, "max_ns", packet->max_ns);
    }
}

void collections_fill(json_t *document, const wire_heap_facts *facts)
{
    document_count(document, "abandoned_stops", facts->abandoned_stops);
    document_count(document, "emergency_collections", facts->emergency_collections);
    document_count(document, "workers", facts->workers);
    document_count(document, "total_pause_ns", facts->total_pause_ns);
    fill_times(document, "pause", facts->last_pause_ns, facts->max_pause_ns, facts->recent_pause_ns,
               facts->n_recent_pause_ns);
    fill_times(document, "stop", facts->last_stop_ns, facts->max_stop_ns, facts->recent_stop_ns,
               facts->n_recent_stop_ns);
    fill_pauses(document, facts);
    fill_work(document, facts);
    fill_packets(document, facts);
}

/* ---- for people ---- */

static void append_named(json_t *rows, const json_t *numbers, const char *kind)
{
    json_t *row = document_row(rows);

    if (json_object_update(row, (json_t *)numbers) < 0)
        need(NULL);
    document_text(row, "kind", kind);
}

/* A line for each kind; one for all if there is more than one; then what of the pauses it took to stop the threads. */
static void show_pauses(const json_t *document)
{
    json_auto_t *rows = need(json_copy(json_object_get(document, "pauses")));

    if (json_array_size(rows) == 0)
        return;
    if (json_array_size(rows) > 1)
        append_named(rows, json_object_get(document, "all_pauses"), "all");
    append_named(rows, json_object_get(document, "all_stops"), "to stop the threads");
    putchar('\n');
    table_show(rows, pause_columns, MM_ARRAY_LEN(pause_columns), 2, false);
}

static void show_facts(const json_t *document, const char *title, const struct column *facts, size_t count,
                       bool exact)
{
    printf("\n%s\n", title);
    facts_show(document, facts, count, 2, exact);
}

static bool any(const json_t *document, const char *key, const char *other)
{
    return document_get_count(document, key) > 0 || document_get_count(document, other) > 0;
}

void collections_show(const json_t *document, bool exact)
{
    const json_t *packets = json_object_get(document, "packets");

    show_facts(document, "Collections", collection_facts, MM_ARRAY_LEN(collection_facts), exact);
    show_pauses(document);
    if (any(document, "young_new_bytes", "promoted_bytes"))
        show_facts(document, "Young objects", young_facts, MM_ARRAY_LEN(young_facts), exact);
    if (any(document, "concurrent_ns", "fallbacks"))
        show_facts(document, "Concurrent collections", concurrent_facts, MM_ARRAY_LEN(concurrent_facts), exact);
    if (any(document, "barrier_slow_paths", "barrier_losses"))
        show_facts(document, "Write barrier", barrier_facts, MM_ARRAY_LEN(barrier_facts), exact);
    if (json_array_size(packets) > 0)
        puts("\nPackets of the last collection");
    table_show(packets, packet_columns, MM_ARRAY_LEN(packet_columns), 2, exact);
}
