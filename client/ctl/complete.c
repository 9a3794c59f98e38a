/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/ctl.h"
#include "client/ctl/options.h"
#include "client/ctl/units.h"
#include "shm/base.h"

#define PATIENCE_NS (UNITS_NS_PER_S / 2)

struct so_far {                               /* what the words before the last say */
    const struct ctl_command *command;        /* NULL: none yet */
    size_t operands;
    const struct options_row *waiting;        /* an option whose value is the last word; NULL: none */
    const char *socket;
    bool no_options;                          /* "--" was there */
};

static void offer(const char *prefix, const char *before, const char *candidate, const char *what)
{
    if (strncmp(candidate, prefix, strlen(prefix)) == 0)
        printf("%s%s\t%s\n", before, candidate, what);
}

/* ---- what is there ------------------------------------------------------------------------------ */

/* The option that @word names, of whatever spelling; *ret_value: behind its "=", NULL if there is none. */
static const struct options_row *option_of(const char *word, const char **ret_value)
{
    size_t count;
    const struct options_row *rows = options_rows(&count);

    *ret_value = strchr(word, '=');
    size_t length = *ret_value == NULL ? strlen(word) : (size_t)(*ret_value - word);
    *ret_value = *ret_value == NULL ? NULL : *ret_value + 1;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(word, "--", 2) == 0 && length - 2 == strlen(rows[i].name) && strncmp(word + 2, rows[i].name, length - 2) == 0)
            return &rows[i];
        if (length == 2 && word[0] == '-' && word[1] == rows[i].letter && options_has_letter(&rows[i]))
            return &rows[i];
    }
    return NULL;
}

static void take_option(struct so_far *s, const char *word)
{
    const char *value;
    const struct options_row *row = option_of(word, &value);

    if (row == NULL || row->argument == NULL)
        return;
    if (value == NULL)
        s->waiting = row;
    else if (strcmp(row->name, "socket") == 0)
        s->socket = value;
}

static void take_word(struct so_far *s, const char *word)
{
    if (s->waiting != NULL) {
        if (strcmp(s->waiting->name, "socket") == 0)
            s->socket = word;
        s->waiting = NULL;
    } else if (strcmp(word, "--") == 0 && !s->no_options) {
        s->no_options = true;
    } else if (word[0] == '-' && word[1] != '\0' && !s->no_options) {
        take_option(s, word);
    } else if (s->command == NULL) {
        s->command = ctl_command_find(word);
    } else {
        s->operands++;
    }
}

/* ---- what may come ------------------------------------------------------------------------------ */

static void offer_commands(const char *prefix)
{
    for (const struct ctl_command *const *c = ctl_commands; *c != NULL; c++)
        offer(prefix, "", (*c)->name, (*c)->summary);
}

static void offer_options(const struct so_far *s, const char *prefix)
{
    char name[64];
    size_t count;
    const struct options_row *rows = options_rows(&count);

    for (size_t i = 0; i < count; i++) {
        if (rows[i].of_commands != 0 && (s->command == NULL || (s->command->options & rows[i].of_commands) == 0))
            continue;
        snprintf(name, sizeof(name), "--%s%s", rows[i].name, rows[i].argument == NULL ? "" : "=");
        offer(prefix, "", name, rows[i].help);
    }
}

/* @before: what of the word stands before the value. */
static void offer_values(const struct so_far *s, const struct options_row *row, const char *before, const char *prefix)
{
    if (strcmp(row->name, "socket") == 0 || strcmp(row->name, "listen") == 0)
        puts("@files");
    if (strcmp(row->name, "listen") == 0)
        offer(prefix, before, "127.0.0.1:9464", "the default");
    if (strcmp(row->name, "sort") != 0 || s->command == NULL)
        return;
    for (size_t i = 0; options_sort_name(s->command, i) != NULL; i++)
        offer(prefix, before, options_sort_name(s->command, i), "");
}

/* A name that begins with a hyphen is none before "--". */
static void offer_heaps(const struct so_far *s, const char *prefix)
{
    struct ctl ctl = { .connection.sock = -1 };
    json_auto_t *document = need(json_object());
    const json_t *heap;
    size_t i;

    ctl.options = (struct ctl_options){ .socket = s->socket, .timeout_ns = PATIENCE_NS, .limit = UINT64_MAX };
    if (ctl_connect(&ctl) == MMGC_E_OK && ctl_list.ask(&ctl, document) == MMGC_E_OK)
        json_array_foreach(json_object_get(document, "heaps"), i, heap)
            if (document_get_text(heap, "name")[0] != '-' || s->no_options)
                offer(prefix, "", document_get_text(heap, "name"), document_get_text(heap, "plan"));
    ctl_disconnect(&ctl);
    free(ctl.detail);
}

static void offer_operand(const struct so_far *s, const char *prefix)
{
    if (s->command == NULL)
        offer_commands(prefix);
    else if (s->operands == 0 && s->command->takes == CTL_MAY_TAKE_COMMAND)
        offer_commands(prefix);
    else if (s->operands == 0 && s->command->takes != CTL_TAKES_NOTHING)
        offer_heaps(s, prefix);
}

void complete_print(size_t count, char *const *words)
{
    struct so_far s = { .socket = options_default_socket() };
    const char *last = count == 0 ? "" : words[count - 1], *value = NULL;

    for (size_t i = 0; i + 1 < count; i++)
        take_word(&s, words[i]);
    const struct options_row *row = last[0] == '-' && !s.no_options ? option_of(last, &value) : NULL;
    if (s.waiting != NULL) {
        offer_values(&s, s.waiting, "", last);
    } else if (row != NULL && row->argument != NULL && value != NULL) {
        char *before = need(strndup(last, (size_t)(value - last)));
        offer_values(&s, row, before, value);
        free(before);
    } else if (last[0] == '-' && !s.no_options) {
        offer_options(&s, last);
    } else {
        offer_operand(&s, last);
    }
}
