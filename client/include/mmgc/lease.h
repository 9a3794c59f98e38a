/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_LEASE_H
#define MMGC_LEASE_H
/* mmgc leases: an object for oneself, or shared with others who only read, across safepoints and outside, at an address that stays.
 *
 *   Meaning   Clients that lease what they work on keep out of each other's way, whatever process they are of. Who does not ask is not
 *             stopped: a lease is an agreement. What it does to everybody: its object lives, and stays where it is.
 *   Address   mmgc_lease_object() is good until the lease is given back, inside and outside. Outside, bytes of the object may be read and
 *             written, by system calls, too; references may be read, but stored only inside, as ever.
 *   Waiting   sleeps; ends at the deadline, whoever has the object and whatever becomes of him. Leases of a process that ends are gone at
 *             once. Who shares is not made to wait by who waits for it alone: those may have to wait as long as there is always somebody.
 *   Threads   A lease is the process's: any thread may use it and give it back. Two leases of one process stand in each other's way like
 *             those of two.
 *   Errors    MMGC_E_BUSY, MMGC_E_TIMEOUT, MMGC_E_DEADLOCK as below. MMGC_E_READ_ONLY: the heap was opened read-only. MMGC_E_NO_OBJECT: not
 *             an object of this heap. MMGC_E_INVALID: NULL, or no lease. MMGC_E_DROPPED: given back before. MMGC_E_REVOKED: an
 *             administrator has ended it for the others (mmgcctl revoke): the address stays good until it is given back, but the
 *             object may be another's now. MMGC_E_LIMIT: too many handles and leases, or too many leases on objects of one place.
 *                                                                                            docs/leases-and-holds.md, mmgc(3) */
#include <mmgc/mmgc.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mmgc_lease {                  /* {0} is none */
    uint32_t slot, serial;
} mmgc_lease;

enum mmgc_lease_mode {
    MMGC_LEASE_SHARED,                       /* with others of this kind: who has it reads */
    MMGC_LEASE_EXCLUSIVE                     /* alone */
};

/* Takes a lease on @object, or MMGC_E_BUSY. The thread is inside. @name, for people, may be NULL; 23 bytes of it are kept. */
MMGC_API int mmgc_lease_try(struct mmgc_thread *t, const void *object, enum mmgc_lease_mode mode, const char *name, mmgc_lease *ret_lease);
/* [safepoint] The same, but waits for it: at most @timeout_ns, then MMGC_E_TIMEOUT. 0 is one try; UINT64_MAX no end. If the daemon or the heap
 * goes away meanwhile the thread is outside, as after any safepoint. */
MMGC_API int mmgc_lease_take(struct mmgc_thread *t, const void *object, enum mmgc_lease_mode mode, const char *name, uint64_t timeout_ns,
                             mmgc_lease *ret_lease);
/* [safepoint] Makes a shared lease an exclusive one, waiting for the other holders to go. From then on nobody new shares it. Not MMGC_OK: it
 * is shared as before. MMGC_E_TIMEOUT (with a @timeout_ns of 0 MMGC_E_BUSY); MMGC_E_DEADLOCK: another holder upgrades already, and each would wait
 * for the other: give it back. One that is exclusive stays so. */
MMGC_API int mmgc_lease_upgrade(struct mmgc_thread *t, mmgc_lease lease, uint64_t timeout_ns);
/* Makes an exclusive one shared, from anywhere; at no time it is neither. */
MMGC_API int mmgc_lease_downgrade(struct mmgc_heap *heap, mmgc_lease lease);
/* Gives it back, from anywhere. Also one that was revoked. */
MMGC_API int mmgc_lease_release(struct mmgc_heap *heap, mmgc_lease lease);
/* The object's address; NULL: mmgc_lease_check() says why. From anywhere. Of a revoked lease, too, until it is given back. */
MMGC_API void *mmgc_lease_object(struct mmgc_heap *heap, mmgc_lease lease);
/* MMGC_OK: it is held. MMGC_E_REVOKED, MMGC_E_DROPPED, MMGC_E_INVALID. From anywhere, and cheap: ask it as often as you like. */
MMGC_API int mmgc_lease_check(struct mmgc_heap *heap, mmgc_lease lease);

#ifdef __cplusplus
}
#endif
#endif
