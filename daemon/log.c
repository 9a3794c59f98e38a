/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - Log: lines for people and for the journal.
 *   L1  what clients send (names) is checked for control characters before it gets here, so a line is a line */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/base.h"

#define LINE_BYTES 1024

static const struct {
    const char *word;
    int syslog; /* sd-daemon(3): "<6>" before a line says its level */
} level_rows[] = {
    [LOG_LEVEL_ERROR] = { "error", 3 },
    [LOG_LEVEL_WARNING] = { "warning", 4 },
    [LOG_LEVEL_INFO] = { "info", 6 },
    [LOG_LEVEL_DEBUG] = { "debug", 7 },
};

static _Atomic int current_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    at_store_relaxed(&current_level, (int)level);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= at_load_relaxed(&current_level);
}

static int line_prefix(char *line, enum log_level level)
{
    if (getenv("JOURNAL_STREAM") != NULL)
        return snprintf(line, LINE_BYTES, "<%d>", level_rows[level].syslog);
    return snprintf(line, LINE_BYTES, "mmgcd: %s: ", level_rows[level].word);
}

void log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    if (!log_enabled(level))
        return;
    int length = line_prefix(line, level);
    va_start(args, format);
    int more = vsnprintf(line + length, sizeof(line) - 1 - (size_t)length, format, args);
    va_end(args);
    length = MM_MIN(length + MM_MAX(more, 0), LINE_BYTES - 2);
    line[length] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)length + 1);
}
