/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Heap: one opened heap: its connection, its segments, its types, handles and attached threads.
 *   Owner    the program, from mmgc_heap_open() to mmgc_heap_close()
 *   Threads  any; fields say what guards them                                                            */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/connection.h"
#include "client/pages.h"
#include "shm/control.h"
#include "shm/lease.h"
#include "shm/segment.h"
#include "shm/session.h"

struct layout;

struct mmgc_heap {
    struct connection connection;            /* a session of its own: one heap a connection */
    unsigned generation;                     /* [const] fork_generation when it was opened */
    uint64_t number;                         /* [const] of all heaps that this process opened */
    bool read_only, fence, report_leaks;     /* [const] */
    struct shm_segment *control_segment, *arena_segment, *session_segment;   /* [const] */
    struct shm_segment *log_segment;         /* [const] NULL: the plan has no write barrier, or we only read */
    struct shm_segment *lease_segment;       /* [const] NULL: we only read */
    const struct shm_control *control;       /* [const] */
    struct shm_session *session;             /* [const] */
    _Atomic uint8_t *log_lines;              /* [const] its bytes; NULL without it */
    _Atomic uint64_t *log_bits;              /* [const] its bits */
    const char *held_lines;                  /* [lock: heap, then const] the same for threads with a hold open: as many ones (hold.c) */
    struct shm_leases *leases;               /* [const] NULL without it */
    const char *quiet_lines;                 /* [const] what threads look at instead of log_lines while nothing is logged: as many zeroes */
    char *base;                              /* [const] where the arena begins here */

    struct pages *pages;                     /* [const] NULL: the plan closes none */

    char *path, *label, *name;               /* [const] how to connect to it once more */

    struct mmgc_heap *next;                  /* [lock: fork] */
    struct thread *threads;                  /* [lock: fork] */
    pthread_cond_t threads_changed;          /* with the registry's lock: a thread that was detaching is gone */

    pthread_mutex_t lock;                    /* short: the tables below */
    struct type **types;                     /* [lock: heap] buckets by name (type.c) */
    _Atomic(_Atomic(struct layout *) *) layouts; /* by type number, made when needed (layout.c) */
    uint32_t *row_next;                      /* [lock: heap] free list of the session's rows; a leased row's is its holder's (row.c R5) */
    uint32_t row_high, row_free;             /* [lock: heap] */
    _Atomic uint64_t guards_none;            /* no guard was ready when the session's go was this; above 32 bits: nobody has looked (guardian.c) */
    _Atomic bool is_guardian;                /* somebody may have left us something */
};
extern struct mmgc_heap *heap_list;          /* [lock: fork] */

/* MMGC_OK, or why this heap is not to be used: forked, disconnected, gone. Costs two loads. */
int heap_check(struct mmgc_heap *heap);
/* A record with nothing open, of this generation. NULL: out of memory. */
struct mmgc_heap *heap_blank(const char *path, const char *label, const char *name);
void heap_free(struct mmgc_heap *heap);      /* unmaps; its connection is closed, or never was open */
void heap_enlist(struct mmgc_heap *heap);    /* it is open: a forked child has to find it. mmgc_heap_close() takes it out */
/* Maps fd @which of @fds; the segment owns it afterwards. */
int heap_adopt(struct shm_segment **ret_seg, struct packet_fds *fds, int which, uint64_t bytes, enum shm_access access);
size_t heap_lines(const struct mmgc_heap *heap);     /* bytes of a table with one for each line of the arena, in whole pages */
void type_free_all(struct mmgc_heap *heap);
