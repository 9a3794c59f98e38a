/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/quarantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/request.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/watch.h"
#include "shm/object.h"

#define DOUBT_EVERY_NS UINT64_C(10000000000)
#define NS_PER_MS UINT64_C(1000000)

/* ---- the evidence ---- */

/* "web (pid 12), indexer (pid 13)", as many as fit. */
static void name_writers(const struct shared_heap *h, char *to, size_t capacity)
{
    const struct session *s;
    size_t length = 0;

    to[0] = '\0';
    TAILQ_FOREACH(s, &h->sessions, in_heap)
    {
        char text[WIRE_LABEL_MAX + 32];
        int bytes = snprintf(text, sizeof(text), "%s%s (pid %d)", length > 0 ? ", " : "", s->name, (int)s->peer.pid);
        if (s->read_only || length + (size_t)bytes >= capacity)
            continue;
        memcpy(to + length, text, (size_t)bytes + 1);
        length += (size_t)bytes;
    }
}

void quarantine_begin(struct shared_heap *h, const char *why)
{
    struct quarantine *q = &h->quarantine;

    if (h->corrupt)
        return;
    h->corrupt = true;
    q->since_ns = mm_now_ns();
    q->collections = h->completed;
    snprintf(q->why, sizeof(q->why), "%s", why);
    name_writers(h, q->writers, sizeof(q->writers));
    at_store_release(&h->control->corrupt, 1);
    log_error("heap '%s' is quarantined: %s", h->name, why);
    watch_heap(h, WATCH_QUARANTINE, why);
    log_error("heap '%s' could be written to by: %s", h->name, q->writers[0] != '\0' ? q->writers : "nobody who is still there");
}

/* ---- finding it ---- */

void quarantine_doubt(struct shared_heap *h)
{
    struct quarantine *q = &h->quarantine;

    if (h->corrupt || q->doubted || mm_now_ns() < q->doubt_after_ns)
        return;
    q->doubted = true;
    q->doubt_after_ns = mm_now_ns() + DOUBT_EVERY_NS;
}

/* "", or the name of the type that @header says. */
static const char *type_name(const struct shared_heap *h, uint64_t header)
{
    uint32_t type = object_header_type(header);

    return type != 0 && type < at_load_relaxed(&h->control->type_count) ? h->control->types[type].name : "";
}

static uint64_t offset_of(uint32_t granule)
{
    return (uint64_t)granule * MM_GRANULE_BYTES;
}

static void describe(const struct shared_heap *h, const struct heap_verdict *found, char *to, size_t capacity)
{
    const struct heap_fault_row *row = found->rows;

    while (row->fault == HEAP_FAULT_ROOT && row < &found->rows[found->row_count - 1])
        row++;
    snprintf(to, capacity,
             "%s (object at 0x%" PRIx64 " of type '%s', header 0x%016" PRIx64 ", reference to 0x%" PRIx64 "), %" PRIu64 " faults in all",
             heap_fault_sentence(row->fault), offset_of(row->object), type_name(h, row->header), row->header, offset_of(row->ref),
             found->faults);
}

static void report_roots(const struct shared_heap *h, const struct heap_verdict *found)
{
    if (found->root_faults > 0)
        log_warning("heap '%s': %" PRIu64 " roots or handles lead to no object: those who have them passed on what they had not, or lie", h->name,
                    found->root_faults);
}

void quarantine_report(const struct shared_heap *h, const struct heap_verdict *found)
{
    char why[sizeof(h->quarantine.why)];

    report_roots(h, found);
    if (found->faults == found->root_faults)
        return;
    describe(h, found, why, sizeof(why));
    log_error("heap '%s' goes on, but has faults; `mmgcctl verify` shows them and puts it aside: %s", h->name, why);
}

void quarantine_judge(struct shared_heap *h, const struct heap_verdict *found)
{
    struct quarantine *q = &h->quarantine;
    char why[sizeof(q->why)];

    report_roots(h, found);
    if (found->faults == found->root_faults || h->corrupt)
        return;
    q->row_count = found->row_count;
    memcpy(q->rows, found->rows, sizeof(q->rows));
    describe(h, found, why, sizeof(why));
    quarantine_begin(h, why);
}

/* ---- saying it ---- */

struct fault_page {
    wire_fault_row rows[HEAP_FAULT_ROWS], *pointers[HEAP_FAULT_ROWS];
};

static void fill_page(const struct shared_heap *h, struct fault_page *page, const struct heap_fault_row *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        wire_fault_row *out = page->pointers[i] = &page->rows[i];
        *out = wire_fault_row_init();
        out->fault = (char *)heap_fault_sentence(rows[i].fault);
        out->object = rows[i].object;
        out->ref = rows[i].ref;
        out->header = rows[i].header;
        out->type = (char *)type_name(h, rows[i].header);
    }
}

static bool is_what_was_found(const struct quarantine *q, const struct heap_verdict *found)
{
    return q->row_count == found->row_count && memcmp(q->rows, found->rows, q->row_count * sizeof(q->rows[0])) == 0;
}

static void fill_quarantine(wire_quarantine *out, struct fault_page *page, const struct shared_heap *h, const struct heap_verdict *found)
{
    const struct quarantine *q = &h->quarantine;

    out->why = (char *)q->why;
    out->age_ms = (mm_now_ns() - q->since_ns) / NS_PER_MS;
    out->collections = q->collections;
    out->writers = (char *)q->writers;
    if (is_what_was_found(q, found))
        return;
    fill_page(h, page, q->rows, q->row_count);
    out->rows = page->pointers;
    out->n_rows = q->row_count;
}

void quarantine_answer(struct shared_heap *h, struct request *r, const struct heap_verdict *found)
{
    wire_quarantine quarantine = wire_quarantine_init();
    wire_verdict verdict = wire_verdict_init();
    wire_reply reply = wire_reply_init();
    struct fault_page now, then;

    verdict.clean = found->faults == 0;
    verdict.objects = found->objects;
    verdict.references = found->references;
    verdict.faults = found->faults;
    verdict.root_faults = found->root_faults;
    verdict.reachable_objects = found->reachable_objects;
    verdict.reachable_bytes = found->reachable_bytes;
    fill_page(h, &now, found->rows, found->row_count);
    verdict.rows = now.pointers;
    verdict.n_rows = found->row_count;
    if (h->corrupt) {
        fill_quarantine(&quarantine, &then, h, found);
        verdict.quarantine = &quarantine;
    }
    reply.body_case = WIRE_REPLY(VERDICT);
    reply.verdict = &verdict;
    answer(r, &reply, NULL);
}
