/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_REFERENCE_H
#define MMGC_REFERENCE_H
/* References that keep nothing alive, as fields of objects: weak, soft and phantom ones, ephemerons; and queues, where objects are announced
 * whose references were cleared.
 *
 *   Order     When a collection has found what strong references reach, it clears, in this order, as java.lang.ref does: soft references that
 *             were not used for long, or all of them before a heap is found to be full; weak ones; then objects that are guarded
 *             (<mmgc/guardian.h>) become ready, with all that they refer to; and phantom references to what even that has not reached.
 *   Types     A field's kind goes into its offset: MMGC_DEFINE_TYPE() makes all strong, so name them one by one:
 *                 struct entry { mmgc_ref key, data; struct mmgc_soft copy; mmgc_ref queue, next; };
 *                 mmgc_type_struct(heap, "entry", sizeof(struct entry), &type, 5u, MMGC_WEAK(entry, key), MMGC_STRONG(entry, data),
 *                                  MMGC_SOFT(entry, copy), MMGC_QUEUE(entry, queue), MMGC_LINK(entry, next));
 *             struct mmgc_type_layout takes the same in refs and element_refs.
 *   Storing   as ever: mmgc_set(), mmgc_store() and the others, with the object's own field; of an ephemeron the key first.
 *   Loading   by the calls below, not by mmgc_get(): while a concurrent collection marks they tell it what was found.
 *   Plans     Young collections clear what is new. lxr clears in collections of the whole heap alone; nogc never does.
 *   Threads   The thread is inside. None of these is a safepoint, unless it says so.                             mmgc(3) */
#include <mmgc/mmgc.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mmgc_soft {                           /* a soft reference as it stands inside objects */
    mmgc_ref ref;
    uint32_t used;                           /* when it was last loaded: the library's */
};
struct mmgc_ephemeron {                      /* its value lives while its key does; then both are cleared */
    mmgc_ref key, value;
};

#define MMGC_STRONG(s, f) (offsetof(struct s, f))
#define MMGC_WEAK(s, f) (offsetof(struct s, f) | (size_t)1 << 24)
#define MMGC_SOFT(s, f) (offsetof(struct s, f) | (size_t)2 << 24)                     /* struct mmgc_soft */
#define MMGC_PHANTOM(s, f) (offsetof(struct s, f) | (size_t)3 << 24)
#define MMGC_EPHEMERON(s, f) (offsetof(struct s, f) | (size_t)4 << 24)                /* struct mmgc_ephemeron */
#define MMGC_QUEUE(s, f) (offsetof(struct s, f) | (size_t)5 << 24)                    /* to what mmgc_queue_new() made, or null; strong */
#define MMGC_LINK(s, f) (offsetof(struct s, f) | (size_t)6 << 24)                     /* to the object announced before; strong */

/* Ready-made arrays of weak references, and of ephemerons. */
MMGC_API int mmgc_type_weak_refs(struct mmgc_heap *heap, mmgc_type *ret_type);
MMGC_API int mmgc_type_ephemerons(struct mmgc_heap *heap, mmgc_type *ret_type);

MMGC_API void *mmgc_keep_found_(struct mmgc_thread *t, void *object);
/* The object that a weak reference refers to, which lives from now on as any other that the thread has a pointer to; NULL: it was cleared, or is
 * null. A read-only session gets NULL and mmgc_thread_error() MMGC_E_STALLED if it has loaded more during a collection than the daemon
 * could take note of. */
static inline void *mmgc_load_weak(struct mmgc_thread *t, const mmgc_ref *slot)
{
    void *object = mmgc_load(t, slot);

    if (MMGC_UNLIKELY_(__atomic_load_n(t->epoch + 2, __ATOMIC_RELAXED) != 0)) /* control.keeps */
        return mmgc_keep_found_(t, object);
    return object;
}
/* The same of a soft one: it counts as used now. */
MMGC_API void *mmgc_load_soft(struct mmgc_thread *t, struct mmgc_soft *slot);
/* Of an ephemeron: its value, if its key is @key; else NULL. */
static inline void *mmgc_load_ephemeron(struct mmgc_thread *t, const struct mmgc_ephemeron *slot, const void *key)
{
    return key != NULL && mmgc_load_weak(t, &slot->key) == key ? mmgc_load_weak(t, &slot->value) : NULL;
}
/* Was it cleared, or never set? Of a phantom one nobody learns more. */
static inline bool mmgc_is_cleared(const mmgc_ref *slot)
{
    return __atomic_load_n(&slot->granule, __ATOMIC_ACQUIRE) == 0;
}

/* Queues are objects like others: any client that reaches one may take from it, whoever set it in its objects. When references of an
 * object with a queue are cleared, its MMGC_QUEUE field becomes null and it is the first in the queue, once. */

/* [safepoint] A new queue; NULL and mmgc_thread_error() as mmgc_new(). */
MMGC_API void *mmgc_queue_new(struct mmgc_thread *t);
/* Takes all that has been announced: the newest, which refers by its MMGC_LINK field to the one before it, and so on; NULL: none. */
MMGC_API void *mmgc_queue_take(struct mmgc_thread *t, void *queue);
/* [safepoint] Waits until there is something to be taken from @queue, at most @timeout_ns (UINT64_MAX: for ever). @queue is kept
 * meanwhile. MMGC_OK, MMGC_E_TIMEOUT, MMGC_E_NOT_IN, or as mmgc_poll(). An exact thread reads @queue again after it. */
MMGC_API int mmgc_queue_wait(struct mmgc_thread *t, const void *queue, uint64_t timeout_ns);

#ifdef __cplusplus
}
#endif
#endif
