/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Churner: a client with a thread that makes garbage, and keeps a little, until it is told to stop: so that there are collections to look at.
 *   Threads  the test's, beside the one it starts                                                           */
#include <stdatomic.h>
#include <stdbool.h>

#include <pthread.h>

#include <mmgc/mmgc.h>

struct churner {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    mmgc_type type;
    pthread_t thread;
    _Atomic bool enough;
};

/* Opens @heap as @name, making it with @plan, 32 MiB and @options; NULL: none. */
void churner_start(struct churner *c, const char *socket, const char *name, const char *heap, const char *plan, const char *options);
void churner_stop(struct churner *c);
