/* SPDX-License-Identifier: Apache-2.0 */
/* config_file.c - Config file: read line by line.
 *   F1  nothing is guessed: an unknown section, key or word is an error that names file and line, and all of them are
 *       named
 *   F2  libinih gives no line numbers in every build of it and cuts a section's name off, so our reader counts the
 *       lines it hands over and keeps the name itself */
#include "daemon/config_file.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAP_SECTION "heap "
#define USER_SECTION "user "

struct reader {
    FILE *file;
    const char *path;
    int line;
    bool bad;
    char section[sizeof(HEAP_SECTION) + WIRE_NAME_MAX + 1]; /* a longer one is cut off, and no heap's name */
    struct config *config;
};

__attribute__((format(printf, 2, 3))) static void complain(struct reader *r, const char *format, ...)
{
    va_list args;

    r->bad = true;
    fprintf(stderr, "mmgcd: %s:%d: ", r->path, r->line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void note_section(struct reader *r, const char *text)
{
    if (text[0] == '[')
        snprintf(r->section, sizeof(r->section), "%.*s", (int)strcspn(text + 1, "]\n"), text + 1);
}

/* libinih takes an indented line for a continuation of the one before; here it is a line like any other. */
static char *read_line(char *text, int size, void *stream)
{
    struct reader *r = stream;

    if (fgets(text, size, r->file) == NULL)
        return NULL;
    r->line++;
    if (strchr(text, '\n') == NULL && !feof(r->file)) {
        complain(r, "the line is too long");
        return NULL;
    }
    size_t blank = strspn(text, " \t");
    memmove(text, text + blank, strlen(text + blank) + 1);
    note_section(r, text);
    return text;
}

/* The section of that heap, made if it is the first line of it. NULL: no memory. */
static struct heap_section *section_of(struct config *config, const char *name)
{
    for (size_t i = 0; i < config->section_count; i++)
        if (strcmp(config->sections[i].name, name) == 0)
            return &config->sections[i];
    struct heap_section *more =
        realloc(config->sections, (config->section_count + 1) * sizeof(config->sections[0]));
    if (more == NULL)
        return NULL;
    config->sections = more;
    struct heap_section *section = &more[config->section_count++];
    *section = (struct heap_section){ 0 };
    snprintf(section->name, sizeof(section->name), "%s", name);
    return section;
}

static const struct option_row *row_of(struct reader *r, const struct option_table *table,
                                       const char *key)
{
    const struct option_row *row = option_find(table, key);

    if (row == NULL)
        complain(r, "there is no key '%s' in [%s]", key, r->section);
    return row;
}

static void take(struct reader *r, const struct option_table *table, void *fields, const char *key,
                 const char *value)
{
    const struct option_row *row = row_of(r, table, key);
    const char *why;

    if (row != NULL && !option_set(row, fields, value, &why))
        complain(r, "%s = %s: %s", key, value, why);
}

static void take_of_heap(struct reader *r, const char *name, const char *key, const char *value)
{
    const struct option_row *row = row_of(r, &heap_option_table, key);
    const char *why = "there is no memory";

    if (!wire_name_valid(name, WIRE_NAME_MAX)) {
        complain(r, "[%s]: no heap can be called so", r->section);
        return;
    }
    if (row == NULL)
        return;
    struct heap_section *section = section_of(r->config, name);
    if (section == NULL || !heap_layer_set(&section->layer, row, value, &why))
        complain(r, "%s = %s: %s", key, value, why);
}

/* The section of that user, made if it is the first line of it. NULL: no memory. */
static struct user_section *section_of_user(struct config *config, uid_t uid, const char *name)
{
    for (size_t i = 0; i < config->user_count; i++)
        if (config->users[i].uid == uid)
            return &config->users[i];
    struct user_section *more = realloc(config->users, (config->user_count + 1) * sizeof(config->users[0]));
    if (more == NULL)
        return NULL;
    config->users = more;
    struct user_section *section = &more[config->user_count++];
    *section = (struct user_section){ .uid = uid };
    snprintf(section->name, sizeof(section->name), "%s", name);
    return section;
}

static void take_of_user(struct reader *r, const char *name, const char *key, const char *value)
{
    const struct option_row *row = row_of(r, &user_option_table, key);
    const char *why = "there is no memory";
    uid_t uid;

    if (!user_find(name, &uid)) {
        complain(r, "[%s]: there is no such user: write a user's name or its number", r->section);
        return;
    }
    if (row == NULL)
        return;
    struct user_section *section = section_of_user(r->config, uid, name);
    if (section == NULL || !user_layer_set(&section->layer, row, value, &why))
        complain(r, "%s = %s: %s", key, value, why);
}

static int take_pair(void *context, const char *section, const char *key, const char *value)
{
    struct reader *r = context;

    if (section[0] == '\0') /* the first one has not come */
        complain(r, "'%s' stands before the first section: write [daemon] or [heap] above it", key);
    else if (strcmp(r->section, "daemon") == 0)
        take(r, &daemon_option_table, r->config, key, value);
    else if (strcmp(r->section, "heap") == 0)
        take(r, &heap_option_table, &r->config->heap, key, value);
    else if (strncmp(r->section, HEAP_SECTION, sizeof(HEAP_SECTION) - 1) == 0)
        take_of_heap(r, r->section + sizeof(HEAP_SECTION) - 1, key, value);
    else if (strcmp(r->section, "user") == 0)
        take(r, &user_option_table, &r->config->user, key, value);
    else if (strncmp(r->section, USER_SECTION, sizeof(USER_SECTION) - 1) == 0)
        take_of_user(r, r->section + sizeof(USER_SECTION) - 1, key, value);
    else
        complain(r, "there is no section [%s]: [daemon], [heap], [heap NAME], [user] and [user NAME] are", r->section);
    return 1;
}

bool config_file_read(struct config *config, const char *path)
{
    struct reader r = { .file = fopen(path, "re"), .path = path, .config = config };

    if (r.file == NULL) {
        fprintf(stderr, "mmgcd: %s: %s\n", path, strerror(errno));
        return false;
    }
    int odd_line = ini_parse_stream(read_line, &r, take_pair, &r);
    fclose(r.file);
    if (odd_line > 0 && !r.bad) {
        r.line = odd_line;
        complain(&r, "neither [section] nor key = value");
    }
    return !r.bad;
}
