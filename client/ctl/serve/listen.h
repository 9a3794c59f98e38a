/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Listen: the socket that the pages are served on: ADDRESS:PORT, [ADDRESS]:PORT, or unix:PATH. */
#include <stdbool.h>

#define LISTEN_DEFAULT "127.0.0.1:9464"

struct listening {
    int sock;
    bool loopback;                            /* only this machine reaches it by TCP: http.c then knows how a browser calls it */
    char *path;                               /* unix: to be unlinked; else NULL */
    char *shown;                              /* "http://127.0.0.1:9464/" with the port it has got; or the path */
};
/* 0; -EINVAL: @where is no such thing; -errno. A stale socket at a path is replaced, one that is listened on is -EADDRINUSE. */
int listen_open(struct listening *ret_listening, const char *where);
void listen_close(struct listening *listening);
