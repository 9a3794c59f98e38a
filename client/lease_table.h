/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Lease table: one lease's entry in the table that a heap's clients share (shm/lease.h has the order and why it is right).
 *   Threads  any; of one lease one at a time. What takes or upgrades is IN, what gives back may be anywhere
 *   Errors   MMGC_OK; MMGC_E_BUSY: somebody is in the way; MMGC_E_LIMIT: no place near the object's home is free;
 *            MMGC_E_DEADLOCK: another holder upgrades; MMGC_E_REVOKED: the daemon has taken the entry away            */
#include <stdint.h>

#include "client/heap.h"

struct lease_place {                         /* what one lease is told by: lease_table_place() */
    struct mmgc_heap *heap;
    struct shm_lease_bucket *home;
    uint64_t entry;                          /* of no state, and at home */
    uint32_t granule, slot;                  /* of its object; its row */
    uint32_t at;                             /* where its entry stands: buckets from home * SHM_LEASE_PLACES + the place in it */
};

static inline struct shm_lease_bucket *lease_table_home(struct mmgc_heap *heap, uint32_t granule)
{
    return shm_lease_bucket(heap->leases, shm_lease_home(granule), 0);
}
static inline uint64_t lease_table_entry(const struct shm_session *session, uint32_t granule, uint32_t slot)
{
    return shm_lease_entry(shm_lease_object(granule, 0), slot, session->lease_holder, SHM_LEASE_NONE);
}
static inline struct lease_place lease_table_place(struct mmgc_heap *heap, uint32_t granule, uint32_t slot, uint32_t at)
{
    return (struct lease_place){
        .heap = heap,
        .home = lease_table_home(heap, granule),
        .entry = lease_table_entry(heap->session, granule, slot),
        .granule = granule,
        .slot = slot,
        .at = at,
    };
}
/* From no entry to one of @state, SHARED or EXCLUSIVE. Not MMGC_OK: there is none. */
int lease_table_take(struct lease_place *p, enum shm_lease_state state);
/* The second half of that, for an entry in the first place that has @state and may yet have to give way. */
int lease_table_settle_first(const struct lease_place *p, enum shm_lease_state state);
/* From an entry of whatever state to none, unless it has gone already. Who waits is told. */
void lease_table_give_back(const struct lease_place *p);
/* SHARED to UPGRADING: nobody new shares it. Not MMGC_OK: it is SHARED as before, or revoked. */
int lease_table_upgrade_begin(const struct lease_place *p);
/* UPGRADING to EXCLUSIVE, if nobody else has it. MMGC_E_BUSY: it is UPGRADING as before. */
int lease_table_upgrade(const struct lease_place *p);
/* From @state to SHARED; who waits is told. */
int lease_table_downgrade(const struct lease_place *p, enum shm_lease_state state);

/* ---- the same as above, as nearly always: nobody else has an entry in the home bucket ----------------------------- */

static inline enum shm_lease_state lease_table_try(enum shm_lease_state state)
{
    return state - (SHM_LEASE_SHARED - SHM_LEASE_SHARED_TRY);
}
static_assert(SHM_LEASE_EXCLUSIVE - SHM_LEASE_EXCLUSIVE_TRY == SHM_LEASE_SHARED - SHM_LEASE_SHARED_TRY, "lease_table_try()");
/* But for its first place the home bucket is empty, and always was enough. */
static inline bool lease_table_rest_is_empty(const struct shm_lease_bucket *home)
{
    uint64_t rest = at_load_seq_cst(&home->extent);

#pragma GCC unroll 8
    for (uint32_t i = 1; i < SHM_LEASE_PLACES; i++)
        rest |= at_load_seq_cst(&home->entries[i]);
    return rest == 0;
}
/* lease_table_take() in the first place of @home; @entry is of no state. Before the first place there is none, so an entry there is never what
 * gives way to one that tries: it need not try itself. *ret_claimed: there is an entry now, of @state, whose worth is yet to be seen. */
static inline bool lease_table_take_first(struct shm_lease_bucket *home, uint64_t entry, enum shm_lease_state state, bool *ret_claimed)
{
    uint64_t none = 0;

    *ret_claimed = at_load_seq_cst(&home->entries[0]) == 0 && lease_table_rest_is_empty(home) &&
                   at_cas_seq_cst(&home->entries[0], &none, entry | (uint64_t)state);
    return MM_LIKELY(*ret_claimed && lease_table_rest_is_empty(home));
}
/* lease_table_give_back(), if it is there and in @state, and nobody waits. False: it may have gone, but nobody was told. */
static inline bool lease_table_give_back_first(struct shm_lease_bucket *home, uint64_t entry, enum shm_lease_state state)
{
    uint64_t ours = entry | (uint64_t)state;

    return MM_LIKELY(at_cas_seq_cst(&home->entries[0], &ours, 0) && at_load_seq_cst(&home->waiters) == 0);
}
