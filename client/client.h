/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Client: one process's access to one daemon. Its own connection opens no heap; each heap has another one.
 *   Owner    the program, from mmgc_connect() to mmgc_disconnect()
 *   Threads  any                                                                                        */
#include <stdbool.h>

#include "client/connection.h"

struct mmgc_client {
    struct connection connection;
    char *path, *name;                       /* [const] how its heaps connect */
    bool fence;                              /* [const] no membarrier reaches us: threads fence themselves (S4) */
    struct mmgc_client *next;                /* [lock: fork] */
};
extern struct mmgc_client *client_list;      /* [lock: fork] */
