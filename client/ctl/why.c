/* SPDX-License-Identifier: Apache-2.0 */
/* why.c - Why: who holds an object, or the nearest one of a type, and on which way: a shortest one from each owner that does. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/snap/paths.h"
#include "client/ctl/table.h"
#include "client/ctl/take.h"
#include "shm/base.h"

#define STEPS_SHOWN 40u

struct search {
    const struct snap *s;
    const struct snap_graph *g;
    struct snap_paths ways;
    uint32_t *roots;                          /* [owners] of each the root that its way begins with; SNAP_NONE: none */
    uint32_t *steps;                          /* [owners] from that root's object */
};

/* Each owner's way begins with the root whose object is nearest. */
static void choose_roots(struct search *w)
{
    for (uint32_t i = 0; i < snap_owner_count(w->s); i++)
        w->roots[i] = SNAP_NONE;
    for (uint32_t i = 0; i < snap_root_count(w->s); i++) {
        struct shm_snapshot_root root = snap_root(w->s, i);
        uint32_t node = root.object == 0 || !snap_root_holds(root.kind) ? SNAP_NONE : snap_graph_node(w->g, root.object);
        if (node == SNAP_NONE || w->ways.next[node] == SNAP_NONE)
            continue;
        if (w->roots[root.owner] == SNAP_NONE || w->ways.steps[node] < w->steps[root.owner]) {
            w->roots[root.owner] = i;
            w->steps[root.owner] = w->ways.steps[node];
        }
    }
}

struct finding {
    uint32_t to;
    int64_t at;                               /* -1: not found */
};

static bool find_ref(void *context, const struct snap_ref *ref)
{
    struct finding *f = context;

    if (!ref->keeps || ref->to != f->to)
        return true;
    f->at = (int64_t)ref->at;
    return false;
}

static void add_step(const struct search *w, json_t *steps, uint32_t node)
{
    struct snap_object o;
    struct finding f = { w->ways.next[node] < w->g->objects ? w->g->refs[w->ways.next[node]] : 0, -1 };

    if (!snap_object(w->s, w->g->refs[node], &o))
        return;
    json_t *row = document_row(steps);
    document_count(row, "ref", o.ref);
    document_text(row, "type", snap_type(w->s, o.type)->name);
    document_count(row, "bytes", o.bytes);
    if (w->ways.next[node] == node)
        return;
    snap_each_ref(w->s, &o, find_ref, &f);
    if (f.at >= 0)
        document_count(row, "field", (uint64_t)f.at);
}

static void add_path(const struct search *w, json_t *paths, uint32_t owner)
{
    struct shm_snapshot_root root = snap_root(w->s, w->roots[owner]);
    json_t *row = document_row(paths);
    uint32_t node = snap_graph_node(w->g, root.object), length = w->steps[owner] + 1;

    take_owner(row, w->s, owner);
    document_text(row, "kind", snap_root_kind_name(root.kind));
    document_count(row, "slot", root.row);
    document_text(row, "name", snap_string(w->s, root.name));
    document_count(row, "length", length);
    json_t *steps = document_array(row, "steps");
    for (uint32_t i = 0; i < length; i++, node = w->ways.next[node])
        if (length <= STEPS_SHOWN || i < STEPS_SHOWN / 2 || i >= length - STEPS_SHOWN / 2) /* of a long list the middle says nothing */
            add_step(w, steps, node);
}

/* What is asked about: nodes, and what of it is shown. NULL: ctl_failed() has said why. */
static uint32_t *find_targets(struct ctl *ctl, const struct snap *s, const struct snap_graph *g, json_t *document, size_t *ret_count)
{
    const char *target = ctl->options.target;
    uint32_t *targets, type, node;
    struct snap_object o;

    *ret_count = 0;
    if (take_is_place(target)) {
        if (!take_object(ctl, s, target, &o))
            return NULL;
        node = snap_graph_node(g, o.ref);
        document_count(document, "ref", o.ref);
        document_text(document, "type", snap_type(s, o.type)->name);
        document_count(document, "bytes", o.bytes);
        targets = need(malloc(sizeof(*targets)));
        targets[0] = node;
        *ret_count = node != SNAP_NONE;
        return targets;
    }
    type = snap_type_find(s, target);
    if (type == 0) {
        ctl_failed(ctl, MMGC_E_INVALID, "the heap has no type '%s'; `mmgcctl histogram` shows those there are", target);
        return NULL;
    }
    targets = need(malloc(((size_t)g->objects + 1) * sizeof(*targets)));
    for (uint32_t i = 0; i < g->objects; i++)
        if (g->types[i] == type)
            targets[(*ret_count)++] = i;
    document_text(document, "type", target);
    return targets;
}

static void add_paths(struct search *w, json_t *document)
{
    uint32_t owners = snap_owner_count(w->s);
    json_t *paths = document_array(document, "paths");

    w->roots = need(malloc((size_t)owners * sizeof(w->roots[0])));
    w->steps = need(calloc(owners, sizeof(w->steps[0])));
    choose_roots(w);
    for (uint32_t i = 0; i < owners; i++)
        if (w->roots[i] != SNAP_NONE)
            add_path(w, paths, i);
    free(w->roots);
    free(w->steps);
    document_sort(paths, "length", false);
}

static enum mmgc_error why_ask(struct ctl *ctl, json_t *document)
{
    MM_AUTO(snap) s = NULL;
    MM_AUTO(snap_graph) g = NULL;
    size_t count;
    enum mmgc_error e = take_snapshot(ctl, &s, &g);

    if (e != MMGC_E_OK)
        return e;
    document_text(document, "heap", snap_header(s)->heap);
    uint32_t *targets = find_targets(ctl, s, g, document, &count);
    if (targets == NULL)
        return MMGC_E_INVALID;
    document_count(document, "objects", count);
    struct search w = { .s = s, .g = g };
    (void)need(snap_paths_find(&w.ways, g, targets, count) ? &w : NULL);
    add_paths(&w, document);
    snap_paths_fini(&w.ways);
    document_count(document, "omitted", document_cut(json_object_get(document, "paths"), ctl->options.limit));
    free(targets);
    return MMGC_E_OK;
}

static void show_step(const json_t *step)
{
    printf("    0x%" PRIx64 "  ", document_get_count(step, "ref") * MM_GRANULE_BYTES);
    text_show(document_get_text(step, "type"));
    if (json_object_get(step, "field") != NULL)
        printf(" +%" PRIu64, document_get_count(step, "field"));
    putchar('\n');
}

static void show_path(const json_t *path)
{
    const char *kind = document_get_text(path, "kind"), *name = document_get_text(path, "name");
    uint64_t length = document_get_count(path, "length");
    const json_t *steps = json_object_get(path, "steps");
    size_t i;
    json_t *step;

    fputs("  ", stdout);
    text_show(document_get_text(path, "holder"));
    if (strcmp(kind, "immortal") != 0)
        printf(": %s", kind);
    if (*name != '\0') {
        fputs(" '", stdout);
        text_show(name);
        putchar('\'');
    } else if (strcmp(kind, "immortal") != 0) {
        printf(" %" PRIu64, document_get_count(path, "slot"));
    }
    putchar('\n');
    json_array_foreach(steps, i, step)
    {
        show_step(step);
        if (length > json_array_size(steps) && i + 1 == STEPS_SHOWN / 2)
            printf("    ... %" PRIu64 " more\n", length - json_array_size(steps));
    }
}

static void why_show(const struct ctl *ctl, const json_t *document)
{
    const json_t *paths = json_object_get(document, "paths");
    size_t i;
    json_t *path;

    if (json_object_get(document, "ref") != NULL)
        printf("0x%" PRIx64 ", ", document_get_count(document, "ref") * MM_GRANULE_BYTES);
    text_show(document_get_text(document, "type"));
    if (json_object_get(document, "ref") != NULL) {
        fputs(", ", stdout);
        bytes_show(document_get_count(document, "bytes"), ctl->options.bytes);
    } else {
        printf(", %" PRIu64 " objects", document_get_count(document, "objects"));
    }
    if (json_array_size(paths) == 0 && document_get_count(document, "omitted") == 0) {
        puts(document_get_count(document, "objects") == 0 ? ": there is none" : ": nothing holds it; a collection frees it");
        return;
    }
    puts(json_object_get(document, "ref") != NULL ? " is held by" : "; the nearest is held by");
    json_array_foreach(paths, i, path) show_path(path);
    ctl_show_omitted(document);
}

const struct ctl_command ctl_why = {
    .name = "why",
    .synopsis = "why HEAP WHAT",
    .summary = "who holds an object, or one of a type, and on which way",
    .takes = CTL_TAKES_SNAPSHOT_AND_WHAT,
    .options = CTL_OPTION_SNAPSHOT | CTL_OPTION_LIMIT | CTL_OPTION_BYTES | CTL_OPTION_ANYWAY,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = why_ask,
    .show = why_show,
};
