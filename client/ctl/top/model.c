/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/top/model.h"

#include <stdlib.h>
#include <string.h>

#include "client/ctl/stats.h"
#include "client/ctl/units.h"
#include "shm/base.h"

/* ---- rates -------------------------------------------------------------------------------------- */

/* How much @key has risen since @before, which may be NULL. */
static double risen(const json_t *now, const json_t *before, const char *key)
{
    uint64_t is = document_get_count(now, key), was = document_get_count(before, key);

    return before == NULL || is < was ? 0 : (double)(is - was);
}

static const json_t *row_of(const json_t *document, const char *name)
{
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(document, "heaps"), i, row)
        if (strcmp(document_get_text(row, "name"), name) == 0)
            return row;
    return NULL;
}

/* A heap that was destroyed and made again begins anew. */
static const json_t *same_heap(const json_t *before, const json_t *heap)
{
    const json_t *row = row_of(before, document_get_text(heap, "name"));

    return row != NULL && document_get_count(heap, "granted_bytes") < document_get_count(row, "granted_bytes") ? NULL : row;
}

static double real_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* @seconds: since @before, of which there may be none. */
static void add_rates(json_t *document, const json_t *before, double seconds)
{
    json_t *numbers = json_object_get(document, "daemon"), *heap;
    double alloc = 0, collections = 0, threads = 0;
    size_t i;

    json_array_foreach(json_object_get(document, "heaps"), i, heap)
    {
        const json_t *was = same_heap(before, heap);
        document_real(heap, "alloc_bytes_per_s", risen(heap, was, "granted_bytes") / seconds);
        document_real(heap, "collections_per_s", risen(heap, was, "collections") / seconds);
        document_real(heap, "paused_share", MM_MIN(risen(heap, was, "total_pause_ns") / 1e9 / seconds, 1.0));
        alloc += real_of(heap, "alloc_bytes_per_s");
        collections += real_of(heap, "collections_per_s");
        threads += (double)document_get_count(heap, "threads");
    }
    document_real(numbers, "requests_per_s", risen(numbers, json_object_get(before, "daemon"), "requests") / seconds);
    document_real(numbers, "alloc_bytes_per_s", alloc);
    document_real(numbers, "collections_per_s", collections);
    document_count(numbers, "threads", (uint64_t)threads);
}

/* ---- order -------------------------------------------------------------------------------------- */

static double weight(const json_t *heap, enum ctl_sort by)
{
    switch (by) {
    case CTL_SORT_ALLOC: return real_of(heap, "alloc_bytes_per_s");
    case CTL_SORT_COLLECTIONS: return real_of(heap, "collections_per_s");
    case CTL_SORT_PAUSE: return (double)document_get_count(heap, "p99_pause_ns");
    case CTL_SORT_CLIENTS: return (double)document_get_count(heap, "sessions");
    default: return (double)document_get_count(heap, "used_bytes");
    }
}

struct ranked {
    json_t *heap;
    double weight;
    size_t place; /* by name, as the daemon has it: so that equals do not dance */
};

static int compare(const void *a, const void *b)
{
    const struct ranked *left = a, *right = b;

    if (left->weight != right->weight)
        return left->weight < right->weight ? 1 : -1;
    const char *left_name = document_get_text(left->heap, "name"), *right_name = document_get_text(right->heap, "name");
    int order = strcmp(left_name, right_name);
    return order != 0 ? order : left->place < right->place ? -1 : 1;
}

void top_sort(struct top_model *model, enum ctl_sort by)
{
    json_t *heaps = json_object_get(model->document, "heaps"), *sorted = need(json_array()), *heap;
    size_t count = json_array_size(heaps), i;
    struct ranked *rows = need(calloc(count + 1, sizeof(*rows)));

    json_array_foreach(heaps, i, heap)
        rows[i] = (struct ranked){ heap, by == CTL_SORT_NAME ? 0 : weight(heap, by), i };
    qsort(rows, count, sizeof(*rows), compare);
    for (i = 0; i < count; i++)
        need(json_array_append(sorted, rows[i].heap) < 0 ? NULL : sorted);
    free(rows);
    if (model->document == NULL)
        json_decref(sorted);
    else
        need(json_object_set_new(model->document, "heaps", sorted) < 0 ? NULL : sorted);
}

/* ---- asking ------------------------------------------------------------------------------------- */

static enum mmgc_error connected(struct ctl *ctl)
{
    if (ctl->connection.sock < 0)
        return ctl_connect(ctl);
    ctl_start_clock(ctl);
    return MMGC_E_OK;
}

/* @e, and if the connection may be to blame, it is gone: the next question makes another. */
static enum mmgc_error settled(struct ctl *ctl, enum mmgc_error e)
{
    if (e != MMGC_E_OK && e != MMGC_E_NO_HEAP && e != MMGC_E_DENIED)
        ctl_disconnect(ctl);
    return e;
}

enum mmgc_error top_refresh(struct top_model *model, struct ctl *ctl)
{
    json_t *document = need(json_object());
    enum mmgc_error e = connected(ctl);

    if (e == MMGC_E_OK)
        e = stats_document(ctl, document);
    if (e != MMGC_E_OK) {
        json_decref(document);
        return settled(ctl, e);
    }
    ctl->exit = CTL_DONE; /* whatever it was before */
    uint64_t now_ns = mm_now_ns();
    add_rates(document, model->document, MM_MAX((double)(now_ns - model->taken_ns) / (double)UNITS_NS_PER_S, 1e-3));
    json_decref(model->document);
    model->document = document;
    model->taken_ns = now_ns;
    top_sort(model, ctl->options.sort);
    return MMGC_E_OK;
}

enum mmgc_error top_refresh_clients(struct top_model *model, struct ctl *ctl, const char *heap)
{
    const char *operand = ctl->options.operand;
    enum mmgc_error e = MMGC_E_OK;

    json_decref(model->clients);
    model->clients = NULL;
    if (heap == NULL)
        return MMGC_E_OK;
    json_t *document = need(json_object());
    ctl->options.operand = heap;
    e = connected(ctl);
    if (e == MMGC_E_OK)
        e = ctl_clients.ask(ctl, document);
    ctl->options.operand = operand;
    if (e == MMGC_E_OK)
        model->clients = document;
    else
        json_decref(document);
    return settled(ctl, e);
}

void top_fini(struct top_model *model)
{
    json_decref(model->document);
    json_decref(model->clients);
    *model = (struct top_model){ 0 };
}
