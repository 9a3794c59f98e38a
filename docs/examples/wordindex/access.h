/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Access: a connection, the heap and this thread's attachment, opened and closed together. */
#include <mmgc/mmgc.h>

struct place {                               /* where the index is */
    const char *socket;                      /* NULL: the library's default */
    const char *heap;
    uint64_t max_bytes;                      /* for creation; 0: the daemon's default */
};
struct access {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
};
int access_open(struct access *ret_access, const struct place *place, const char *name);     /* 0; 1: failed and said so */
void access_close(struct access *access);
