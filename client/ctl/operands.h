/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Operands: the words after the command, as that takes them (enum ctl_takes). */
#include <stdbool.h>

#include "client/ctl/ctl.h"

/* Into @options, which borrows them. False: they do not fit, and it was said why. */
bool operands_take(const struct ctl_command *command, int count, char **words, struct ctl_options *options);
