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

enum ctl_by { CTL_BY_TYPE, CTL_BY_CLIENT, CTL_BY_OBJECT };
enum ctl_sort {
    CTL_SORT_BYTES, CTL_SORT_OBJECTS, CTL_SORT_NAME,         /* of histogram; name of top, too */
    CTL_SORT_USED, CTL_SORT_ALLOC, CTL_SORT_COLLECTIONS, CTL_SORT_PAUSE, CTL_SORT_CLIENTS    /* of top */
};

struct ctl_options {
    const char *socket;
    const char *operand;                      /* the heap, the file, or help's command; NULL: none given */
    uint64_t timeout_ns;                      /* 0: no end */
    uint64_t limit;                           /* rows shown at most */
    enum ctl_sort sort;
    bool json, bytes, force, in_use;
    const char *output;                       /* a file; NULL: none, or stdout */
    uint64_t size_bytes;                      /* the second operand */
    uint64_t client, slot;                    /* of revoke and evict; client, of handles: this session alone, 0: all */
    uint64_t grow_bytes, up_to_bytes;         /* 0: does not grow; no bound */
    const char *from;                         /* a snapshot's file, in the place of a heap; NULL: none */
    const char *target;                       /* the operand after the heap: a file, an object or a type */
    const char *condition;                    /* the one after that, of find; NULL: none */
    enum ctl_by by;
    const char *format;                       /* of a dump; NULL: the file's name says it */
    const char *since, *mark;                  /* of a histogram: a file or a name; NULL: none */
    const char *before;                        /* of diff: the first file; the second is target */
    const char *by_what;                      /* of map: what it shows; NULL: what is live */
    uint64_t columns;                          /* 0: as many as usual */
    bool color;
    bool anyway;                              /* of a quarantined heap, too */
    bool follow;
    uint32_t events;                          /* that are watched, bits; 0: all */
    uint64_t for_ns, collections;             /* how much is recorded; 0: no end */
    bool batch;                               /* of top, and so the next two */
    uint64_t delay_ns, iterations;            /* iterations 0: without end */
    const char *listen;                       /* of serve; NULL: its default */
};

struct ctl {
    struct ctl_options options;
    struct connection connection;             /* open while ask() runs */
    char *detail;                             /* of the failure; NULL: nothing to add */
    enum ctl_exit exit;
};

enum ctl_takes {
    CTL_TAKES_NOTHING, CTL_TAKES_HEAP, CTL_TAKES_HEAP_AND_SIZE, CTL_TAKES_LEASE, CTL_TAKES_CLIENT, CTL_TAKES_FILE, CTL_TAKES_TWO_FILES,
    CTL_TAKES_EVENTS, CTL_TAKES_HEAP_AND_FILE, CTL_TAKES_SNAPSHOT, CTL_TAKES_SNAPSHOT_AND_WHAT, CTL_TAKES_SNAPSHOT_AND_TYPE,
    CTL_MAY_TAKE_HEAP, CTL_MAY_TAKE_COMMAND
};
enum ctl_option {                             /* those that some commands have; bits */
    CTL_OPTION_LIMIT = 1 << 0,
    CTL_OPTION_SORT = 1 << 1,
    CTL_OPTION_FORCE = 1 << 2,
    CTL_OPTION_BYTES = 1 << 3,
    CTL_OPTION_GROW = 1 << 4,
    CTL_OPTION_CLIENT = 1 << 5,
    CTL_OPTION_SNAPSHOT = 1 << 6,
    CTL_OPTION_ANYWAY = 1 << 7,
    CTL_OPTION_BY = 1 << 8,
    CTL_OPTION_FOLLOW = 1 << 9,
    CTL_OPTION_PROFILE = 1 << 10,
    CTL_OPTION_TRACE = 1 << 11,
    CTL_OPTION_OUTPUT = 1 << 12,
    CTL_OPTION_FORMAT = 1 << 13,
    CTL_OPTION_MARK = 1 << 14,
    CTL_OPTION_MAP = 1 << 15,
    CTL_OPTION_LIVE = 1 << 16,
    CTL_OPTION_LISTEN = 1 << 17,
};

struct ctl_command {
    const char *name, *synopsis;              /* "info HEAP" */
    const char *summary;                      /* half a line */
    enum ctl_takes takes;
    unsigned options;                         /* enum ctl_option */
    bool offline;                             /* asks no daemon, or when it likes */
    uint64_t timeout_ns;                      /* unless --timeout says otherwise */
    enum mmgc_error (*ask)(struct ctl *ctl, json_t *document);
    void (*show)(const struct ctl *ctl, const json_t *document);     /* NULL: ask() prints what there is, as it comes */
};
/* All there are, in the order in which help shows them. */
#define CTL_COMMANDS(X) \
    X(list) \
    X(top) \
    X(info) \
    X(clients) \
    X(threads) \
    X(users) \
    X(histogram) \
    X(roots) \
    X(handles) \
    X(leases) \
    X(revoke) \
    X(evict) \
    X(snapshot) \
    X(dump) \
    X(why) \
    X(retained) \
    X(show) \
    X(find) \
    X(blocks) \
    X(map) \
    X(diff) \
    X(gc) \
    X(verify) \
    X(resize) \
    X(trigger) \
    X(trace) \
    X(watch) \
    X(destroy) \
    X(profile) \
    X(serve) \
    X(ping) \
    X(help)

#define CTL_COMMAND_DECLARE(name) extern const struct ctl_command ctl_##name;
CTL_COMMANDS(CTL_COMMAND_DECLARE)
#undef CTL_COMMAND_DECLARE
extern const struct ctl_command *const ctl_commands[];         /* ends with NULL */
const struct ctl_command *ctl_command_find(const char *name);  /* NULL: there is none */

#define CTL_TIMEOUT_NS (10 * UINT64_C(1000000000))             /* of commands that only look */
#define CTL_LONG_TIMEOUT_NS (60 * UINT64_C(1000000000))        /* of those that stop the heap */

/* Gives @code back, with what it was about. */
enum mmgc_error ctl_failed(struct ctl *ctl, enum mmgc_error code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* {"error": ...}, as --json prints it; json_decref() it. */
json_t *ctl_error_document(const struct ctl *ctl, enum mmgc_error code);

/* Sends @request and waits for its reply of @kind, a WIRE_REPLY(). wire_reply_free() it. */
enum mmgc_error ctl_call(struct ctl *ctl, wire_request *request, unsigned kind, wire_reply **ret_reply);
/* The same with file descriptors beside the request. They stay the caller's. */
enum mmgc_error ctl_call_with(struct ctl *ctl, wire_request *request, const struct packet_fds *fds, unsigned kind, wire_reply **ret_reply);
int ctl_left_ms(const struct ctl *ctl);       /* until --timeout is over; -1: it never is */
/* Waits for the next event that is no error. The same. */
enum mmgc_error ctl_event(struct ctl *ctl, wire_reply **ret_reply);
/* HeapInfo of the operand; what info and gc ask. */
enum mmgc_error ctl_heap_facts(struct ctl *ctl, wire_reply **ret_reply);
void ctl_heap_row(json_t *row, const wire_heap_row *heap);      /* what list and info say alike */
bool watch_event_parse(const char *name, uint32_t *ret_bit);    /* "collection"; false: there is no such event */
void ctl_show_omitted(const json_t *document);                 /* "... and 12 more", if its "omitted" is not 0 */
