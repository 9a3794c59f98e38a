/* SPDX-License-Identifier: Apache-2.0 */
/* stow_graph.c - Stow of a graph in the heap: by a collection, which is asked for with a row that keeps the root alive meanwhile and tells
 * the daemon where it is when the world has stopped. */
#include <mmgc/mmgc.h>

#include "client/collect.h"
#include "client/heap.h"
#include "client/row.h"
#include "client/thread.h"

#define STOW_KINDS (1u << SHM_ROW_STRONG)

static int ask(struct mmgc_heap *heap, uint32_t slot, uint64_t *ret_number)
{
    wire_stow stow = wire_stow_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    stow.slot = slot;
    request.body_case = WIRE_REQUEST(STOW);
    request.stow = &stow;
    int r = connection_call(&heap->connection, &request, NULL, WIRE_REPLY(COLLECT_STARTED), &reply, NULL);
    if (r != MMGC_OK)
        return r;
    *ret_number = reply->collect_started->number;
    wire_reply_free(reply);
    return MMGC_OK;
}

/* Takes the request back if it was not done. */
static int fetch(struct mmgc_heap *heap, uint32_t slot, struct mmgc_stow_result *ret)
{
    wire_stowed stowed = wire_stowed_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    stowed.slot = slot;
    request.body_case = WIRE_REQUEST(STOWED);
    request.stowed = &stowed;
    int r = connection_call(&heap->connection, &request, NULL, WIRE_REPLY(STOW_RESULT), &reply, NULL);
    if (r != MMGC_OK)
        return r;
    const wire_stow_result *result = reply->stow_result;
    ret->objects = result->objects;
    ret->bytes = result->bytes;
    ret->moved_objects = result->moved_objects;
    ret->moved_bytes = result->moved_bytes;
    ret->complete = result->done && !result->cut && result->objects == result->moved_objects;
    wire_reply_free(reply);
    return MMGC_OK;
}

static int stow_row(struct thread *th, uint32_t slot, struct mmgc_stow_result *ret)
{
    uint64_t abandoned = at_load_acquire(&th->heap->control->abandoned_stops);

    int r = ask(th->heap, slot, &ret->collection);
    if (r != MMGC_OK)
        return r;
    r = collect_wait(th, ret->collection, abandoned);
    int fetched = fetch(th->heap, slot, ret);
    return r != MMGC_OK ? r : fetched;
}

int mmgc_stow(struct mmgc_thread *t, const void *root, struct mmgc_stow_result *ret_result)
{
    struct mmgc_stow_result result = { 0 };
    struct row row;

    int r = thread_check_in(t);
    if (r == MMGC_OK && root == NULL)
        r = error_set(MMGC_E_INVALID, "the root is NULL");
    if (r == MMGC_OK)
        r = row_begin(thread_of(t), SHM_ROW_STRONG, root, NULL, &row);
    if (r != MMGC_OK)
        return r;
    r = stow_row(thread_of(t), row.slot, &result);
    int ended = row_end(thread_of(t)->heap, row, STOW_KINDS);
    if (r == MMGC_OK && ret_result != NULL)
        *ret_result = result;
    return r != MMGC_OK ? r : ended;
}
