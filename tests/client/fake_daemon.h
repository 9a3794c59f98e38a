/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fake daemon: a thread of the test that answers a client like mmgcd would, with a heap that never collects: what it grants,
 * when it answers and when it stops the world is the test's to say.
 *   Owner    the test, from fake_start() to fake_stop()
 *   Threads  the server thread answers; fields marked [test] are set by the test, any time, and read by it
 *   Mapped   the segments are mapped once by the fake and once more by the client library, as in two processes */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/mmgc/error.h"
#include "proto/wire.h"
#include "shm/control.h"
#include "shm/lease.h"
#include "shm/mutator.h"
#include "shm/segment.h"
#include "shm/session.h"

#define FAKE_THREADS 16u
#define FAKE_CONNECTIONS 16u
#define FAKE_NAMES 8u
#define FAKE_ARENA_BYTES (UINT64_C(64) << 20)
#define FAKE_GARBAGE 0xa5 /* fills what is granted, unless it is said to be zero */

struct fake_name {
    char name[64];
    uint32_t ref;
};
#define FAKE_WAITERS 16u
struct fake_waiter {                         /* for a lease */
    uint32_t ref, slot;                      /* ref 0: none */
    int connection;
};
struct fake_daemon {
    char path[64];                           /* where it listens */
    struct shm_segment *control_segment, *arena_segment, *log_segment, *lease_segment;
    struct shm_segment *session_segments[FAKE_CONNECTIONS];  /* by connection; NULL: none */
    struct shm_segment *mutator_segments[FAKE_THREADS];      /* by thread number - 1 */
    struct shm_control *control;
    char *arena;
    _Atomic uint8_t *log_lines;
    _Atomic uint64_t *log_bits;              /* both sent to clients that may write, if control.barrier says so */

    struct shm_leases *leases;               /* sent to clients that may write */
    uint32_t row_limit;                      /* [test] of heaps opened from now on; 0: SHM_ROWS_MAX */

    _Atomic int grant_error;                 /* [test] answer grants with this code */
    _Atomic uint32_t span_bytes;             /* [test] of spans, unless objects are longer; 0: whole blocks */
    _Atomic uint32_t spans_max;              /* [test] entries a LINES request brings at most; 0: any number */
    _Atomic bool zeroed;                     /* [test] what is granted is zero and said to be */
    _Atomic bool hold_grants;                /* [test] keep grant requests until this is false */
    _Atomic bool mute;                       /* [test] answer nothing at all */
    _Atomic uint64_t collect_number;         /* [test] what Collect is answered with */
    _Atomic uint32_t grants[SHM_GRANT_CLASSES];      /* requests seen */
    _Atomic uint64_t last_grant_bytes[SHM_GRANT_CLASSES];
    _Atomic uint64_t notice_taken;           /* the last NoticesTaken */
    _Atomic uint64_t notice_deadline;        /* what the last NoticesOpen said */
    _Atomic bool lose_wakes;                 /* [test] LeaseReleased wakes nobody */
    _Atomic uint32_t lease_waits, lease_releases;    /* requests seen */
    _Atomic uint32_t drains;                 /* requests seen; nothing is done about them */
    _Atomic uint32_t attaches, detaches, hellos, pidfds;     /* attaches: release, after the segment is there */
    _Atomic uint64_t arena_next;             /* bytes granted so far */
    struct fake_name names[FAKE_NAMES];      /* server thread */
    struct fake_waiter waiters[FAKE_WAITERS];        /* server thread */

    _Atomic int subscriber;                  /* the connection that has opened notices last; -1: none */

    int listener, wake[2];
    _Atomic int sockets[FAKE_CONNECTIONS];   /* -1: none */
    pthread_t thread;
};

struct fake_daemon *fake_start(void);
void fake_stop(struct fake_daemon *fake);

struct shm_mutator *fake_mutator(struct fake_daemon *fake, uint32_t id);         /* thread @id, as the daemon maps it */
struct shm_session *fake_session(struct fake_daemon *fake);                      /* of the last heap that was opened */
/* An event to every connection: Error with serial 0. */
void fake_event(struct fake_daemon *fake, enum mmgc_error code);
/* An event to the connection that has opened notices, with @fd beside it (-1: none) and `notices` in its session raised. */
void fake_notice(struct fake_daemon *fake, wire_notice *notice, int fd);
/* Closes every connection. */
void fake_drop_all(struct fake_daemon *fake);

/* The stop protocol's other side (soundness S4). True: all threads have stopped within @timeout_ms. */
bool fake_stop_world(struct fake_daemon *fake, unsigned timeout_ms);
void fake_resume_world(struct fake_daemon *fake);
