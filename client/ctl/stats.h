/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Stats: what top, serve and its page read again and again: every heap's sizes, counters and pauses, and the daemon's totals.
 *   Memory   a reply a page, kept as it came; stats_free() drops them */
#include <stddef.h>

#include <jansson.h>

#include "client/ctl/ctl.h"

struct stats {
    wire_reply **pages;                       /* of kind STATS_ROWS, each with its `daemon`; at least one */
    size_t count;
};
/* Of @heap; NULL: of all, by name. On failure nothing is to be freed. */
enum mmgc_error stats_ask(struct ctl *ctl, const char *heap, struct stats *ret_stats);
void stats_free(struct stats *stats);
/* The same as a document: "daemon", "heaps", "bucket_ns"; of the operand's heap, or of all. The ask of `mmgcctl top --json`, and of the page. */
enum mmgc_error stats_document(struct ctl *ctl, json_t *document);
