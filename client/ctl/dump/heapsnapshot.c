/* SPDX-License-Identifier: Apache-2.0 */
/* heapsnapshot.c - Heapsnapshot: a heap as V8's, in the JSON that Chrome DevTools and memlab read: rows of numbers for nodes and edges, and strings.
 *   Nodes    the root; "(GC roots)", which DevTools looks for; owners; objects by address. An object's id is its granule: its offset by 8
 *   Edges    of a node, in the order of nodes. A field's are properties named by offset, elements' have their word's number in the elements; what keeps
 *            nothing alive is weak. The root leads to each owner, too: then DevTools counts distances from who holds something
 *   Passes   three over all objects: their edges are counted, which comes first in the file; then nodes, then edges are written
 *   H1       count_edges() and write_edges() visit the same references in the same order                                                 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/dump/dump.h"
#include "client/ctl/dump/json.h"

#define NODE_FIELDS 7u
#define ROOT_NODES 2u                         /* the root and (GC roots), before the owners */
#define KINDS (SHM_SNAPSHOT_IMMORTAL_OBJECT + 1u)
/* Strings begin with these; then owners, kinds of roots, types, fields of types, names of roots. */
enum { STRING_EMPTY, STRING_GC_ROOTS, STRING_ELEMENT, STRINGS_FIXED };

/* Rows of meta.node_types and meta.edge_types. */
enum { NODE_OBJECT = 3, NODE_NATIVE = 8, NODE_SYNTHETIC = 9 };
enum { EDGE_ELEMENT = 1, EDGE_PROPERTY = 2, EDGE_WEAK = 6 };

static const char meta[] =
    "{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\",\"edge_count\",\"trace_node_id\",\"detachedness\"],"
    "\"node_types\":[[\"hidden\",\"array\",\"string\",\"object\",\"code\",\"closure\",\"regexp\",\"number\",\"native\",\"synthetic\","
    "\"concatenated string\",\"sliced string\",\"symbol\",\"bigint\",\"object shape\"],"
    "\"string\",\"number\",\"number\",\"number\",\"number\",\"number\"],"
    "\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],"
    "\"edge_types\":[[\"context\",\"element\",\"property\",\"internal\",\"hidden\",\"shortcut\",\"weak\"],\"string_or_number\",\"node\"],"
    "\"trace_function_info_fields\":[\"function_id\",\"name\",\"script_name\",\"script_id\",\"line\",\"column\"],"
    "\"trace_node_fields\":[\"id\",\"function_info_index\",\"count\",\"size\",\"children\"],"
    "\"sample_fields\":[\"timestamp_us\",\"last_assigned_id\"],"
    "\"location_fields\":[\"object_index\",\"script_id\",\"line\",\"column\"]}";

struct held {
    uint32_t owner, root;                     /* rows */
};
struct graph {
    struct dump *d;
    const struct snap *s;
    uint32_t owners, held_count;
    struct held *held;                        /* roots that hold, by owner */
    uint32_t *owner_edges;                    /* [owners] */
    uint32_t *object_edges;                   /* [objects] */
    uint32_t *field_names;                    /* [types + 1] string of the first field */
    uint64_t edges;
};

static uint32_t kind_string(const struct graph *g, uint32_t kind)
{
    return STRINGS_FIXED + g->owners + MM_MIN(kind, KINDS);
}
static uint32_t type_string(const struct graph *g, uint32_t type)
{
    return kind_string(g, KINDS) + type;      /* types begin with 1 */
}
static uint32_t names_string(const struct graph *g)
{
    return g->field_names[snap_type_count(g->s) + 1];
}

/* ---- counting ---- */

static int compare_held(const void *a, const void *b)
{
    const struct held *x = a, *y = b;

    return x->owner != y->owner ? (x->owner > y->owner) - (x->owner < y->owner) : (x->root > y->root) - (x->root < y->root);
}

static void collect_roots(struct graph *g)
{
    for (uint32_t i = 0; i < snap_root_count(g->s); i++) {
        struct shm_snapshot_root root = snap_root(g->s, i);
        if (dump_root_object(g->d, &root) == 0)
            continue;
        g->held[g->held_count++] = (struct held){ root.owner, i };
        g->owner_edges[root.owner]++;
    }
    qsort(g->held, g->held_count, sizeof(g->held[0]), compare_held);
    g->edges = g->held_count + 1 + UINT64_C(2) * g->owners;    /* both roots have one to each owner, and one leads to the other */
}

/* An ephemeron's two have a name each. */
static void name_fields(struct graph *g)
{
    uint32_t next = type_string(g, snap_type_count(g->s)) + 1;

    for (uint32_t type = 1; type <= snap_type_count(g->s); type++) {
        const uint32_t *refs = snap_type_refs(g->s, type);
        g->field_names[type] = next;
        for (uint32_t i = 0; i < snap_type(g->s, type)->ref_count; i++)
            next += shm_ref_kind(refs[i]) == SHM_REF_EPHEMERON ? 2 : 1;
    }
    g->field_names[snap_type_count(g->s) + 1] = next;
}

struct counting {
    const struct snap_index *x;
    uint32_t edges;
};

static bool count_edge(void *context, const struct snap_ref *ref)
{
    struct counting *c = context;

    c->edges += ref->to != 0 && snap_index_find(c->x, ref->to) != SNAP_INDEX_NONE;
    return true;
}

static void count_edges(struct graph *g)
{
    struct snap_object o;
    uint64_t at = 0;

    for (uint32_t i = 0; snap_index_step(g->s, &at, &o); i++) {
        struct counting c = { g->d->x, 0 };
        snap_each_ref(g->s, &o, count_edge, &c);
        g->object_edges[i] = c.edges;
        g->edges += c.edges;
    }
}

/* ---- nodes ---- */

static void write_node(struct sink *to, unsigned type, uint32_t name, uint64_t id, uint64_t bytes, uint32_t edges)
{
    const uint64_t fields[NODE_FIELDS] = { type, name, id & UINT32_MAX, MM_MIN(bytes, (uint64_t)UINT32_MAX), edges, 0, 0 };

    json_numbers(to, fields, NODE_FIELDS);
}

static void write_nodes(struct graph *g)
{
    struct sink *to = g->d->to;
    uint64_t beyond = snap_header(g->s)->arena_bytes / MM_GRANULE_BYTES, at = 0;
    uint32_t objects = snap_index_count(g->d->x);
    struct snap_object o;

    json_begin_numbers(to, "nodes");
    write_node(to, NODE_SYNTHETIC, STRING_EMPTY, beyond, 0, g->owners + 1);
    write_node(to, NODE_SYNTHETIC, STRING_GC_ROOTS, beyond + 1, 0, g->owners);
    for (uint32_t i = 0; i < g->owners; i++)
        write_node(to, NODE_NATIVE, STRINGS_FIXED + i, beyond + ROOT_NODES + i, 0, g->owner_edges[i]);
    for (uint32_t i = 0; to->error == 0 && snap_index_step(g->s, &at, &o); i++) {
        write_node(to, NODE_OBJECT, type_string(g, o.type), o.ref, o.bytes, g->object_edges[i]);
        if (i % 65536 == 0)
            sink_progress(to, i, UINT64_C(2) * objects);
    }
    json_end_numbers(to);
}

/* ---- edges ---- */

static void write_edge(struct sink *to, unsigned type, uint64_t name, uint64_t node)
{
    const uint64_t fields[] = { type, name, node * NODE_FIELDS };

    json_numbers(to, fields, MM_ARRAY_LEN(fields));
}

static void write_root_edges(struct graph *g)
{
    struct sink *to = g->d->to;
    uint32_t name = names_string(g);

    write_edge(to, EDGE_ELEMENT, 1, 1);
    for (uint32_t i = 0; i < g->owners; i++)
        write_edge(to, EDGE_PROPERTY, STRINGS_FIXED + i, ROOT_NODES + i);
    for (uint32_t i = 0; i < g->owners; i++)
        write_edge(to, EDGE_ELEMENT, i + UINT64_C(1), ROOT_NODES + i);
    for (uint32_t i = 0; i < g->held_count; i++) {
        struct shm_snapshot_root root = snap_root(g->s, g->held[i].root);
        uint32_t node = snap_index_find(g->d->x, root.object);
        write_edge(to, EDGE_PROPERTY, root.name != 0 ? name++ : kind_string(g, root.kind), ROOT_NODES + UINT64_C(1) * g->owners + node);
    }
}

struct writing {
    struct graph *g;
    uint32_t fixed_bytes, next_name;
};

static bool write_ref(void *context, const struct snap_ref *ref)
{
    struct writing *w = context;
    bool element = ref->at >= w->fixed_bytes;
    uint32_t name = element ? STRING_ELEMENT : w->next_name++;
    uint32_t node = ref->to == 0 ? SNAP_INDEX_NONE : snap_index_find(w->g->d->x, ref->to);

    if (node == SNAP_INDEX_NONE)
        return true;
    uint64_t to = ROOT_NODES + UINT64_C(1) * w->g->owners + node;
    if (!ref->keeps)
        write_edge(w->g->d->to, EDGE_WEAK, name, to);
    else if (element)
        write_edge(w->g->d->to, EDGE_ELEMENT, (ref->at - w->fixed_bytes) / 4, to);
    else
        write_edge(w->g->d->to, EDGE_PROPERTY, name, to);
    return true;
}

static void write_edges(struct graph *g)
{
    struct sink *to = g->d->to;
    uint32_t objects = snap_index_count(g->d->x), done = 0;
    struct snap_object o;
    uint64_t at = 0;

    json_begin_numbers(to, "edges");
    write_root_edges(g);
    while (to->error == 0 && snap_index_step(g->s, &at, &o)) {
        struct writing w = { g, snap_type(g->s, o.type)->fixed_bytes, g->field_names[o.type] };
        snap_each_ref(g->s, &o, write_ref, &w);
        if (++done % 65536 == 0)
            sink_progress(to, objects + UINT64_C(1) * done, UINT64_C(2) * objects);
    }
    json_end_numbers(to);
}

/* ---- strings ---- */

static void write_field_names(struct graph *g, uint32_t type)
{
    const uint32_t *refs = snap_type_refs(g->s, type);
    char name[32];

    for (uint32_t i = 0; i < snap_type(g->s, type)->ref_count; i++) {
        uint32_t at = shm_ref_offset(refs[i]);
        snprintf(name, sizeof(name), "+%" PRIu32, at);
        json_item(g->d->to, name);
        if (shm_ref_kind(refs[i]) != SHM_REF_EPHEMERON)
            continue;
        snprintf(name, sizeof(name), "+%" PRIu32, at + 4);
        json_item(g->d->to, name);
    }
}

static void write_root_names(struct graph *g)
{
    char text[DUMP_LABEL_MAX];

    for (uint32_t i = 0; i < g->held_count; i++) {
        struct shm_snapshot_root root = snap_root(g->s, g->held[i].root);
        if (root.name == 0)
            continue;
        snprintf(text, sizeof(text), "%s '%.400s'", snap_root_kind_name(root.kind), snap_string(g->s, root.name));
        json_item(g->d->to, text);
    }
}

static void write_strings(struct graph *g)
{
    struct sink *to = g->d->to;
    char label[DUMP_LABEL_MAX];

    json_begin(to, "strings", "");
    json_item(to, "(GC roots)");
    json_item(to, "[]");
    for (uint32_t i = 0; i < g->owners; i++)
        json_item(to, dump_owner_label(g->s, i, label));
    for (uint32_t kind = 0; kind <= KINDS; kind++)             /* the last is of those that are not known */
        json_item(to, snap_root_kind_name(kind));
    for (uint32_t type = 1; type <= snap_type_count(g->s); type++)
        json_item(to, snap_type(g->s, type)->name);
    for (uint32_t type = 1; type <= snap_type_count(g->s); type++)
        write_field_names(g, type);
    write_root_names(g);
    sink_text(to, "]}\n");
}

/* ---- all of it ---- */

static void write_all(struct graph *g)
{
    struct sink *to = g->d->to;

    sink_text(to, "{\"snapshot\":{\"meta\":");
    sink_text(to, meta);
    sink_text(to, ",\"node_count\":");
    sink_count(to, UINT64_C(1) * ROOT_NODES + g->owners + snap_index_count(g->d->x));
    sink_text(to, ",\"edge_count\":");
    sink_count(to, g->edges);
    sink_text(to, ",\"trace_function_count\":0}");
    write_nodes(g);
    write_edges(g);
    sink_text(to, ",\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n\"locations\":[]");
    write_strings(g);
}

bool dump_heapsnapshot(struct dump *d)
{
    struct graph g = { .d = d, .s = d->s, .owners = snap_owner_count(d->s) };

    g.held = malloc(((size_t)snap_root_count(d->s) + 1) * sizeof(g.held[0]));
    g.owner_edges = calloc(g.owners, sizeof(g.owner_edges[0]));
    g.object_edges = malloc(((size_t)snap_index_count(d->x) + 1) * sizeof(g.object_edges[0]));
    g.field_names = calloc((size_t)snap_type_count(d->s) + 2, sizeof(g.field_names[0]));
    bool good = g.held != NULL && g.owner_edges != NULL && g.object_edges != NULL && g.field_names != NULL;
    if (good) {
        name_fields(&g);
        collect_roots(&g);
        count_edges(&g);
        write_all(&g);
    }
    free(g.held);
    free(g.owner_edges);
    free(g.object_edges);
    free(g.field_names);
    return good;
}
