/* SPDX-License-Identifier: Apache-2.0 */
/* collect.c - Collect: asking for a collection and sleeping until it is done.
 *   The daemon says at once which collection it will be; its number appears in control before the resume that wakes us. */
#include "client/collect.h"

#include <mmgc/mmgc.h>

#include "client/safepoint.h"
#include "client/thread.h"
#include "shm/futex.h"

#define LOOK_EVERY_NS UINT64_C(1000000000)

static int collect_start(struct mmgc_heap *heap, uint64_t *ret_number)
{
    wire_collect collect = wire_collect_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    request.body_case = WIRE_REQUEST(COLLECT);
    request.collect = &collect;
    int r =
        connection_call(&heap->connection, &request, NULL, WIRE_REPLY(COLLECT_STARTED), &reply, NULL);
    if (r != MMGC_OK)
        return r;
    *ret_number = reply->collect_started->number;
    wire_reply_free(reply);
    return MMGC_OK;
}

/* @abandoned: the stops given up before we asked. */
static int collect_await(struct mmgc_heap *heap, uint64_t number, uint64_t abandoned)
{
    for (;;) {
        uint32_t go = at_load_acquire(&heap->session->go);
        if (at_load_acquire(&heap->control->collections) >= number)
            return MMGC_OK;
        if (at_load_acquire(&heap->control->abandoned_stops) != abandoned)
            return error_set(MMGC_E_STALLED, NULL);
        if (futex_wait(&heap->session->go, go, LOOK_EVERY_NS) == FUTEX_WOKEN)
            continue;
        int r = connection_look(&heap->connection);
        if (r != MMGC_OK)
            return r;
    }
}

int collect_wait(struct thread *th, uint64_t number, uint64_t abandoned)
{
    if (!thread_is_in(th))
        return collect_await(th->heap, number, abandoned);
    int r = safepoint_park(th);
    if (r != MMGC_OK)
        return r;
    r = collect_await(th->heap, number, abandoned);
    int resumed = safepoint_resume(th);
    return resumed != MMGC_OK ? resumed : r;
}

int mmgc_gc(struct mmgc_thread *t)
{
    uint64_t number;

    if (t == NULL)
        return error_set(MMGC_E_INVALID, "the thread is NULL");
    struct thread *th = thread_of(t);
    int r = heap_check(th->heap);
    if (r != MMGC_OK)
        return r;
    uint64_t abandoned = at_load_acquire(&th->heap->control->abandoned_stops);
    r = collect_start(th->heap, &number);
    return r != MMGC_OK ? r : collect_wait(th, number, abandoned);
}
