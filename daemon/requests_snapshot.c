/* SPDX-License-Identifier: Apache-2.0 */
/* requests_snapshot.c - Snapshot: first how large it must be, then the memory that is to be filled.
 *   Fds   a connection that has no heap open may send none (packet_pass_fds()). One that may read the heap it has just asked about could open it
 *         and then send them; so from that answer on, until the snapshot is through, it may send them as well, and opens nothing for it:
 *         a connection that only looks has no segment, no charge and no place among the heap's clients  */
#include <inttypes.h>

#include "daemon/request.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/snapshots.h"
#include "shm/units.h"

static enum handled answer_taken(struct request *r, wire_snapshot_taken *taken)
{
    wire_reply reply = wire_reply_init();

    reply.body_case = WIRE_REPLY(SNAPSHOT_TAKEN);
    reply.snapshot_taken = taken;
    return answer(r, &reply, NULL);
}

/* A little more than now: the heap goes on while the client gets the memory. */
static uint64_t with_margin(uint64_t bytes)
{
    return mm_align_up(bytes + bytes / 16 + MM_COMMIT_BYTES, MM_PAGE_BYTES);
}

static enum handled answer_size(struct request *r, struct shared_heap *h)
{
    wire_snapshot_taken taken = wire_snapshot_taken_init();

    if (!shared_heap_try_lock(h))
        return answer_later(r, h);
    taken.needed_bytes = with_margin(snapshot_bytes_locked(h));
    shared_heap_unlock(h);
    (void)packet_pass_fds(r->session->sock, true);
    return answer_taken(r, &taken);
}

void snapshot_answer(struct request *r, const struct collector_task *task)
{
    const struct snapshot_memory *memory = snapshot_memory(r->snapshot);
    wire_snapshot_taken taken = wire_snapshot_taken_init();

    taken.taken = memory->needed <= memory->bytes;
    taken.needed_bytes = taken.taken ? memory->needed : with_margin(memory->needed);
    taken.stop_ns = task->stop_ns;
    taken.pause_ns = task->pause_ns;
    (void)answer_taken(r, &taken);
}

enum handled request_snapshot(struct request *r)
{
    const wire_snapshot *asked = r->message->snapshot;
    struct shared_heap *h = request_heap_meant(r, asked->heap);

    if (h == NULL)
        return HANDLED;
    if (h->corrupt && !asked->anyway)
        return answer_error(r, MMGC_E_CORRUPT, "heap '%s' is quarantined: `mmgcctl verify` says why; --anyway looks at it all the same", h->name);
    if (r->snapshot == NULL && r->fds.count == 0)
        return answer_size(r, h);
    if (r->snapshot == NULL)
        return snapshot_begin(r) ? HANDLED_ELSEWHERE : HANDLED;
    if (snapshot_fault(r->snapshot) != NULL)
        return answer_error(r, MMGC_E_INVALID, "the memory for the snapshot: %s", snapshot_fault(r->snapshot));
    return request_inspect(r, asked->heap, WORK_SNAPSHOT);
}
