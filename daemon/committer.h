/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Committer: gives arenas their pages, in a process of its own: over a memory limit the kernel kills who commits, and that
 * must not be the daemon (soundness S11). Its death is an ordinary answer: no memory.
 *   Threads  loop. Requests are answered in any order, each exactly once, never from within the call that made it  */
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "shm/commit.h"

struct committer;
typedef void (*committer_answer)(void *context, uint64_t offset, int result, enum shm_pages pages);

int committer_new(struct committer **ret_committer, uv_loop_t *loop);        /* starts the process; -errno */
/* Commits @bytes at @offset of the memfd @fd, 2 MiB multiples. The fd is borrowed until the answer. 0; or -ENOMEM, and
 * there will be no answer. */
int committer_ask(struct committer *c, int fd, uint64_t offset, uint64_t bytes, enum shm_huge huge,
                  committer_answer answer, void *context);
/* Ends the process; who still waits is answered -ENOMEM. Frees @c once libuv has closed its handles. NULL is fine. */
void committer_close(struct committer *c);

/* The other process: its main(), when argv[1] is this. */
#define COMMITTER_ARGUMENT "--committer-process"
int committer_main(void);

struct committer_order {                      /* one SOCK_SEQPACKET message, the arena's fd beside it */
    uint64_t number, offset, bytes;
    uint32_t huge, reserved;
};
struct committer_result {
    uint64_t number;
    int32_t result;                           /* 0, -errno */
    uint32_t pages;                           /* enum shm_pages */
};
