/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Wire: requests and replies as C structs, and their way through a packet. The one place that sees protobuf-c's names;
 * everybody else says wire_*. Message by message: docs/protocol.md
 *   Strings   protobuf-c: never NULL, "" by default; borrowed in what is sent, owned by the message in what is received
 *   Checked   a received request has passed its limits (string lengths, repeated counts, packet size) and has a body       */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/mmgc.pb-c.h"
#include "proto/mmgc/error.h"
#include "proto/packet.h"

#define WIRE_VERSION_MIN 1u
#define WIRE_VERSION_MAX 1u
#define WIRE_FEATURES UINT64_C(0)
#define WIRE_NAME_MAX 255u                    /* heaps and named roots */
#define WIRE_LABEL_MAX 63u                    /* types; clients and threads, for people */
#define WIRE_PLAN_MAX 23u
#define WIRE_OPTIONS_MAX 511u                 /* a creator's options of a heap */
#define WIRE_REFS_MAX 256u                    /* of a TypeDefine, refs and element_refs together: SHM_TYPE_REFS_MAX */
#define WIRE_REQUEST_BYTES_MAX 4096u          /* no request is larger; each kind's own limit is in limit.h */

/* WIRE_MESSAGES(X): X(c_name, GeneratedName, GENERATED_NAME): typedef wire_<c_name>, and wire_<c_name>_init(). */
#define WIRE_MESSAGES(X)                       \
    X(request, Request, REQUEST)               \
    X(reply, Reply, REPLY)                     \
    X(error, Error, ERROR)                     \
    X(done, Done, DONE)                        \
    X(hello, Hello, HELLO)                     \
    X(welcome, Welcome, WELCOME)               \
    X(ping, Ping, PING)                        \
    X(heap_open, HeapOpen, HEAP_OPEN)          \
    X(heap_opened, HeapOpened, HEAP_OPENED)    \
    X(heap_destroy, HeapDestroy, HEAP_DESTROY) \
    X(heap_list, HeapList, HEAP_LIST)          \
    X(heap_row, HeapRow, HEAP_ROW)             \
    X(heap_rows, HeapRows, HEAP_ROWS)          \
    X(heap_info, HeapInfo, HEAP_INFO)          \
    X(space_row, SpaceRow, SPACE_ROW)          \
    X(packet_row, PacketRow, PACKET_ROW)       \
    X(option_row, OptionRow, OPTION_ROW)       \
    X(pause_row, PauseRow, PAUSE_ROW)          \
    X(heap_facts, HeapFacts, HEAP_FACTS)       \
    X(type_define, TypeDefine, TYPE_DEFINE)    \
    X(type_defined, TypeDefined, TYPE_DEFINED) \
    X(attach, Attach, ATTACH)                  \
    X(attached, Attached, ATTACHED)            \
    X(detach, Detach, DETACH)                  \
    X(grant, Grant, GRANT)                     \
    X(name_set, NameSet, NAME_SET)             \
    X(name_get, NameGet, NAME_GET)             \
    X(name_value, NameValue, NAME_VALUE)       \
    X(collect, Collect, COLLECT)               \
    X(collect_started, CollectStarted, COLLECT_STARTED) \
    X(verify, Verify, VERIFY)                  \
    X(verdict, Verdict, VERDICT)               \
    X(histogram, Histogram, HISTOGRAM)         \
    X(fault_row, FaultRow, FAULT_ROW)          \
    X(quarantine, Quarantine, QUARANTINE)      \
    X(histogram_row, HistogramRow, HISTOGRAM_ROW)    \
    X(histogram_rows, HistogramRows, HISTOGRAM_ROWS) \
    X(clients, Clients, CLIENTS)               \
    X(thread_row, ThreadRow, THREAD_ROW)       \
    X(client_row, ClientRow, CLIENT_ROW)       \
    X(client_rows, ClientRows, CLIENT_ROWS)    \
    X(roots, Roots, ROOTS)                     \
    X(root_row, RootRow, ROOT_ROW)             \
    X(root_rows, RootRows, ROOT_ROWS)          \
    X(heap_resize, HeapResize, HEAP_RESIZE)    \
    X(delegate, Delegate, DELEGATE)            \
    X(pressure, Pressure, PRESSURE)            \
    X(decide, Decide, DECIDE)                  \
    X(drain, Drain, DRAIN)                     \
    X(bequeath, Bequeath, BEQUEATH)            \
    X(guardian, Guardian, GUARDIAN)            \
    X(inherit, Inherit, INHERIT)               \
    X(inherited, Inherited, INHERITED)           \
    X(stow, Stow, STOW)                        \
    X(stowed, Stowed, STOWED)                  \
    X(stow_result, StowResult, STOW_RESULT)    \
    X(notices_open, NoticesOpen, NOTICES_OPEN) \
    X(notices_taken, NoticesTaken, NOTICES_TAKEN)    \
    X(notice, Notice, NOTICE) \
    X(handles, Handles, HANDLES)               \
    X(handle_row, HandleRow, HANDLE_ROW)       \
    X(handle_rows, HandleRows, HANDLE_ROWS)    \
    X(lease_wait, LeaseWait, LEASE_WAIT)       \
    X(lease_released, LeaseReleased, LEASE_RELEASED) \
    X(lease_revoke, LeaseRevoke, LEASE_REVOKE) \
    X(more_rows, MoreRows, MORE_ROWS)          \
    X(users, Users, USERS)                     \
    X(user_row, UserRow, USER_ROW)             \
    X(user_rows, UserRows, USER_ROWS)          \
    X(evict, Evict, EVICT)                     \
    X(evicted, Evicted, EVICTED)               \
    X(snapshot, Snapshot, SNAPSHOT)            \
    X(snapshot_taken, SnapshotTaken, SNAPSHOT_TAKEN) \
    X(trace_begin, TraceBegin, TRACE_BEGIN)    \
    X(trace_begun, TraceBegun, TRACE_BEGUN)    \
    X(trace_read, TraceRead, TRACE_READ)       \
    X(trace_row, TraceRow, TRACE_ROW)          \
    X(trace_rows, TraceRows, TRACE_ROWS)       \
    X(watch, Watch, WATCH)                     \
    X(watch_event, WatchEvent, WATCH_EVENT)    \
    X(stats, Stats, STATS)                     \
    X(pause_stats, PauseStats, PAUSE_STATS)    \
    X(heap_stats, HeapStats, HEAP_STATS)       \
    X(daemon_stats, DaemonStats, DAEMON_STATS) \
    X(stats_rows, StatsRows, STATS_ROWS)       \
    X(blocks, Blocks, BLOCKS)                  \
    X(block_map, BlockMap, BLOCK_MAP)

#define WIRE_TYPEDEF(c, Gen, GEN)                                                    \
    typedef Mmgc__Wire__##Gen wire_##c;                                              \
    static inline wire_##c wire_##c##_init(void)                                     \
    {                                                                                \
        return (wire_##c)MMGC__WIRE__##GEN##__INIT;                                  \
    }
WIRE_MESSAGES(WIRE_TYPEDEF)
#undef WIRE_TYPEDEF

/* The kinds of body, as protobuf-c numbers them. */
#define WIRE_REQUEST(KIND) MMGC__WIRE__REQUEST__BODY_##KIND          /* WIRE_REQUEST(HEAP_OPEN): for switch (request->body_case) */
#define WIRE_REPLY(KIND) MMGC__WIRE__REPLY__BODY_##KIND

/* Sending: 0, or -errno as packet_send(); -EMSGSIZE when the message is over its limit, -EINVAL when it has no body, -ENOMEM.
 * Strings are not checked: the receiver does that. */
int wire_send_request(int sock, const wire_request *request, const struct packet_fds *fds);
int wire_send_reply(int sock, const wire_reply *reply, const struct packet_fds *fds);
size_t wire_reply_bytes(const wire_reply *reply);    /* what it takes in a packet: so a page of rows ends before PACKET_BYTES_MAX */

/* Receiving. An expected outcome is an enum; the message is NULL unless WIRE_OK. */
enum wire_result {
    WIRE_OK,
    WIRE_AGAIN,                               /* nothing there (non-blocking) */
    WIRE_CLOSED,                              /* the peer closed, or the socket failed: errno-like reason is lost on purpose */
    WIRE_OVERSIZED,                           /* over the limit of its kind or of all; *ret_serial is the request's if it could be read */
    WIRE_MALFORMED,                           /* not a message: the peer cannot be understood; or a reply without its fds */
    WIRE_UNKNOWN,                             /* a message without a body known here (a newer peer); *ret_serial is set */
    WIRE_INVALID,                             /* understood, but a field breaks its limit (name too long ...); *ret_serial, *ret_error
                                               * set. Or, LIMIT: this process had no room for the packet's fds */
    WIRE_NO_MEMORY                            /* this process had none to read it into: a reply may still be there, a request is not; its
                                               * *ret_serial is set */
};
/* Whence the memory of what is received; malloc() and free() by default. Before the first message. */
void wire_use_memory(void *(*alloc)(size_t bytes), void (*free_piece)(void *piece));
/* @ret_fds, then the caller's, has as many fds as the message's kind takes (Attach 0 or 1, HeapOpened 3 to 5, Attached 1, Notice 0 or 1, others none);
 * surplus ones are closed. Empty unless WIRE_OK; NULL: all are closed. */
enum wire_result wire_recv_request(int sock, wire_request **ret_request, struct packet_fds *ret_fds, uint32_t *ret_serial,
                                   enum mmgc_error *ret_error);
enum wire_result wire_recv_reply(int sock, wire_reply **ret_reply, struct packet_fds *ret_fds);
/* The same on bytes, for tests and fuzzers. */
enum wire_result wire_parse_request(const void *bytes, size_t count, wire_request **ret_request, uint32_t *ret_serial,
                                    enum mmgc_error *ret_error);
enum wire_result wire_parse_reply(const void *bytes, size_t count, wire_reply **ret_reply);
void wire_request_free(wire_request *request);       /* NULL is fine */
void wire_reply_free(wire_reply *reply);
const char *wire_request_name(const wire_request *request);          /* "HeapOpen", for logs */

/* A name people give (heap, root, label, type): 1..@max bytes of UTF-8 without control characters. */
bool wire_name_valid(const char *name, size_t max);

const char *mmgc_error_sentence(enum mmgc_error code);               /* never NULL; unknown codes have a sentence, too */
const char *mmgc_error_name(enum mmgc_error code);                   /* "NOMEM" */
