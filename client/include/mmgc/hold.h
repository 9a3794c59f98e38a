/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_HOLD_H
#define MMGC_HOLD_H
/* Hold: a scoped region of one attached thread. What it makes in there is gone at the end, but for what it keeps.
 *
 *   Inside    mmgc_new() and mmgc_new_array() bump in blocks that are the hold's own, as fast as elsewhere. What is above MMGC_SMALL_MAX, or
 *             made by mmgc_new_in(), is the heap's at once, but nobody outside may refer to it before the end either.
 *   End       What the kept references reach is stowed: copied depth first, side by side in that order, into the enclosing hold or the
 *             heap. References among the copies are theirs; sharing and cycles stay. All else that was made in the hold is gone in
 *             constant time: nobody is stopped, and nothing is said to the daemon.
 *   Outside   No object outside, and none of an enclosing hold, refers to an object of a hold: mmgc_store() and its kin see to that,
 *             by the hold's policy. Handles, names, leases and other roots that are no local roots are refused: MMGC_E_HELD.
 *             An object of an inner hold may refer to all that encloses it.
 *   Pointers  After a stow the C pointers to what was stowed are stale: read them again from where they are kept. Local roots of the
 *             thread are brought up to date; those to what is gone become null. Objects of a hold do not move as long as they are in it.
 *             As elsewhere, what only C variables of a thread refer to lives on while the thread is inside and has ambiguous roots.
 *   Threads   A hold is its thread's: no other may see an object of it. mmgc_leave() may come before its end; mmgc_detach(), and the
 *             thread's death, drop it.                                                                  docs/leases-and-holds.md */
#include <stddef.h>
#include <stdint.h>

#include <mmgc/mmgc.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mmgc_hold_policy {                      /* what becomes of a store that would let an outer object refer to an object of the hold */
    MMGC_HOLD_STOW,                          /* all that the object reaches is stowed first. Of a thread with ambiguous roots such a store is a
                                              * [safepoint]; with exact ones it fails with MMGC_E_NOMEM if what lies ready does not suffice */
    MMGC_HOLD_REFUSE                         /* it is not done, and mmgc_thread_error() is MMGC_E_HELD */
};

struct mmgc_hold_options {                   /* zero-initialise */
    enum mmgc_hold_policy policy;
    uint64_t budget_bytes;                   /* of all that is made in it, by mmgc_size(): more is MMGC_E_BUDGET. 0: as much as there is */
    const char *name;                        /* for error details; borrowed until its end. NULL: none */
};

typedef struct mmgc_hold {                   /* an open hold; {0} is none */
    uint32_t depth, serial;
} mmgc_hold;

#define MMGC_HOLD_DEPTH_MAX 16u

/* Begins a hold, inside those that are open. @options may be NULL. The thread is inside. A reservation (mmgc_reserve()) ends where a hold
 * begins or ends; one made in a hold is of the hold's memory. MMGC_E_LIMIT: MMGC_HOLD_DEPTH_MAX are open. MMGC_E_READ_ONLY. */
MMGC_API int mmgc_hold_begin(struct mmgc_thread *t, const struct mmgc_hold_options *options, mmgc_hold *ret_hold);
/* [safepoint] Ends the innermost hold, which is @hold, and stows what @kept reaches. @kept: @count objects or NULLs of anywhere; each is then
 * where the object is now. It waits only if there is something to stow and no memory for it at hand. Any error: the hold is open, and all is
 * as it was. MMGC_E_UNBALANCED: an inner one is open, or it has ended. MMGC_E_NOMEM and its kin; MMGC_E_BUDGET: of the enclosing hold;
 * MMGC_E_LIMIT: more than can be waited for at once, 16 MiB for the heap. */
MMGC_API int mmgc_hold_end(struct mmgc_thread *t, mmgc_hold hold, void **kept, size_t count);
/* [safepoint] Stows what @objects reach out of the innermost hold, which stays open; each is then where the object is now, and so are
 * references to it from the hold's other objects, which are all looked at. Its errors are those of mmgc_hold_end(). */
MMGC_API int mmgc_hold_stow(struct mmgc_thread *t, void **objects, size_t count);
/* What was made in @hold so far, and stowed into it, by mmgc_size(). 0: it is not open. */
MMGC_API uint64_t mmgc_hold_bytes(const struct mmgc_thread *t, mmgc_hold hold);

#ifdef __cplusplus
}
#endif
#endif
