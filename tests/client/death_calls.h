/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Death, its calls: a world with everything a program can have, and a table of all public calls: what each answers when the daemon is dead.
 *   Moments  AT_REST    the daemon is dead when the call is made, and nobody has noticed
 *            AMID       it is stopped before the call (SIGSTOP), so that whatever waits for it waits, and killed a little later
 *            STOPPING   it has asked the world to stop, is killed, and then the call is made
 *   Threads  each has a world of its own, on its stack, where collections find the pointers                    */
#include <mmgc/guardian.h>
#include <mmgc/hold.h>
#include <mmgc/lease.h>
#include <mmgc/mmgc.h>
#include <mmgc/notice.h>
#include <mmgc/reference.h>

#define NODES 2000
#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

enum moment { AT_REST, AMID, STOPPING, MOMENTS };

struct node {
    mmgc_ref next, text;
    mmgc_ref queue, link;
    int64_t value;
};
struct soft_node {
    struct mmgc_soft soft;
};
struct world {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node, soft_node, bytes, refs;
    struct node *list, *leased, *shared;
    struct soft_node *soft;
    mmgc_ref *array;
    void *queue;
    mmgc_handle handle;
    mmgc_weak weak;
    mmgc_lease exclusive, lease;
    mmgc_guard guard;
    mmgc_local local;
    struct mmgc_notices *notices;
    mmgc_watched watched;
};

extern _Thread_local struct world *world;
#define w (*world)
extern char socket_path[128];                /* also when there is no daemon any more */

/* *@to, of the calling thread, which is inside, in a heap of this name. */
void world_open(struct world *to, const char *heap);
void world_close(struct world *of);

struct row {
    const char *name, *call;                 /* the function that it is about; all of it */
    int code[MOMENTS];
};
extern const struct row death_rows[];
extern const int death_row_count;
int death_call(int row);
/* All that was granted, and then one more object: its error. *ret_count is how many there were. */
int use_up(uint32_t *ret_count);
