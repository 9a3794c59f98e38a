/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Indexer: one process's share of the files, indexed several times over. */
#include <stddef.h>
#include <stdint.h>

#include "access.h"

struct indexer_options {
    unsigned share, shares, passes;
};
/* Walks @dirs (hidden entries and folders called build are passed over, links not followed). 0; 1: failed and said so. */
int indexer_run(const struct place *place, const struct indexer_options *options, const char *const *dirs, size_t dir_count);
/* What it would index: how many files, and their bytes together. */
void indexer_measure(const char *const *dirs, size_t dir_count, uint64_t *ret_files, uint64_t *ret_bytes);
