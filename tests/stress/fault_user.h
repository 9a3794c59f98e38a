/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fault user: what a client of a daemon under faults does, in steps. Each may fail, and be done again; wrong contents fail the test.
 *   Threads  one                                                                                            */
#include <mmgc/mmgc.h>
#include <stddef.h>
#include <stdint.h>

#define ASKED "asked"                        /* the asker's heap, which the steps make and destroy */

struct user {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type node, bytes;
    mmgc_handle list;
    uint32_t length; /* of the list */
};
struct step {
    const char *name;
    int (*run)(struct user *u);
};
extern const struct step asker_steps[], bystander_steps[];
extern const size_t asker_step_count, bystander_step_count;
extern const char *fault_socket; /* the daemon's */
extern const char *fault_doing;  /* the step, for people */

int do_connect(struct user *u);
int do_inspect(struct user *u); /* on a connection of its own */
int do_destroy(struct user *u);
void user_prepare(struct user *u, const char *heap); /* connected, attached, with a full list */
void user_leave(struct user *u); /* also after the connection is lost: then nothing of it is left but what the daemon holds */
int fault_hello(int sock, uint32_t serial);
