/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inspect: asks a daemon what mmgcctl asks, from a test that is no client of any heap.
 *   Threads  one at a time      Failing  a daemon that does not answer in 30 s fails the test                        */
#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

struct inspect {
    int sock; /* -1: not open */
    uint32_t serial;
};
void inspect_open(struct inspect *ask, const char *socket);
void inspect_close(struct inspect *ask);
/* One round trip. Owned by the caller. An Error is a reply like another. */
wire_reply *inspect_ask(struct inspect *ask, wire_request *request);

/* The world of @heap is stopped and every invariant checked; anything but clean fails the test. Gives the objects seen. */
uint64_t inspect_verify(struct inspect *ask, const char *heap);
/* The same, but what is wrong is only said, in @report; "" if nothing is. */
void inspect_try_verify(struct inspect *ask, const char *heap, char *report, size_t bytes);
/* Starts a collection and waits for its end. MMGC_OK, or why there was none. */
enum mmgc_error inspect_collect(struct inspect *ask, const char *heap);

/* Only asks for one: it may wait for threads that are not running. */
void inspect_collect_begin(struct inspect *ask, const char *heap);

struct inspect_heap {
    uint64_t used_bytes, live_bytes, collections, abandoned_stops, granted_bytes, handles, names;
    uint32_t sessions, threads;
    bool corrupt;
};
struct inspect_heap inspect_heap(struct inspect *ask, const char *heap);
bool inspect_has_heap(struct inspect *ask, const char *heap);
/* Collections of a kind: "full", "young". */
uint64_t inspect_pauses(struct inspect *ask, const char *heap, const char *kind);
/* Polls until the heap has this many sessions: a death is noticed a little after it happened. Fails after 10 s. */
void inspect_await_sessions(struct inspect *ask, const char *heap, uint32_t sessions);

struct inspect_thread { /* of the client with this pid: its first thread with this name */
    char state[16];
    uint64_t late_stops;
};
/* False: mmgcctl clients would not show it. */
bool inspect_thread(struct inspect *ask, const char *heap, uint32_t pid, const char *name,
                    struct inspect_thread *ret);

/* What there is of the clients with this pid, in all heaps, as mmgcctl clients, handles and leases show it. */
struct inspect_rest {
    uint32_t sessions, handles, leases, waiters; /* waiters: for leases, of anybody, in the rows of all */
};
struct inspect_rest inspect_rest(struct inspect *ask, uint32_t pid);
/* Ends the heap, whoever has it open. */
void inspect_destroy(struct inspect *ask, const char *heap);
/* Becomes the delegate of @heap, and answers nothing. */
enum mmgc_error inspect_delegate(struct inspect *ask, const char *heap);
