/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Memory: a daemon with one heap, "h", a thread that fills it in large pieces, and an administrator who looks on.
 *   Threads  one, unless a test has raw clients of its own        Life  memory_open() to memory_close(), one at a time */
#include "tests/daemon/raw.h"

#define MIB (UINT64_C(1) << 20)

extern struct memory {
    struct daemon *daemon;
    struct raw client, admin;
    struct raw_thread thread;                 /* the client's */
} memory;
struct memory_sizes {
    uint64_t limit, used, committed, resident, foreign, punched;
};

void memory_open(uint64_t bytes, const char *options);        /* of "h", which the client makes; under immix, unless they name a plan */
void memory_close(void);

/* Garbage: a run taken and never filled. The newest one is not given up yet by the next collection. */
enum mmgc_error memory_waste(struct raw_thread *thread, uint64_t bytes);
/* An object of about @bytes, with a name. */
enum mmgc_error memory_keep(const char *name, uint64_t bytes);
void memory_name(const char *name, uint32_t ref);             /* 0: drops it */
enum mmgc_error memory_reserve(uint64_t bytes);               /* blocks: all or an error */
uint64_t memory_reserved_bytes(uint32_t from);                /* in the ring from that index on */
void memory_take_all(struct raw_thread *thread, enum shm_grant_class class);
struct shm_grant memory_newest_run(void);
char *memory_bytes_of(struct shm_grant run);

struct memory_sizes memory_sizes(void);                       /* as HeapInfo says */
uint64_t memory_limit(void);                                  /* as control says */
/* Fails unless the limit comes to lie there: a dynamic one is set by the loop, after those who waited for the collection went on. */
void memory_await_limit(uint64_t least, uint64_t most);
uint64_t memory_collect(void);                                /* when it was done, ns */
enum mmgc_error memory_resize(struct raw *asker, const char *heap, uint64_t bytes);
