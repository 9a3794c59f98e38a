/* SPDX-License-Identifier: Apache-2.0 */
/* retained.c - Retained: what would be freed if a type's objects, a client or one object were gone: what it alone keeps, by dominators. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/snap/dominators.h"
#include "client/ctl/table.h"
#include "client/ctl/take.h"
#include "shm/base.h"

#define OBJECTS_KEPT 64u /* by object: the largest */

/* clang-format off */
static const struct column by_type[] = {
    { "RETAINED", "retained_bytes", CELL_BYTES },
    { "SHARE",    "share",          CELL_SHARE },
    { "OBJECTS",  "objects",        CELL_COUNT },
    { "BYTES",    "bytes",          CELL_BYTES },
    { "TYPE",     "type",           CELL_TEXT },
};
static const struct column by_client[] = {
    { "RETAINED", "retained_bytes", CELL_BYTES },
    { "SHARE",    "share",          CELL_SHARE },
    { "OBJECTS",  "objects",        CELL_COUNT },
    { "HOLDER",   "holder",         CELL_TEXT },
};
static const struct column by_object[] = {
    { "RETAINED", "retained_bytes", CELL_BYTES },
    { "SHARE",    "share",          CELL_SHARE },
    { "OBJECTS",  "objects",        CELL_COUNT },
    { "BYTES",    "bytes",          CELL_BYTES },
    { "OFFSET",   "ref",            CELL_REF },
    { "TYPE",     "type",           CELL_TEXT },
};
/* clang-format on */
static const struct {
    const struct column *columns;
    size_t count;
} tables[] = {
    [CTL_BY_TYPE] = { by_type, MM_ARRAY_LEN(by_type) },
    [CTL_BY_CLIENT] = { by_client, MM_ARRAY_LEN(by_client) },
    [CTL_BY_OBJECT] = { by_object, MM_ARRAY_LEN(by_object) },
};

static json_t *add_row(json_t *rows, uint64_t objects, uint64_t retained, uint64_t all)
{
    json_t *row = document_row(rows);

    document_count(row, "objects", objects);
    document_count(row, "retained_bytes", retained);
    document_real(row, "share", all == 0 ? 0 : (double)retained / (double)all);
    return row;
}

static void add_types(json_t *rows, const struct snap_graph *g, const struct snap_dominators *d, uint64_t all)
{
    struct snap_retained *types = need(snap_retained_by_type(g, d));

    for (uint32_t id = 1; id <= snap_type_count(g->snap); id++) {
        if (types[id].objects == 0)
            continue;
        json_t *row = add_row(rows, types[id].objects, types[id].bytes, all);
        document_text(row, "type", snap_type(g->snap, id)->name);
        document_count(row, "bytes", types[id].own_bytes);
    }
    free(types);
}

static void add_clients(json_t *rows, const struct snap_graph *g, const struct snap_dominators *d, uint64_t all)
{
    for (uint32_t i = 0; i < snap_owner_count(g->snap); i++) {
        uint32_t node = snap_graph_owner(g, i);
        if (d->up[node] != SNAP_NONE && d->objects[node] > 0)
            take_owner(add_row(rows, d->objects[node], d->bytes[node], all), g->snap, i);
    }
}

/* The objects that retain most, in a list that is kept in order. */
static void add_objects(json_t *rows, const struct snap_graph *g, const struct snap_dominators *d, uint64_t all)
{
    uint32_t best[OBJECTS_KEPT], count = 0;

    for (uint32_t node = 0; node < g->objects; node++) {
        if (d->up[node] == SNAP_NONE || (count == OBJECTS_KEPT && d->bytes[node] <= d->bytes[best[count - 1]]))
            continue;
        uint32_t at = count < OBJECTS_KEPT ? count++ : OBJECTS_KEPT - 1;
        for (; at > 0 && d->bytes[best[at - 1]] < d->bytes[node]; at--)
            best[at] = best[at - 1];
        best[at] = node;
    }
    for (uint32_t i = 0; i < count; i++) {
        json_t *row = add_row(rows, d->objects[best[i]], d->bytes[best[i]], all);
        document_count(row, "ref", g->refs[best[i]]);
        document_text(row, "type", snap_type(g->snap, g->types[best[i]])->name);
        document_count(row, "bytes", snap_graph_bytes(g, best[i]));
    }
}

static uint64_t all_bytes(const struct snap_graph *g)
{
    uint64_t bytes = 0;

    for (uint32_t node = 0; node < g->objects; node++)
        bytes += snap_graph_bytes(g, node);
    return bytes;
}

/* What no owner alone keeps. */
static uint64_t shared_bytes(const struct snap_graph *g, const struct snap_dominators *d)
{
    uint64_t bytes = d->bytes[snap_graph_root(g)];

    for (uint32_t i = 0; i < snap_owner_count(g->snap); i++)
        if (d->up[snap_graph_owner(g, i)] == snap_graph_root(g))
            bytes -= d->bytes[snap_graph_owner(g, i)];
    return bytes;
}

static enum mmgc_error retained_ask(struct ctl *ctl, json_t *document)
{
    MM_AUTO(snap) s = NULL;
    MM_AUTO(snap_graph) g = NULL;
    enum mmgc_error e = take_snapshot(ctl, &s, &g);

    if (e != MMGC_E_OK)
        return e;
    MM_AUTO(snap_dominators) d = need(snap_dominators_new(g));
    uint64_t all = d->bytes[snap_graph_root(g)], objects = d->objects[snap_graph_root(g)];
    document_text(document, "heap", snap_header(s)->heap);
    document_count(document, "reachable_objects", objects);
    document_count(document, "reachable_bytes", all);
    document_count(document, "garbage_objects", g->objects - objects);
    document_count(document, "garbage_bytes", all_bytes(g) - all);
    document_count(document, "shared_bytes", shared_bytes(g, d));
    json_t *rows = document_array(document, "retained");
    switch (ctl->options.by) {
    case CTL_BY_TYPE: add_types(rows, g, d, all); break;
    case CTL_BY_CLIENT: add_clients(rows, g, d, all); break;
    case CTL_BY_OBJECT: add_objects(rows, g, d, all); break;
    }
    document_sort(rows, "retained_bytes", true);
    document_count(document, "omitted", document_cut(rows, ctl->options.limit));
    return MMGC_E_OK;
}

static void retained_show(const struct ctl *ctl, const json_t *document)
{
    table_show(json_object_get(document, "retained"), tables[ctl->options.by].columns, tables[ctl->options.by].count, 0, ctl->options.bytes);
    ctl_show_omitted(document);
    printf("%" PRIu64 " objects are held, ", document_get_count(document, "reachable_objects"));
    bytes_show(document_get_count(document, "reachable_bytes"), ctl->options.bytes);
    fputs(", of which ", stdout);
    bytes_show(document_get_count(document, "shared_bytes"), ctl->options.bytes);
    fputs(" by several; garbage ", stdout);
    bytes_show(document_get_count(document, "garbage_bytes"), ctl->options.bytes);
    putchar('\n');
}

const struct ctl_command ctl_retained = {
    .name = "retained",
    .synopsis = "retained HEAP",
    .summary = "what each type, client or object alone keeps alive",
    .takes = CTL_TAKES_SNAPSHOT,
    .options = CTL_OPTION_SNAPSHOT | CTL_OPTION_LIMIT | CTL_OPTION_BYTES | CTL_OPTION_ANYWAY | CTL_OPTION_BY,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = retained_ask,
    .show = retained_show,
};
