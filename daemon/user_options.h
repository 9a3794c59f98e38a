/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* User options: what one user may have of the daemon. One table (USER_OPTIONS) drives section [user] of the file, its sections
 * [user NAME], the command line's --user-KEY, --help, the manual, and what `mmgcctl users` shows.
 *   Order    defaults, [user], command line, [user NAME]: who comes later wins. Root and the daemon's own user are bound by a section
 *            of their own alone, and by what that names
 *   Counts   what a user has at once, of all its connections together; [daemon] bounds the daemon as a whole, and single connections
 *   Threads  loop, and before there is any other                                                            */
#include <stdint.h>
#include <sys/types.h>

#include "daemon/option.h"

enum quota_kind {
    QUOTA_HEAPS,                              /* that it made and that have not ended */
    QUOTA_BYTES,                              /* of those: their maximum, which their clients could touch (soundness S12) */
    QUOTA_SESSIONS,                           /* connections */
    QUOTA_THREADS,                            /* attached */
    QUOTA_HANDLES,                            /* rows of its sessions' tables that they were given to use */
    QUOTA_LEASES,                             /* of those, rows that are leases */
    QUOTA_TYPES,                              /* that it was the first to define in a heap that goes on */
    QUOTA_CONFIGURED,                         /* so many have a key */
    QUOTA_FILES = QUOTA_CONFIGURED,           /* file descriptors of the daemon's: bounded by what is left for others (quota.c) */
    QUOTA_KINDS
};

struct user_limits {
    uint64_t most[QUOTA_CONFIGURED];          /* CONFIG_UNLIMITED: no bound */
    uint64_t requests_per_second, connections_per_second;    /* the same */
};

/* type, range and words as in config_value.h. The last column is the line of --help. */
/* clang-format off */
#define USER_OPTIONS(X) \
    /* key                     field                    type        default      smallest .. largest;   what it says */ \
    X("max_heaps",             most[QUOTA_HEAPS],       most,       "64",        0, 4294967295, NULL,   "heaps that one user may have made") \
    X("max_bytes",             most[QUOTA_BYTES],       most_bytes, "64G",       0, 1125899906842624, NULL, "what those may hold together, by their maximum sizes") \
    X("max_sessions",          most[QUOTA_SESSIONS],    most,       "1024",      0, 4294967295, NULL,   "connections of one user") \
    X("max_threads",           most[QUOTA_THREADS],     most,       "4096",      0, 4294967295, NULL,   "attached threads of all its connections") \
    X("max_handles",           most[QUOTA_HANDLES],     most,       "4194304",   0, 4294967295, NULL,   "places for handles, leases, guards and watches, of all of them") \
    X("max_leases",            most[QUOTA_LEASES],      most,       "262144",    0, 4294967295, NULL,   "leases of all of them") \
    X("max_types",             most[QUOTA_TYPES],       most,       "65536",     0, 4294967295, NULL,   "types that one user may have defined, in all heaps") \
    X("requests_per_second",   requests_per_second,     most,       "10000",     1, 10000000, NULL,     "requests; what comes faster is read later") \
    X("connections_per_second", connections_per_second, most,       "500",       1, 10000000, NULL,     "new connections; what comes faster is turned away")
/* clang-format on */

extern const struct option_table user_option_table;       /* of struct user_limits */

struct user_layer {                           /* what a section has said */
    uint64_t said;                            /* bit i: row i of the table */
    struct user_limits values;
};
struct user_section {                         /* [user NAME] */
    uid_t uid;
    char name[33];                            /* as the file has it: for sentences */
    struct user_layer layer;
};

/* As option_set(). */
bool user_layer_set(struct user_layer *layer, const struct option_row *row, const char *text, const char **ret_why);
void user_layer_apply(const struct user_layer *layer, struct user_limits *limits);
void user_limits_lift(struct user_limits *ret_limits);    /* no bound anywhere */
/* Whose the name is, or the number. False: nobody's. Asks the system's user database: not for the loop, but on SIGHUP. */
bool user_find(const char *name, uid_t *ret_uid);
