/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Log: one line an event, to stderr, by level; with the journal's level prefix when systemd reads it.
 *   Threads  any; a line is one write(2), so lines never mix                                             */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_field {
    const char *key;                          /* lower case */
    const char *text;                         /* NULL: it is a number */
    uint64_t number;
};

void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* One event with what belongs to it: the line is @what and key=value for each field (logfmt); the journal has them as fields, too, MMGC_KEY. */
void log_fields(enum log_level level, const char *what, const struct log_field *fields, size_t count);
__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *format, ...);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
