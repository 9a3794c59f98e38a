/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Foreign pages: those of an arena that nobody was granted (soundness S12): a read of a hole makes one, whoever reads and however he has mapped it;
 * a client that locks its memory (mlockall) makes all. They count against the memory of the machine and of that client's cgroup, and nobody
 * would give them back. So they are found, counted, and punched while clients run.
 *   Found    what the memfd has, less what the heap has committed; located by SEEK_DATA. Pages in units that are committed are the heap's, whoever
 *            touches them
 *   When     once a second while a heap is open somewhere, and once after; not while somebody waits for memory
 *   Threads  loop; with the heap's lock where "locked"                                                     */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct server;
struct shared_heap;

#define FOREIGN_ROWS_MAX 64u
struct foreign_pages_batch;
struct foreign_pages {
    struct foreign_pages_batch *batch;              /* being punched, or done and the heap not told yet; NULL: none */
    uint64_t bytes;                           /* when it was last looked */
    uint64_t punched_bytes;                   /* since the heap was made */
};

void foreign_pages_start(struct server *server);
void foreign_pages_wake(struct server *server);               /* a session has opened a heap */
void foreign_pages_end(struct server *server);                /* no more after this; a batch under way comes to its end */
bool foreign_pages_under_way(const struct shared_heap *h);    /* there are units that can be committed a moment later */
void foreign_pages_settle_locked(struct shared_heap *h);
