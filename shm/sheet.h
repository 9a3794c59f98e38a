/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sheet: a memfd that is written once, cut to what was written, and then never changes: for messages too large for a packet.
 *   Owner    whoever made it writes it; once sealed, the fd may be given to anybody
 *   Threads  one for each call; any may write what lies between @address and its end
 *   Units    bytes                                                Layout  docs/heap-layout.md#moves            */
#include <stddef.h>

struct shm_sheet {
    void *address;                           /* NULL: sealed, or there is none */
    size_t bytes;
    int fd;                                  /* -1: there is none */
};
#define SHM_SHEET_NONE { .fd = -1 }

/* Room for @bytes, all zero, that no memory is taken for yet. 0, or -errno with *ret_sheet as it was. */
int shm_sheet_new(struct shm_sheet *ret_sheet, size_t bytes, const char *label);
/* Cuts it to @bytes, at most what there was; from now on nobody can write to it or change its size, us included. 0, -errno. */
int shm_sheet_seal(struct shm_sheet *sheet, size_t bytes);
/* Maps a received @fd of exactly @bytes for reading. -EBADMSG if it is not sealed as above or of another size. The fd stays the caller's. */
int shm_sheet_read(struct shm_sheet *ret_sheet, int fd, size_t bytes);
void shm_sheet_close(struct shm_sheet *sheet);           /* unmaps and closes; of one that was read: unmaps */
