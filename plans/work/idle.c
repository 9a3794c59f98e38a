/* SPDX-License-Identifier: Apache-2.0 */
/* idle.c - Parking without lost wakes and without herds.
 *
 *   Members of the sleeping section (between idle_sleep_begin and its end) = asleep + tickets given and not yet taken.
 *   A waker moves n from asleep to searching by one CAS, then gives n tickets; a sleeper leaves by taking a ticket. So
 *   a worker counts as searching from the moment somebody decided to wake it, not from when the kernel got round to it,
 *   and a burst of pushes wakes one worker, not one per push.
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
 *   Beneath that, work cannot get stuck at all: a worker that publishes from inside a packet is awake, and looks at
 *   everything again before it sleeps. The above keeps parallelism; only engine_run() needs it to go on at all.
 *   The tickets are a semaphore: the sleeper's kernel compares the word with 0 under its own lock, so a ticket given
 *   before is seen and one given after finds it queued.                                                             */
#include "plans/work/idle.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEARCHING 0x10000u /* one worker, in `state` */
#define ASLEEP 1u

static uint32_t state_searching(uint32_t state)
{
    return state >> 16;
}

static uint32_t state_asleep(uint32_t state)
{
    return state & 0xffff;
}

static uint32_t idle_load(const struct idle *idle)
{
    return atomic_load_explicit(&idle->state, memory_order_seq_cst);
}

static uint32_t idle_add(struct idle *idle, uint32_t change) /* returns the new value */
{
    return atomic_fetch_add_explicit(&idle->state, change, memory_order_seq_cst) + change;
}

static bool idle_cas(struct idle *idle, uint32_t *state, uint32_t to)
{
    return atomic_compare_exchange_weak_explicit(&idle->state, state, to, memory_order_seq_cst,
                                                 memory_order_seq_cst);
}

void idle_wake(struct idle *idle, unsigned want)
{
    uint32_t state = idle_load(idle), n;
    do {
        uint32_t searching = want == IDLE_ALL ? 0 : state_searching(state);
        n = want > searching ? MM_MIN(want - searching, state_asleep(state)) : 0;
        if (n == 0)
            return;
    } while (!idle_cas(idle, &state, state + n * SEARCHING - n * ASLEEP));
    atomic_fetch_add_explicit(&idle->tickets, n, memory_order_release); /* pairs with idle_sleep_end */
    futex_private_wake(&idle->tickets, n);
}

bool idle_anyone_racy(const struct idle *idle)
{
    return at_load_relaxed(&idle->state) != 0;
}

void idle_search(struct idle *idle)
{
    idle_add(idle, SEARCHING);
}

bool idle_found(struct idle *idle)
{
    uint32_t state = idle_add(idle, -SEARCHING);
    return state_searching(state) == 0 && state_asleep(state) != 0;
}

void idle_sleep_begin(struct idle *idle)
{
    idle_add(idle, ASLEEP - SEARCHING);
}

/* Members of the section are interchangeable: it takes back any unit of `asleep`. If none is left, every member has been
 * given a ticket, this one too. */
void idle_sleep_cancel(struct idle *idle)
{
    uint32_t state = idle_load(idle);
    while (state_asleep(state) != 0)
        if (idle_cas(idle, &state, state + SEARCHING - ASLEEP))
            return;
    idle_sleep_end(idle);
}

void idle_sleep_end(struct idle *idle)
{
    uint32_t tickets = at_load_relaxed(&idle->tickets);
    for (;;) {
        if (tickets == 0) {
            futex_private_wait(&idle->tickets, 0);
            tickets = at_load_relaxed(&idle->tickets);
        } else if (at_cas_acq_rel(&idle->tickets, &tickets, tickets - 1)) {
            return;
        }
    }
}

void futex_private_wait(_Atomic uint32_t *word, uint32_t expected)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void futex_private_wake(_Atomic uint32_t *word, unsigned count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
