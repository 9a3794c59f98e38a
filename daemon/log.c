/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - Log: lines for people and for the journal.
 *   L1  what clients send (names) is checked for control characters before it gets here, so a line is a line */
#include "daemon/log.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#if MM_HAVE_SYSTEMD
#include <systemd/sd-journal.h>
#endif

#include "shm/base.h"

#define LINE_BYTES 1024
#define FIELDS_BYTES 2048 /* of a line with fields */
#define FIELDS_MAX 32u

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

/* ---- with fields ---- */

/* logfmt: what is no plain word stands in quotes. */
static size_t put_text(char *to, size_t room, const char *text)
{
    bool plain = text[0] != '\0' && strcspn(text, " =\"\\") == strlen(text);
    size_t length = 0;

    for (const char *c = plain ? text : "\""; *c != '\0' && length < room; c++)
        to[length++] = *c;
    for (const char *c = text; !plain && *c != '\0' && length + 2 < room; c++) {
        if (*c == '"' || *c == '\\')
            to[length++] = '\\';
        to[length++] = *c;
    }
    if (!plain && length < room)
        to[length++] = '"';
    return length;
}

/* Without a newline or an end; its length. */
static size_t print_fields(char to[FIELDS_BYTES], const char *what, const struct log_field *fields, size_t count)
{
    size_t length = (size_t)snprintf(to, FIELDS_BYTES, "%s", what);

    for (size_t i = 0; i < count && length + 64 < FIELDS_BYTES; i++) {
        length += (size_t)snprintf(to + length, FIELDS_BYTES - length, " %s=", fields[i].key);
        if (fields[i].text == NULL)
            length += (size_t)snprintf(to + length, FIELDS_BYTES - length, "%" PRIu64, fields[i].number);
        else
            length += put_text(to + length, FIELDS_BYTES - length - 1, fields[i].text);
    }
    return length;
}

#if MM_HAVE_SYSTEMD
/* Whether stderr is the journal's, as sd-journal(3) would have it found out: the variable may have been inherited by who writes elsewhere. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char own[64];

    if (stream == NULL || fstat(STDERR_FILENO, &status) < 0)
        return false;
    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(stream, own) == 0;
}

struct journal_entry {
    char message[sizeof("MESSAGE=") + FIELDS_BYTES], priority[16];
    char texts[FIELDS_MAX][400];
    struct iovec rows[FIELDS_MAX + 3];
    int count;
};

static void add_row(struct journal_entry *e, const char *text)
{
    e->rows[e->count++] = (struct iovec){ .iov_base = (void *)text, .iov_len = strlen(text) };
}

static void add_field(struct journal_entry *e, const struct log_field *field)
{
    char *text = e->texts[e->count - 3];
    int length = snprintf(text, sizeof(e->texts[0]), "MMGC_%s=", field->key);

    for (char *c = text; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    if (field->text == NULL)
        snprintf(text + length, sizeof(e->texts[0]) - (size_t)length, "%" PRIu64, field->number);
    else
        snprintf(text + length, sizeof(e->texts[0]) - (size_t)length, "%s", field->text);
    add_row(e, text);
}

/* False: there is no journal to be told. */
static bool tell_journal(enum log_level level, const char *line, const struct log_field *fields, size_t count)
{
    struct journal_entry e = { .count = 0 };

    if (!is_journal())
        return false;
    snprintf(e.message, sizeof(e.message), "MESSAGE=%s", line);
    snprintf(e.priority, sizeof(e.priority), "PRIORITY=%d", level_rows[level].syslog);
    add_row(&e, e.message);
    add_row(&e, e.priority);
    add_row(&e, "SYSLOG_IDENTIFIER=mmgcd");
    for (size_t i = 0; i < count && i < FIELDS_MAX; i++)
        add_field(&e, &fields[i]);
    return sd_journal_sendv(e.rows, e.count) == 0;
}
#else
static bool tell_journal(enum log_level level, const char *line, const struct log_field *fields, size_t count)
{
    return false;
}
#endif

void log_fields(enum log_level level, const char *what, const struct log_field *fields, size_t count)
{
    char text[FIELDS_BYTES], line[64 + FIELDS_BYTES];

    if (!log_enabled(level))
        return;
    text[print_fields(text, what, fields, count)] = '\0';
    if (tell_journal(level, text, fields, count))
        return;
    size_t length = (size_t)line_prefix(line, level);
    length += (size_t)snprintf(line + length, sizeof(line) - length, "%s\n", text);
    (void)!write(STDERR_FILENO, line, length);
}
