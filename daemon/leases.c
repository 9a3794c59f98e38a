/* SPDX-License-Identifier: Apache-2.0 */
/* leases.c - Leases: holders, waiters, and entries that nobody will take away but us.
 *   E1  a holder's number is a session's from its entering until its entries are cleared, so no entry is taken for another session's. It is
 *       given out again as late as possible
 *   E2  `waiters` of a bucket is set <=> somebody is registered whose object has its home there: set before he is told so
 *   E3  an entry of a living session is taken away for want of a row only while the world is stopped: then nobody makes one (shm/lease.h)
 *   E4  pages of the table that nobody has touched are not read: that would allocate them (soundness S12) */
#include "daemon/leases.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "shm/futex.h"
#include "shm/units.h"

#define BUCKETS_A_PAGE (MM_PAGE_BYTES / sizeof(struct shm_lease_bucket))
#define TABLE_PAGES (sizeof(struct shm_leases) / MM_PAGE_BYTES)
#define TRIES 8 /* at an entry whose state changes under our hands: an honest holder does that once or twice */
#define ANY_SLOT UINT32_MAX

int leases_init(struct leases *l)
{
    int r = shm_segment_new(&l->segment, sizeof(struct shm_leases), "mmgc-leases");

    TAILQ_INIT(&l->waiters);
    if (r == 0)
        l->table = shm_segment_address(l->segment);
    return r;
}

void leases_fini(struct leases *l)
{
    shm_segment_unref(l->segment);
}

/* ---- waiters ------------------------------------------------------------------------------------------------------ */

static void wake(struct session *s)
{
    (void)atomic_fetch_add_explicit(&s->words->lease_go, 1, memory_order_release); /* pairs with wait_for() in client/lease.c */
    futex_wake_all(&s->words->lease_go);
}

static struct lease_waiter *find_waiter(struct leases *l, const struct session *s, uint32_t slot)
{
    struct lease_waiter *w;

    TAILQ_FOREACH(w, &l->waiters, link)
    if (w->session == s && w->slot == slot)
        return w;
    return NULL;
}

static void show_waiters(struct leases *l, uint32_t ref) /* E2 */
{
    uint32_t home = shm_lease_home(ref), any = 0;
    struct lease_waiter *w;

    TAILQ_FOREACH(w, &l->waiters, link)
    any |= shm_lease_home(w->ref) == home;
    (void)atomic_exchange_explicit(&shm_lease_bucket(l->table, home, 0)->waiters, any, memory_order_seq_cst);
}

static void forget(struct leases *l, struct lease_waiter *w)
{
    uint32_t ref = w->ref;

    w->session->lease_waits--;
    TAILQ_REMOVE(&l->waiters, w, link);
    free(w);
    show_waiters(l, ref);
}

void leases_released(struct shared_heap *h, uint32_t ref)
{
    struct lease_waiter *w;

    TAILQ_FOREACH(w, &h->leases.waiters, link)
    if (w->ref == ref)
        wake(w->session);
}

uint32_t leases_waiters(const struct shared_heap *h, uint32_t ref)
{
    const struct lease_waiter *w;
    uint32_t count = 0;

    TAILQ_FOREACH(w, &h->leases.waiters, link)
    count += w->ref == ref;
    return count;
}

void leases_wait_over(struct shared_heap *h, struct session *s, uint32_t slot)
{
    struct lease_waiter *w = find_waiter(&h->leases, s, slot);

    if (w != NULL)
        forget(&h->leases, w);
}

/* ---- entries ------------------------------------------------------------------------------------------------------ */

static bool is_of(uint64_t entry, uint32_t holder, uint32_t slot)
{
    return entry != 0 && shm_lease_holder(entry) == holder && (slot == ANY_SLOT || shm_lease_slot(entry) == slot);
}

static void clear_in_bucket(struct shared_heap *h, uint32_t bucket, uint32_t holder, uint32_t slot)
{
    for (uint32_t i = 0; i < SHM_LEASE_PLACES; i++) {
        _Atomic uint64_t *place = &h->leases.table->buckets[bucket].entries[i];
        uint64_t entry = at_load_seq_cst(place);
        for (int tries = 0; tries < TRIES && is_of(entry, holder, slot); tries++)
            if (at_cas_seq_cst(place, &entry, 0)) {
                leases_released(h, shm_lease_granule(entry, bucket));
                break;
            }
    }
}

/* Wherever they are: a client says nothing true of that but by what it has written. */
static void clear_entries(struct shared_heap *h, uint32_t holder, uint32_t slot)
{
    unsigned char present[TABLE_PAGES];

    if (mincore(shm_segment_address(h->leases.segment), sizeof(struct shm_leases), present) < 0)
        return;
    for (uint32_t page = 0; page < TABLE_PAGES; page++)
        for (uint32_t i = 0; i < BUCKETS_A_PAGE && (present[page] & 1) != 0; i++) /* E4 */
            clear_in_bucket(h, page * (uint32_t)BUCKETS_A_PAGE + i, holder, slot);
}

/* ---- holders ------------------------------------------------------------------------------------------------------ */

static bool holder_is_known(const struct leases *l, uint32_t holder)
{
    return (l->holders[holder / 64] >> holder % 64 & 1) != 0;
}

void leases_enter(struct shared_heap *h, struct session *s)
{
    struct leases *l = &h->leases;

    for (uint32_t i = 0; i < SHM_LEASE_HOLDER_MAX && !s->read_only; i++) {
        l->last_holder = l->last_holder % SHM_LEASE_HOLDER_MAX + 1; /* 1 to the maximum, round and round (E1) */
        if (holder_is_known(l, l->last_holder))
            continue;
        l->holders[l->last_holder / 64] |= UINT64_C(1) << l->last_holder % 64;
        s->lease_holder = l->last_holder;
        __atomic_store_n(&s->words->lease_holder, l->last_holder, __ATOMIC_RELAXED); /* before it is sent the segment */
        return;
    }
}

void leases_leave(struct shared_heap *h, struct session *s)
{
    struct lease_waiter *w, *next;

    for (w = TAILQ_FIRST(&h->leases.waiters); w != NULL; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->session == s)
            forget(&h->leases, w);
    }
    if (s->lease_holder == 0)
        return;
    clear_entries(h, s->lease_holder, ANY_SLOT);
    h->leases.holders[s->lease_holder / 64] &= ~(UINT64_C(1) << s->lease_holder % 64);
    s->lease_holder = 0;
}

static struct session *session_of(const struct shared_heap *h, uint32_t holder)
{
    struct session *s;

    TAILQ_FOREACH(s, &h->sessions, in_heap)
    if (s->lease_holder == holder)
        return s;
    return NULL;
}

/* ---- entries without a row ---------------------------------------------------------------------------------------- */

static bool has_row(const struct session *s, uint64_t entry, uint32_t bucket)
{
    uint32_t slot = shm_lease_slot(entry); /* 20 bits: in the table */
    uint32_t kind = shm_row_kind(at_load_acquire(&s->words->row_tags[slot]));

    return slot < s->server->config.max_handles && (SHM_ROW_LEASES >> kind & 1u) != 0 &&
           at_load_relaxed(&s->words->row_words[slot]) == shm_lease_granule(entry, bucket);
}

static void suspect(struct shared_heap *h, const struct session *s, uint64_t entry, uint32_t bucket, uint32_t place)
{
    struct leases *l = &h->leases;

    if (!shared_heap_try_lock(h))
        return; /* the next one who waits, or the same one a slice later, asks again */
    if (l->suspect_count < LEASE_SUSPECTS_MAX)
        l->suspects[l->suspect_count++] = (struct lease_suspect){ s->id, entry, bucket, place };
    shared_heap_unlock(h);
}

/* Somebody waits for an end of this entry: will there be one? */
static void doubt(struct shared_heap *h, uint32_t bucket, uint32_t place)
{
    _Atomic uint64_t *at = &h->leases.table->buckets[bucket].entries[place];
    uint64_t entry = at_load_seq_cst(at);
    const struct session *s = entry == 0 ? NULL : session_of(h, shm_lease_holder(entry));

    if (entry != 0 && s == NULL)
        (void)at_cas_seq_cst(at, &entry, 0);
    else if (s != NULL && !has_row(s, entry, bucket))
        suspect(h, s, entry, bucket, place);
}

static void doubt_holders(struct shared_heap *h, uint32_t ref)
{
    uint32_t home = shm_lease_home(ref), extent = at_load_relaxed(&shm_lease_bucket(h->leases.table, home, 0)->extent);

    for (uint32_t d = 0; d <= MM_MIN(extent, SHM_LEASE_EXTENT_MAX); d++)
        for (uint32_t i = 0; i < SHM_LEASE_PLACES; i++)
            doubt(h, (home + d) % SHM_LEASE_BUCKETS, i);
}

void leases_check_stw(struct shared_heap *h, const struct collector_task *task)
{
    struct leases *l = &h->leases;

    for (uint32_t i = 0; i < l->suspect_count; i++) {
        const struct lease_suspect *suspect = &l->suspects[i];
        uint64_t entry = suspect->entry;
        for (size_t k = 0; k < task->session_count; k++)
            if (task->sessions[k]->id == suspect->session && !has_row(task->sessions[k], entry, suspect->bucket))
                (void)at_cas_seq_cst(&l->table->buckets[suspect->bucket].entries[suspect->place], &entry, 0); /* E3 */
    }
    l->suspect_count = 0;
}

/* ---- what clients and administrators ask -------------------------------------------------------------------------- */

enum lease_wait leases_wait(struct shared_heap *h, struct session *s, uint32_t ref, uint32_t slot)
{
    struct lease_waiter *w = find_waiter(&h->leases, s, slot);

    if (w != NULL)
        forget(&h->leases, w);
    if (s->lease_waits >= h->server->config.max_threads)
        return LEASE_WAITS_TOO_MANY;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return LEASE_WAITS_NOMEM;
    *w = (struct lease_waiter){ .session = s, .ref = ref, .slot = slot };
    TAILQ_INSERT_TAIL(&h->leases.waiters, w, link);
    s->lease_waits++;
    show_waiters(&h->leases, ref);
    doubt_holders(h, ref);
    wake(s); /* it looks once more: what was given back before the bucket said that it waits, nobody told us */
    return LEASE_WAITS;
}

bool leases_revoke(struct shared_heap *h, struct session *s, uint32_t slot)
{
    uint32_t tag = at_load_acquire(&s->words->row_tags[slot]);

    for (int tries = 0; tries < TRIES; tries++) {
        enum shm_row_kind kind = shm_row_kind(tag);
        if ((kind != SHM_ROW_SHARED && kind != SHM_ROW_EXCLUSIVE) || (tag & SHM_ROW_ENDING) != 0)
            return false;
        if (!at_cas_seq_cst(&s->words->row_tags[slot], &tag, shm_row_tag(SHM_ROW_REVOKED, shm_row_serial(tag))))
            continue;
        clear_entries(h, s->lease_holder, slot);
        return true;
    }
    return false;
}
