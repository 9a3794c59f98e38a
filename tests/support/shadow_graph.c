/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/shadow_graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/crew.h"

#define HOPS_MAX 24u

static void *grow(struct shadow_object **at, size_t *capacity)
{
    *capacity = *capacity ? *capacity * 2 : 1024;
    return realloc(at, *capacity * sizeof(*at));
}

static void push(struct shadow *s, struct shadow_object *o)
{
    if (s->stack_count == s->stack_capacity) {
        struct shadow_object **grown = grow(s->stack, &s->stack_capacity);
        EXPECT(grown != NULL, "no private memory");
        s->stack = grown;
    }
    s->stack[s->stack_count++] = o;
}

/* ---- roots --------------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct shadow *s, uint32_t i, char buffer[static 48])
{
    snprintf(buffer, 48, "%s.%" PRIu32, s->label, i);
    return buffer;
}

struct root *graph_root(struct shadow *s, uint32_t i)
{
    return i < HANDLES                  ? &s->handles[i]
           : i < HANDLES + NAMES        ? &s->names[i - HANDLES]
           : i < HANDLES + NAMES + RAWS ? &s->raws[i - HANDLES - NAMES]
                                        : &s->locals[i - HANDLES - NAMES - RAWS];
}

uint32_t graph_root_count(const struct shadow *s)
{
    return HANDLES + NAMES + RAWS + s->local_count;
}

/* What the heap has in this root. */
static char *root_get(struct shadow *s, uint32_t i)
{
    char buffer[48];
    struct root *root = graph_root(s, i);
    if (i < HANDLES)
        return s->made[i] ? mmgc_handle_get(s->t, root->handle) : NULL;
    if (i < HANDLES + NAMES)
        return mmgc_name_get(s->t, name_of(s, i - HANDLES, buffer));
    if (i < HANDLES + NAMES + RAWS)
        return root->o ? s->raw[i - HANDLES - NAMES] - root->inside : NULL;
    return mmgc_local_get(s->t, root->local);
}

static void handle_put(struct shadow *s, uint32_t i, struct found f)
{
    if (!s->made[i])
        EXPECT_OK(mmgc_handle_new(s->t, f.p, &s->handles[i].handle));
    else
        mmgc_handle_set(s->t, s->handles[i].handle, f.p);
    s->made[i] = true;
    s->handles[i].o = f.o;
}

void graph_handle_drop(struct shadow *s, uint32_t i)
{
    if (s->made[i])
        mmgc_handle_drop(s->heap, s->handles[i].handle);
    s->made[i] = false;
    s->handles[i].o = NULL;
}

static void name_put(struct shadow *s, uint32_t i, struct found f)
{
    char buffer[48];
    const char *name = name_of(s, i, buffer);
    if (s->names[i].o == NULL && f.p != NULL && rng_one_in(&s->rng, 2)) {
        void *has = NULL;
        EXPECT_OK(mmgc_name_claim(s->t, name, f.p, &has));
        EXPECT(has == f.p, "%s: claiming the free name %s gave %p", s->label, name, has);
    } else {
        int r = mmgc_name_set(s->t, name, f.p);
        EXPECT(r == MMGC_OK || (f.p == NULL && s->names[i].o == NULL && r == MMGC_E_NO_NAME),
               "%s: setting %s: %s", s->label, name, mmgc_strerror(r));
    }
    s->names[i].o = f.o;
}

static void local_put(struct shadow *s, struct found f)
{
    if (s->local_count == LOCALS)
        return;
    struct root *root = &s->locals[s->local_count++];
    root->local = mmgc_local_new(s->t, f.p);
    root->o = f.o;
}

static void raw_put(struct shadow *s, uint32_t i, struct found f)
{
    if (s->exact)
        return;
    uint64_t payload = f.o ? shadow_object_bytes(f.o) - 8 : 0;
    s->raws[i].o = f.o;
    s->raws[i].inside = rng_one_in(&s->rng, 2) ? 0 : rng_below(&s->rng, (uint32_t)payload + 1);
    s->raw[i] = f.o ? f.p + s->raws[i].inside : NULL;
}

void graph_forget_raws(struct shadow *s)
{
    memset(s->raws, 0, sizeof(s->raws));
    if (s->raw != NULL)
        memset(s->raw, 0, RAWS * sizeof(*s->raw));
}

void graph_root_put(struct shadow *s, struct found f)
{
    uint32_t handle = rng_below(&s->rng, HANDLES), name = rng_below(&s->rng, NAMES),
             raw = rng_below(&s->rng, RAWS);
    bool any = rng_one_in(&s->rng, 16);
    switch (rng_below(&s->rng, 4)) {
    case 0:
        if (any || s->handles[handle].o == NULL)
            handle_put(s, handle, f);
        break;
    case 1:
        if (any || s->names[name].o == NULL)
            name_put(s, name, f);
        break;
    case 2: local_put(s, f); break;
    default: raw_put(s, raw, f); break;
    }
}

void graph_root_clear(struct shadow *s, uint32_t i)
{
    if (graph_root(s, i)->o == NULL)
        return;
    if (i < HANDLES) {
        graph_handle_drop(s, i);
    } else if (i < HANDLES + NAMES) {
        name_put(s, i - HANDLES, (struct found){ 0 });
    } else if (i < HANDLES + NAMES + RAWS) {
        raw_put(s, i - HANDLES - NAMES, (struct found){ 0 });
    } else {
        mmgc_local_set(s->t, graph_root(s, i)->local, NULL);
        graph_root(s, i)->o = NULL;
    }
}

/* ---- walks --------------------------------------------------------------------------------------------------------- */

void graph_free_unvisited(struct shadow *s)
{
    s->bytes = 0;
    for (struct shadow_object **at = &s->all; *at != NULL;) {
        struct shadow_object *o = *at;
        if (o->visited == s->walk) {
            s->bytes += shadow_object_bytes(o);
            at = &o->next;
        } else {
            *at = o->next;
            free(o);
        }
    }
}

void graph_prune(struct shadow *s)
{
    s->walk++;
    for (uint32_t i = 0; i < graph_root_count(s); i++)
        if (graph_root(s, i)->o != NULL)
            push(s, graph_root(s, i)->o);
    while (s->stack_count > 0) {
        struct shadow_object *o = s->stack[--s->stack_count];
        if (o->visited == s->walk)
            continue;
        o->visited = s->walk;
        for (uint32_t i = 0; i < o->ref_count; i++)
            if (o->refs[i] != NULL && o->refs[i]->visited != s->walk)
                push(s, o->refs[i]);
    }
    graph_free_unvisited(s);
}

struct found graph_pick(struct shadow *s)
{
    struct found f = { 0 };
    for (unsigned tries = 0; tries < 8 && f.o == NULL; tries++) {
        uint32_t i = rng_below(&s->rng, graph_root_count(s));
        f.o = graph_root(s, i)->o;
        if (f.o != NULL)
            f.p = root_get(s, i);
    }
    for (uint32_t hops = rng_below(&s->rng, HOPS_MAX);
         f.o != NULL && hops > 0 && f.o->ref_count > 0; hops--) {
        uint32_t ref = rng_below(&s->rng, f.o->ref_count);
        if (f.o->refs[ref] == NULL)
            continue;
        f.p = mmgc_load(s->t, shadow_object_slot(f.o, f.p, ref));
        f.o = f.o->refs[ref];
        EXPECT(f.p != NULL, "%s: a reference to object %" PRIx64 " is null", s->label, f.o->seed);
    }
    return f;
}

void graph_set_ref(struct shadow *s, struct found from, uint32_t ref, struct found to)
{
    mmgc_ref *slot = shadow_object_slot(from.o, from.p, ref);
    char *old = mmgc_load(s->t, slot);
    switch (rng_below(&s->rng, 4)) {
    case 0:
        EXPECT(mmgc_compare_and_swap(s->t, from.p, slot, old, to.p), "%s: nobody else stores here",
               s->label);
        break;
    case 1:
        EXPECT(mmgc_exchange(s->t, from.p, slot, to.p) == old, "%s: exchange gave another object",
               s->label);
        break;
    default: mmgc_store(s->t, from.p, slot, to.p); break;
    }
    from.o->refs[ref] = to.o;
}

void graph_init_ref(struct shadow *s, struct found from, uint32_t ref, struct found to)
{
    mmgc_init_store(s->t, shadow_object_slot(from.o, from.p, ref), to.p);
    from.o->refs[ref] = to.o;
}

/* Cuts here and there: all that hangs together would go with its last root. */
void graph_keep_in_budget(struct shadow *s)
{
    graph_prune(s);
    for (unsigned tries = 0; s->bytes > s->config.budget_bytes && tries < 64; tries++, graph_prune(s)) {
        for (unsigned cuts = 0; cuts < 8; cuts++) {
            struct found f = graph_pick(s);
            if (f.o != NULL && f.o->ref_count > 0)
                graph_set_ref(s, f, rng_below(&s->rng, f.o->ref_count), (struct found){ 0 });
        }
        graph_root_clear(s, rng_below(&s->rng, graph_root_count(s)));
    }
}

static void meet(struct shadow *s, struct shadow_object *o, const char *p)
{
    if (o == NULL) {
        EXPECT(p == NULL, "%s: a reference that should be null leads to %p", s->label, (const void *)p);
        return;
    }
    EXPECT(p != NULL, "%s: a reference to object %" PRIx64 " is null", s->label, o->seed);
    if (o->visited == s->walk) {
        EXPECT(o->at == p, "%s: object %" PRIx64 " is at %p and at %p", s->label, o->seed,
               (const void *)o->at, (const void *)p);
        return;
    }
    o->visited = s->walk;
    o->at = p;
    push(s, o);
}

static int by_address(const void *a, const void *b)
{
    const struct shadow_object *const *x = a, *const *y = b;
    return (*x)->at < (*y)->at ? -1 : (*x)->at > (*y)->at;
}

/* No two objects share a byte. */
static void expect_apart(struct shadow *s)
{
    size_t n = 0;
    for (struct shadow_object *o = s->all; o != NULL; o = o->next, n++)
        push(s, o);
    s->stack_count = 0;
    if (n > 0)
        qsort(s->stack, n, sizeof(struct shadow_object *), by_address);
    for (size_t i = 1; i < n; i++)
        EXPECT(s->stack[i - 1]->at - 8 + shadow_object_bytes(s->stack[i - 1]) <= s->stack[i]->at - 8,
               "%s: objects %" PRIx64 " at %p and %" PRIx64 " at %p overlap", s->label,
               s->stack[i - 1]->seed, (const void *)s->stack[i - 1]->at, s->stack[i]->seed,
               (const void *)s->stack[i]->at);
    s->tally.compared_objects += n;
}

void graph_compare(struct shadow *s)
{
    s->walk++;
    for (uint32_t i = 0; i < graph_root_count(s); i++)
        meet(s, graph_root(s, i)->o, root_get(s, i));
    while (s->stack_count > 0) {
        struct shadow_object *o = s->stack[--s->stack_count];
        shadow_object_compare(s->t, o, o->at, s->label);
        for (uint32_t i = 0; i < o->ref_count; i++)
            meet(s, o->refs[i], mmgc_load(s->t, shadow_object_slot(o, (char *)o->at, i)));
    }
    graph_free_unvisited(s);
    expect_apart(s);
    s->tally.compared++;
}

uint64_t graph_collections(const struct shadow *s)
{
    struct mmgc_heap_info info;
    EXPECT_OK(mmgc_heap_info(s->heap, &info));
    return info.collections;
}

void graph_compare_if_collected(struct shadow *s)
{
    uint64_t now = graph_collections(s);
    if (now == s->collections)
        return;
    s->tally.collections_seen += now - s->collections;
    s->collections = now;
    graph_compare(s);
}
