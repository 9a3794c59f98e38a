/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Demo: the whole story as one command: indexers at work, one killed, its share taken up again, a query, a summary. */
#include <stdbool.h>
#include <stddef.h>

#include "access.h"

struct demo_options {
    unsigned indexers, passes;
    bool kill;                               /* SIGKILL one indexer in the middle */
    const char *mmgcctl;                     /* to verify with after the kill; NULL: do not */
};
/* 0; 1: something failed and said so. */
int demo_run(const struct place *place, const struct demo_options *options, const char *const *dirs, size_t dir_count);
