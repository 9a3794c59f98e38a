/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Options: the command line, GNU style: options may stand before and after the command and its operand. */
#include <stdbool.h>
#include <stdio.h>

#include "client/ctl/ctl.h"

struct options_row {
    const char *name;                         /* "limit" */
    int letter;
    const char *argument;                     /* for people; NULL: it takes none */
    unsigned of_commands;                     /* enum ctl_option; 0: of all */
    const char *help;
};
const struct options_row *options_rows(size_t *ret_count);    /* the table */
bool options_has_letter(const struct options_row *row);       /* -n is --limit, too */
const char *options_sort_name(const struct ctl_command *command, size_t i);      /* that its --sort takes, one by one; NULL: no more */
const char *options_default_socket(void);

/* Says on stderr what is wrong with the line; false. */
bool options_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool options_size(const char *who, const char *text, uint64_t *ret_bytes);   /* false: it is none, and @who was said to take one */

/* What the command line asks for. NULL: it is settled already, and the program ends with *ret_exit: --help and --version have
 * been printed, or what is wrong with the line. */
const struct ctl_command *options_parse(int argc, char **argv, struct ctl_options *ret_options, enum ctl_exit *ret_exit);
/* The text of --help; of one command's, if @command is not NULL. */
void options_help(FILE *out, const struct ctl_command *command);
