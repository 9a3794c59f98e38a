/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - Info: all that the daemon knows of one heap's memory, collections and pauses. */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/ctl.h"
#include "client/ctl/samples.h"
#include "client/ctl/table.h"
#include "shm/base.h"

/* clang-format off */
static const struct column memory_facts[] = {
    { "maximum",                     "max_bytes",       CELL_BYTES },
    { "limit",                       "limit_bytes",     CELL_BYTES },
    { "used",                        "used_bytes",      CELL_BYTES },
    { "live at the last collection", "live_bytes",      CELL_BYTES },
    { "committed",                   "committed_bytes", CELL_BYTES },
    { "resident",                    "resident_bytes",  CELL_BYTES },
    { "metadata",                    "metadata_bytes",  CELL_BYTES },
    { "metadata share of committed", "metadata_share",  CELL_SHARE },
    { "granted since it was made",   "granted_bytes",   CELL_BYTES },
    { "pages",                       "pages",           CELL_TEXT },
};
static const struct column content_facts[] = {
    { "objects at the last collection", "live_objects", CELL_COUNT },
    { "types",                          "types",        CELL_COUNT },
    { "named roots",                    "names",        CELL_COUNT },
    { "handles",                        "handles",      CELL_COUNT },
    { "clients",                        "sessions",     CELL_COUNT },
    { "threads",                        "threads",      CELL_COUNT },
};
static const struct column collection_facts[] = {
    { "done",                            "collections",     CELL_COUNT },
    { "given up, a thread did not stop", "abandoned_stops", CELL_COUNT },
    { "of the done, in an emergency",    "emergency_collections", CELL_COUNT },
    { "workers",                         "workers",         CELL_COUNT },
    { "paused in all",                   "total_pause_ns",  CELL_NS },
};
static const struct column space_columns[] = {
    { "SPACE",  "name",       CELL_TEXT },
    { "USED",   "used_bytes", CELL_BYTES },
    { "BLOCKS", "blocks",     CELL_COUNT },
    { "LIVE",   "live_bytes", CELL_BYTES }, /* last: left out unless it was counted */
};
static const struct column option_columns[] = {
    { "OPTION", "key",   CELL_TEXT },
    { "VALUE",  "value", CELL_TEXT },
};
static const struct column time_columns[] = {
    { "TIME",        "time",    CELL_TEXT },
    { "LAST",        "last_ns", CELL_NS },
    { "RECENT MEAN", "mean_ns", CELL_NS },
    { "P50",         "p50_ns",  CELL_NS },
    { "P99",         "p99_ns",  CELL_NS },
    { "MAX EVER",    "max_ns",  CELL_NS },
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

static void fill_memory(json_t *document, const wire_heap_facts *facts)
{
    uint64_t committed = facts->committed_bytes;

    document_count(document, "limit_bytes", facts->limit_bytes);
    document_count(document, "committed_bytes", committed);
    document_count(document, "resident_bytes", facts->resident_bytes);
    document_count(document, "granted_bytes", facts->granted_bytes);
    document_count(document, "metadata_bytes", facts->metadata_bytes);
    document_real(document, "metadata_share",
                  committed == 0 ? 0 : (double)facts->metadata_bytes / (double)committed);
    document_text(document, "pages", facts->pages);
    json_t *spaces = document_array(document, "spaces");
    for (size_t i = 0; i < facts->n_spaces; i++) {
        json_t *row = document_row(spaces);
        document_text(row, "name", facts->spaces[i]->name);
        document_count(row, "used_bytes", facts->spaces[i]->used_bytes);
        document_count(row, "live_bytes", facts->spaces[i]->live_bytes);
        document_count(row, "blocks", facts->spaces[i]->blocks);
    }
}

static void fill_options(json_t *document, const wire_heap_facts *facts)
{
    json_t *options = document_array(document, "options");

    for (size_t i = 0; i < facts->n_options; i++) {
        json_t *row = document_row(options);
        document_text(row, "key", facts->options[i]->key);
        document_text(row, "value", facts->options[i]->value);
    }
}

static void fill_contents(json_t *document, const wire_heap_facts *facts)
{
    document_count(document, "live_objects", facts->live_objects);
    document_count(document, "types", facts->types);
    document_count(document, "names", facts->names);
    document_count(document, "handles", facts->handles);
}

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

static void fill_collections(json_t *document, const wire_heap_facts *facts)
{
    document_count(document, "abandoned_stops", facts->abandoned_stops);
    document_count(document, "emergency_collections", facts->emergency_collections);
    document_count(document, "workers", facts->workers);
    document_count(document, "total_pause_ns", facts->total_pause_ns);
    fill_times(document, "pause", facts->last_pause_ns, facts->max_pause_ns, facts->recent_pause_ns,
               facts->n_recent_pause_ns);
    fill_times(document, "stop", facts->last_stop_ns, facts->max_stop_ns, facts->recent_stop_ns,
               facts->n_recent_stop_ns);
    json_t *packets = document_array(document, "packets");
    for (size_t i = 0; i < facts->n_packets; i++) {
        const wire_packet_row *packet = facts->packets[i];
        json_t *row = document_row(packets);
        document_text(row, "name", packet->name);
        document_count(row, "count", packet->count);
        document_count(row, "total_ns", packet->total_ns);
        document_count(row, "mean_ns", packet->count == 0 ? 0 : packet->total_ns / packet->count);
        document_count(row, "min_ns", packet->min_ns);
        document_count(row, "max_ns", packet->max_ns);
    }
}

static enum mmgc_error info_ask(struct ctl *ctl, json_t *document)
{
    wire_reply *reply;
    enum mmgc_error e = ctl_heap_facts(ctl, &reply);

    if (e != MMGC_E_OK)
        return e;
    ctl_heap_row(document, reply->heap_facts->row);
    fill_memory(document, reply->heap_facts);
    fill_options(document, reply->heap_facts);
    fill_contents(document, reply->heap_facts);
    fill_collections(document, reply->heap_facts);
    wire_reply_free(reply);
    return MMGC_E_OK;
}

static void add_time_row(json_t *rows, const json_t *document, const char *name, const char *time)
{
    static const char *const keys[][2] = {
        { "last_ns", "last_%s_ns" },      { "mean_ns", "recent_mean_%s_ns" },
        { "p50_ns", "recent_p50_%s_ns" }, { "p99_ns", "recent_p99_%s_ns" },
        { "max_ns", "max_%s_ns" },
    };
    json_t *row = document_row(rows);
    char key[32];

    document_text(row, "time", name);
    for (size_t i = 0; i < MM_ARRAY_LEN(keys); i++) {
        snprintf(key, sizeof(key), keys[i][1], time);
        document_count(row, keys[i][0], document_get_count(document, key));
    }
}

static void show_times(const json_t *document)
{
    json_auto_t *rows = need(json_array());

    if (document_get_count(document, "collections") == 0)
        return;
    add_time_row(rows, document, "pause", "pause");
    add_time_row(rows, document, "of it, to stop the threads", "stop");
    putchar('\n');
    table_show(rows, time_columns, MM_ARRAY_LEN(time_columns), 2, false);
}

static void show_table(const json_t *document, const char *key, const char *title,
                       const struct column *columns, size_t count, bool exact)
{
    const json_t *rows = json_object_get(document, key);

    if (json_array_size(rows) == 0)
        return;
    printf("\n%s\n", title);
    table_show(rows, columns, count, 2, exact);
}

static void show_spaces(const json_t *document, bool exact)
{
    uint64_t live_bytes = 0;
    const json_t *space;
    size_t i;

    json_array_foreach(json_object_get(document, "spaces"), i, space)
        live_bytes += document_get_count(space, "live_bytes");
    show_table(document, "spaces", "Spaces", space_columns, MM_ARRAY_LEN(space_columns) - (live_bytes == 0),
               exact);
}

static void info_show(const struct ctl *ctl, const json_t *document)
{
    bool exact = ctl->options.bytes;

    text_show(document_get_text(document, "name"));
    printf(": plan ");
    text_show(document_get_text(document, "plan"));
    if (document_get_flag(document, "corrupt"))
        printf(", CORRUPT and quarantined: see `mmgcctl verify`, then destroy it");
    puts("\n\nMemory");
    facts_show(document, memory_facts, MM_ARRAY_LEN(memory_facts), 2, exact);
    puts("\nContents");
    facts_show(document, content_facts, MM_ARRAY_LEN(content_facts), 2, exact);
    show_spaces(document, exact);
    show_table(document, "options", "Options that are not the default", option_columns,
               MM_ARRAY_LEN(option_columns), exact);
    puts("\nCollections");
    facts_show(document, collection_facts, MM_ARRAY_LEN(collection_facts), 2, exact);
    show_times(document);
    show_table(document, "packets", "Packets of the last collection", packet_columns,
               MM_ARRAY_LEN(packet_columns), exact);
}

const struct ctl_command ctl_info = {
    .name = "info",
    .synopsis = "info HEAP",
    .summary = "a heap's plan, options, memory, pages, collections and pauses",
    .takes = CTL_TAKES_HEAP,
    .options = CTL_OPTION_BYTES,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = info_ask,
    .show = info_show,
};
