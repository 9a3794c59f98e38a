/* SPDX-License-Identifier: Apache-2.0 */
/* write_barrier.c - Write barrier: what a store does that finds its line's byte set, and stores to many fields at once.
 *   B1  (soundness S1) LINES: entry, pushed, byte, then the field. FIELDS: entry, tentative, bit, pushed, then the field. Whatever
 *       instruction is the thread's last: what has changed is in an entry in the ring, or lost was raised
 *   B2  FIELDS: the bit is looked at again after old was read: it is set, so nobody had stored by then, and old is what stood there.
 *       An entry that loses the race for the bit is right as well: if its thread dies over it, it may be counted
 *       An entry that is taken back is counted as such before its place is written again, word after word: whoever reads it
 *       meanwhile learns that it is not one (write_barrier.h, Beside)
 *   B3  nothing here waits, blocks or polls: it is no safepoint, and the ring's end is no reason to be late
 *   Orders  on x86-64 the loads and stores below are plain ones, and the AND is the one locked instruction  */
#include "client/write_barrier.h"

#include <mmgc/mmgc.h>

#include "client/hold.h"
#include "client/hold_admit.h"
#include "shm/units.h"

#define WORD_BITS 64u
/* After as many the daemon is asked to make room: at 11 ns an entry, which is the fastest, it has half a millisecond. */
#define DRAIN_ENTRIES (SHM_LOG_CAPACITY / 4)

/* So that the byte of the line at an address is at this plus a 256th of it. */
static inline uint64_t lines_for(const struct thread *th, const volatile void *lines)
{
    return (uintptr_t)lines - ((uintptr_t)th->m->base >> MM_LINE_LOG);
}

static inline void look_where_due(struct thread *th)
{
    bool held = hold_is_open(th);

    th->m->log_lines = held ? lines_for(th, th->heap->held_lines) : th->log_lines;
    th->field_bits = held ? NULL : th->log_bits;
}

/* Why no store goes unlogged. Control's word is raised only while the world is stopped, before the even epoch is stored (release).
 * We are IN and have acquired an even epoch: so we see every value stored before the resume it stands for; and the next stop,
 * were it under way, waits for us before anything changes (S4). Attaching, the thread is OUT: it comes here again before it may
 * store. That it has been lowered we may miss: rests() looks again. */
void write_barrier_follow(struct thread *th)
{
    const struct mmgc_heap *heap = th->heap;
    bool logs = heap->log_lines != NULL && at_load_relaxed(&heap->control->barrier_active) != 0; /* NULL if opened read-only */

    th->log_lines = logs ? lines_for(th, heap->log_lines) : lines_for(th, heap->quiet_lines);
    th->log_bits = heap->control->barrier == SHM_BARRIER_FIELDS ? heap->log_bits : NULL;
    look_where_due(th);
}

void write_barrier_hold(struct thread *th)
{
    look_where_due(th);
}

void write_barrier_rest(struct thread *th)
{
    th->log_lines = lines_for(th, th->heap->quiet_lines);
    if (!hold_is_open(th))
        th->m->log_lines = th->log_lines;
}

bool write_barrier_logs(const struct thread *th)
{
    return th->log_lines != lines_for(th, th->heap->quiet_lines);
}

/* With a hold open: what mmgc_must_log_() says without. */
static inline bool must_log(const struct thread *th, const void *slot)
{
    return at_load_relaxed((const _Atomic uint8_t *)(uintptr_t)(th->log_lines + ((uintptr_t)slot >> MM_LINE_LOG))) != 0;
}

/* Marking has come to its end while we were inside: nobody asks what is stored from here on. */
static inline bool rests(struct thread *th)
{
    if (MM_LIKELY(at_load_relaxed(&th->heap->control->barrier_active) != 0))
        return false;
    write_barrier_rest(th);
    return true;
}

/* Asks without waiting. If it cannot be sent the ring fills, and the collection that follows looks at everything. Its locals, for which there
 * is a stack protector, are no business of its callers. */
static __attribute__((noinline)) void ask_drain(struct thread *th, uint32_t pushed)
{
    wire_drain drain = wire_drain_init();
    wire_request request = wire_request_init();
    uint32_t serial;

    th->drain_asked = pushed;
    drain.thread = th->id;
    request.body_case = WIRE_REQUEST(DRAIN);
    request.drain = &drain;
    (void)connection_post(&th->heap->connection, &request, &serial);
}

static inline void ask_drain_if_due(struct thread *th)
{
    uint32_t pushed = at_load_relaxed(&th->m->log.pushed);

    if (MM_UNLIKELY(pushed - th->drain_asked >= DRAIN_ENTRIES))
        ask_drain(th, pushed);
}

static inline uint32_t granule_of(const struct thread *th, const void *p)
{
    return (uint32_t)((uint64_t)((const char *)p - th->m->base) >> MM_GRANULE_LOG);
}

/* ---- the ring ---- */

/* Room for one more, or says that one was lost. */
static inline bool ring_has_room(struct shm_log *log, uint32_t pushed)
{
    /* pairs with the daemon's release: it has read them */
    if (MM_LIKELY(pushed - at_load_acquire(&log->drained) < SHM_LOG_CAPACITY))
        return true;
    at_store_release(&log->lost, at_load_relaxed(&log->lost) + 1);
    return false;
}

static inline void write_entry(struct thread *th, uint32_t at, uint32_t object, uint32_t granule, uint64_t old)
{
    struct shm_log_entry *entry = &th->m->log_ring[at % SHM_LOG_CAPACITY];

    /* releases: who reads any of these sees that what stood here was retracted */
    at_store_release(&entry->object, object);
    at_store_release(&entry->offset, granule - object);
    at_store_release(&entry->old, old);
}

bool write_barrier_keep(struct thread *th, uint32_t granule)
{
    struct shm_log *log = &th->m->log;
    uint32_t pushed = at_load_relaxed(&log->pushed); /* ours alone */

    if (!ring_has_room(log, pushed))
        return !th->heap->read_only;
    write_entry(th, pushed, granule, granule + SHM_LOG_KEEP, 0);
    at_store_release(&log->pushed, pushed + 1); /* pairs with the daemon's acquire */
    if (!th->heap->read_only)
        ask_drain_if_due(th);
    return true;
}

/* ---- lines ---- */

/* Before a store to @granule, of the object at granule @object. The line's byte is set, or was a moment ago. */
static void log_line(struct thread *th, uint32_t object, uint32_t granule)
{
    struct shm_log *log = &th->m->log;
    uint32_t pushed = at_load_relaxed(&log->pushed); /* ours alone */

    if (ring_has_room(log, pushed)) {
        write_entry(th, pushed, object, granule, 0);
        at_store_release(&log->pushed, pushed + 1); /* pairs with the daemon's acquire: the entry is there */
    }
    at_store_release(&th->heap->log_lines[granule / MM_LINE_GRANULES], 0); /* after pushed, or lost */
    ask_drain_if_due(th);
}

static void log_lines(struct thread *th, uint32_t object, uint32_t first, uint32_t last)
{
    for (uint32_t line = first / MM_LINE_GRANULES; line <= last / MM_LINE_GRANULES; line++)
        if (at_load_relaxed(&th->heap->log_lines[line]) != 0)
            log_line(th, object, MM_MAX(first, line * MM_LINE_GRANULES));
}

/* ---- fields ---- */

/* Clears @bit. True: it was set, so this thread's entry is the one that counts. */
static inline bool take_bit(_Atomic uint64_t *word, uint64_t bit)
{
    /* release: the entry is there for whoever sees the bit clear; acquire: the field is stored after it */
    return (atomic_fetch_and_explicit(word, ~bit, memory_order_acq_rel) & bit) != 0;
}

static inline void retract(struct shm_log *log, uint32_t pushed)
{
    at_store_relaxed(&log->tentative, pushed); /* after the AND, which acquires */
    at_store_release(&log->retracted, at_load_relaxed(&log->retracted) + 1); /* after tentative; pairs with the daemon's acquire */
}

/* Before the first store to @granule, of the object at granule @object, if nobody else has been there. Its bit was set. */
static void log_field(struct thread *th, uint32_t object, uint32_t granule)
{
    struct shm_log *log = &th->m->log;
    _Atomic uint64_t *word = &th->heap->log_bits[granule / WORD_BITS];
    uint64_t bit = UINT64_C(1) << granule % WORD_BITS;
    uint32_t pushed = at_load_relaxed(&log->pushed); /* ours alone */

    /* acquire: if it is a value stored by another thread, we see the bit clear below, as that one did */
    uint64_t old = at_load_acquire((_Atomic uint64_t *)(void *)(th->m->base + ((uint64_t)granule << MM_GRANULE_LOG)));
    if ((at_load_relaxed(word) & bit) == 0) /* B2 */
        return;
    if (!ring_has_room(log, pushed)) {
        (void)take_bit(word, bit); /* after lost */
        return;
    }
    write_entry(th, pushed, object, granule, old);
    at_store_release(&log->tentative, pushed + 1); /* after the entry */
    if (take_bit(word, bit)) /* after tentative */
        at_store_release(&log->pushed, pushed + 1); /* pairs with the daemon's acquire: the entry is there */
    else
        retract(log, pushed);
    ask_drain_if_due(th);
}

/* The bits of word @word of granules @first to @last. */
static inline uint64_t range_of_word(uint32_t word, uint32_t first, uint32_t last)
{
    uint64_t bits = UINT64_MAX;

    if (word == first / WORD_BITS)
        bits &= UINT64_MAX << first % WORD_BITS;
    if (word == last / WORD_BITS)
        bits &= UINT64_MAX >> (WORD_BITS - 1 - last % WORD_BITS);
    return bits;
}

static void log_fields(struct thread *th, uint32_t object, uint32_t first, uint32_t last)
{
    for (uint32_t word = first / WORD_BITS; word <= last / WORD_BITS; word++) {
        uint64_t wanted = at_load_relaxed(&th->heap->log_bits[word]) & range_of_word(word, first, last);
        for (; wanted != 0; wanted &= wanted - 1)
            log_field(th, object, word * WORD_BITS + (uint32_t)__builtin_ctzll(wanted));
    }
}

/* ---- what the inline calls lead to ---- */

/* FIELDS: the byte stays set when all of its line's fields are logged. So most calls come from here, for a store to what is old and was
 * stored to before, and go back; they pay for two loads beside the thread's own words. */
static inline bool is_logged(const struct mmgc_thread *t, const void *slot)
{
    const _Atomic uint64_t *bits = thread_of(t)->field_bits;
    uint64_t granule = (uint64_t)((const char *)slot - t->base) >> MM_GRANULE_LOG;

    return bits != NULL && (at_load_relaxed(&bits[granule / WORD_BITS]) >> granule % WORD_BITS & 1) == 0;
}

static __attribute__((noinline)) void log_one(struct mmgc_thread *t, const void *object, const void *slot)
{
    struct thread *th = thread_of(t);

    if (rests(th))
        return;
    if (th->log_bits == NULL)
        log_line(th, granule_of(th, object), granule_of(th, slot));
    else
        log_field(th, granule_of(th, object), granule_of(th, slot));
}

/* Before a store of *@value into @slot of @object, by one whose byte is set, or who has a hold open. False: it is not to be done. */
static bool before_store(struct mmgc_thread *t, const void *object, const void *slot, const void **value)
{
    struct thread *th = thread_of(t);

    if (hold_is_open(th)) {
        if (!hold_admit(th, object, value))
            return false;
        if (must_log(th, slot))
            log_one(t, object, slot);
    } else if (!is_logged(t, slot)) {
        log_one(t, object, slot);
    }
    return true;
}

static inline void store(const struct mmgc_thread *t, mmgc_ref *slot, const void *value)
{
    __atomic_store_n(&slot->granule, mmgc_ref_of(t, value).granule, __ATOMIC_RELEASE); /* after byte or bit */
}

static __attribute__((noinline)) void log_and_store(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *value)
{
    if (hold_is_open(thread_of(t))) {
        if (before_store(t, object, slot, &value))
            store(t, slot, value);
        return;
    }
    log_one(t, object, slot);
    store(t, slot, value);
}

void mmgc_store_slow_(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *value)
{
    if (MM_LIKELY(is_logged(t, slot)))
        store(t, slot, value); /* here, too: so that nothing has to live across a call */
    else
        log_and_store(t, object, slot, value);
}

bool mmgc_compare_and_swap_slow_(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *expected, const void *desired)
{
    uint32_t old = mmgc_ref_of(t, expected).granule;

    if (!before_store(t, object, slot, &desired))
        return false;
    return __atomic_compare_exchange_n(&slot->granule, &old, mmgc_ref_of(t, desired).granule, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void *mmgc_exchange_slow_(struct mmgc_thread *t, void *object, mmgc_ref *slot, const void *value)
{
    if (!before_store(t, object, slot, &value))
        return NULL;
    mmgc_ref old = { __atomic_exchange_n(&slot->granule, mmgc_ref_of(t, value).granule, __ATOMIC_SEQ_CST) };
    return mmgc_deref(t, old);
}

void write_barrier_store(struct thread *th, const void *object, mmgc_ref *slot, uint32_t granule)
{
    if (must_log(th, slot))
        log_one(thread_public(th), object, slot);
    __atomic_store_n(&slot->granule, granule, __ATOMIC_RELEASE);
}

static void log_range(struct thread *th, const void *object, const mmgc_ref *slots, size_t count)
{
    uint32_t first = granule_of(th, slots), last = granule_of(th, slots + count - 1);

    if (!write_barrier_logs(th) || rests(th))
        return;
    if (th->log_bits != NULL)
        log_fields(th, granule_of(th, object), first, last);
    else
        log_lines(th, granule_of(th, object), first, last);
}

static inline void copy_ref(mmgc_ref *to, const mmgc_ref *from)
{
    uint32_t granule = __atomic_load_n(&from->granule, __ATOMIC_ACQUIRE);

    __atomic_store_n(&to->granule, granule, __ATOMIC_RELEASE); /* as mmgc_load() and mmgc_store() do */
}

void mmgc_copy_refs(struct mmgc_thread *t, void *object, mmgc_ref *to, const mmgc_ref *from, size_t count)
{
    if (count == 0 || to == from || (hold_is_open(thread_of(t)) && !hold_admit_refs(thread_of(t), object, from, count)))
        return;
    log_range(thread_of(t), object, to, count);
    if ((uintptr_t)to < (uintptr_t)from)
        for (size_t i = 0; i < count; i++)
            copy_ref(&to[i], &from[i]);
    else
        for (size_t i = count; i-- > 0;)
            copy_ref(&to[i], &from[i]);
}

void mmgc_fill_refs(struct mmgc_thread *t, void *object, mmgc_ref *slots, const void *value, size_t count)
{
    if (count == 0 || (hold_is_open(thread_of(t)) && !hold_admit(thread_of(t), object, &value)))
        return;
    uint32_t granule = mmgc_ref_of(t, value).granule;
    log_range(thread_of(t), object, slots, count);
    for (size_t i = 0; i < count; i++)
        __atomic_store_n(&slots[i].granule, granule, __ATOMIC_RELEASE);
}
