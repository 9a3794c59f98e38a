/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Options: the command line, GNU style: options may stand before and after the command and its operand. */
#include <stdbool.h>
#include <stdio.h>

#include "client/ctl/ctl.h"

/* What the command line asks for. NULL: it is settled already, and the program ends with *ret_exit: --help and --version have
 * been printed, or what is wrong with the line. */
const struct ctl_command *options_parse(int argc, char **argv, struct ctl_options *ret_options, enum ctl_exit *ret_exit);
/* The text of --help; of one command's, if @command is not NULL. */
void options_help(FILE *out, const struct ctl_command *command);
