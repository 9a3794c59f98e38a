/* SPDX-License-Identifier: Apache-2.0 */
/* grant.c - Grant: slabs as large as a thread's rate needs, the next asked for when one is left.
 *   G1  at most one request of a class is under way
 *   G2  a slab that lasted less than SLAB_SHORT_NS is followed by one twice as large, one that lasted eight times as long by
 *       one of half the size: one reading of the clock a slab. Where the daemon gave less than was asked for, what came counts:
 *       else a thread would hoard up to half of its wish, share by share
 *       SLAB_SHORT_NS is longer than a tick of most systems' clocks, 4 ms: so long the daemon may wait for a core where all are taken
 *   G3  an error that answers a request made ahead is not yet anybody's: the ring may still hold spans. It stops asking ahead
 *       until the thread waits, and asks anew, itself
 *       What was asked for ahead may have come since whoever waits looked: then there is nothing to wait for, and a request for more
 *       could be refused, since the ring may be full of it
 *   G4  the classes that a thread may have many of begin with a cell or two, and have one share of the heap among them  */
#include "client/grant.h"

#include "client/safepoint.h"
#include "client/span.h"
#include "client/thread.h"
#include "shm/futex.h"
#include "shm/units.h"

#define SLAB_MIN_BYTES (UINT64_C(32) << 10)
#define SLAB_FIRST_BYTES (UINT64_C(64) << 10)
#define SLAB_OTHERS_MIN_BYTES (UINT64_C(4) << 10) /* of each class from NONMOVING on */
#define SLAB_OTHERS_FIRST_BYTES (UINT64_C(8) << 10)
#define SLAB_MAX_BYTES (UINT64_C(4) << 20)
#define SLAB_HEAP_SHARE 32u /* of the heap's limit, at most, to one thread */
#define SLAB_SHORT_NS UINT64_C(5000000)
#define LOOK_EVERY_NS UINT64_C(1000000000)

static bool under_way(const struct thread *th, enum shm_grant_class class)
{
    /* pairs with the daemon's release of answered: error and published are as of then */
    return at_load_acquire(&th->m->mail[class].answered) != th->slabs[class].mail_serial;
}

/* A thread's share of the heap, less what others of the many classes have or will have ahead if @class is of them (G4). */
static uint64_t slab_max(const struct thread *th, enum shm_grant_class class)
{
    uint64_t share_bytes = at_load_relaxed(&th->heap->control->limit_bytes) / SLAB_HEAP_SHARE;
    uint64_t ahead_bytes = 0;

    for (unsigned i = SHM_GRANT_NONMOVING; class >= SHM_GRANT_NONMOVING && i < SHM_GRANT_CLASSES; i++)
        if (i != class)
            ahead_bytes += th->slabs[i].ahead_bytes + (under_way(th, i) ? th->slabs[i].bytes : 0);
    return MM_MIN(SLAB_MAX_BYTES, share_bytes - MM_MIN(share_bytes, ahead_bytes));
}

static uint64_t slab_adapt(struct thread *th, enum shm_grant_class class) /* G2 */
{
    struct slab *slab = &th->slabs[class];
    bool one_of_many = class >= SHM_GRANT_NONMOVING;
    uint64_t now_ns = mm_now_ns();
    uint64_t lasted_ns = now_ns - slab->asked_ns;

    if (slab->came_bytes != 0)
        slab->bytes = MM_MIN(slab->bytes, slab->came_bytes);
    slab->came_bytes = 0;
    if (slab->bytes == 0)
        slab->bytes = one_of_many ? SLAB_OTHERS_FIRST_BYTES : SLAB_FIRST_BYTES;
    else if (lasted_ns < SLAB_SHORT_NS)
        slab->bytes *= 2;
    else if (lasted_ns > 8 * SLAB_SHORT_NS)
        slab->bytes /= 2;
    slab->asked_ns = now_ns;
    slab->bytes = MM_MAX(MM_MIN(slab->bytes, slab_max(th, class)),
                         one_of_many ? SLAB_OTHERS_MIN_BYTES : SLAB_MIN_BYTES);
    return slab->bytes;
}

static int grant_send(struct thread *th, const struct grant_ask *ask)
{
    struct slab *slab = &th->slabs[ask->class];
    wire_grant grant = wire_grant_init();
    wire_request request = wire_request_init();

    grant.thread = th->id;
    grant.grant_class = ask->class;
    grant.bytes = ask->bytes != 0 ? ask->bytes : MM_MAX(slab_adapt(th, ask->class), ask->min_bytes);
    grant.min_bytes = ask->min_bytes;
    grant.reserve = ask->reserve;
    grant.mail_serial = slab->mail_serial + 1;
    request.body_case = WIRE_REQUEST(GRANT);
    request.grant = &grant;
    int r = connection_post(&th->heap->connection, &request, &slab->wire_serial);
    if (r == MMGC_OK)
        slab->mail_serial++;
    return r;
}

/* What is left of the span in use and of the ring. */
static uint64_t left(struct thread *th, enum shm_grant_class class)
{
    const struct shm_bump *bump = span_bump(th, class);

    return (uint64_t)(bump->end - bump->cursor) + th->slabs[class].ahead_bytes;
}

static bool refused(struct thread *th, enum shm_grant_class class) /* G3 */
{
    struct slab *slab = &th->slabs[class];

    slab->refused |= at_load_relaxed(&th->m->mail[class].error) != MMGC_E_OK;
    return slab->refused;
}

void grant_ask_ahead(struct thread *th, const struct grant_ask *ask)
{
    if (!under_way(th, ask->class) && !refused(th, ask->class)) /* G1 */
        (void)grant_send(th, ask);                              /* if it fails, whoever waits will learn why */
}

void grant_ahead(struct thread *th, enum shm_grant_class class, uint32_t min_bytes)
{
    struct slab *slab = &th->slabs[class];

    if (MM_LIKELY(left(th, class) >= slab->bytes) || under_way(th, class) || refused(th, class)) /* G1 */
        return;
    (void)span_ahead(th, class);
    bool crumbs = slab->seen - slab->taken > shm_ring_capacity(class) / 2; /* so many that more would not fit */
    if (crumbs || left(th, class) >= slab->bytes)
        return;
    struct grant_ask ask = { .class = class, .min_bytes = min_bytes };
    (void)grant_send(th, &ask); /* as in grant_ask_ahead() */
}

/* Until the mailbox answers, or never will. */
static int await_answer(struct thread *th, enum shm_grant_class class)
{
    struct connection *connection = &th->heap->connection;
    struct slab *slab = &th->slabs[class];
    _Atomic uint32_t *answered = &th->m->mail[class].answered;

    for (;;) {
        uint32_t seen = at_load_acquire(answered);
        if (seen == slab->mail_serial)
            return MMGC_OK;
        if (futex_wait(answered, seen, LOOK_EVERY_NS) == FUTEX_WOKEN)
            continue;
        int r = connection_look(connection);
        if (r != MMGC_OK)
            return r;
        r = connection_refused(connection, slab->wire_serial);
        if (r != MMGC_OK) {
            slab->mail_serial = seen; /* no longer under way */
            return r;
        }
    }
}

/* G3. A run of pages is asked for one by one, and nobody looks for one before. */
static bool has_come(const struct thread *th, enum shm_grant_class class)
{
    return class != SHM_GRANT_LARGE && at_load_acquire(&th->m->mail[class].published) != th->slabs[class].seen; /* pairs with the daemon's */
}

int grant_wait_parked(struct thread *th, const struct grant_ask *ask)
{
    struct slab *slab = &th->slabs[ask->class];
    bool ours = !under_way(th, ask->class); /* first: what it brought is there then */

    if (ours && has_come(th, ask->class))
        return MMGC_OK;
    int r = ours ? grant_send(th, ask) : MMGC_OK;
    slab->refused = false;
    if (r == MMGC_OK)
        r = await_answer(th, ask->class);
    if (r != MMGC_OK || !ours)
        return r; /* another's answer: look at what it brought, then ask (G3) */
    int code = (int)at_load_relaxed(&th->m->mail[ask->class].error);
    return code == MMGC_E_OK ? MMGC_OK : error_set(code, NULL);
}

int grant_wait(struct thread *th, const struct grant_ask *ask)
{
    if (!thread_is_in(th))
        return grant_wait_parked(th, ask);
    int r = safepoint_park(th);
    if (r != MMGC_OK)
        return r;
    r = grant_wait_parked(th, ask);
    int resumed = safepoint_resume(th);
    return resumed != MMGC_OK ? resumed : r;
}
