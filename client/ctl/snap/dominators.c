/* SPDX-License-Identifier: Apache-2.0 */
/* dominators.c - Dominators. Within, nodes are told by their numbers in the order of the depth-first walk, from 0, the root's.
 *   D1  a node's ancestors in the walk have lower numbers; its dominator is one of them */
#include "client/ctl/snap/dominators.h"

#include <stdlib.h>
#include <string.h>

struct walk {
    const struct snap_graph *g;
    uint32_t *number;                         /* [nodes] SNAP_NONE: not reached */
    uint32_t *node;                           /* [reached] */
    uint32_t *parent;                         /* [reached] in the walk; then what path compression makes of it */
    uint32_t *up, *semi, *label;              /* [reached] */
    uint32_t *stack, *edge;                   /* scratch */
    uint32_t count;
};

static void visit(struct walk *w, uint32_t node, uint32_t parent)
{
    w->number[node] = w->count;
    w->node[w->count] = node;
    w->parent[w->count] = parent;
    w->count++;
}

static void walk_depth_first(struct walk *w)
{
    const struct snap_edges *out = &w->g->out;
    uint32_t depth = 0, root = snap_graph_root(w->g);

    visit(w, root, 0);
    w->stack[depth] = root;
    w->edge[depth++] = out->first[root];
    while (depth > 0) {
        uint32_t node = w->stack[depth - 1];
        if (w->edge[depth - 1] == out->first[node + 1]) {
            depth--;
            continue;
        }
        uint32_t to = out->to[w->edge[depth - 1]++];
        if (w->number[to] != SNAP_NONE)
            continue;
        visit(w, to, w->number[node]);
        w->stack[depth] = to;
        w->edge[depth++] = out->first[to];
    }
}

/* The node with the lowest semidominator on the way up from @v, over nodes from @linked on; the way becomes short. */
static uint32_t lowest(struct walk *w, uint32_t v, uint32_t linked)
{
    uint32_t depth = 0;

    if (w->parent[v] < linked)
        return w->label[v];
    do {
        w->stack[depth++] = v;
        v = w->parent[v];
    } while (w->parent[v] >= linked);
    for (uint32_t above = v, best = w->label[v]; depth > 0; above = v) {
        v = w->stack[--depth];
        w->parent[v] = w->parent[above];
        if (w->semi[best] < w->semi[w->label[v]])
            w->label[v] = best;
        else
            best = w->label[v];
    }
    return w->label[v];
}

static void find_semidominators(struct walk *w)
{
    const struct snap_edges *in = &w->g->in;

    for (uint32_t i = 0; i < w->count; i++) {
        w->up[i] = w->parent[i];
        w->semi[i] = w->label[i] = i;
    }
    for (uint32_t i = w->count; i-- > 1;) {
        uint32_t node = w->node[i];
        w->semi[i] = w->up[i];
        for (uint32_t k = in->first[node]; k < in->first[node + 1]; k++) {
            uint32_t from = w->number[in->to[k]];
            if (from == SNAP_NONE)
                continue;
            uint32_t semi = w->semi[lowest(w, from, i + 1)];
            w->semi[i] = MM_MIN(w->semi[i], semi);
        }
    }
}

static void find_dominators(struct walk *w)
{
    for (uint32_t i = 1; i < w->count; i++)
        while (w->up[i] > w->semi[i])
            w->up[i] = w->up[w->up[i]];
}

static bool walk_init(struct walk *w, const struct snap_graph *g)
{
    uint32_t **arrays[] = { &w->number, &w->node, &w->parent, &w->up, &w->semi, &w->label, &w->stack, &w->edge };

    *w = (struct walk){ .g = g };
    for (size_t i = 0; i < MM_ARRAY_LEN(arrays); i++)
        if ((*arrays[i] = malloc((size_t)g->nodes * sizeof(uint32_t))) == NULL)
            return false;
    memset(w->number, 0xff, (size_t)g->nodes * sizeof(uint32_t));
    return true;
}

static void walk_fini(struct walk *w)
{
    free(w->number);
    free(w->node);
    free(w->parent);
    free(w->up);
    free(w->semi);
    free(w->label);
    free(w->stack);
    free(w->edge);
}

/* What each retains: from the last to the first, so that whatever is under a node has been added to it. */
static void add_up(struct snap_dominators *d, const struct snap_graph *g, const struct walk *w)
{
    for (uint32_t i = w->count; i-- > 0;) {
        uint32_t node = w->node[i], up = w->node[w->up[i]];
        d->order[i] = node;
        d->up[node] = up;
        d->bytes[node] += snap_graph_bytes(g, node);
        d->objects[node] += node < g->objects;
        if (i == 0)
            continue;
        d->bytes[up] += d->bytes[node];
        d->objects[up] += d->objects[node];
    }
    d->reached = w->count;
}

struct snap_dominators *snap_dominators_free(struct snap_dominators *d)
{
    if (d == NULL)
        return NULL;
    free(d->order);
    free(d->up);
    free(d->bytes);
    free(d->objects);
    free(d);
    return NULL;
}

struct snap_dominators *snap_dominators_new(const struct snap_graph *g)
{
    MM_AUTO(snap_dominators) d = calloc(1, sizeof(*d));
    struct walk w;

    if (d == NULL)
        return NULL;
    bool good = walk_init(&w, g);
    if (good) {
        walk_depth_first(&w);
        find_semidominators(&w);
        find_dominators(&w);
        d->order = malloc((size_t)w.count * sizeof(d->order[0]));
        d->up = malloc((size_t)g->nodes * sizeof(d->up[0]));
        d->bytes = calloc(g->nodes, sizeof(d->bytes[0]));
        d->objects = calloc(g->nodes, sizeof(d->objects[0]));
        good = d->order != NULL && d->up != NULL && d->bytes != NULL && d->objects != NULL;
    }
    if (good) {
        memset(d->up, 0xff, (size_t)g->nodes * sizeof(d->up[0]));
        add_up(d, g, &w);
    }
    walk_fini(&w);
    return good ? MM_TAKE(d) : NULL;
}

/* An object counts if none of its type is above it: so for each type the walk down the tree remembers how many it is under. */
struct descent {
    const struct snap_graph *g;
    const struct snap_dominators *d;
    struct snap_retained *rows;
    uint32_t *first_child, *next_child, *under;
};

static void enter(struct descent *c, uint32_t node)
{
    if (node >= c->g->objects)
        return;
    struct snap_retained *row = &c->rows[c->g->types[node]];
    row->objects++;
    row->own_bytes += snap_graph_bytes(c->g, node);
    row->bytes += c->under[c->g->types[node]]++ == 0 ? c->d->bytes[node] : 0;
}

/* Depth first without a stack: up is known, and each node's children are a list that is used up. */
static void descend(struct descent *c)
{
    uint32_t root = c->d->order[0], node = root;

    enter(c, node);
    for (;;) {
        uint32_t child = c->first_child[node];
        if (child != SNAP_NONE) {
            c->first_child[node] = c->next_child[child];
            node = child;
            enter(c, node);
            continue;
        }
        if (node < c->g->objects)
            c->under[c->g->types[node]]--;
        if (node == root)
            return;
        node = c->d->up[node];
    }
}

struct snap_retained *snap_retained_by_type(const struct snap_graph *g, const struct snap_dominators *d)
{
    uint32_t types = snap_type_count(g->snap) + 1;
    struct descent c = { .g = g, .d = d };

    c.rows = calloc(types, sizeof(c.rows[0]));
    c.under = calloc(types, sizeof(c.under[0]));
    c.first_child = malloc((size_t)g->nodes * sizeof(c.first_child[0]));
    c.next_child = malloc((size_t)g->nodes * sizeof(c.next_child[0]));
    bool good = c.rows != NULL && c.under != NULL && c.first_child != NULL && c.next_child != NULL;
    if (good) {
        memset(c.first_child, 0xff, (size_t)g->nodes * sizeof(c.first_child[0]));
        for (uint32_t i = d->reached; i-- > 1;) {
            uint32_t node = d->order[i], up = d->up[node];
            c.next_child[node] = c.first_child[up];
            c.first_child[up] = node;
        }
        descend(&c);
    }
    free(c.under);
    free(c.first_child);
    free(c.next_child);
    if (good)
        return c.rows;
    free(c.rows);
    return NULL;
}
