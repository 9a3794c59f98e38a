/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Ctl: one run of mmgcctl, and what a command is made of.
 *   Idea     ask() fetches the answer into one JSON document (document.h); --json prints that, otherwise show() does
 *   Errors   a call returns MMGC_E_OK or a code with ctl_failed()'s detail beside it; main.c reports it, once
 *   Threads  one                                                                                         mmgcctl(1) */
#include <stdbool.h>
#include <stdint.h>

#include "client/ctl/connect.h"
#include "client/ctl/document.h"
#include "proto/mmgc/error.h"

enum ctl_exit {                               /* what the program ends with; stable */
    CTL_DONE = 0,
    CTL_FAILED = 1,                           /* the daemon refused, or it could not be done */
    CTL_USAGE = 2,
    CTL_UNREACHABLE = 3,                      /* no daemon */
    CTL_FAULTS = 4,                           /* verify found some */
};

enum ctl_sort { CTL_SORT_BYTES, CTL_SORT_OBJECTS, CTL_SORT_NAME };

struct ctl_options {
    const char *socket;
    const char *operand;                      /* the heap, or help's command; NULL: none given */
    uint64_t timeout_ns;                      /* 0: no end */
    uint64_t limit;                           /* rows shown at most */
    enum ctl_sort sort;
    bool json, bytes, force;
    uint64_t size_bytes;                      /* the second operand */
    uint64_t client, slot;                    /* of revoke; client, of handles: this session alone, 0: all */
    uint64_t grow_bytes, up_to_bytes;         /* 0: does not grow; no bound */
    const char *from;                         /* a snapshot's file, in the place of a heap; NULL: none */
    const char *target;                       /* the operand after the heap: a file, an object or a type */
    const char *format;                       /* of a dump; NULL: the file's name says it */
    const char *since, *mark;                  /* of a histogram: a file or a name; NULL: none */
    const char *before;                        /* of diff: the first file; the second is target */
    const char *output, *by_what;              /* of map: a picture's file, what it shows; NULL: the terminal, live */
    uint64_t columns;                          /* 0: as many as usual */
    bool color;
    bool anyway;                              /* of a quarantined heap, too */
};

struct ctl {
    struct ctl_options options;
    struct connection connection;             /* open while ask() runs */
    char *detail;                             /* of the failure; NULL: nothing to add */
    enum ctl_exit exit;
};

enum ctl_takes { CTL_TAKES_NOTHING, CTL_TAKES_HEAP, CTL_TAKES_HEAP_AND_SIZE, CTL_TAKES_LEASE, CTL_TAKES_HEAP_AND_FILE,
                CTL_TAKES_SNAPSHOT, CTL_TAKES_SNAPSHOT_AND_WHAT, CTL_MAY_TAKE_HEAP, CTL_MAY_TAKE_COMMAND,
                CTL_TAKES_TWO_FILES };
enum ctl_option {                             /* those that some commands have; bits */
    CTL_OPTION_LIMIT = 1,
    CTL_OPTION_SORT = 2,
    CTL_OPTION_FORCE = 4,
    CTL_OPTION_BYTES = 8,
    CTL_OPTION_GROW = 16,
    CTL_OPTION_CLIENT = 32,
    CTL_OPTION_SNAPSHOT = 64,
    CTL_OPTION_ANYWAY = 128,
    CTL_OPTION_BY = 256,
    CTL_OPTION_FORMAT = 1024,
    CTL_OPTION_MARK = 2048,
    CTL_OPTION_MAP = 4096,
};

struct ctl_command {
    const char *name, *synopsis;              /* "info HEAP" */
    const char *summary;                      /* half a line */
    enum ctl_takes takes;
    unsigned options;                         /* enum ctl_option */
    bool offline;                             /* asks no daemon */
    uint64_t timeout_ns;                      /* unless --timeout says otherwise */
    enum mmgc_error (*ask)(struct ctl *ctl, json_t *document);
    void (*show)(const struct ctl *ctl, const json_t *document);
};
extern const struct ctl_command ctl_list, ctl_info, ctl_clients, ctl_users, ctl_histogram, ctl_roots, ctl_handles, ctl_leases,
    ctl_revoke, ctl_snapshot, ctl_why, ctl_dump, ctl_diff, ctl_map, ctl_gc, ctl_verify, ctl_resize, ctl_trigger, ctl_destroy, ctl_ping, ctl_help;
extern const struct ctl_command *const ctl_commands[];         /* ends with NULL */
const struct ctl_command *ctl_command_find(const char *name);  /* NULL: there is none */

#define CTL_TIMEOUT_NS (10 * UINT64_C(1000000000))             /* of commands that only look */
#define CTL_LONG_TIMEOUT_NS (60 * UINT64_C(1000000000))        /* of those that stop the heap */

/* Gives @code back, with what it was about. */
enum mmgc_error ctl_failed(struct ctl *ctl, enum mmgc_error code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Sends @request and waits for its reply of @kind, a WIRE_REPLY(). wire_reply_free() it. */
enum mmgc_error ctl_call(struct ctl *ctl, wire_request *request, unsigned kind, wire_reply **ret_reply);
/* The same with file descriptors beside the request. They stay the caller's. */
enum mmgc_error ctl_call_with(struct ctl *ctl, wire_request *request, const struct packet_fds *fds, unsigned kind, wire_reply **ret_reply);
/* Waits for the next event that is no error. The same. */
enum mmgc_error ctl_event(struct ctl *ctl, wire_reply **ret_reply);
/* HeapInfo of the operand; what info and gc ask. */
enum mmgc_error ctl_heap_facts(struct ctl *ctl, wire_reply **ret_reply);
void ctl_heap_row(json_t *row, const wire_heap_row *heap);      /* what list and info say alike */
void ctl_show_omitted(const json_t *document);                 /* "... and 12 more", if its "omitted" is not 0 */
