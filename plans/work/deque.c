/* SPDX-License-Identifier: Apache-2.0 */
/* deque.c - A bounded deque whose whole truth is one word.
 *
 *   state    pushes:48 | oldest:8 | count:8. The packets are slots[oldest .. oldest + count), modulo the capacity; the
 *            owner works at the far end. A call has happened when its CAS of the word succeeded, and not before.
 *   D1  the word never repeats: a push increments `pushes`, and between two pushes `count` only falls. (48 bits at 10 ns a
 *       push wrap after a month, and a thief would have to sleep for exactly that long: this is the bound of the proof.)
 *   D2  only the owner stores to slots, and only to those outside the range that the word it loaded names. Others take
 *       packets and never add any, so the range can only have shrunk since: the store hits no packet.
 *   D3  a thief that wins its CAS read the right slots. It loaded word s (acquire, pairs with the push's release), so it
 *       sees at least the stores that s names. Could it have read a later one? The owner stores over a slot of s only
 *       after seeing a word s' that follows s. If s' came from another call, s was gone and by D1 the thief's CAS fails.
 *       If s' came from this thief's own CAS, its loads happen before the owner's store (CAS release, owner's acquire).
 *   D4  half of the deque moves by one CAS, so the owner's pop and a thief never agree on the same packet: they both
 *       change the one word, and the second of them sees the first.
 *   Why not Chase-Lev: its owner meets thieves only at the last packet, which forbids taking several at once; and its
 *   proof needs fences, which ThreadSanitizer cannot see. The price is a CAS per pop (5 ns) for 4 KiB of work.
 *   The push, steal and emptiness are seq_cst besides: idle.c needs "published, then looked for sleepers" ordered.  */
#include "plans/work/deque.h"

#include <assert.h>

static_assert((DEQUE_CAPACITY & (DEQUE_CAPACITY - 1)) == 0 && DEQUE_CAPACITY <= 128,
              "indices and counts have 8 bits");

#define STATE_PUSH (UINT64_C(1) << 16)

static unsigned state_count(uint64_t s)
{
    return (unsigned)(s & 0xff);
}

static unsigned state_oldest(uint64_t s)
{
    return (unsigned)(s >> 8 & 0xff);
}

static uint64_t state_with(uint64_t s, unsigned oldest, unsigned count)
{
    return (s & ~UINT64_C(0xffff)) | (uint64_t)(oldest % DEQUE_CAPACITY) << 8 | count;
}

/* On failure *@s is the word as it is now, acquired. */
static bool state_cas(struct deque *d, uint64_t *s, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(&d->state, s, to, memory_order_seq_cst,
                                                   memory_order_acquire);
}

void deque_init(struct deque *d)
{
    at_store_relaxed(&d->state, 0);
    for (unsigned i = 0; i < DEQUE_CAPACITY; i++)
        at_store_relaxed(&d->slots[i], NULL);
}

bool deque_try_push(struct deque *d, struct packet *const *packets, unsigned count)
{
    uint64_t s = at_load_acquire(&d->state); /* pairs with state_cas in deque_steal (D3) */
    if (state_count(s) + count > DEQUE_CAPACITY)
        return false;
    if (count == 0)
        return true;
    unsigned end = state_oldest(s) + state_count(s); /* the owner's: a steal moves both and leaves the sum */
    for (unsigned i = 0; i < count; i++)
        at_store_relaxed(&d->slots[(end + i) % DEQUE_CAPACITY], packets[i]);
    while (!state_cas(d, &s, state_with(s + STATE_PUSH, state_oldest(s), state_count(s) + count)))
        ; /* a thief came between; there is only more room */
    return true;
}

struct packet *deque_pop(struct deque *d)
{
    uint64_t s = at_load_acquire(&d->state);
    while (state_count(s) != 0) {
        unsigned newest = (state_oldest(s) + state_count(s) - 1) % DEQUE_CAPACITY;
        struct packet *p = at_load_relaxed(&d->slots[newest]); /* our own store */
        if (state_cas(d, &s, state_with(s, state_oldest(s), state_count(s) - 1)))
            return p;
    }
    return NULL;
}

unsigned deque_steal(struct deque *d, struct packet *ret[static DEQUE_STEAL_MAX])
{
    uint64_t s = at_load_acquire(&d->state); /* pairs with state_cas in deque_try_push */
    while (state_count(s) != 0) {
        unsigned oldest = state_oldest(s), half = (state_count(s) + 1) / 2;
        for (unsigned i = 0; i < half; i++)
            ret[i] = at_load_relaxed(&d->slots[(oldest + i) % DEQUE_CAPACITY]); /* garbage if the CAS fails */
        if (state_cas(d, &s, state_with(s, oldest + half, state_count(s) - half)))
            return half;
    }
    return 0;
}

bool deque_is_empty(const struct deque *d)
{
    return state_count(atomic_load_explicit(&d->state, memory_order_seq_cst)) == 0;
}
