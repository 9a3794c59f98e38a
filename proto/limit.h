/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Limits: how large each kind of message may be, what its fields may hold, how many fds go with it.
 *   One table a direction; docs/protocol.md repeats the numbers and tests/proto/test_protocol_doc.py compares them. */
#include "proto/wire.h"

/* X(KIND, bytes of the packet, fewest fds, most fds) */
/* clang-format off */
#define WIRE_REQUEST_LIMITS(X)            \
    X(HELLO,               256, 0, 0)     \
    X(PING,                 64, 0, 0)     \
    X(HEAP_OPEN,          1024, 0, 0)     \
    X(HEAP_DESTROY,        384, 0, 0)     \
    X(HEAP_LIST,           384, 0, 0)     \
    X(HEAP_INFO,           384, 0, 0)     \
    X(TYPE_DEFINE,        2048, 0, 0)     \
    X(ATTACH,              256, 0, 1)     \
    X(DETACH,               64, 0, 0)     \
    X(GRANT,               128, 0, 0)     \
    X(NAME_SET,            384, 0, 0)     \
    X(NAME_GET,            384, 0, 0)     \
    X(COLLECT,             384, 0, 0)     \
    X(VERIFY,              384, 0, 0)     \
    X(HISTOGRAM,           384, 0, 0)     \
    X(CLIENTS,             384, 0, 0)     \
    X(ROOTS,               640, 0, 0)     \
    X(HEAP_RESIZE,         384, 0, 0)     \
    X(DELEGATE,            384, 0, 0)     \
    X(DECIDE,              384, 0, 0)     \
    X(DRAIN,                64, 0, 0)     \
    X(BEQUEATH,            384, 0, 0)     \
    X(GUARDIAN,            384, 0, 0)     \
    X(INHERIT,              64, 0, 0)            \
    X(STOW,                 64, 0, 0)     \
    X(STOWED,               64, 0, 0)     \
    X(NOTICES_OPEN,         64, 0, 0)     \
    X(NOTICES_TAKEN,        64, 0, 0)            \
    X(HANDLES,             384, 0, 0)     \
    X(LEASE_WAIT,           64, 0, 0)     \
    X(LEASE_RELEASED,       64, 0, 0)     \
    X(LEASE_REVOKE,        384, 0, 0)     \
    X(MORE_ROWS,            64, 0, 0)     \
    X(USERS,                64, 0, 0)     \
    X(EVICT,                64, 0, 0)     \
    X(SNAPSHOT,            384, 0, 1)     \
    X(WATCH,               384, 0, 0)     \
    X(TRACE_BEGIN,         384, 0, 0)     \
    X(TRACE_READ,           64, 0, 0)     \
    X(STATS,               640, 0, 0)     \
    X(BLOCKS,              384, 0, 0)
#define WIRE_REPLY_LIMITS(X)              \
    X(ERROR,              2048, 0, 0)     \
    X(DONE,                 64, 0, 0)     \
    X(WELCOME,             256, 0, 0)     \
    X(HEAP_OPENED,         256, 3, 5)     \
    X(HEAP_ROWS,         65536, 0, 0)     \
    X(HEAP_FACTS,        65536, 0, 0)     \
    X(TYPE_DEFINED,         64, 0, 0)     \
    X(ATTACHED,             64, 1, 1)     \
    X(NAME_VALUE,           64, 0, 0)     \
    X(COLLECT_STARTED,      64, 0, 0)     \
    X(VERDICT,           16384, 0, 0)     \
    X(HISTOGRAM_ROWS,    65536, 0, 0)     \
    X(CLIENT_ROWS,       65536, 0, 0)     \
    X(ROOT_ROWS,         65536, 0, 0)     \
    X(PRESSURE,            384, 0, 0)     \
    X(INHERITED,            64, 0, 0)            \
    X(STOW_RESULT,         128, 0, 0)     \
    X(NOTICE,             2048, 0, 1)            \
    X(HANDLE_ROWS,       65536, 0, 0)     \
    X(USER_ROWS,         65536, 0, 0)     \
    X(EVICTED,             128, 0, 0)     \
    X(SNAPSHOT_TAKEN,       64, 0, 0)     \
    X(WATCH_EVENT,        2048, 0, 0)     \
    X(TRACE_BEGUN,         512, 0, 0)     \
    X(TRACE_ROWS,        65536, 0, 0)     \
    X(STATS_ROWS,        65536, 0, 0)     \
    X(BLOCK_MAP,         16384, 0, 0)
/* clang-format on */

struct wire_limit {
    uint32_t bytes;
    uint8_t fds_min, fds_max;
};

/* Of a body, by its field number in the envelope; {0} for none. */
struct wire_limit wire_request_limit(unsigned body_case);
struct wire_limit wire_reply_limit(unsigned body_case);

/* Whether every field of @request keeps its limit: MMGC_E_OK or what the peer is told. Strings must not hide a NUL. */
enum mmgc_error wire_request_check(const wire_request *request);
