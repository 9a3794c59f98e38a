/* SPDX-License-Identifier: Apache-2.0 */
/* facts_rows.c - Facts: the rows of sessions' tables, which are handles and leases, a page at a time.
 *   Hostile: what a table says is shown as it stands, checked for nothing but what could harm the one who reads it. A page ends at its most rows,
 *   when the packet is full, or when so many rows were looked at; the reply says how far it came. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/facts.h"
#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"

#define PAGE_ROWS 128u
#define VISITS_MAX (1u << 18)
#define NS_PER_MS UINT64_C(1000000)
#define HANDLE_KINDS (~(1u << SHM_ROW_FREE | SHM_ROW_LEASES))

struct page {
    unsigned kinds; /* bit: rows of that kind are wanted */
    const struct shared_heap *only; /* NULL: all that the asker may see */
    uint64_t session; /* this one alone; 0: all */
    uint64_t last_session; /* how far it is */
    uint32_t last_slot;
    bool more;
    size_t visits, count;
    wire_handle_row rows[PAGE_ROWS], *pointers[PAGE_ROWS];
    char names[PAGE_ROWS][SHM_ROW_NAME_MAX + 1];
    wire_reply *reply; /* what it is part of */
    size_t *reply_rows;
};

/* What a client calls it: bytes, of which only those that are a name are shown. */
static void read_name(const struct shm_row_note MM_NODEREF *note, char ret_name[SHM_ROW_NAME_MAX + 1])
{
    for (size_t i = 0; i < SHM_ROW_NAME_MAX; i++)
        ret_name[i] = __atomic_load_n(&note->name[i], __ATOMIC_RELAXED);
    ret_name[SHM_ROW_NAME_MAX] = '\0';
    if (ret_name[0] == '\0' || wire_name_valid(ret_name, SHM_ROW_NAME_MAX))
        return;
    for (char *c = ret_name; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

static void fill_row(struct page *p, const struct session *s, uint32_t slot, uint32_t tag)
{
    const struct shm_row_note MM_NODEREF *note = &s->words->row_notes[slot];
    wire_handle_row *row = p->pointers[p->count] = &p->rows[p->count];
    uint64_t now_ns = mm_now_ns(), since_ns = at_load_relaxed(&note->since_ns);
    bool lease = (SHM_ROW_LEASES >> shm_row_kind(tag) & 1u) != 0;
    struct facts_object object;

    *row = wire_handle_row_init();
    row->session = s->id;
    row->client = (char *)s->name;
    row->pid = (uint32_t)s->peer.pid;
    row->heap = s->heap->name;
    row->slot = slot;
    row->kind = (char *)shm_row_kind_name(shm_row_kind(tag));
    read_name(note, p->names[p->count]);
    row->name = p->names[p->count];
    row->ref = at_load_relaxed(&s->words->row_words[slot]);
    row->age_ms = since_ns == 0 || since_ns > now_ns ? 0 : (now_ns - since_ns) / NS_PER_MS;
    row->held = !lease || since_ns != 0;
    row->waiters = lease ? leases_waiters(s->heap, row->ref) : 0;
    if (!facts_object(s->heap, row->ref, &object))
        return;
    row->type = object.type;
    row->bytes = object.bytes;
}

/* False: the page has ended before this row. */
static bool add_row(struct page *p, const struct session *s, uint32_t slot)
{
    uint32_t tag = at_load_acquire(&s->words->row_tags[slot]);

    if (p->visits++ == VISITS_MAX)
        return false;
    if ((p->kinds >> shm_row_kind(tag) & 1u) == 0)
        return true;
    if (p->count == PAGE_ROWS)
        return false;
    fill_row(p, s, slot, tag);
    *p->reply_rows = ++p->count;
    if (wire_reply_bytes(p->reply) <= PACKET_BYTES_MAX - 64) /* and how far it came */
        return true;
    *p->reply_rows = --p->count;
    return false;
}

static void add_session(struct page *p, const struct session *s)
{
    uint32_t end = session_rows_racy(s);

    for (uint32_t slot = s->id == p->last_session ? p->last_slot + 1 : 1; slot < end; slot++) {
        if (!add_row(p, s, slot)) {
            p->more = true;
            return;
        }
        p->last_session = s->id;
        p->last_slot = slot;
    }
}

/* The server's list is in the order of their numbers. */
static void fill(struct page *p, const struct session *asker)
{
    const struct session *s;

    TAILQ_FOREACH(s, &asker->server->sessions, in_server)
    {
        bool wanted = s->heap != NULL && s->id >= p->last_session && (p->session == 0 || p->session == s->id);
        if (wanted && facts_may_see(asker, s, p->only))
            add_session(p, s);
        if (p->more)
            return;
    }
}

enum handled request_handles(struct request *r)
{
    const wire_handles *asked = r->message->handles;
    const struct shared_heap *only = asked->heap[0] == '\0' ? NULL : request_heap_meant(r, asked->heap);
    wire_handle_rows rows = wire_handle_rows_init();
    wire_reply reply = wire_reply_init();

    if (only == NULL && asked->heap[0] != '\0')
        return HANDLED;
    struct page *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return answer_errno(r, -ENOMEM, "listing rows");
    *p = (struct page){ .kinds = asked->leases ? SHM_ROW_LEASES : HANDLE_KINDS, .only = only, .session = asked->session,
                        .last_session = asked->after_session, .last_slot = asked->after_slot, .reply = &reply, .reply_rows = &rows.n_rows };
    reply.serial = r->message->serial;
    reply.body_case = WIRE_REPLY(HANDLE_ROWS);
    reply.handle_rows = &rows;
    rows.rows = p->pointers;
    fill(p, r->session);
    rows.more = p->more;
    rows.last_session = p->last_session;
    rows.last_slot = p->last_slot;
    answer(r, &reply, NULL);
    free(p);
    return HANDLED;
}
