/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Heap world: a fake world whose every shared byte can be written by its clients, as the daemon's are, and read as the daemon reads it: mutator and
 * session segments with daemon/mutator.c, session.c and drain.c between them and the heap. One worker, the caller's thread.
 *   Memory   all of it with a page behind it, and before it, that nobody may touch: what is read out of bounds ends the process
 *   Honest   a client tells the truth until it is told to lie. Of who has lied nothing more is allocated: it is out of step with the heap
 *   Threads  one; one world at a time */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/mutator.h"
#include "plans/plan.h"
#include "shm/session.h"
#include "tests/support/fake_mutator.h"

#define HEAP_WORLD_CLIENTS 4u
#define HEAP_WORLD_ROOT_CAPACITY 4096u

struct ground {                              /* mapped memory between two pages that are not */
    char *at;
    size_t bytes;
};

struct heap_client {
    struct fake_mutator *fake;               /* NULL: there is none */
    struct mutator daemons;                  /* what mutator.c needs of it */
    struct ground ground;                    /* of its struct shm_mutator */
    bool lied;
};
struct heap_world {
    struct fake_world fake;
    const struct plan *plan;
    struct ground arena, private, log, page_map, session;
    struct shm_segment arena_segment, private_segment;
    struct heap_client clients[HEAP_WORLD_CLIENTS];
    struct shm_session *rows;
};

void heap_world_open(struct heap_world *w, const struct heap_config *config);
void heap_world_close(struct heap_world *w); /* seals who is left */

/* Finds a free place: NULL if there is none. */
struct heap_client *heap_world_client_new(struct heap_world *w);
/* Its last words, and the end, as after a death. No collection may be under way (heap_world_rests()). */
void heap_world_client_end(struct heap_world *w, struct heap_client *c);
/* One that has told no lie, @which of those there are; made if there is none. NULL: everybody has lied, and there is no place. */
struct heap_client *heap_world_honest(struct heap_world *w, uint32_t which);
bool heap_world_rests(const struct heap_world *w);
static inline struct shm_mutator *heap_client_words(const struct heap_client *c)
{
    return c->daemons.words;
}

/* The world as the daemon finds it at a stop: honest clients' words brought up to date, logs drained, everything read once. Valid till the next call. */
struct heap_stop heap_world_stop(struct heap_world *w);
void heap_world_drain(struct heap_world *w, struct heap_client *c);
/* A grant as daemon/grants.c serves it, to one whose words are what they are. How many rows. */
size_t heap_world_grant(struct heap_world *w, struct heap_client *c, enum shm_grant_class class, uint64_t bytes, uint32_t min_bytes);
/* Areas for a storm: arena, rows, log, then the clients' words. */
void heap_world_areas(struct heap_world *w);
