/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_ERROR_H
#define MMGC_ERROR_H
/* Errors: the one list. A row is a code, its wire number (never reused) and the sentence people read, which says what to do.
 *   Shared by the daemon, the library, the tools and the wire; installed as <mmgc/error.h>.                            */

#define MMGC_ERRORS(X)                                                                                                       \
    X(OK, 0, "no error")                                                                                                      \
    X(NOMEM, 1, "the heap is full even after a collection: drop references, or create it with a larger maximum")              \
    X(SYSTEM_NOMEM, 2, "the system has no memory to commit: free memory on this machine or raise the daemon's memory limit")  \
    X(TOO_LARGE, 3, "the object is larger than the heap could ever hold: ask for less, or create a larger heap")              \
    X(INVALID, 4, "an argument is not valid: see the call's documentation")                                                   \
    X(NO_HEAP, 5, "there is no heap of this name: create it, or look at `mmgcctl list`")                                      \
    X(HEAP_EXISTS, 6, "a heap of this name exists already: open it without exclusive creation, or choose another name")       \
    X(HEAP_BUSY, 7, "the heap has clients: end them first, or destroy it with force")                                         \
    X(HEAP_GONE, 8, "the heap was destroyed: open or create it again")                                                        \
    X(NO_PLAN, 9, "the daemon has no plan of this name: see `mmgcctl info` or mmgcd(8) for those it has")                     \
    X(TYPE_CLASH, 10, "a type of this name exists with another layout: give one of them another name")                        \
    X(TYPE_LAYOUT, 11, "the type's layout is not valid: references must be ascending multiples of 4 inside the type")         \
    X(TYPE_LIMIT, 12, "the heap has as many types as it can: reuse types, do not make one an object")                         \
    X(NO_NAME, 13, "nothing in the heap has this name")                                                                       \
    X(NAME_TOO_LONG, 14, "the name is not valid: 1 to 255 bytes (of a type or label 63) of UTF-8 without control characters") \
    X(NO_THREAD, 15, "this thread is not attached: attach it first")                                                          \
    X(NOT_IN, 16, "the call needs the thread inside the heap: call mmgc_enter first")                                         \
    X(IS_IN, 17, "the call needs the thread outside the heap: call mmgc_leave first")                                         \
    X(READ_ONLY, 18, "this session may only read: open the heap without read_only")                                           \
    X(LIMIT, 19, "a limit of the daemon is reached: close what you do not need, or raise it in mmgcd.conf")                   \
    X(DENIED, 20, "the daemon does not allow this user to do that")                                                           \
    X(STALLED, 21, "a client did not stop in time, so nothing could be collected: `mmgcctl clients` names it")                \
    X(CORRUPT, 22, "the heap broke an invariant and is quarantined: see `mmgcctl verify`, then destroy it")                   \
    X(NO_DAEMON, 23, "no daemon answers on the socket: start mmgcd, or set MMGC_SOCKET to where it listens")                  \
    X(DISCONNECTED, 24, "the connection to the daemon is gone: connect again")                                                \
    X(VERSION, 25, "client and daemon have no protocol version in common: install matching releases")                         \
    X(PROTOCOL, 26, "the peer sent what cannot be understood: the connection was closed")                                     \
    X(TOO_BIG_MESSAGE, 27, "a message is larger than its kind allows")                                                        \
    X(ORDER, 28, "a message came where it may not: say Hello first, open a heap before using one, and only once")             \
    X(FORKED, 29, "this process was forked from the one that connected: connect again in the child")                          \
    X(TIMEOUT, 30, "no answer in time: the daemon is overloaded or stopped")                                                  \
    X(STACK, 31, "the stack pointer is outside the thread's registered stack: attach with the stack it runs on")              \
    X(SYSTEM, 32, "a system call failed: errno says which way")                                                               \
    X(UNSUPPORTED, 33, "the heap's plan or this system does not offer that")                                                  \
    X(SHUTDOWN, 34, "the daemon is shutting down: connect again when it is back")                                             \
    X(RESERVE, 35, "the reservation is larger than can be promised: reserve less")                                             \
    X(CLEARED, 36, "what it referred to is gone: nothing else had held it")                                                   \
    X(DROPPED, 37, "it was dropped or released before: use a handle or lease once, and not after its end")                    \
    X(BUSY, 38, "another holder has leased the object: wait with a deadline, or look at `mmgcctl leases`")                     \
    X(REVOKED, 39, "an administrator has revoked the lease: release it and take it anew")                                      \
    X(DEADLOCK, 40, "waiting for that would never end: release what you hold first")                                           \
    X(HELD, 41, "the object belongs to a hold, which nothing outside may refer to: stow it first")                             \
    X(UNBALANCED, 42, "holds end in the reverse order of their beginning: end the inner one first")                            \
    X(BUDGET, 43, "the hold has used up its budget: end it, or begin it with a larger one")                                    \
    X(NO_OBJECT, 44, "there is no object of this heap at that address")                                                        \
    X(NO_NOTICES, 45, "the subscription was dropped, since its notices were not taken in time: subscribe again and rebuild")

enum mmgc_error {
#define MMGC_ERROR_ROW(name, number, sentence) MMGC_E_##name = (number),
    MMGC_ERRORS(MMGC_ERROR_ROW)
#undef MMGC_ERROR_ROW
    MMGC_E_COUNT
};
#define MMGC_OK MMGC_E_OK

#endif
