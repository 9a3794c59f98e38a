/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Config value: one option's text into its field, and back: sizes, times, counts, modes, words, and what needs a grammar of its own.
 *   Threads  loop, and before there is any other: sentences are static */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum config_type {
    CONFIG_TYPE_text,                         /* char[]: not empty, and it fits */
    CONFIG_TYPE_size,                         /* uint64_t bytes: 4096, 64K, 8M, 2G */
    CONFIG_TYPE_time,                         /* uint64_t ns: 500us, 250ms, 10s, 2min; 0 alone needs no unit */
    CONFIG_TYPE_count,                        /* unsigned */
    CONFIG_TYPE_most,                         /* uint64_t: a count, or CONFIG_UNLIMITED for the word unlimited */
    CONFIG_TYPE_most_bytes,                   /* the same of a size */
    CONFIG_TYPE_group,                        /* gid_t: of a group's name or its number, or CONFIG_NO_GROUP for the word none */
    CONFIG_TYPE_mode,                         /* unsigned, octal */
    CONFIG_TYPE_choice,                       /* int: which of the words */
    CONFIG_TYPE_flag,                         /* bool: on off, yes no, true false, 1 0 */
    CONFIG_TYPE_plan,                         /* char[]: the name of one of the plans */
    CONFIG_TYPE_affinity,                     /* char[]: what engine_affinity_parse() takes */
    CONFIG_TYPE_trigger,                      /* struct trigger_config: fixed, dynamic:16M,1G, delegated */
    CONFIG_TYPE_nursery,                      /* struct heap_nursery: fixed:8M, bounded:2M,32M, adaptive:2M,32M, proportional:5,25 */
};
#define CONFIG_UNLIMITED UINT64_MAX
#define CONFIG_NO_GROUP ((gid_t)-1)           /* which is nobody's */

struct config_range {
    uint64_t least, most;                     /* of a number, both included */
    const char *words;                        /* of a choice, separated by single spaces */
};

/* True and *@field (@bytes large) set; or false, with *ret_why a sentence (static) and the field as it was. */
bool config_value_parse(enum config_type type, const struct config_range *range, const char *text,
                        void *field, size_t bytes, const char **ret_why);
/* The shortest text that parses to the field again; numbers in the largest unit that divides them. */
void config_value_print(enum config_type type, const struct config_range *range, const void *field, size_t bytes, char *ret_text,
                        size_t size);
