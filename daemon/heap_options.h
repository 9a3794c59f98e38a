/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Heap options: what can be chosen for one heap. One table of options (HEAP_OPTIONS) drives section [heap] of the file,
 * its sections [heap NAME], the command line's --heap-KEY, what a creator may say, --help, mmgcctl info and the manual.
 *   Order    defaults, [heap], command line, [heap NAME], the heap's creator: who comes later wins, but only an
 *            administrator may say some (HEAP_ADMINISTRATOR), and max_size among them bounds what a creator says
 *   Names    and meanings are MMTk's where it has them
 *   Threads  loop, and before there is any other                                                            */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/option.h"
#include "plans/heap.h"
#include "shm/commit.h"

#define HEAP_TRIGGER_BYTES_MIN (UINT64_C(2) << 20)
#define HEAP_TRIGGER_BYTES_MAX (UINT64_C(32) << 30)
#define HEAP_NURSERY_BYTES_MIN (UINT64_C(64) << 10)         /* what a thread asks for at first */
#define HEAP_NURSERY_BYTES_MAX (UINT64_C(32) << 30)
#define HEAP_PLAN_MAX 24u                     /* a plan's name, with its zero byte */

/* When a heap is collected that nobody asks to collect. After MMTk's FixedHeapSize, DynamicHeapSize, Delegated. */
struct trigger_config {
    enum trigger_kind {
        TRIGGER_FIXED,                        /* when its limit is reached */
        TRIGGER_DYNAMIC,                      /* when a limit is reached that follows what lives, between two bounds */
        TRIGGER_DELEGATED                     /* when a client says so that was made responsible */
    } kind;
    uint64_t min_bytes, max_bytes;            /* of DYNAMIC, both included; a heap smaller than that is bounded by its size; else 0 */
};

struct heap_settings {                        /* one heap's options */
    char plan[HEAP_PLAN_MAX];
    uint64_t size_bytes, max_size_bytes;      /* of the arena, and what a creator may ask for */
    uint64_t limit_bytes;                     /* 0: size_bytes */
    struct trigger_config trigger;
    unsigned max_names;
    int huge_pages;                           /* enum shm_huge */
    bool pretouch;
    unsigned mode;                            /* for its creator's user and group and for others */
    bool ignore_system_gc, full_heap_system_gc;
    uint64_t stress_bytes;                    /* 0: off */
    bool precise_stress;
    struct heap_options collector;
};

#define HEAP_ADMINISTRATOR false
#define HEAP_CREATOR true
/* type, range and words as in config_value.h. The last column is the line of --help. */
/* clang-format off */
#define HEAP_OPTIONS(X) \
    /* key             field           type     default  smallest .. largest, or choices;      who may say it; what it says */ \
    X("size",          size_bytes,     size,    "256M",  4194304, 34359738368, NULL,           HEAP_CREATOR, "maximum of a heap whose creator names none") \
    X("max_size",      max_size_bytes, size,    "32G",   4194304, 34359738368, NULL,           HEAP_ADMINISTRATOR, "maximum that a creator may name") \
    X("limit",         limit_bytes,    size,    "0",     0, 34359738368, NULL,                 HEAP_CREATOR, "what it may hold at first; 0: its size") \
    X("plan",          plan,           plan,    "concurrentstickyimmix", 0, 0, NULL,           HEAP_CREATOR, "collector of a heap whose creator names none") \
    X("gc_trigger",    trigger,        trigger, "fixed", 0, 0, NULL,                           HEAP_CREATOR, "when it is collected: fixed, dynamic:MIN,MAX or delegated") \
    X("max_names",     max_names,      count,   "65536", 1, 16777216, NULL,                    HEAP_ADMINISTRATOR, "named roots that one heap may have") \
    X("huge_pages",    huge_pages,     choice,  "auto",  0, 0, "auto never",                   HEAP_ADMINISTRATOR, "2 MiB pages where the system has them, or never") \
    X("pretouch",      pretouch,       flag,    "off",   0, 0, NULL,                           HEAP_CREATOR, "all that it may hold is committed when it is made, and kept") \
    X("mode",          mode,           mode,    "0600",  0, 0777, NULL,                        HEAP_CREATOR, "who may open a new heap, like a file's: r reads, rw allocates and stores") \
    X("ignore_system_gc", ignore_system_gc, flag, "off", 0, 0, NULL,                           HEAP_CREATOR, "clients' wishes for a collection are passed over") \
    X("full_heap_system_gc", full_heap_system_gc, flag, "off", 0, 0, NULL,                     HEAP_CREATOR, "a collection that was wished for looks for all that can be had") \
    X("immix_always_defrag", collector.immix_always_defrag, flag, "off", 0, 0, NULL,           HEAP_CREATOR, "every collection of immix moves objects") \
    X("immix_defrag_every_block", collector.immix_defrag_every_block, flag, "off", 0, 0, NULL, HEAP_CREATOR, "and out of every block, not only the most fragmented") \
    X("immix_defrag_headroom_percent", collector.immix_defrag_headroom_percent, count, "2", 1, 50, NULL, HEAP_CREATOR, "of the heap, kept free for what immix moves") \
    X("nursery",       collector.nursery, nursery, "adaptive:2M,64M", 0, 0, NULL,              HEAP_CREATOR, "of generational plans: granted between two young collections") \
    X("pause_goal",    collector.pause_goal_ns, time, "10ms", 0, 10000000000, NULL,            HEAP_CREATOR, "no pause should take longer: sizes an adaptive nursery; 0: none") \
    X("soft_ms_per_mib", collector.soft_ms_per_mib, count, "1000", 0, 3600000, NULL,           HEAP_CREATOR, "a soft reference is cleared when it was not used for so many ms for each MiB that is free") \
    X("count_live_bytes_in_gc", collector.count_live_bytes_in_gc, flag, "off", 0, 0, NULL,     HEAP_CREATOR, "live bytes are counted by space, too") \
    X("stress_factor", stress_bytes,   size,    "0",     0, 34359738368, NULL,                 HEAP_CREATOR, "a collection whenever so much was granted; 0: off") \
    X("precise_stress", precise_stress, flag,   "off",   0, 0, NULL,                           HEAP_CREATOR, "grants are cut so that none comes later than that") \
    X("sanity",        collector.sanity, flag,  "off",   0, 0, NULL,                           HEAP_CREATOR, "each collection is checked by a second trace")
/* clang-format on */

#define HEAP_OPTIONS_MAX 64u                  /* rows */
extern const struct option_table heap_option_table;       /* of struct heap_settings */

struct heap_layer {                           /* what one of those who may say something has said */
    uint64_t said;                            /* bit i: row i of the table */
    struct heap_settings values;
};
/* As option_set(). */
bool heap_layer_set(struct heap_layer *layer, const struct option_row *row, const char *text, const char **ret_why);
void heap_layer_apply(const struct heap_layer *layer, struct heap_settings *settings);

#define HEAP_OPTIONS_WHY_MAX 512u
/* A creator's "plan=semispace, stress_factor=1M": separated by blanks and commas; a comma that no KEY= follows is the
 * value's. The text is hostile. False: @ret_why names the key and what is allowed. */
bool heap_layer_parse(struct heap_layer *layer, const char *options, char ret_why[HEAP_OPTIONS_WHY_MAX]);

/* "fixed", "dynamic:MIN,MAX" with sizes as 16M, or "delegated". False: *ret_why is a sentence (static), *ret as it was. */
bool heap_trigger_parse(const char *text, struct trigger_config *ret, const char **ret_why);
/* "fixed:SIZE", "bounded:MIN,MAX", "adaptive:MIN,MAX", or "proportional:MIN,MAX" in percent. False: as above. */
bool heap_nursery_parse(const char *text, struct heap_nursery *ret, const char **ret_why);
const char *heap_nursery_kind_name(enum heap_nursery_kind kind);
