/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Facts: what the files that answer mmgcctl share.
 *   Threads  loop */
#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

struct session;
struct shared_heap;

struct facts_object {
    char *type;                               /* its name, constant */
    uint64_t bytes;
};
/* What the header before @ref says, for people: it may be forged. Only a page that is there is read, so that a name for
 * nothing commits nothing (soundness S12). False: nothing. */
bool facts_object(const struct shared_heap *h, uint32_t ref, struct facts_object *ret_object);
/* Whether @asker may know of @s, which has @only open; NULL: any heap, or none. */
bool facts_may_see(const struct session *asker, const struct session *s, const struct shared_heap *only);

#define FACTS_ROWS_A_REQUEST (1u << 20)       /* of sessions' tables are looked at: a millisecond or two of everybody's time */
struct facts_tables {
    uint64_t handles, leases;
};
/* What @h's sessions have, by the first *rows_left rows of their tables, which it lowers by those it has looked at. */
struct facts_tables facts_count_tables(const struct shared_heap *h, uint32_t *rows_left);
wire_heap_row facts_heap_row(const struct shared_heap *h);    /* its strings are @h's; gauges as they were last read */
uint64_t facts_committed_bytes(const struct shared_heap *h);
