/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Config value: one option's text into its field: sizes, times, counts, modes, words.                     */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_TYPE_text,                         /* char[]: not empty, and it fits */
    CONFIG_TYPE_size,                         /* uint64_t bytes: 4096, 64K, 8M, 2G */
    CONFIG_TYPE_time,                         /* uint64_t ns: 250ms, 10s, 2min */
    CONFIG_TYPE_count,                        /* unsigned */
    CONFIG_TYPE_mode,                         /* unsigned, octal */
    CONFIG_TYPE_choice,                       /* int: which of the words */
};
struct config_range {
    uint64_t least, most;                     /* of a number, both included */
    const char *words;                        /* of a choice, separated by single spaces */
};

/* True and *@field (@bytes large) set; or false, with *ret_why a sentence (static) and the field as it was. */
bool config_value_parse(enum config_type type, const struct config_range *range, const char *text,
                        void *field, size_t bytes, const char **ret_why);
