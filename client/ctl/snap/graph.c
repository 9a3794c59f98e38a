/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c - Graph: numbers all objects in one walk by address, then writes down their edges in another.
 *   From a place to its node in one look: a bit for each granule of a copied block, and beside each 64 of them how many come before (a rank directory,
 *   Jacobson, FOCS 1989). Edges lie in compressed rows; those that lead back are the same, sorted by counting */
#include "client/ctl/snap/graph.h"

#include <stdlib.h>
#include <string.h>

#include "client/ctl/snap/inside.h"

#define NO_MEMORY "there is not enough memory for the graph"

struct snap_rank { /* of 64 granules */
    uint64_t bits;
    uint32_t before;
};

struct grown { /* an array that gets longer */
    uint32_t *words;
    uint64_t count, capacity;
};

static bool push(struct grown *g, uint32_t word)
{
    if (g->count == g->capacity) {
        uint64_t capacity = g->capacity == 0 ? 1024 : 2 * g->capacity;
        uint32_t *words = g->capacity >= UINT32_MAX / 2 ? NULL : realloc(g->words, capacity * sizeof(words[0]));
        if (words == NULL)
            return false;
        g->words = words;
        g->capacity = capacity;
    }
    g->words[g->count++] = word;
    return true;
}

/* ---- nodes ---- */

static bool reserve_nodes(struct snap_graph *g, uint64_t count)
{
    uint32_t owners = snap_owner_count(g->snap);

    g->refs = malloc((count + 1) * sizeof(g->refs[0]));
    g->granules = malloc((count + 1) * sizeof(g->granules[0]));
    g->types = malloc((count + 1) * sizeof(g->types[0]));
    g->out.first = calloc(count + owners + 2, sizeof(g->out.first[0]));
    return g->refs != NULL && g->granules != NULL && g->types != NULL && g->out.first != NULL && count < UINT32_MAX - owners - 2;
}

/* No more objects than that are in it. */
static uint64_t count_bits(const struct snap *s)
{
    uint64_t count = 0;

    for (size_t i = 0; i < (size_t)s->slots * SNAP_WORDS; i++)
        count += (uint64_t)__builtin_popcountll(s->objects[i]);
    return count;
}

static void number_objects(struct snap_graph *g)
{
    const struct snap *s = g->snap;
    struct snap_object o;
    uint64_t at = 0;

    while (snap_object_next(s, at, &o)) {
        size_t word = (size_t)(snap_row_of(s, o.ref)->slot - 1) * SNAP_WORDS + o.ref % MM_BLOCK_GRANULES / 64;
        g->ranks[word].bits |= UINT64_C(1) << o.ref % 64;
        g->refs[g->objects] = o.ref;
        g->granules[g->objects] = (uint32_t)(o.bytes / MM_GRANULE_BYTES);
        g->types[g->objects++] = (uint16_t)o.type;
        at = o.ref + o.bytes / MM_GRANULE_BYTES; /* the next one's header is at its end at the earliest */
    }
    uint32_t before = 0;
    for (size_t i = 0; i < (size_t)s->slots * SNAP_WORDS; i++) {
        g->ranks[i].before = before;
        before += (uint32_t)__builtin_popcountll(g->ranks[i].bits);
    }
}

uint32_t snap_graph_node(const struct snap_graph *g, uint32_t ref)
{
    const struct shm_snapshot_block *row = snap_row_of(g->snap, ref);

    if (row == NULL)
        return SNAP_NONE;
    const struct snap_rank *rank = &g->ranks[(size_t)(row->slot - 1) * SNAP_WORDS + ref % MM_BLOCK_GRANULES / 64];
    uint64_t bit = UINT64_C(1) << ref % 64;
    return (rank->bits & bit) == 0 ? SNAP_NONE : rank->before + (uint32_t)__builtin_popcountll(rank->bits & (bit - 1));
}

/* ---- edges ---- */

static bool add_edge(struct snap_graph *g, struct grown *to, uint32_t ref)
{
    uint32_t node = ref == 0 ? SNAP_NONE : snap_graph_node(g, ref);

    g->broken += ref != 0 && node == SNAP_NONE;
    return node == SNAP_NONE || push(to, node);
}

static bool add_edges_of(struct snap_graph *g, struct grown *to, const struct snap_object *o)
{
    const struct snap *s = g->snap;

#define VISIT(o, place, kind)                                                                                        \
    do {                                                                                                             \
        if ((kind) == SHM_REF_EPHEMERON ? !add_edge(g, to, snap_word((o), (place) + 4))                              \
                                        : snap_kind_keeps(kind) && !add_edge(g, to, snap_word((o), (place))))        \
            return false;                                                                                            \
    } while (0)
    SNAP_EACH_REF(s, o, VISIT);
#undef VISIT
    return true;
}

struct held { /* by an owner, or by the root of all, whose number is one more than theirs */
    uint32_t owner, node;
};
struct session_at {
    uint64_t session;
    uint32_t owner;
};

static int compare_held(const void *a, const void *b)
{
    const struct held *x = a, *y = b;

    return x->owner != y->owner ? (x->owner > y->owner) - (x->owner < y->owner) : (x->node > y->node) - (x->node < y->node);
}

static int compare_sessions(const void *a, const void *b)
{
    const struct session_at *x = a, *y = b;

    return (x->session > y->session) - (x->session < y->session);
}

/* A session's threads are held by it, and what is nobody's by the root of all: @held gets both, from @count on. */
static bool add_threads(struct snap_graph *g, struct held *held, size_t *count)
{
    const struct snap *s = g->snap;
    uint32_t owners = snap_owner_count(s), sessions = 0;
    struct session_at *by_session = malloc((size_t)owners * sizeof(by_session[0]));

    if (by_session == NULL)
        return false;
    for (uint32_t i = 0; i < s->owner_count; i++)
        if (s->owners[i].kind == SHM_SNAPSHOT_SESSION)
            by_session[sessions++] = (struct session_at){ s->owners[i].session, i };
    qsort(by_session, sessions, sizeof(by_session[0]), compare_sessions);
    for (uint32_t i = 0; i < owners; i++) {
        struct shm_snapshot_owner o = snap_owner(s, i);
        struct session_at key = { o.session, 0 }, *found = NULL;
        if (o.kind == SHM_SNAPSHOT_THREAD)
            found = bsearch(&key, by_session, sessions, sizeof(key), compare_sessions);
        held[(*count)++] = (struct held){ found == NULL ? owners : found->owner, snap_graph_owner(g, i) };
    }
    free(by_session);
    return true;
}

static bool add_roots(struct snap_graph *g, struct grown *to)
{
    uint32_t owners = snap_owner_count(g->snap);
    struct held *held = malloc(((size_t)snap_root_count(g->snap) + owners) * sizeof(held[0]));
    size_t count = 0, at = 0;
    bool good = held != NULL && add_threads(g, held, &count);

    for (uint32_t i = 0; good && i < snap_root_count(g->snap); i++) {
        struct shm_snapshot_root root = snap_root(g->snap, i);
        uint32_t node = root.object == 0 || !snap_root_holds(root.kind) ? SNAP_NONE : snap_graph_node(g, root.object);
        g->broken += node == SNAP_NONE && snap_root_holds(root.kind) && root.kind != SHM_SNAPSHOT_STACK;
        if (node != SNAP_NONE)
            held[count++] = (struct held){ root.owner, node };
    }
    if (good)
        qsort(held, count, sizeof(held[0]), compare_held);
    for (uint32_t owner = 0; good && owner <= owners; owner++) {
        for (; good && at < count && held[at].owner == owner; at++)
            good = push(to, held[at].node);
        g->out.first[snap_graph_owner(g, owner) + 1] = (uint32_t)to->count;
    }
    free(held);
    return good;
}

static bool write_edges(struct snap_graph *g)
{
    struct grown to = { 0 };
    bool good = true;

    for (uint32_t node = 0; good && node < g->objects; node++) {
        struct snap_object o;
        good = !snap_object(g->snap, g->refs[node], &o) || add_edges_of(g, &to, &o);
        g->out.first[node + 1] = (uint32_t)to.count;
    }
    good = good && add_roots(g, &to);
    g->out.to = to.words;
    return good;
}

/* The edges backwards: counted, then laid out, then filled in. */
static bool turn_edges(struct snap_graph *g)
{
    uint32_t count = g->out.first[g->nodes];

    g->in.first = calloc((size_t)g->nodes + 2, sizeof(g->in.first[0]));
    g->in.to = malloc(((size_t)count + 1) * sizeof(g->in.to[0]));
    if (g->in.first == NULL || g->in.to == NULL)
        return false;
    uint32_t *at = g->in.first + 1; /* of node i: where its next one goes; in the end where the next node's begin */
    for (uint32_t i = 0; i < count; i++)
        at[g->out.to[i] + 1]++;
    for (uint32_t node = 1; node < g->nodes; node++)
        at[node] += at[node - 1];
    for (uint32_t node = 0; node < g->nodes; node++)
        for (uint32_t i = g->out.first[node]; i < g->out.first[node + 1]; i++)
            g->in.to[at[g->out.to[i]]++] = node;
    return true;
}

struct snap_graph *snap_graph_free(struct snap_graph *g)
{
    if (g == NULL)
        return NULL;
    free(g->refs);
    free(g->granules);
    free(g->types);
    free(g->ranks);
    free(g->out.first);
    free(g->out.to);
    free(g->in.first);
    free(g->in.to);
    free(g);
    return NULL;
}

const char *snap_graph_new(struct snap_graph **ret_graph, const struct snap *s)
{
    MM_AUTO(snap_graph) g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NO_MEMORY;
    g->snap = s;
    g->ranks = calloc((size_t)s->slots * SNAP_WORDS + 1, sizeof(g->ranks[0]));
    if (g->ranks == NULL || !reserve_nodes(g, count_bits(s)))
        return NO_MEMORY;
    number_objects(g);
    g->nodes = g->objects + snap_owner_count(s) + 1;
    if (!write_edges(g) || !turn_edges(g))
        return NO_MEMORY;
    *ret_graph = MM_TAKE(g);
    return NULL;
}
