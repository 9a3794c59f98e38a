/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Survivors: two clients, one with ambiguous and one with exact roots, that work on the heap while others are killed, and
 * prove on demand that nothing of theirs, and nothing on the board, has come to harm. */
#include "tests/support/board.h"
#include "tests/support/crew.h"
#include "tests/support/inspect.h"

#define SURVIVORS 2u
#define SURVIVE_HEAP "survive"

struct survive_case {
    const char *socket, *plan, *options; /* options: mmgc_heap_options.options */
    uint64_t heap_bytes, budget_bytes; /* of the heap; of what each survivor keeps */
    uint64_t seed;
};
struct survivors {
    struct mate *mates[SURVIVORS];
    struct crew *crew;
    struct inspect ask;
    uint32_t asked;
    const struct survive_case *c;
};

/* @c is borrowed for their life. On return they work and the board is there. */
void survivors_start(struct survivors *s, struct crew *crew, const struct survive_case *c);
/* Fails the test unless the heap verifies, and, with @compare, every survivor's graph and the board are as they should be. */
void survivors_check(struct survivors *s, bool compare);
/* The same after a collection; then they leave, and nothing but the board is left. Compares what a dead client may have kept alive. */
void survivors_end(struct survivors *s);
/* For who is going to be killed: connected, opened, attached; the thread is outside. */
void survivors_join(struct entry *e, const struct survive_case *c, bool exact);
