/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Watch: sessions that are told what happens, as it happens: one that has sent Watch gets a WatchEvent, a reply nobody asked for, for each
 * event of the kinds and the heap it has named.
 *   Rights   of one's own heaps; administrators of all
 *   Slow     what finds no room in a watcher's socket is lost, to it alone, and it is told how many they were as soon as there is room again. So
 *            its socket is its queue: a quarter of it is all that it may leave unread. The loop waits for nobody, and telling ends no session
 *   Bounded  WATCHERS_MAX in all, and WATCHERS_OF_USER of one user; an event costs a call of the system for each
 *   Threads  loop, also with a heap's lock held                                                             */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "proto/wire.h"

struct collector_task;
struct mutator;
struct server;
struct session;
struct shared_heap;

#define WATCHERS_MAX 32u
#define WATCHERS_OF_USER 8u

enum watch_kind {                             /* as in WatchEvent; docs/protocol.md */
    WATCH_LOST, WATCH_COLLECTION, WATCH_STOP_LATE, WATCH_CLIENT_JOIN, WATCH_CLIENT_LEAVE, WATCH_HEAP_MADE, WATCH_HEAP_GONE, WATCH_QUARANTINE,
    WATCH_LIMIT, WATCH_TRIGGER, WATCH_OUT_OF_MEMORY, WATCH_KINDS
};

struct watcher {
    TAILQ_ENTRY(watcher) link;
    struct session *session;                  /* which owns it */
    char heap[WIRE_NAME_MAX + 1];             /* "": all */
    uint32_t events;                          /* bits */
    uint64_t lost;                            /* since the last it was told of */
};
TAILQ_HEAD(watchers, watcher);

void watch_session_ends(struct session *s);
void watch_has_room(struct session *s);       /* it may read again, or never did otherwise: what it has lost is told */

/* What happened. @why: a word or a sentence, borrowed. */
void watch_collection(const struct shared_heap *h, wire_watch_event *event);     /* filled in but for kind, time and heap */
void watch_late(const struct shared_heap *h, const struct collector_task *task);
void watch_client(const struct shared_heap *h, const struct session *s, enum watch_kind kind);
void watch_heap(const struct shared_heap *h, enum watch_kind kind, const char *why);
void watch_limit(const struct shared_heap *h, uint64_t before_bytes);
void watch_no_memory(const struct shared_heap *h, const struct mutator *m, uint64_t wanted_bytes);
