/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lease_table.h"

#include "client/error.h"

#define NOWHERE UINT32_MAX
#define TRIES 64u /* claims that others were faster at; each time somebody got on */
#define SPINS 2000u /* for one that tries at the same moment: it has a few instructions to run until it has it or has gone */

struct seen { /* what a look at all entries about one object has found */
    enum shm_lease_conflict lower, higher; /* at places before our own, and after it */
    uint32_t free; /* the first place that is; NOWHERE: none */
};

static struct shm_lease_bucket *bucket_of(const struct lease_place *p, uint32_t distance)
{
    return shm_lease_bucket(p->heap->leases, shm_lease_home(p->granule), distance);
}

static _Atomic uint64_t *place_of(const struct lease_place *p)
{
    if (MM_LIKELY(p->at < SHM_LEASE_PLACES))
        return &p->home->entries[p->at];
    return &bucket_of(p, p->at / SHM_LEASE_PLACES)->entries[p->at % SHM_LEASE_PLACES];
}

static uint64_t entry_of(const struct lease_place *p, enum shm_lease_state state)
{
    uint64_t distance = MM_LIKELY(p->at < SHM_LEASE_PLACES) ? 0 : p->at / SHM_LEASE_PLACES;

    return p->entry | distance << 3 | (uint64_t)state; /* shm_lease_object() */
}

static bool change(const struct lease_place *p, uint64_t from, uint64_t to)
{
    return at_cas_seq_cst(place_of(p), &from, to);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

static inline void look_at(const struct lease_place *p, uint32_t distance, enum shm_lease_state mine, struct seen *seen)
{
    struct shm_lease_bucket *bucket = bucket_of(p, distance);
    uint64_t object = shm_lease_object(p->granule, distance);

    for (uint32_t i = 0, at = distance * SHM_LEASE_PLACES; i < SHM_LEASE_PLACES; i++, at++) {
        uint64_t entry = at_load_seq_cst(&bucket->entries[i]);
        if (entry == 0) {
            seen->free = MM_MIN(seen->free, at);
        } else if ((entry & SHM_LEASE_OBJECT_MASK) == object && at != p->at) {
            enum shm_lease_conflict conflict = shm_lease_conflict(mine, shm_lease_state(entry));
            enum shm_lease_conflict *side = at < p->at ? &seen->lower : &seen->higher;
            *side = MM_MAX(*side, conflict);
        }
    }
}

static uint32_t extent_of(const struct lease_place *p)
{
    uint32_t extent = at_load_seq_cst(&p->home->extent);

    return MM_MIN(extent, SHM_LEASE_EXTENT_MAX);
}

static __attribute__((noinline)) struct seen look(const struct lease_place *p, enum shm_lease_state mine)
{
    struct seen seen = { SHM_LEASE_FREE, SHM_LEASE_FREE, NOWHERE };

    look_at(p, 0, mine, &seen);
    for (uint32_t distance = 1, extent = extent_of(p); distance <= extent; distance++)
        look_at(p, distance, mine, &seen);
    return seen;
}

/* Where @mine may be claimed: nearer home than any entry of the object reaches, or one bucket further, which is said before. */
static uint32_t find_free(const struct lease_place *p, const struct seen *seen)
{
    struct seen next = { SHM_LEASE_FREE, SHM_LEASE_FREE, seen->free };
    uint32_t extent = extent_of(p);

    for (uint32_t distance = extent + 1; next.free == NOWHERE && distance <= SHM_LEASE_EXTENT_MAX; distance++)
        look_at(p, distance, SHM_LEASE_NONE, &next);
    if (next.free == NOWHERE || next.free / SHM_LEASE_PLACES <= extent)
        return next.free;
    while (extent < next.free / SHM_LEASE_PLACES)
        if (at_cas_seq_cst(&p->home->extent, &extent, next.free / SHM_LEASE_PLACES))
            break;
    return next.free;
}

static void pause_a_moment(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* ---- giving back -------------------------------------------------------------------------------------------------- */

static void tell_who_waits(const struct lease_place *p)
{
    wire_lease_released released = wire_lease_released_init();
    wire_request request = wire_request_init();
    uint32_t serial;

    if (MM_LIKELY(at_load_seq_cst(&p->home->waiters) == 0))
        return;
    released.ref = p->granule;
    request.body_case = WIRE_REQUEST(LEASE_RELEASED);
    request.lease_released = &released;
    (void)connection_post(&p->heap->connection, &request, &serial); /* a daemon that is gone wakes nobody, but they look by themselves */
}

void lease_table_give_back(const struct lease_place *p)
{
    uint64_t entry = at_load_seq_cst(place_of(p)), ours = entry_of(p, SHM_LEASE_NONE);

    while (shm_lease_with_state(entry, SHM_LEASE_NONE) == ours) /* else the daemon was faster */
        if (at_cas_seq_cst(place_of(p), &entry, 0))
            break;
    tell_who_waits(p);
}

int lease_table_downgrade(const struct lease_place *p, enum shm_lease_state state)
{
    if (!change(p, entry_of(p, state), entry_of(p, SHM_LEASE_SHARED)))
        return error_set(MMGC_E_REVOKED, NULL);
    tell_who_waits(p);
    return MMGC_OK;
}

/* ---- taking ------------------------------------------------------------------------------------------------------- */

/* MMGC_OK: there is an entry that only tries; what comes of it is yet to be seen. */
static int claim(struct lease_place *p, enum shm_lease_state try)
{
    for (unsigned i = 0; i < TRIES; i++) {
        p->at = NOWHERE;
        struct seen seen = look(p, try);
        if (seen.lower == SHM_LEASE_TAKEN) /* nothing is higher than nowhere */
            return MMGC_E_BUSY;
        p->at = MM_LIKELY(seen.free != NOWHERE) ? seen.free : find_free(p, &seen);
        if (p->at == NOWHERE)
            return error_set(MMGC_E_LIMIT, "no place is left for a lease near this object's");
        if (change(p, 0, entry_of(p, try)))
            return MMGC_OK;
    }
    return MMGC_E_BUSY;
}

/* Of entries that try at once the lowest goes on; it waits for the others to go, or to have been faster. */
static int settle(const struct lease_place *p, enum shm_lease_state try)
{
    if (MM_LIKELY(p->at == 0 && lease_table_rest_is_empty(p->home)))
        return MMGC_OK;
    for (unsigned i = 0; i < SPINS; i++) {
        struct seen seen = look(p, try);
        if (seen.lower != SHM_LEASE_FREE || seen.higher == SHM_LEASE_TAKEN)
            return MMGC_E_BUSY;
        if (MM_LIKELY(seen.higher == SHM_LEASE_FREE))
            return MMGC_OK;
        pause_a_moment();
    }
    return MMGC_E_BUSY;
}

static int settle_as(const struct lease_place *p, enum shm_lease_state state)
{
    enum shm_lease_state try = lease_table_try(state);
    int r = settle(p, try);

    if (r == MMGC_OK && MM_UNLIKELY(!change(p, entry_of(p, try), entry_of(p, state))))
        return MMGC_E_BUSY; /* the daemon takes us for dead, or an administrator wants the lease back */
    if (r != MMGC_OK)
        lease_table_give_back(p);
    return r;
}

int lease_table_take(struct lease_place *p, enum shm_lease_state state)
{
    int r = claim(p, lease_table_try(state));

    return r == MMGC_OK ? settle_as(p, state) : r;
}

int lease_table_settle_first(const struct lease_place *p, enum shm_lease_state state)
{
    if (!change(p, entry_of(p, state), entry_of(p, lease_table_try(state))))
        return MMGC_E_BUSY; /* as in settle_as() */
    return settle_as(p, state);
}

/* ---- upgrading ---------------------------------------------------------------------------------------------------- */

int lease_table_upgrade_begin(const struct lease_place *p)
{
    if (!change(p, entry_of(p, SHM_LEASE_SHARED), entry_of(p, SHM_LEASE_UPGRADE_TRY)))
        return error_set(MMGC_E_REVOKED, NULL);
    if (settle(p, SHM_LEASE_UPGRADE_TRY) == MMGC_OK) {
        bool done = change(p, entry_of(p, SHM_LEASE_UPGRADE_TRY), entry_of(p, SHM_LEASE_UPGRADING));
        return done ? MMGC_OK : error_set(MMGC_E_REVOKED, NULL);
    }
    int r = lease_table_downgrade(p, SHM_LEASE_UPGRADE_TRY);
    return r == MMGC_OK ? error_set(MMGC_E_DEADLOCK, "another holder upgrades, and waits for this one to go") : r;
}

int lease_table_upgrade(const struct lease_place *p)
{
    struct seen seen = look(p, SHM_LEASE_UPGRADING);

    if (seen.lower != SHM_LEASE_FREE || seen.higher != SHM_LEASE_FREE)
        return MMGC_E_BUSY;
    bool done = change(p, entry_of(p, SHM_LEASE_UPGRADING), entry_of(p, SHM_LEASE_EXCLUSIVE));
    return done ? MMGC_OK : error_set(MMGC_E_REVOKED, NULL);
}
