/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Config: what an administrator can set. Three tables of options (DAEMON_OPTIONS here, HEAP_OPTIONS in heap_options.h, USER_OPTIONS in
 * user_options.h) drive the keys of the file, the command line, the defaults, --help and the manual. The file is read first, then the
 * command line wins, and for the heap or the user of that name its section [heap NAME], [user NAME] wins over both.
 *   Threads  read before any other thread starts; constant afterwards, but for what SIGHUP reads again: the loop's            */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/heap_options.h"
#include "daemon/log.h"
#include "daemon/user_options.h"
#include "proto/wire.h"

enum stop_policy { STOP_ABANDON, STOP_STRANGERS, STOP_KILL };

#define CONFIG_PATH_MAX 108u                  /* a socket's path, with its zero byte */
#define CONFIG_AFFINITY_MAX 256u

struct heap_section {                         /* [heap NAME] */
    char name[WIRE_NAME_MAX + 1];
    struct heap_layer layer;
};

struct config {                               /* whoever has read it calls config_fini */
    char socket[CONFIG_PATH_MAX];
    unsigned socket_mode;
    gid_t admin_group;                        /* CONFIG_NO_GROUP: none */
    unsigned threads;                         /* 0: as many as processors, 2 to 8 */
    char thread_affinity[CONFIG_AFFINITY_MAX];           /* engine_affinity_parse() takes it */
    unsigned max_heaps, max_sessions, max_threads, max_handles;
    uint64_t hello_timeout_ns, stop_deadline_ns, trigger_deadline_ns, notice_deadline_ns, notice_limit_bytes;
    int stop_policy;                          /* enum stop_policy */
    int log_level;                            /* enum log_level */
    bool log_collections;
    struct heap_settings heap;                /* of a heap of which nobody says more */
    struct heap_section *sections;            /* in the order of the file */
    size_t section_count;
    struct user_limits user;                  /* of a user of whom nobody says more */
    struct user_section *users;               /* in the order of the file; one a user */
    size_t user_count;
    bool foreground;
    const char *file;                         /* borrowed from argv; NULL: none */
    int argc;                                 /* the command line, borrowed: SIGHUP reads it again, too */
    char **argv;
};

/* type, range and words as in config_value.h. The last column is the line of --help. */
/* clang-format off */
#define DAEMON_OPTIONS(X) \
    /* key             field             type    default        smallest .. largest, or choices; what it says */ \
    X("socket",        socket,           text,   "/run/mmgcd/mmgcd.sock", 0, 0, NULL, "where clients connect; a leading @ is the abstract namespace") \
    X("socket_mode",   socket_mode,      mode,   "0666",        0, 0777, NULL, "who may connect; heaps have modes of their own") \
    X("admin_group",   admin_group,      group,  "none",        0, 0, NULL, "its members may do for every heap what root may; read again on SIGHUP") \
    X("threads",       threads,          count,  "0",           0, 64, NULL, "collector threads, shared by all heaps; 0: one a processor, 2 to 8") \
    X("thread_affinity", thread_affinity, affinity, "os-default", 0, 0, NULL, "where they run: os-default, round-robin[:LIST] or all-in-set[:LIST]") \
    X("max_heaps",     max_heaps,        count,  "512",         1, 65536, NULL, "heaps there may be, of all users") \
    X("max_sessions",  max_sessions,     count,  "8192",        1, 262144, NULL, "connections there may be, of all users") \
    X("max_threads",   max_threads,      count,  "256",         1, 65536, NULL, "attached threads that one connection may have") \
    X("max_handles",   max_handles,      count,  "1048576",     2, 1048576, NULL, "handles, leases, guards and watches that one connection may have, and one") \
    X("hello_timeout", hello_timeout_ns, time,   "5s",          1000000, 3600000000000, NULL, "how long a connection may take to say hello") \
    X("stop_deadline", stop_deadline_ns, time,   "10s",         1000000, 3600000000000, NULL, "how long a collection waits for a thread that does not stop") \
    X("stop_policy",   stop_policy,      choice, "strangers",   0, 0, "abandon strangers kill", "then: give the collection up, or kill the thread's process; strangers: if it only reads, or the heap is another user's") \
    X("trigger_deadline", trigger_deadline_ns, time, "1s",      1000000, 3600000000000, NULL, "how long who waits for memory waits for a delegate's decision") \
    X("notice_deadline", notice_deadline_ns, time, "10s",       1000000, 3600000000000, NULL, "how long a client may take to take a relocation notice; then it gets no more") \
    X("notice_limit",  notice_limit_bytes, size, "64M",         65536, 34359738368, NULL, "bytes of relocation notices that a client may leave untaken") \
    X("log_level",     log_level,        choice, "info",        0, 0, "error warning info debug", "what is logged; read again on SIGHUP") \
    X("log_collections", log_collections, flag,  "on",          0, 0, NULL, "a line for each collection, at level info; read again on SIGHUP")
/* clang-format on */

extern const struct option_table daemon_option_table;     /* of struct config */

enum config_outcome { CONFIG_RUN, CONFIG_DONE, CONFIG_BAD };

/* Reads the command line and the file it names. DONE: --help, --version or --check-config was answered on stdout.
 * BAD: stderr says what is wrong and in which line of which file. */
enum config_outcome config_read(struct config *ret_config, int argc, char **argv);
/* Reads the file alone. False: stderr says why, *ret_config is not to be used. */
bool config_read_file(struct config *ret_config, const char *file);
/* For SIGHUP: the file again, and over it what the command line of @running says of users. The same. */
bool config_reread(struct config *ret_config, const struct config *running);
void config_fini(struct config *config);      /* also after a read that failed */
/* What the administrator says of the heap @name. */
void config_heap(const struct config *config, const char *name, struct heap_settings *ret_settings);
/* What he says of the user @uid. *ret_section: "user", or "user NAME", whose says most; as long as @config is. */
void config_user(const struct config *config, uid_t uid, struct user_limits *ret_limits, const struct user_section **ret_section);
/* Appends the tables as "section.key default help" rows to stdout: the manual's source. */
void config_print_options(void);
