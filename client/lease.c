/* SPDX-License-Identifier: Apache-2.0 */
/* lease.c - Lease: a row of the session's table that pins, and an entry in the heap's table that keeps others away.
 *   L1  the row is there before its entry and after it: an entry's object never moves (shm/lease.h)
 *   L2  who waits has no entry, or one that says UPGRADING; it sleeps PARKED, so collections go on, and tries again only when it is IN
 *   L3  every wait ends at its deadline: it looks by itself each SLICE_NS, so a wake that is lost, or forged, costs no more than that */
#include <mmgc/lease.h>

#include <unistd.h>

#include "client/lease_table.h"
#include "client/misuse.h"
#include "client/row.h"
#include "client/safepoint.h"
#include "shm/futex.h"

#define SLICE_NS UINT64_C(100000000)
#define LEASE_KINDS SHM_ROW_LEASES

static struct row row_of(mmgc_lease lease)
{
    return (struct row){ lease.slot, lease.serial };
}

static struct lease_place place_of(struct mmgc_heap *heap, uint32_t slot)
{
    uint32_t granule = at_load_acquire(&heap->session->row_words[slot]);

    return lease_table_place(heap, granule, slot, heap->row_next[slot]);
}

static int check_heap(struct mmgc_heap *heap)
{
    if (heap == NULL)
        return error_set(MMGC_E_INVALID, "the heap is NULL");
    return fork_check(heap->generation);
}

/* The lease goes on; *ret_tag is its row's. A revoked one is not refused here. */
static int check(struct mmgc_heap *heap, mmgc_lease lease, uint32_t *ret_tag)
{
    int r = row_check(heap, row_of(lease), LEASE_KINDS, ret_tag);

    return r == MMGC_OK && MM_UNLIKELY((*ret_tag & SHM_ROW_ENDING) != 0) ? error_set(MMGC_E_DROPPED, NULL) : r;
}

/* ---- waiting ------------------------------------------------------------------------------------------------------ */

/* Tells the daemon that we wait, or no more. Not answered: that it knows is seen by lease_go. */
static int post_wait(const struct lease_place *p, bool over)
{
    wire_lease_wait wait = wire_lease_wait_init();
    wire_request request = wire_request_init();
    uint32_t serial;

    wait.ref = p->granule;
    wait.slot = p->slot;
    wait.over = over;
    request.body_case = WIRE_REQUEST(LEASE_WAIT);
    request.lease_wait = &wait;
    return connection_post(&p->heap->connection, &request, &serial);
}

/* One sleep, PARKED. MMGC_OK: IN again. */
static int sleep_once(struct thread *th, uint32_t go, uint64_t left_ns)
{
    int r = safepoint_park(th);

    if (r != MMGC_OK)
        return r;
    if (futex_wait(&th->heap->session->lease_go, go, MM_MIN(left_ns, SLICE_NS)) == FUTEX_TIMED_OUT)
        (void)connection_look(&th->heap->connection); /* has the daemon died? resuming says it */
    return safepoint_resume(th);
}

/* Until @attempt is no longer BUSY. It has said so once. */
static int wait_for(struct thread *th, struct lease_place *p, int (*attempt)(struct lease_place *p, enum shm_lease_state state),
                    enum shm_lease_state state, uint64_t timeout_ns)
{
    uint64_t now_ns = mm_now_ns(), deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
    int r = post_wait(p, false);

    if (r != MMGC_OK)
        return r;
    for (;;) {
        uint32_t go = at_load_acquire(&th->heap->session->lease_go);
        r = attempt(p, state);
        now_ns = mm_now_ns();
        if (r == MMGC_E_BUSY && now_ns >= deadline_ns)
            r = error_set(MMGC_E_TIMEOUT, "somebody else has the object");
        if (r == MMGC_E_BUSY)
            r = sleep_once(th, go, deadline_ns - now_ns);
        else
            break;
        if (r != MMGC_OK)
            break;
    }
    (void)post_wait(p, true);
    return r;
}

static int say_busy(int r)
{
    return r == MMGC_E_BUSY ? error_set(r, "somebody else has the object") : r;
}

/* ---- taking ------------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) int explain_take(const struct mmgc_thread *t, const void *object, enum mmgc_lease_mode mode,
                                                  const mmgc_lease *ret_lease)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    if (object == NULL || ret_lease == NULL || (mode != MMGC_LEASE_SHARED && mode != MMGC_LEASE_EXCLUSIVE))
        return error_set(MMGC_E_INVALID, "object or ret_lease is NULL, or there is no such mode");
    if (thread_of(t)->heap->leases == NULL)
        return error_set(MMGC_E_READ_ONLY, NULL);
    const struct shm_session *session = thread_of(t)->heap->session;
    if (session->lease_holder == 0)
        return error_set(MMGC_E_LIMIT, "as many sessions as can lease anything have the heap open");
    return error_set(MMGC_E_LIMIT, "user %u has %u leases, as many as max_leases of [user] in mmgcd.conf allows", (unsigned)geteuid(),
                     at_load_relaxed(&session->lease_limit));
}

static inline int check_take(const struct mmgc_thread *t, const void *object, enum mmgc_lease_mode mode, const mmgc_lease *ret_lease)
{
    bool asked = thread_may_go_on(t) && object != NULL && ret_lease != NULL && (unsigned)mode <= MMGC_LEASE_EXCLUSIVE;

    if (MM_LIKELY(asked && thread_of(t)->heap->leases != NULL && at_load_relaxed(&thread_of(t)->heap->session->may_lease) != 0))
        return MMGC_OK;
    return explain_take(t, object, mode, ret_lease);
}

/* Has the entry, which stands @at; the lease begins, unless it was revoked before it did. */
static inline bool begin(struct mmgc_heap *heap, struct shm_session *session, uint32_t slot, uint32_t at)
{
    heap->row_next[slot] = at;
    at_store_relaxed(&session->row_notes[slot].since_ns, mm_now_coarse_ns());
    return MM_LIKELY((at_load_seq_cst(&session->row_tags[slot]) & SHM_ROW_KIND_MASK) != SHM_ROW_REVOKED);
}

static int end_row(struct mmgc_heap *heap, struct row row, int why)
{
    uint32_t tag = 0;

    if (row_end_begin(heap, row, LEASE_KINDS, &tag) == MMGC_OK)
        row_end_finish(heap, row, tag);
    return why;
}

static int settle_or_take(struct thread *th, struct lease_place *p, enum shm_lease_state state, bool claimed, uint64_t timeout_ns)
{
    int r = claimed ? lease_table_settle_first(p, state) : lease_table_take(p, state);

    return r == MMGC_E_BUSY && timeout_ns > 0 ? wait_for(th, p, lease_table_take, state, timeout_ns) : r;
}

/* The row has begun, and that is all, or an entry is claimed in the first place. */
static __attribute__((noinline)) int take_slowly(struct thread *th, uint32_t granule, struct row row, enum shm_lease_state state,
                                                 bool claimed, uint64_t timeout_ns)
{
    struct lease_place p = lease_table_place(th->heap, granule, row.slot, 0);
    at_store_relaxed(&th->heap->session->row_notes[row.slot].since_ns, 0); /* it is not held, and may not be for long */
    int r = settle_or_take(th, &p, state, claimed, timeout_ns);

    if (r != MMGC_OK)
        return end_row(th->heap, row, say_busy(r));
    if (begin(th->heap, th->heap->session, row.slot, p.at))
        return MMGC_OK;
    lease_table_give_back(&p);
    return end_row(th->heap, row, error_set(MMGC_E_REVOKED, "while it was taken"));
}

static __attribute__((noinline)) int revoked(struct mmgc_heap *heap, uint32_t granule, struct row row)
{
    struct lease_place p = lease_table_place(heap, granule, row.slot, 0);

    lease_table_give_back(&p);
    return end_row(heap, row, error_set(MMGC_E_REVOKED, "while it was taken"));
}

static inline __attribute__((always_inline)) int take_with_row(struct thread *th, uint32_t granule, struct row row,
                                                               enum shm_lease_state state, uint64_t timeout_ns)
{
    struct mmgc_heap *heap = th->heap;
    struct shm_session *session = heap->session;
    struct shm_lease_bucket *home = mmgc_launder_(lease_table_home(heap, granule)); /* one register for all its places */
    bool claimed;

    if (MM_UNLIKELY(!lease_table_take_first(home, lease_table_entry(session, granule, row.slot), state, &claimed)))
        return take_slowly(th, granule, row, state, claimed, timeout_ns);
    return MM_LIKELY(begin(heap, session, row.slot, 0)) ? MMGC_OK : revoked(heap, granule, row);
}

/* Calls nothing, but for the time, unless something is out of the ordinary. */
static inline __attribute__((always_inline)) int take(struct mmgc_thread *t, const void *object, enum mmgc_lease_mode mode, const char *name,
                                                      uint64_t timeout_ns, mmgc_lease *ret_lease)
{
    enum shm_row_kind kind = SHM_ROW_SHARED + (unsigned)mode;
    int r = check_take(t, object, mode, ret_lease);
    struct row row, slow;

    if (MM_UNLIKELY(r != MMGC_OK))
        return r;
    struct thread *th = thread_of(t);
    uint32_t granule = row_granule(th, object);
    if (MM_UNLIKELY(!row_begin_at_once(th, kind, object, granule, name, true, &row))) { /* L1 */
        r = row_begin(th, kind, object, name, &slow);
        if (r != MMGC_OK)
            return r;
        row = slow; /* whose address is taken, so it stands in memory */
    }
    r = take_with_row(th, granule, row, SHM_LEASE_SHARED + (unsigned)mode, timeout_ns);
    if (MM_UNLIKELY(r != MMGC_OK))
        return r;
    ret_lease->slot = row.slot;
    ret_lease->serial = row.serial;
    return MMGC_OK;
}
static_assert(MMGC_LEASE_SHARED == 0 && MMGC_LEASE_EXCLUSIVE == 1 && SHM_LEASE_EXCLUSIVE == SHM_LEASE_SHARED + 1, "take()");

MM_NO_CANARY int mmgc_lease_try(struct mmgc_thread *t, const void *object, enum mmgc_lease_mode mode, const char *name, mmgc_lease *ret_lease)
{
    return MISUSE(take(t, object, mode, name, 0, ret_lease));
}

MM_NO_CANARY int mmgc_lease_take(struct mmgc_thread *t, const void *object, enum mmgc_lease_mode mode, const char *name, uint64_t timeout_ns,
                                 mmgc_lease *ret_lease)
{
    return MISUSE(take(t, object, mode, name, timeout_ns, ret_lease));
}

/* ---- changing ----------------------------------------------------------------------------------------------------- */

/* From the kind of @tag to @kind, if nobody has changed it. */
static bool change_kind(struct mmgc_heap *heap, uint32_t slot, uint32_t tag, enum shm_row_kind kind)
{
    return at_cas_seq_cst(&heap->session->row_tags[slot], &tag, shm_row_tag(kind, shm_row_serial(tag)));
}

static int attempt_upgrade(struct lease_place *p, enum shm_lease_state state)
{
    (void)state;
    return lease_table_upgrade(p);
}

static int upgrade_shared(struct thread *th, struct lease_place *p, uint32_t tag, uint64_t timeout_ns)
{
    int r = lease_table_upgrade_begin(p);

    if (r != MMGC_OK)
        return r;
    r = lease_table_upgrade(p);
    if (r == MMGC_E_BUSY && timeout_ns > 0)
        r = wait_for(th, p, attempt_upgrade, SHM_LEASE_UPGRADING, timeout_ns);
    if (r == MMGC_OK && change_kind(p->heap, p->slot, tag, SHM_ROW_EXCLUSIVE))
        return MMGC_OK;
    if (r == MMGC_OK) /* its entry goes with the tag, whoever has changed that */
        return error_set(MMGC_E_REVOKED, "while it was upgraded");
    if (r != MMGC_E_REVOKED)
        (void)lease_table_downgrade(p, SHM_LEASE_UPGRADING);
    return say_busy(r);
}

static int upgrade(struct mmgc_thread *t, mmgc_lease lease, uint64_t timeout_ns)
{
    uint32_t tag = 0;
    int r = thread_check_in(t);

    if (r == MMGC_OK)
        r = check(thread_of(t)->heap, lease, &tag);
    if (r != MMGC_OK || shm_row_kind(tag) == SHM_ROW_EXCLUSIVE)
        return r;
    if (shm_row_kind(tag) == SHM_ROW_REVOKED)
        return error_set(MMGC_E_REVOKED, NULL);
    struct lease_place p = place_of(thread_of(t)->heap, lease.slot);
    return upgrade_shared(thread_of(t), &p, tag, timeout_ns);
}

int mmgc_lease_upgrade(struct mmgc_thread *t, mmgc_lease lease, uint64_t timeout_ns)
{
    return MISUSE(upgrade(t, lease, timeout_ns));
}

/* The entry first: a row that says SHARED never has one that says more. */
static int downgrade(struct mmgc_heap *heap, mmgc_lease lease)
{
    uint32_t tag = 0;
    int r = check_heap(heap);

    if (r == MMGC_OK)
        r = check(heap, lease, &tag);
    if (r != MMGC_OK || shm_row_kind(tag) == SHM_ROW_SHARED)
        return r;
    if (shm_row_kind(tag) == SHM_ROW_REVOKED)
        return error_set(MMGC_E_REVOKED, NULL);
    struct lease_place p = place_of(heap, lease.slot);
    r = lease_table_downgrade(&p, SHM_LEASE_EXCLUSIVE);
    if (r == MMGC_OK && !change_kind(heap, lease.slot, tag, SHM_ROW_SHARED))
        return error_set(MMGC_E_REVOKED, NULL);
    return r;
}

int mmgc_lease_downgrade(struct mmgc_heap *heap, mmgc_lease lease)
{
    return MISUSE(downgrade(heap, lease));
}

/* ---- giving back, looking ----------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void give_back_slowly(struct mmgc_heap *heap, uint32_t slot)
{
    struct lease_place p = place_of(heap, slot);

    lease_table_give_back(&p);
}

static __attribute__((noinline)) int release(struct mmgc_heap *heap, mmgc_lease lease)
{
    uint32_t tag = 0;
    int r = check_heap(heap);

    if (r == MMGC_OK)
        r = row_end_begin(heap, row_of(lease), LEASE_KINDS, &tag);
    if (r != MMGC_OK)
        return r;
    give_back_slowly(heap, lease.slot);
    row_end_finish(heap, row_of(lease), tag);
    return MMGC_OK;
}

/* @tag is what its row's was. Of a revoked one nothing stands there, or something else. */
static inline void give_back(struct mmgc_heap *heap, uint32_t slot, uint32_t tag)
{
    struct shm_session *session = heap->session;
    uint32_t granule = at_load_acquire(&session->row_words[slot]);
    enum shm_lease_state state = SHM_LEASE_SHARED + ((tag & SHM_ROW_KIND_MASK) - SHM_ROW_SHARED);
    bool first = heap->row_next[slot] == 0;

    uint64_t entry = lease_table_entry(session, granule, slot);
    if (MM_UNLIKELY(!first || !lease_table_give_back_first(lease_table_home(heap, granule), entry, state)))
        give_back_slowly(heap, slot);
}

int mmgc_lease_release(struct mmgc_heap *heap, mmgc_lease lease)
{
    bool known = heap != NULL && heap->generation == fork_generation;
    uint32_t tag = MM_LIKELY(known) ? row_end_begin_at_once(heap->session, row_of(lease)) : 0;

    if (MM_UNLIKELY(tag == 0))
        return MISUSE(release(heap, lease));
    give_back(heap, lease.slot, tag);
    row_end_finish(heap, row_of(lease), tag);
    return MMGC_OK;
}

MM_NO_CANARY void *mmgc_lease_object(struct mmgc_heap *heap, mmgc_lease lease)
{
    uint32_t tag = 0;
    int r = check_heap(heap);

    if (r == MMGC_OK)
        r = check(heap, lease, &tag);
    if (MISUSE(r) != MMGC_OK)
        return NULL;
    return heap->base + (uint64_t)at_load_acquire(&heap->session->row_words[lease.slot]) * MM_GRANULE_BYTES;
}

MM_NO_CANARY int mmgc_lease_check(struct mmgc_heap *heap, mmgc_lease lease)
{
    uint32_t tag = 0;
    int r = check_heap(heap);

    if (r == MMGC_OK)
        r = check(heap, lease, &tag);
    return r == MMGC_OK && shm_row_kind(tag) == SHM_ROW_REVOKED ? error_set(MMGC_E_REVOKED, NULL) : r;
}
