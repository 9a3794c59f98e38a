/* SPDX-License-Identifier: Apache-2.0 */
/* info.c - Info: all that the daemon knows of one heap's memory, collections and pauses. */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/collections.h"
#include "client/ctl/ctl.h"
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
    { "touched, never granted",      "foreign_bytes",   CELL_BYTES },
    { "of that, given back so far",  "foreign_punched_bytes", CELL_BYTES },
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
/* clang-format on */

static void fill_memory(json_t *document, const wire_heap_facts *facts)
{
    uint64_t committed = facts->committed_bytes;

    document_count(document, "limit_bytes", facts->limit_bytes);
    document_count(document, "committed_bytes", committed);
    document_count(document, "resident_bytes", facts->resident_bytes);
    document_count(document, "foreign_bytes", facts->foreign_bytes);
    document_count(document, "foreign_punched_bytes", facts->foreign_punched_bytes);
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
    collections_fill(document, reply->heap_facts);
    wire_reply_free(reply);
    return MMGC_E_OK;
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
    collections_show(document, exact);
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
