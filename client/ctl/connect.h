/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Connect: the way to the daemon, and one question at a time on it.
 *   Time    one deadline for all of a run, so that no daemon, not even one that sends pages without end, keeps it for ever */
#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

#define CONNECT_DEFAULT_SOCKET "/run/mmgcd/mmgcd.sock"

struct ctl;
struct connection {
    int sock;                                 /* -1: none */
    uint32_t serial;                          /* of the last request */
    uint64_t deadline_ns;                     /* CLOCK_MONOTONIC; UINT64_MAX: none */
    wire_reply *welcome;
};

/* Connects to options.socket and says hello. On failure ctl->exit says whether anybody was there. */
enum mmgc_error ctl_connect(struct ctl *ctl);
void ctl_start_clock(struct ctl *ctl);        /* the deadline is options.timeout_ns from now: for who keeps a connection; ctl_connect() does it */
void ctl_disconnect(struct ctl *ctl);         /* harmless if there is no connection */
