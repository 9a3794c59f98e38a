/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Config: what an administrator can set. One table of options (CONFIG_OPTIONS) drives the keys of the file, the command
 * line, the defaults, --help and the manual. The file is read first, then the command line wins.
 *   Threads  read before any other thread starts; constant afterwards                                    */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/log.h"
#include "shm/commit.h"

enum stop_policy { STOP_ABANDON, STOP_STRANGERS, STOP_KILL };

#define CONFIG_PATH_MAX 108u                  /* a socket's path, with its zero byte */
#define CONFIG_PLAN_MAX 24u

struct config {                               /* [const] after config_read */
    char socket[CONFIG_PATH_MAX];
    unsigned socket_mode;
    unsigned workers;                         /* 0: as many as processors, 2 to 8 */
    unsigned max_heaps, max_sessions, max_threads;
    uint64_t hello_timeout_ns, stop_deadline_ns;
    int stop_policy;                          /* enum stop_policy */
    int log_level;                            /* enum log_level */
    uint64_t heap_bytes, heap_max_bytes;      /* of a heap whose creator does not say, and of any */
    char heap_plan[CONFIG_PLAN_MAX];
    unsigned heap_max_names;
    int heap_huge_pages;                      /* enum shm_huge */
    unsigned heap_mode;                       /* of a new heap, for its creator's user and group and for others */
    bool foreground;
    const char *file;                         /* borrowed from argv; NULL: none */
};

/* type: text, size, time, count, mode, choice. The last column is the line of --help and of the manual. */
/* clang-format off */
#define CONFIG_OPTIONS(X) \
    /* section   key             field             type    default        smallest .. largest, or choices; what it says */ \
    X("daemon", "socket",        socket,           text,   "/run/mmgcd/mmgcd.sock", 0, 0, NULL, "where clients connect; a leading @ is the abstract namespace") \
    X("daemon", "socket_mode",   socket_mode,      mode,   "0666",        0, 0777, NULL, "who may connect; heaps have modes of their own") \
    X("daemon", "workers",       workers,          count,  "0",           0, 64, NULL, "collector threads, shared by all heaps; 0: one a processor, 2 to 8") \
    X("daemon", "max_heaps",     max_heaps,        count,  "64",          1, 65536, NULL, "heaps there may be") \
    X("daemon", "max_sessions",  max_sessions,     count,  "1024",        1, 262144, NULL, "connections there may be") \
    X("daemon", "max_threads",   max_threads,      count,  "256",         1, 65536, NULL, "attached threads that one connection may have") \
    X("daemon", "hello_timeout", hello_timeout_ns, time,   "5s",          1000000, 3600000000000, NULL, "how long a connection may take to say hello") \
    X("daemon", "stop_deadline", stop_deadline_ns, time,   "10s",         1000000, 3600000000000, NULL, "how long a collection waits for a thread that does not stop") \
    X("daemon", "stop_policy",   stop_policy,      choice, "strangers",   0, 0, "abandon strangers kill", "then: give the collection up, or kill the thread's process; strangers: if it only reads, or the heap is another user's") \
    X("daemon", "log_level",     log_level,        choice, "info",        0, 0, "error warning info debug", "what is logged; read again on SIGHUP") \
    X("heap",   "size",          heap_bytes,       size,   "256M",        4194304, 34359738368, NULL, "maximum of a heap whose creator names none") \
    X("heap",   "max_size",      heap_max_bytes,   size,   "32G",         4194304, 34359738368, NULL, "maximum that a creator may name") \
    X("heap",   "plan",          heap_plan,        text,   "immix",       0, 0, NULL, "collector of a heap whose creator names none") \
    X("heap",   "max_names",     heap_max_names,   count,  "65536",       1, 16777216, NULL, "named roots that one heap may have") \
    X("heap",   "huge_pages",    heap_huge_pages,  choice, "auto",        0, 0, "auto never", "2 MiB pages where the system has them, or never") \
    X("heap",   "mode",          heap_mode,        mode,   "0600",        0, 0777, NULL, "who may open a new heap, like a file's: r reads, rw allocates and stores")
/* clang-format on */

enum config_outcome { CONFIG_RUN, CONFIG_DONE, CONFIG_BAD };

/* Reads the command line and the file it names. DONE: --help, --version or --check-config was answered on stdout.
 * BAD: stderr says what is wrong and in which line of which file. */
enum config_outcome config_read(struct config *ret_config, int argc, char **argv);
/* Reads the file alone, for SIGHUP. False: stderr says why, *ret_config is not to be used. */
bool config_read_file(struct config *ret_config, const char *file);
/* Appends the table as "section.key default help" rows to stdout: the manual's source. */
void config_print_options(void);
