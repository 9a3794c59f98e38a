/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Request: one line makes one. RAW(request, PING, ping) declares `request` and `request_body`, all of it at its defaults. */
#include "proto/wire.h"

#define RAW(name, KIND, kind)                                            \
    wire_##kind name##_body = wire_##kind##_init();                      \
    wire_request name = wire_request_init();                             \
    request_fill(&name, WIRE_REQUEST(KIND), &name##_body)

static inline void request_fill(wire_request *request, unsigned kind, void *body)
{
    request->body_case = kind;
    request->ping = body; /* the union's members are all pointers */
}
