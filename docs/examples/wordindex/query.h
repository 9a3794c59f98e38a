/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Query: a process of its own reads the graph that the indexers built. */
#include <stddef.h>

#include "access.h"

/* Says for each word how often and where it stands: 0; 1: failed and said so. */
int query_words(const struct place *place, const char *const *words, size_t count);
/* Prints "COUNT FILES WORD" for every word, in no order. */
int query_dump(const struct place *place);

struct totals {
    uint64_t files, words, postings, occurrences;
};
int query_totals(struct access *access, struct totals *ret_totals);
