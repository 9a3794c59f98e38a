/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_NOTICE_H
#define MMGC_NOTICE_H
/* mmgc/notice: where collections moved objects to, for programs that keep addresses outside the heap: tables keyed by object, caches,
 * bindings to other languages.
 *
 *   Subscription  to the moves of all objects, or of those that it watches, which it also hears the death of. It is a session of its own
 *                 (max_sessions of the daemon counts it, `mmgcctl clients` shows it), and ends with its process or with
 *                 mmgc_notices_close()
 *   Notice        what one stop of the world moved: rows that all hold at once. Where one leads to, another may have come from; so who
 *                 changes a table takes out all entries that moved, by `from`, before it puts any in, by `to`
 *   Up to date    A stop is counted before it lets anybody go on. So a thread that is inside and finds mmgc_notices_due() false knows of
 *                 every move there was, until its next call marked [safepoint]. Before it touches its table, or enters what is new into
 *                 it, it takes what is due
 *   Deadline      Who leaves a notice untaken for longer, or more of them than the daemon keeps (its options notice_deadline, 10 s, and
 *                 notice_limit), is dropped: every call then is MMGC_E_NO_NOTICES, and mmgc_notices_due() true for ever
 *   Incomplete    Where memory for the rows was short, a notice has none and says so: find all anew
 *   Threads       any, one after the other: a subscription has a lock. Calls return MMGC_OK or an MMGC_E_ code           mmgc(3) */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mmgc/mmgc.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mmgc_notices;                         /* a subscription */

struct mmgc_notices_options {
    bool all;                                /* hear of all objects; else of those that are watched */
    uint64_t deadline_ns;                    /* for each notice; 0, or more than the daemon allows: what the daemon allows */
};
struct mmgc_move {
    mmgc_ref from;                           /* where it was: no reference any more, for comparing */
    mmgc_ref to;                             /* where it is; {0}: it died (of watched ones alone) */
    uint32_t granules;                       /* how long it is, header included, in units of 8 bytes; 0: not known */
};
struct mmgc_notice {
    uint64_t number;                         /* 1, 2, 3 ... of this subscription; 0: there is none to be taken */
    uint64_t collection;                     /* the collection it is of: mmgc_heap_info() has counted it when it is at its end */
    bool incomplete;                         /* it has no rows, but something has moved */
    bool last;                               /* no more rows of it will come */
};
typedef struct mmgc_watched {                /* {0} is none */
    uint32_t slot, serial;
} mmgc_watched;

/* Begins one. To be called from outside: no thread that is inside waits for it. What moves in stops that begin after it has returned
 * is told. @options may be NULL: watched ones, at the daemon's deadline. As mmgc_heap_open(), and MMGC_E_IS_IN. */
MMGC_API int mmgc_notices_subscribe(struct mmgc_heap *heap, const struct mmgc_notices_options *options, struct mmgc_notices **ret_notices);
MMGC_API void mmgc_notices_close(struct mmgc_notices *notices);      /* before or after its heap; NULL is fine */
/* Readable when there is something to be taken, or an end to be learnt of: for poll(2), and nothing else. Closed with @notices. */
MMGC_API int mmgc_notices_fd(const struct mmgc_notices *notices);
/* Has anything moved that was not taken yet, or is this at its end? One load. */
MMGC_API bool mmgc_notices_due(const struct mmgc_notices *notices);

/* The next rows, at most @capacity, into @moves; *ret_notice says of which notice they are. With the last of its rows a notice is
 * taken. @t is a thread that is inside, or NULL; with NULL this waits up to @timeout_ns for a notice if none is due. number is 0
 * when there is none. MMGC_E_NO_NOTICES, MMGC_E_DISCONNECTED, MMGC_E_HEAP_GONE: this was the end of it. */
MMGC_API int mmgc_notices_next(struct mmgc_notices *notices, struct mmgc_thread *t, uint64_t timeout_ns, struct mmgc_move *moves,
                               size_t capacity, size_t *ret_count, struct mmgc_notice *ret_notice);
/* Calls @apply for each notice that is due, with all of its rows, which are gone when it returns; then that is taken. Until nothing is
 * due. @apply makes no call of this header but mmgc_unwatch(). The same codes. */
typedef void (*mmgc_notices_callback)(void *context, const struct mmgc_notice *notice, const struct mmgc_move *moves, size_t count);
MMGC_API int mmgc_notices_apply(struct mmgc_notices *notices, struct mmgc_thread *t, mmgc_notices_callback apply, void *context);

/* @notices, which was not for all, hears of @object from now on: once for each watch that there is on it. That keeps nothing alive. The
 * thread is inside. At most 1048575 a subscription: MMGC_E_LIMIT. */
MMGC_API int mmgc_watch(struct mmgc_notices *notices, struct mmgc_thread *t, const void *object, mmgc_watched *ret_watched);
/* From anywhere; also of what has died. What is due may still tell of it. MMGC_E_DROPPED: it was before. */
MMGC_API int mmgc_unwatch(struct mmgc_notices *notices, mmgc_watched watched);

#ifdef __cplusplus
}
#endif
#endif
