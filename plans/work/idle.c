/* SPDX-License-Identifier: Apache-2.0 */
/* idle.c - Parking without lost wakes and without herds.
 *
 *   Members of the sleeping section (between idle_sleep_begin and its end) = asleep + tickets, at every instant: begin adds
 *   to `asleep`, a waker moves n from asleep to searching and to tickets by one CAS, and a member leaves by taking a ticket
 *   or, uncalled for by any ticket, its own unit of asleep. So a worker counts as searching from the moment somebody
 *   decided to wake it, not from when the kernel got round to it, and a burst of pushes wakes one worker, not one per push.
 *
 *   No lost wake.  A publisher makes a packet visible (P: a seq_cst CAS in deque.c, a seq_cst store of job.c's `ready`,
 *   or a job put on the list under the engine's lock), then loads `state` (L). A worker going to sleep changes `state`
 *   (S), then looks for work (K: seq_cst loads, the list under the lock). In the one order of all seq_cst operations:
 *     W1  L sees the worker asleep (S before L): the publisher wakes somebody, unless W2.
 *     W2  L sees enough workers searching: each of them will later leave that state. Into sleep: its S comes after L, hence
 *         after P, so its K finds the packet, or finds it taken. Into work: the last to leave looks for more work (K again,
 *         after its own change of `state`, after P) and wakes one, who carries the duty on.
 *     W3  L does not see it asleep (L before S): then P before L before S before K, and K finds the packet.
 *     For the list: were K's locked section before the publisher's, its unlock would order S before L, against W3's case;
 *     so it comes after, and finds the job.
 *   Beneath that, work that anybody may do cannot get stuck at all: a worker that publishes from inside a packet is
 *   awake, and looks at everything again before it sleeps. The above keeps parallelism; only engine_run() needs it to go on.
 *
 *   No lost call.  What is bound to worker v (bound.c; P: a seq_cst CAS of v's own list) needs v itself: nobody else's search
 *   helps, and tickets are not addressed. So v has a bit in `called`, and a called member may leave without a ticket.
 *     C1  L sees no member: v's S comes later, and as in W3 its K, which looks at v's list too, finds the packet.
 *     C2  else the caller sets v's bit (B), then adds to `calls` (A), then wakes v's queue in the kernel. v in the section
 *         loads `state`, then its bit, then sleeps only if the upper half still is what it loaded. Load after A: it
 *         reads from A or from a later change of the word, so it sees the bit. Load before A: the kernel finds the half
 *         changed, or has v queued when the caller wakes it. (A call 2^24 calls ago looks the same as none: that many calls
 *         between v's load and the kernel's is the bound of the proof, and even then the next call gets v up.)
 *     C3  v clears its bit in begin, before S. A bit lost to that was set after P, so K comes after P and finds the packet.
 *         A bit left over from a call that v did not need costs it one search too many.
 *     v busy or searching, it looks at its list before it sleeps: the same K.
 *
 *   Tickets are a semaphore.  The kernel queues a member only while there is no ticket. Say some are left and a member is
 *   queued: since the last instant without tickets nobody has joined the queue, and the n given since have dequeued n
 *   members (or their givers are about to). Each of these has gone with a ticket, since a dequeued one takes one whenever
 *   there is one and a call lets it go without only when there is none, or is awake and will. So at least as many are up
 *   as tickets are left. Who leaves without a ticket while there are some, in idle_sleep_cancel, was never queued and used
 *   up nobody's wake.                                                                                               */
#include "plans/work/idle.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ASLEEP UINT64_C(1) /* one worker, in `state` */
#define SEARCHING (UINT64_C(1) << 16)
#define TICKET (UINT64_C(1) << 32)
#define CALL (UINT64_C(1) << 40) /* topmost: it overflows into nothing */

static uint32_t state_asleep(uint64_t state)
{
    return state & 0xffff;
}

static uint32_t state_searching(uint64_t state)
{
    return state >> 16 & 0xffff;
}

static uint32_t state_tickets(uint64_t state)
{
    return state >> 32 & 0xff;
}

static uint32_t state_futex(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

/* The kernel compares half of what we change whole: a single access to one cache line, so it sees a value that was. */
static _Atomic uint32_t *idle_futex(struct idle *idle)
{
    return (_Atomic uint32_t *)&idle->state + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
}

static uint64_t idle_load(const struct idle *idle)
{
    return atomic_load_explicit(&idle->state, memory_order_seq_cst);
}

static uint64_t idle_add(struct idle *idle, uint64_t change) /* returns the new value */
{
    return atomic_fetch_add_explicit(&idle->state, change, memory_order_seq_cst) + change;
}

static bool idle_cas(struct idle *idle, uint64_t *state, uint64_t to)
{
    return atomic_compare_exchange_weak_explicit(&idle->state, state, to, memory_order_seq_cst,
                                                 memory_order_seq_cst);
}

static long futex_private(_Atomic uint32_t *word, int op, uint32_t value, uint32_t bits)
{
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, bits);
}

static uint32_t futex_bits(uint64_t mask) /* the kernel has 32: two workers share one and get up together */
{
    return (uint32_t)(mask | mask >> 32);
}

void idle_wake(struct idle *idle, unsigned want)
{
    uint64_t state = idle_load(idle);
    uint32_t n;
    do {
        uint32_t searching = want == IDLE_ALL ? 0 : state_searching(state);
        n = want > searching ? MM_MIN(want - searching, state_asleep(state)) : 0;
        if (n == 0)
            return;
    } while (!idle_cas(idle, &state, state + n * (SEARCHING + TICKET - ASLEEP)));
    (void)futex_private(idle_futex(idle), FUTEX_WAKE, n, 0);
}

void idle_call(struct idle *idle, uint64_t mask)
{
    uint64_t state = idle_load(idle);
    if (mask == 0 || (state_asleep(state) == 0 && state_tickets(state) == 0))
        return; /* C1 */
    atomic_fetch_or_explicit(&idle->called, mask, memory_order_seq_cst);
    idle_add(idle, CALL);
    (void)futex_private(idle_futex(idle), FUTEX_WAKE_BITSET, INT_MAX, futex_bits(mask));
}

bool idle_anyone_racy(const struct idle *idle)
{
    return (uint32_t)at_load_relaxed(&idle->state) != 0;
}

void idle_search(struct idle *idle)
{
    idle_add(idle, SEARCHING);
}

bool idle_found(struct idle *idle)
{
    uint64_t state = idle_add(idle, -SEARCHING);
    return state_searching(state) == 0 && state_asleep(state) != 0;
}

static bool idle_is_called(const struct idle *idle, unsigned worker)
{
    return (atomic_load_explicit(&idle->called, memory_order_seq_cst) >> worker & 1) != 0;
}

void idle_sleep_begin(struct idle *idle, unsigned worker)
{
    if (idle_is_called(idle, worker))
        atomic_fetch_and_explicit(&idle->called, ~(UINT64_C(1) << worker), memory_order_seq_cst);
    idle_add(idle, ASLEEP - SEARCHING);
}

/* Members are interchangeable: it takes back any unit of `asleep`, and if none is left, a ticket, of which there are then as
 * many as members. */
void idle_sleep_cancel(struct idle *idle)
{
    uint64_t state = idle_load(idle), to;
    do
        to = state + (state_asleep(state) != 0 ? SEARCHING - ASLEEP : -TICKET);
    while (!idle_cas(idle, &state, to));
}

void idle_sleep_end(struct idle *idle, unsigned worker)
{
    uint64_t state = idle_load(idle);
    for (;;) {
        if (state_tickets(state) != 0) {
            if (idle_cas(idle, &state, state - TICKET))
                return;
        } else if (idle_is_called(idle, worker)) { /* no ticket: so there is a unit of `asleep` for each member */
            if (idle_cas(idle, &state, state + SEARCHING - ASLEEP))
                return;
        } else {
            (void)futex_private(idle_futex(idle), FUTEX_WAIT_BITSET, state_futex(state),
                                futex_bits(UINT64_C(1) << worker));
            state = idle_load(idle);
        }
    }
}

void futex_private_wait(_Atomic uint32_t *word, uint32_t expected)
{
    (void)futex_private(word, FUTEX_WAIT, expected, 0);
}

void futex_private_wake(_Atomic uint32_t *word, unsigned count)
{
    (void)futex_private(word, FUTEX_WAKE, count, 0);
}
