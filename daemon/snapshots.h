/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Snapshots: memory of a client's, checked and mapped, into which the collector copies a heap (shm/snapshot.h).
 *   Memory   a memfd that the client made and paid for. It must be sealed against shrinking and growing and have all of its pages; then the daemon
 *            seals it against holes, too (snapshots.c has the proof that it can rely on it). What is in it is only ever written here
 *   Bound    SNAPSHOTS_MAX at once, and one a session, which is charged with its file
 *   Threads  loop; checked, mapped and unmapped in libuv's pool; snapshot_take_stw() on the collector's thread                       */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/collector.h"

struct request;
struct session;
struct snapshot;

#define SNAPSHOTS_MAX 8u

/* Takes r->fds' descriptor and has it checked and mapped; then the request is continued. False: it was refused. */
bool snapshot_begin(struct request *r);
/* It has been looked at: NULL, or what is wrong with it. */
const char *snapshot_fault(const struct snapshot *s);
/* Answers what the collector's @task has made of it. */
void snapshot_answer(struct request *r, const struct collector_task *task);
void snapshot_free(struct session *session, struct snapshot *s);     /* NULL: nothing */

/* World stopped, heap locked. 0, also when it does not fit, -errno. snapshot_write.c */
int snapshot_take_stw(struct shared_heap *h, const struct collector_task *task, const struct heap_stop *stop, struct snapshot *s);
/* About what it needs now. Heap locked. */
uint64_t snapshot_bytes_locked(const struct shared_heap *h);

/* Rows of OWNERS: the two that every heap has, then the task's sessions, then its threads. */
#define SNAPSHOT_OWNER_NAMES 0u
#define SNAPSHOT_OWNER_ESTATE 1u
static inline uint32_t snapshot_session_owner(size_t i)
{
    return 2 + (uint32_t)i;
}
static inline uint32_t snapshot_thread_owner(const struct collector_task *task, size_t i)
{
    return 2 + (uint32_t)(task->session_count + i);
}

struct snapshot_memory {                      /* what snapshot_take_stw() is given */
    char *address;
    uint64_t bytes;
    uint64_t needed;                          /* filled in; above bytes: nothing was written */
};
struct snapshot_memory *snapshot_memory(struct snapshot *s);
