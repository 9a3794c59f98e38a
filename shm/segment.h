/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Segment: one sealed memfd, mapped by several processes at unequal addresses.
 *   Owner    the daemon creates and seals; a client adopts the fd it was sent and maps it
 *   Threads  new/adopt/unref on one thread; address, bytes and fd from any
 *   Units    bytes                                                Layout  docs/heap-layout.md#segment
 *   Rights   born 0600 and sealed before the fd can leave, MADV_DONTDUMP; clients also map
 *            MADV_DONTFORK (soundness S10, S14).
 *   Aligned  to 4 MiB from 2 MiB upwards, so that huge pages can be mapped as such everywhere.
 *   Or       memory of the caller's, for programs that share with nobody: shm_segment_init_memory().    */
#include <stdbool.h>
#include <stddef.h>

#include "shm/base.h"

struct shm_segment {                                         /* use the calls below */
    void *address;                                           /* NULL: not mapped yet */
    size_t bytes;
    int fd;                                                  /* -1: none, or none yet */
};

enum shm_access { SHM_READ_ONLY, SHM_READ_WRITE };

/* Creates and maps a sparse segment of @bytes (rounded up to pages), zeroed, sealed SHRINK|GROW|SEAL. @label (copied,
 * shown in /proc/PID/maps) is at most SHM_LABEL_MAX bytes. 0, or -errno with *ret_seg as it was. */
#define SHM_LABEL_MAX 200u
int shm_segment_new(struct shm_segment **ret_seg, size_t bytes, const char *label);

/* An empty memfd, not sealed yet, that nobody can execute and only its owner open. -errno. */
int shm_memfd_new(const char *label);

/* The same, and also sealed FUTURE_WRITE: our mapping is the only writable one there will ever be, root and a restarted
 * daemon included, and nobody can punch it or write(2) to it, ourselves included. For control. One call, since SEAL
 * must come last and an fd must not leave before it. */
int shm_segment_new_published(struct shm_segment **ret_seg, size_t bytes, const char *label);

/* Maps a received @fd whole, private to no one. Checks that it is sealed against shrinking and growing and is exactly
 * @bytes long, -EBADMSG otherwise, and that it is writable if @access wants that, -EACCES otherwise (-EPERM if it is
 * a published one). Takes @fd on success only. Clients use it: a child of ours does not inherit the mapping. */
int shm_segment_adopt(struct shm_segment **ret_seg, int fd, size_t bytes, enum shm_access access);

/* Makes @seg, which the caller embeds, stand for @bytes at @memory, both whole pages (-EINVAL): no fd, mapped by nobody, nothing to be undone;
 * never unref it. Asks the system for nothing. */
int shm_segment_init_memory(struct shm_segment *seg, void *memory, size_t bytes);

/* A new O_RDONLY descriptor of the same memory, owned by the caller; -errno. What a reader is sent. */
int shm_segment_reopen_read_only(const struct shm_segment *seg);

void *shm_segment_address(const struct shm_segment *seg);    /* valid while @seg lives */
size_t shm_segment_bytes(const struct shm_segment *seg);
int shm_segment_fd(const struct shm_segment *seg);           /* borrowed; -1: it is the caller's memory */
struct shm_segment *shm_segment_unref(struct shm_segment *seg);   /* unmaps and closes; NULL in, NULL out */
MM_DEFINE_AUTO(shm_segment, shm_segment_unref)
