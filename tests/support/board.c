/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/board.h"

#include <inttypes.h>
#include <string.h>

#include "tests/support/crew.h"

#define BYTES_MAX 300u

static mmgc_ref *board_find(struct entry *e)
{
    if (e->board.slot != 0)
        return mmgc_handle_get(e->t, e->board);
    mmgc_ref *board = mmgc_name_get(e->t, "board");
    EXPECT(board != NULL, "no board: %s", mmgc_strerror(mmgc_thread_error(e->t)));
    EXPECT_OK(mmgc_handle_new(e->t, board, &e->board));
    return board;
}

void board_claim(struct entry *e)
{
    void *first;
    void *fresh = mmgc_new_array(e->t, e->types.of[SHADOW_REFS], BOARD_SLOTS);
    EXPECT(fresh != NULL, "no memory for the board");
    EXPECT_OK(mmgc_name_claim(e->t, "board", fresh, &first));
}

static uint32_t bytes_of(uint64_t seed)
{
    return (uint32_t)(seed % BYTES_MAX);
}

static char byte_of(uint64_t seed, uint32_t i)
{
    return (char)((seed >> (i % 7 * 8)) + i);
}

static struct shadow_pair *new_pair(struct entry *e)
{
    struct shadow_pair *pair = mmgc_new(e->t, e->types.of[SHADOW_PAIR]);
    EXPECT(pair != NULL, "no memory for a pair: %s", mmgc_strerror(mmgc_thread_error(e->t)));
    EXPECT(pair->value == 0 && pair->left.granule == 0 && pair->right.granule == 0,
           "a new pair at %p is not zero", (void *)pair);
    return pair;
}

static struct shadow_pair *new_thing(struct entry *e, uint64_t seed)
{
    mmgc_scope scope = mmgc_scope_open(e->t);
    struct held held_first = entry_hold(e, new_pair(e));
    struct held held_second = entry_hold(e, new_pair(e));
    char *bytes = mmgc_new_array(e->t, e->types.of[SHADOW_BYTES], bytes_of(seed));
    EXPECT(bytes != NULL, "no memory for bytes: %s", mmgc_strerror(mmgc_thread_error(e->t)));
    for (uint32_t i = 0; i < bytes_of(seed); i++)
        bytes[i] = byte_of(seed, i);
    struct shadow_pair *first = entry_held(e, &held_first), *second = entry_held(e, &held_second);
    first->value = seed;
    second->value = ~seed;
    mmgc_set(e->t, second, left, first);
    mmgc_set(e->t, first, left, second);
    mmgc_set(e->t, first, right, bytes);
    mmgc_scope_close(e->t, scope);
    return first;
}

void board_put(struct entry *e, struct rng *rng, bool drop)
{
    uint32_t slot = rng_below(rng, BOARD_SLOTS);
    struct shadow_pair *thing = new_thing(e, rng_next(rng));
    if (drop)
        return;
    mmgc_ref *board = board_find(e);
    mmgc_store(e->t, board, &board[slot], thing);
}

void board_shuffle(struct entry *e, struct rng *rng)
{
    mmgc_ref *board = board_find(e);
    mmgc_ref *from = &board[rng_below(rng, BOARD_SLOTS)], *to = &board[rng_below(rng, BOARD_SLOTS)];
    void *thing = mmgc_load(e->t, from);
    switch (rng_below(rng, 8)) {
    case 0: mmgc_store(e->t, board, to, NULL); break;
    case 1:
    case 2: (void)mmgc_exchange(e->t, board, to, thing); break;
    case 3:
    case 4: (void)mmgc_compare_and_swap(e->t, board, to, mmgc_load(e->t, to), thing); break;
    default: mmgc_store(e->t, board, to, thing); break;
    }
}

static void check_thing(struct entry *e, uint32_t slot, struct shadow_pair *first)
{
    EXPECT(strcmp(mmgc_type_name(e->t, first), "shadow_pair") == 0,
           "slot %" PRIu32 " of the board has a %s", slot, mmgc_type_name(e->t, first));
    uint64_t seed = first->value;
    struct shadow_pair *second = mmgc_get(e->t, first, left);
    const char *bytes = mmgc_get(e->t, first, right);
    EXPECT(second != NULL && bytes != NULL, "slot %" PRIu32 ": %" PRIx64 " at %p lacks a part",
           slot, seed, (void *)first);
    EXPECT(second->value == ~seed && mmgc_get(e->t, second, left) == first,
           "slot %" PRIu32 ": %" PRIx64 " has another second: %" PRIx64, slot, seed, second->value);
    EXPECT(mmgc_length(bytes) == bytes_of(seed),
           "slot %" PRIu32 ": %" PRIx64 " has %" PRIu32 " bytes", slot, seed, mmgc_length(bytes));
    for (uint32_t i = 0; i < bytes_of(seed); i++)
        EXPECT(bytes[i] == byte_of(seed, i),
               "slot %" PRIu32 ": byte %" PRIu32 " of %" PRIx64 " at %p differs", slot, i, seed,
               (const void *)bytes);
}

uint32_t board_check(struct entry *e)
{
    uint32_t things = 0;
    mmgc_ref *board = board_find(e);
    EXPECT(mmgc_length(board) == BOARD_SLOTS, "the board has %" PRIu32 " slots", mmgc_length(board));
    for (uint32_t i = 0; i < BOARD_SLOTS; i++) {
        struct shadow_pair *thing = mmgc_load(e->t, &board[i]);
        if (thing == NULL)
            continue;
        check_thing(e, i, thing);
        things++;
    }
    return things;
}
