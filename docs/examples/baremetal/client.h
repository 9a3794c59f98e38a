/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Client: one mutator of a heap that lives in a region of this program (plans/bare.h). It does what libmmgc-client does for programs that
 * share a heap through mmgcd: allocation bumps a cursor, roots are words in an array, and a collection comes when nothing is left.
 *   Referring   a reference is a granule, 8 bytes, from the arena's begin; 0 refers to nothing
 *   Collecting  client_new() and client_collect() may: objects move, and only roots and fields say where to. References in other variables are
 *               good until the next of these calls
 *   Threads     one                                                                                                              */
#include <stdbool.h>
#include <stdint.h>

#include "plans/bare.h"

#define CLIENT_ROOTS 16u
#define CLIENT_ROWS 64u

struct client {
    struct bare *bare;
    struct heap_mutator *mutator;
    struct shm_grant rows[CLIENT_ROWS];              /* spans that were granted, and ... */
    uint32_t granted, taken;                         /* ... how many ever, and finished with; between them are those of the rows */
    char *cursor, *limit, *end;                      /* in the span in use; zero up to the limit. NULL: in none */
    _Atomic uint32_t roots[CLIENT_ROOTS];            /* references; a collection updates them */
    uint64_t collections, moved;
};

bool client_open(struct client *c, struct bare *bare);               /* false: the store is full */
void client_close(struct client *c);
/* A new object of zeroes; small ones only. 0: the heap is full, and a collection was no help. */
uint32_t client_new(struct client *c, uint32_t type, uint32_t length);
bool client_collect(struct client *c);                               /* false: the store is full; nothing has changed */
bool client_is_sound(struct client *c);                              /* every reference refers to an object */

static inline void *client_at(const struct client *c, uint32_t reference)
{
    return c->bare->arena + (uint64_t)reference * 8;
}
