/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <string.h>

#include "shm/object.h"

#define ASK_BYTES 65536u                             /* of lines, at a time */
#define ZERO_AHEAD 1024u

bool client_open(struct client *c, struct bare *bare)
{
    memset(c, 0, sizeof(*c));
    c->bare = bare;
    c->mutator = heap_mutator_new(bare->heap);
    return c->mutator != NULL;
}

static uint32_t granule_of(const struct client *c, const char *at)
{
    return (uint32_t)((at - c->bare->arena) / 8);
}

/* What the heap may know of this thread when it stops. */
static struct heap_mutator_view view_of(const struct client *c)
{
    struct heap_mutator_view view = { .taken[SHM_GRANT_LINES] = c->taken };

    if (c->cursor != NULL) {
        view.cursor[SHM_GRANT_LINES] = granule_of(c, c->cursor);
        view.limit[SHM_GRANT_LINES] = granule_of(c, c->limit);
    }
    return view;
}

void client_close(struct client *c)
{
    struct heap_mutator_view view = view_of(c);

    heap_mutator_seal(c->bare->heap, c->mutator, &view);
}

/* What is left of the span becomes zeroes, which a parse of it passes over. */
static void finish_span(struct client *c)
{
    if (c->cursor == NULL)
        return;
    memset(c->limit, 0, (size_t)(c->end - c->limit));
    c->cursor = c->limit = c->end = NULL;
    c->taken++;
}

static bool next_span(struct client *c)
{
    struct heap *heap = c->bare->heap;

    finish_span(c);
    if (c->taken == c->granted) {
        (void)heap_mutator_outstanding(c->mutator, SHM_GRANT_LINES, c->taken);
        struct shm_grant rows[CLIENT_ROWS];
        size_t count = heap_grant(heap, c->mutator, SHM_GRANT_LINES, ASK_BYTES, 0, rows, CLIENT_ROWS);
        for (size_t i = 0; i < count; i++)
            c->rows[c->granted++ % CLIENT_ROWS] = rows[i];
        if (count == 0)
            return false;
    }
    const struct shm_grant *row = &c->rows[c->taken % CLIENT_ROWS];
    c->cursor = client_at(c, row->start);
    c->end = c->cursor + (size_t)row->granules * 8;
    c->limit = (row->flags & SHM_GRANT_ZEROED) != 0 ? c->end : c->cursor;
    return true;
}

/* The whole of allocation, nearly always. */
static char *bump(struct client *c, size_t bytes)
{
    char *at = c->cursor;

    if (at == NULL || (size_t)(c->end - at) < bytes)
        return NULL;
    if (at + bytes > c->limit) {
        size_t ahead = MM_MIN((size_t)(c->end - c->limit), (size_t)(at + bytes - c->limit) + ZERO_AHEAD);
        memset(c->limit, 0, ahead);
        c->limit += ahead;
    }
    c->cursor = at + bytes;
    return at;
}

static char *reserve(struct client *c, size_t bytes)
{
    char *at;

    while ((at = bump(c, bytes)) == NULL)
        if (!next_span(c))
            return NULL;
    return at;
}

uint32_t client_new(struct client *c, uint32_t type, uint32_t length)
{
    const struct shm_type_row *row = heap_type_row(c->bare->heap, type);
    size_t bytes = object_bytes(row->fixed_bytes, row->element_bytes, length);
    char *at = reserve(c, bytes);

    if (at == NULL && client_collect(c))
        at = reserve(c, bytes);
    if (at == NULL)
        return 0;
    *(uint64_t *)(void *)at = object_header(type, length); /* from here on it is an object */
    return granule_of(c, at) + 1;
}

static struct heap_stop stop_of(struct client *c, struct heap_roots *roots, struct heap_mutator_view *view)
{
    *roots = (struct heap_roots){ .kind = HEAP_ROOTS_EXACT, .words = c->roots, .count = CLIENT_ROOTS };
    *view = view_of(c);
    return (struct heap_stop){ .roots = roots, .root_count = 1, .mutators = &c->mutator, .views = view, .mutator_count = 1 };
}

bool client_collect(struct client *c)
{
    struct heap_roots roots;
    struct heap_mutator_view view;
    struct heap_stop stop = stop_of(c, &roots, &view);
    struct heap_collection done;

    if (heap_collect_stw(c->bare->heap, c->bare->engine, &stop, &done) < 0)
        return false;
    c->collections++;
    c->moved += done.moved_objects;
    return true;
}

bool client_is_sound(struct client *c)
{
    struct heap_roots roots;
    struct heap_mutator_view view;
    struct heap_stop stop = stop_of(c, &roots, &view);
    struct heap_verdict verdict;

    return heap_verify_stw(c->bare->heap, c->bare->engine, &stop, &verdict) == 0 && verdict.faults == 0;
}
