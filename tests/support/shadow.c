/* SPDX-License-Identifier: Apache-2.0 */
/* Shadow: the random operations, and the comparison.
 *   S1  the model changes in the same step as the heap; between two steps they are equal
 *   S2  no heap pointer is kept in malloc memory: only in handles, names, locals and the stack array of shadow_run()
 *   S3  an exact thread's pointers are not used after a safepoint: each operation allocates first and chooses partners later  */
#include "tests/support/shadow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/stress.h"

#define HANDLES 24u
#define NAMES 6u
#define LOCALS 48u
#define SCOPES 8u
#define RAWS 16u
#define REFS_MAX 5000u /* a large object */
#define BYTES_MAX (100u << 10)
#define BYTES_HUGE (1u << 20)
#define HOPS_MAX 24u
#define TREE_MAX 4000u
#define DEPTH_MAX 400u
#define COMPARE_EVERY 32u /* steps, if there was a collection */
#define PRUNE_EVERY 256u

struct root {
    struct shadow_object *o;
    union {
        mmgc_handle handle;
        mmgc_local local;
        uint32_t inside; /* how far into the object a raw root points */
    };
};

struct shadow {
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    struct shadow_types types;
    struct shadow_config config;
    char label[32];
    bool exact;
    struct rng rng;
    struct shadow_object *all;
    uint64_t bytes; /* of all, in the heap; those nothing refers to included, until they are pruned */
    uint32_t walk;
    uint64_t collections; /* at the last comparison */
    struct root handles[HANDLES], names[NAMES], locals[LOCALS], raws[RAWS];
    bool made[HANDLES]; /* the handle is there, though it may hold nothing */
    uint32_t local_count;
    struct {
        mmgc_scope scope;
        uint32_t first; /* local that was made in it */
    } scopes[SCOPES];
    uint32_t scope_count;
    char **raw;                   /* on the stack of shadow_run(); the values of raws[] */
    struct shadow_object **stack; /* of a walk */
    size_t stack_count, stack_capacity;
    struct shadow_tally tally;
};

struct found { /* an object in both worlds; nothing: {NULL, NULL} */
    struct shadow_object *o;
    char *p;
};

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

static struct root *root_at(struct shadow *s, uint32_t i)
{
    return i < HANDLES                  ? &s->handles[i]
           : i < HANDLES + NAMES        ? &s->names[i - HANDLES]
           : i < HANDLES + NAMES + RAWS ? &s->raws[i - HANDLES - NAMES]
                                        : &s->locals[i - HANDLES - NAMES - RAWS];
}

static uint32_t root_count(const struct shadow *s)
{
    return HANDLES + NAMES + RAWS + s->local_count;
}

/* What the heap has in this root. */
static char *root_get(struct shadow *s, uint32_t i)
{
    char buffer[48];
    struct root *root = root_at(s, i);
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

static void handle_drop(struct shadow *s, uint32_t i)
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

static void forget_raws(struct shadow *s)
{
    memset(s->raws, 0, sizeof(s->raws));
    if (s->raw != NULL)
        memset(s->raw, 0, RAWS * sizeof(*s->raw));
}

/* Mostly into one that is empty: what hangs on the other goes, and graphs would stay small. */
static void root_put(struct shadow *s, struct found f)
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

static void root_clear(struct shadow *s, uint32_t i)
{
    if (root_at(s, i)->o == NULL)
        return;
    if (i < HANDLES) {
        handle_drop(s, i);
    } else if (i < HANDLES + NAMES) {
        name_put(s, i - HANDLES, (struct found){ 0 });
    } else if (i < HANDLES + NAMES + RAWS) {
        raw_put(s, i - HANDLES - NAMES, (struct found){ 0 });
    } else {
        mmgc_local_set(s->t, root_at(s, i)->local, NULL);
        root_at(s, i)->o = NULL;
    }
}

/* ---- walks --------------------------------------------------------------------------------------------------------- */

/* Frees the models that no walk numbered s->walk has come to. */
static void free_unvisited(struct shadow *s)
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

static void prune(struct shadow *s)
{
    s->walk++;
    for (uint32_t i = 0; i < root_count(s); i++)
        if (root_at(s, i)->o != NULL)
            push(s, root_at(s, i)->o);
    while (s->stack_count > 0) {
        struct shadow_object *o = s->stack[--s->stack_count];
        if (o->visited == s->walk)
            continue;
        o->visited = s->walk;
        for (uint32_t i = 0; i < o->ref_count; i++)
            if (o->refs[i] != NULL && o->refs[i]->visited != s->walk)
                push(s, o->refs[i]);
    }
    free_unvisited(s);
}

/* An object some way down from a random root. No safepoint. */
static struct found pick(struct shadow *s)
{
    struct found f = { 0 };
    for (unsigned tries = 0; tries < 8 && f.o == NULL; tries++) {
        uint32_t i = rng_below(&s->rng, root_count(s));
        f.o = root_at(s, i)->o;
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

static void set_ref(struct shadow *s, struct found from, uint32_t ref, struct found to)
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

/* Cuts here and there: all that hangs together would go with its last root. */
static void keep_in_budget(struct shadow *s)
{
    prune(s);
    for (unsigned tries = 0; s->bytes > s->config.budget_bytes && tries < 64; tries++, prune(s)) {
        for (unsigned cuts = 0; cuts < 8; cuts++) {
            struct found f = pick(s);
            if (f.o != NULL && f.o->ref_count > 0)
                set_ref(s, f, rng_below(&s->rng, f.o->ref_count), (struct found){ 0 });
        }
        root_clear(s, rng_below(&s->rng, root_count(s)));
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

/* From all roots, in both worlds; no safepoint in between, so addresses hold still. */
static void compare(struct shadow *s)
{
    s->walk++;
    for (uint32_t i = 0; i < root_count(s); i++)
        meet(s, root_at(s, i)->o, root_get(s, i));
    while (s->stack_count > 0) {
        struct shadow_object *o = s->stack[--s->stack_count];
        shadow_object_compare(s->t, o, o->at, s->label);
        for (uint32_t i = 0; i < o->ref_count; i++)
            meet(s, o->refs[i], mmgc_load(s->t, shadow_object_slot(o, (char *)o->at, i)));
    }
    free_unvisited(s);
    expect_apart(s);
    s->tally.compared++;
}

static uint64_t collections(const struct shadow *s)
{
    struct mmgc_heap_info info;
    EXPECT_OK(mmgc_heap_info(s->heap, &info));
    return info.collections;
}

static void compare_if_collected(struct shadow *s)
{
    uint64_t now = collections(s);
    if (now == s->collections)
        return;
    s->tally.collections_seen += now - s->collections;
    s->collections = now;
    compare(s);
}

/* ---- operations ---------------------------------------------------------------------------------------------------- */

static struct shadow_object *add_model(struct shadow *s, struct shadow_object *o)
{
    o->next = s->all;
    s->all = o;
    s->bytes += shadow_object_bytes(o);
    return o;
}

/* A full heap is no failure of its own: in a small one, nothing is that large. */
static uint32_t bytes_max(struct shadow *s)
{
    uint32_t max = rng_one_in(&s->rng, 32) ? BYTES_HUGE : BYTES_MAX;
    return (uint32_t)MM_MIN(max, s->config.budget_bytes / 8);
}

/* Stores into a reference of @owner, mostly one that was null: what hung there goes, and graphs would stay small. */
static bool hang(struct shadow *s, struct found owner, struct found f)
{
    if (owner.o == NULL || owner.o->ref_count == 0)
        return false;
    uint32_t ref = rng_below(&s->rng, owner.o->ref_count);
    for (unsigned tries = 0; tries < 4 && owner.o->refs[ref] != NULL; tries++)
        ref = rng_below(&s->rng, owner.o->ref_count);
    if (owner.o->refs[ref] != NULL && !rng_one_in(&s->rng, 16))
        return false;
    set_ref(s, owner, ref, f);
    return true;
}

static struct shadow_object *new_model(struct shadow *s)
{
    static const uint8_t shares[SHADOW_KINDS] = { 58, 22, 10, 4, 4, 2 };
    uint32_t at = rng_below(&s->rng, 100), kind = 0, length = 0;
    while (at >= shares[kind])
        at -= shares[kind++];
    if (kind == SHADOW_REFS)
        length = rng_skewed(&s->rng, REFS_MAX);
    else if (kind == SHADOW_TABLE)
        length = rng_skewed(&s->rng, REFS_MAX / 2);
    else if (kind == SHADOW_BYTES)
        length = rng_skewed(&s->rng, bytes_max(s));
    return add_model(s, shadow_object_new((enum shadow_kind)kind, length, rng_next(&s->rng)));
}

/* A new object that refers to some others, and is referred to by a root or by another object. */
static void do_new(struct shadow *s)
{
    struct shadow_object *o = new_model(s);
    struct found fresh = { o, shadow_object_make(s->t, &s->types, o) };
    EXPECT(fresh.p != NULL, "%s: no memory for %" PRIu64 " bytes with %" PRIu64 " reachable: %s",
           s->label, shadow_object_bytes(o), s->bytes, mmgc_strerror(mmgc_thread_error(s->t)));
    if (rng_one_in(&s->rng, 4))
        hang(s, fresh, pick(s));
    if (rng_one_in(&s->rng, 16) || !hang(s, pick(s), fresh))
        root_put(s, fresh);
}

/* A tree, grown at its leaves. */
static void do_grow(struct shadow *s)
{
    struct shadow_object *top = add_model(s, shadow_object_new(SHADOW_PAIR, 0, rng_next(&s->rng)));
    char *p = shadow_object_make(s->t, &s->types, top);
    mmgc_scope scope = mmgc_scope_open(s->t);
    mmgc_local local = mmgc_local_new(s->t, p);
    for (uint32_t n = rng_below(&s->rng, TREE_MAX / STRESS_SLOWER); n > 0 && p != NULL; n--) {
        enum shadow_kind kind = rng_one_in(&s->rng, 4) ? SHADOW_WIDE : SHADOW_PAIR;
        struct found leaf = { add_model(s, shadow_object_new(kind, 0, rng_next(&s->rng))), NULL };
        leaf.p = shadow_object_make(s->t, &s->types, leaf.o);
        struct found at = { top, s->exact ? mmgc_local_get(s->t, local) : p };
        uint32_t ref = rng_below(&s->rng, top->ref_count);
        while (at.o->refs[ref] != NULL) {
            at.p = mmgc_load(s->t, shadow_object_slot(at.o, at.p, ref));
            at.o = at.o->refs[ref];
            ref = rng_below(&s->rng, at.o->ref_count);
        }
        EXPECT(leaf.p != NULL, "%s: no memory: %s", s->label, mmgc_strerror(mmgc_thread_error(s->t)));
        set_ref(s, at, ref, leaf);
    }
    struct found tree = { top, s->exact ? mmgc_local_get(s->t, local) : p };
    mmgc_scope_close(s->t, scope);
    root_put(s, tree);
}

static void do_link(struct shadow *s)
{
    hang(s, pick(s), pick(s));
}

static void do_unlink(struct shadow *s)
{
    struct found from = pick(s);
    if (from.o != NULL && from.o->ref_count > 0)
        set_ref(s, from, rng_below(&s->rng, from.o->ref_count), (struct found){ 0 });
}

/* What hangs here hangs there: had a collection seen the one place before and the other after, it would be lost. */
static void do_move(struct shadow *s)
{
    struct found from = pick(s), to = pick(s), moved;
    if (from.o == NULL || from.o->ref_count == 0)
        return;
    uint32_t ref = rng_below(&s->rng, from.o->ref_count);
    moved.o = from.o->refs[ref];
    moved.p = mmgc_load(s->t, shadow_object_slot(from.o, from.p, ref));
    if (moved.o != NULL && hang(s, to, moved) && from.o->refs[ref] == moved.o)
        set_ref(s, from, ref, (struct found){ 0 });
}

static void do_scribble(struct shadow *s)
{
    struct found f = pick(s);
    if (f.o == NULL)
        return;
    f.o->seed = rng_next(&s->rng);
    shadow_object_fill(f.o, f.p);
}

static void do_root(struct shadow *s)
{
    root_put(s, pick(s));
}

static void do_unroot(struct shadow *s)
{
    root_clear(s, rng_below(&s->rng, root_count(s)));
}

static void do_scope(struct shadow *s)
{
    if (s->scope_count < SCOPES && rng_one_in(&s->rng, 2)) {
        s->scopes[s->scope_count].scope = mmgc_scope_open(s->t);
        s->scopes[s->scope_count++].first = s->local_count;
    } else if (s->scope_count > 0) {
        mmgc_scope_close(s->t, s->scopes[--s->scope_count].scope);
        s->local_count = s->scopes[s->scope_count].first;
    }
}

static void do_local_set(struct shadow *s)
{
    struct found f = pick(s);
    if (s->local_count == 0)
        return;
    struct root *root = &s->locals[rng_below(&s->rng, s->local_count)];
    mmgc_local_set(s->t, root->local, f.p);
    root->o = f.o;
}

static void do_garbage(struct shadow *s)
{
    for (uint32_t n = rng_below(&s->rng, 400); n > 0; n--) {
        struct shadow_pair *pair = mmgc_new(s->t, s->types.of[SHADOW_PAIR]);
        EXPECT(pair != NULL, "%s: no memory for a pair: %s", s->label,
               mmgc_strerror(mmgc_thread_error(s->t)));
        EXPECT(pair->value == 0 && pair->left.granule == 0 && pair->right.granule == 0,
               "%s: a new pair is not zero", s->label);
        pair->value = n;
        mmgc_set(s->t, pair, left, pair);
    }
}

static void do_outside(struct shadow *s)
{
    mmgc_leave(s->t);
    forget_raws(s);
    if (s->config.sleeps && rng_one_in(&s->rng, 4))
        crew_sleep_us(rng_skewed(&s->rng, 2000));
    if (rng_one_in(&s->rng, 4))
        handle_drop(s, rng_below(&s->rng, HANDLES)); /* allowed from anywhere */
    EXPECT_OK(mmgc_enter(s->t));
    for (uint32_t n = rng_below(&s->rng, 6); n > 0; n--) /* nobody may be looking at the heap now */
        do_move(s);
}

static void do_collect(struct shadow *s)
{
    if (!s->config.collects)
        return;
    uint64_t before = collections(s);
    EXPECT_OK(mmgc_gc(s->t));
    EXPECT(collections(s) > before, "%s: mmgc_gc() came back before any collection", s->label);
}

/* A pointer in each of many frames, or a local root if the thread is exact. */
static __attribute__((noinline)) struct shadow_pair *descend(struct shadow *s, uint32_t depth)
{
    struct shadow_pair *pair = mmgc_new(s->t, s->types.of[SHADOW_PAIR]);
    EXPECT(pair != NULL, "%s: no memory for a pair: %s", s->label,
           mmgc_strerror(mmgc_thread_error(s->t)));
    pair->value = s->tally.steps << 16 | depth;
    mmgc_scope scope = { 0 };
    mmgc_local local = { 0 };
    if (s->exact) {
        scope = mmgc_scope_open(s->t);
        local = mmgc_local_new(s->t, pair);
    }
    struct shadow_pair *child = NULL;
    if (depth > 0)
        child = descend(s, depth - 1);
    else if (rng_one_in(&s->rng, 8))
        do_collect(s);
    else
        do_garbage(s);
    if (s->exact) { /* no safepoint since the child came back */
        pair = mmgc_local_get(s->t, local);
        mmgc_scope_close(s->t, scope);
    }
    EXPECT(pair->value == (s->tally.steps << 16 | depth),
           "%s: frame %" PRIu32 " has another object: %" PRIx64, s->label, depth, pair->value);
    mmgc_set(s->t, pair, left, child);
    for (uint32_t i = depth; child != NULL && i + 8 > depth; child = mmgc_get(s->t, child, left))
        EXPECT(child->value == (s->tally.steps << 16 | --i),
               "%s: below frame %" PRIu32 " hangs another object", s->label, depth);
    mmgc_keep(pair);
    return pair;
}

static void do_descend(struct shadow *s)
{
    descend(s, rng_skewed(&s->rng, DEPTH_MAX / STRESS_SLOWER));
}

static void do_reserve(struct shadow *s)
{
    uint64_t bytes = rng_skewed(&s->rng, 64u << 10);
    int r = mmgc_reserve(s->t, bytes);
    EXPECT(r == MMGC_OK, "%s: reserving %" PRIu64 " bytes: %s", s->label, bytes, mmgc_strerror(r));
    uint64_t before = collections(s), pair_bytes = mmgc_size(s->types.of[SHADOW_PAIR], 0);
    for (uint64_t left = bytes; left >= pair_bytes; left -= pair_bytes)
        EXPECT(mmgc_new(s->t, s->types.of[SHADOW_PAIR]) != NULL,
               "%s: an allocation failed within a reservation of %" PRIu64, s->label, bytes);
    EXPECT(collections(s) == before,
           "%s: a collection happened within a reservation of %" PRIu64 " bytes", s->label, bytes);
    EXPECT_OK(mmgc_reserve(s->t, 0));
}

static void do_poll(struct shadow *s)
{
    EXPECT_OK(mmgc_poll(s->t));
}

static const struct operation {
    void (*run)(struct shadow *s);
    uint32_t share; /* of 1000 */
} operations[] = {
    { do_new, 548 },      { do_link, 200 }, { do_unlink, 10 },  { do_move, 20 },
    { do_scribble, 60 },  { do_root, 40 },  { do_unroot, 10 },  { do_scope, 20 },
    { do_local_set, 10 }, { do_poll, 30 },  { do_garbage, 20 }, { do_outside, 20 },
    { do_descend, 5 },    { do_grow, 2 },   { do_reserve, 4 },  { do_collect, 1 },
};

static void step(struct shadow *s)
{
    uint32_t at = rng_below(&s->rng, 1000), i = 0;
    while (at >= operations[i].share)
        at -= operations[i++].share;
    operations[i].run(s);
    s->tally.steps++;
    if (s->tally.steps % COMPARE_EVERY == 0)
        compare_if_collected(s);
    if (s->bytes > s->config.budget_bytes + s->config.budget_bytes / 2 ||
        s->tally.steps % PRUNE_EVERY == 0)
        keep_in_budget(s);
}

/* ---- a shadow's life ----------------------------------------------------------------------------------------------- */

struct shadow *shadow_new(const struct shadow_config *config)
{
    struct shadow *s = calloc(1, sizeof(*s));
    EXPECT(s != NULL, "no private memory");
    s->config = *config;
    snprintf(s->label, sizeof(s->label), "%s", config->label);
    s->config.label = s->label;
    s->rng = rng_from(config->seed);
    return s;
}

void shadow_free(struct shadow *s)
{
    if (s == NULL)
        return;
    s->walk++;
    free_unvisited(s);
    free(s->stack);
    free(s);
}

void shadow_attach(struct shadow *s, struct mmgc_heap *heap, struct mmgc_thread *t, bool exact,
                   bool same_heap)
{
    s->heap = heap;
    s->t = t;
    s->exact = exact;
    s->local_count = s->scope_count = 0;
    forget_raws(s);
    if (!same_heap) {
        memset(s->handles, 0, sizeof(s->handles));
        memset(s->made, 0, sizeof(s->made));
    }
    shadow_types_define(heap, &s->types);
    prune(s);
}

/* Not inlined, so that the array is in a frame below all that runs. */
static __attribute__((noinline)) void run_inside(struct shadow *s, unsigned steps)
{
    char *raw[RAWS] = { 0 };
    s->raw = raw;
    __asm__ volatile("" : : "r"(raw) : "memory");
    for (unsigned i = 0; i < steps; i++)
        step(s);
    compare_if_collected(s);
    forget_raws(s);
    s->raw = NULL;
}

void shadow_run(struct shadow *s, unsigned steps)
{
    EXPECT_OK(mmgc_enter(s->t));
    run_inside(s, steps);
    mmgc_leave(s->t);
}

void shadow_compare(struct shadow *s)
{
    EXPECT_OK(mmgc_enter(s->t));
    compare(s);
    mmgc_leave(s->t);
}

void shadow_drop(struct shadow *s)
{
    EXPECT_OK(mmgc_enter(s->t));
    for (uint32_t i = 0; i < root_count(s); i++)
        root_clear(s, i);
    for (uint32_t i = 0; i < HANDLES; i++)
        handle_drop(s, i);
    mmgc_leave(s->t);
    prune(s);
}

const struct shadow_tally *shadow_tally(const struct shadow *s)
{
    return &s->tally;
}
