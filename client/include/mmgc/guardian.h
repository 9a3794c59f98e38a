/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_GUARDIAN_H
#define MMGC_GUARDIAN_H
/* Guards: finalization. An object that is guarded becomes ready when nothing else holds it, and is given back, whole, to a thread of the client
 * that guarded it, when that asks: no code runs by itself, and none in the daemon. After guardians (Dybvig, Bruggeman, Eby, PLDI 1993).
 *
 *   Order     What one collection finds is ready all at once, in no order, with all that it refers to by whatever kind of reference: weak
 *             references to it are cleared by then, phantom ones are not (<mmgc/reference.h>). Who wants one object back before another
 *             guards the other only when the first is given back.
 *   Once      A guard gives its object back once. Then it is an object like others: kept by whoever keeps it, guarded again if somebody does.
 *             An object that is guarded n times is given back n times.
 *   Death     What a client had guarded goes with it, unless it has named an heir: then the client that is the guardian of that name is
 *             given what becomes ready, at once or when it comes. So is it when the heap is closed in good order.
 *   Plans     Young collections find what is new. lxr finds it in collections of the whole heap alone; nogc never does.
 *   Threads   any thread of the client; the thread is inside, unless it says otherwise.                          mmgc(3) */
#include <mmgc/mmgc.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mmgc_guard {                  /* {0, 0} is none */
    uint32_t slot, serial;
} mmgc_guard;

/* Guards @object, which has to be there. @mark is the program's own: what to do when it is given back. Counts against the limit of handles:
 * MMGC_E_LIMIT. MMGC_E_INVALID, MMGC_E_NOT_IN. */
MMGC_API int mmgc_guard_new(struct mmgc_thread *t, const void *object, uint64_t mark, mmgc_guard *ret_guard);
/* Guards it no longer, from inside or outside. MMGC_E_DROPPED: it was dropped, or given back; MMGC_E_INVALID. */
MMGC_API int mmgc_guard_drop(struct mmgc_heap *heap, mmgc_guard guard);
/* An object that has become ready, and its mark (@ret_mark may be NULL); NULL: none now, when mmgc_thread_error() is MMGC_OK. A client that is a
 * guardian by name is given what others have left to it, too; then it may take one round trip. */
MMGC_API void *mmgc_guard_take(struct mmgc_thread *t, uint64_t *ret_mark);
/* [safepoint] Waits until there may be something to be taken, at most @timeout_ns (UINT64_MAX: for ever): a collection has gone by since this client
 * has last taken nothing. MMGC_OK, MMGC_E_TIMEOUT, or as mmgc_poll(). */
MMGC_API int mmgc_guard_wait(struct mmgc_thread *t, uint64_t timeout_ns);

/* What this client has guarded, and not been given back, is left to the guardian @heir of this heap when it ends, however it does. NULL:
 * to nobody, which is the default. 1 to 255 bytes. From inside or outside; one round trip. */
MMGC_API int mmgc_guards_leave_to(struct mmgc_heap *heap, const char *heir);
/* This client is the guardian @name: one at a time, MMGC_E_BUSY. NULL: no longer. From inside or outside; one round trip. */
MMGC_API int mmgc_guardian_be(struct mmgc_heap *heap, const char *name);

#ifdef __cplusplus
}
#endif
#endif
