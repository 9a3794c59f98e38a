/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Leases: the daemon's part in shm/lease.h: who is which holder, who waits, and what goes with a session or at an administrator's word.
 *   Owner    the shared heap
 *   Threads  loop; suspects are [lock: heap], and looked at by the collector thread while the world is stopped
 *   Hostile  the table: every entry is read once, and cleared only as that value. No work here is bounded by what it says */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "shm/lease.h"
#include "shm/segment.h"

struct collector_task;
struct session;
struct shared_heap;

#define LEASE_SUSPECTS_MAX 64u

struct lease_waiter {
    TAILQ_ENTRY(lease_waiter) link;
    struct session *session;                  /* borrowed: its end removes this */
    uint32_t ref, slot;
};
struct lease_suspect {                        /* an entry that had no row when somebody was waiting for its end */
    uint64_t session, entry;
    uint32_t bucket, place;
};
struct leases {
    struct shm_segment *segment;
    struct shm_leases MM_NODEREF *table;                 /* hostile */
    TAILQ_HEAD(lease_waiters, lease_waiter) waiters;
    uint64_t holders[(SHM_LEASE_HOLDER_MAX + 1) / 64];       /* bit: a session is that one */
    uint32_t last_holder;
    struct lease_suspect suspects[LEASE_SUSPECTS_MAX];
    uint32_t suspect_count;
};

int leases_init(struct leases *l);            /* 0, -errno */
void leases_fini(struct leases *l);
/* @s enters and leaves the heap. What it had leased is free when it has left, and who waited for that is awake. */
void leases_enter(struct shared_heap *h, struct session *s);
void leases_leave(struct shared_heap *h, struct session *s);

enum lease_wait { LEASE_WAITS, LEASE_WAITS_TOO_MANY, LEASE_WAITS_NOMEM };
/* A thread of @s waits for the object at @ref, by its row @slot. Holders that are none are cleared, or suspected. */
enum lease_wait leases_wait(struct shared_heap *h, struct session *s, uint32_t ref, uint32_t slot);
void leases_wait_over(struct shared_heap *h, struct session *s, uint32_t slot);
void leases_released(struct shared_heap *h, uint32_t ref);   /* wakes all who wait for it */
uint32_t leases_waiters(const struct shared_heap *h, uint32_t ref);
/* Ends the lease of @s's row @slot for others. False: it is none, or given back at this moment. */
bool leases_revoke(struct shared_heap *h, struct session *s, uint32_t slot);
/* Suspects that still have no row go. The world is stopped, and @task has all its sessions. */
void leases_check_stw(struct shared_heap *h, const struct collector_task *task);
