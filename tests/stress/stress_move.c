/* SPDX-License-Identifier: Apache-2.0 */
/* stress_move: clients that go in and out all the time and, inside, do nothing but move pieces from one place to another, while
 * somebody collects without a pause. Whoever were inside while the world is thought to stand still would sooner or later move a
 * piece from a place not looked at yet to one that was: it would be freed, and garbage written over it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/entry.h"
#include "tests/support/inspect.h"
#include "tests/support/stress.h"

#define HEAP "move"
#define CLIENTS 3u
#define SECONDS_ALL 8.0 /* of all cases together */
#define HEAP_BYTES (UINT64_C(32) << 20)
#define PLACES (20000u / STRESS_SLOWER)
#define PIECES 1000u
/* Objects of somebody else, so that a collection takes its time. */
#define BALLAST (30000u / STRESS_SLOWER)
#define MOVES_MAX 40u
#define GARBAGE_MAX 60u
#define LINE_BYTES 256u

struct move_case {
    const char *socket, *plan, *options;
    bool exact;
    uint64_t seed;
    double seconds;
};
struct player {
    struct entry e;
    struct rng rng;
    mmgc_handle board; /* array of PLACES cells: pairs, that a collection comes to one after the other; a piece hangs right */
    uint32_t place_of[PIECES];
    int32_t piece_at[PLACES]; /* -1: none */
};

static void *new_or_fail(struct entry *e, enum shadow_kind kind, uint32_t length)
{
    void *p = kind == SHADOW_REFS ? mmgc_new_array(e->t, e->types.of[kind], length)
                                  : mmgc_new(e->t, e->types.of[kind]);
    EXPECT(p != NULL, "no memory: %s", mmgc_strerror(mmgc_thread_error(e->t)));
    return p;
}

static struct shadow_pair *cell(struct player *player, mmgc_ref *board, uint32_t place)
{
    return mmgc_load(player->e.t, &board[place]);
}

static void set_up(struct player *player)
{
    struct entry *e = &player->e;
    memset(player->piece_at, -1, sizeof(player->piece_at));
    EXPECT_OK(mmgc_handle_new(e->t, new_or_fail(e, SHADOW_REFS, PLACES), &player->board));
    for (uint32_t i = 0; i < PLACES; i++) {
        void *pair = new_or_fail(e, SHADOW_PAIR, 0);
        mmgc_ref *board = mmgc_handle_get(e->t, player->board);
        mmgc_store(e->t, board, &board[i], pair);
    }
    for (uint32_t i = 0; i < PIECES; i++) {
        /* nothing else that lives is on its line: what is freed by mistake is soon given to others */
        EXPECT(mmgc_new_array(e->t, e->types.of[SHADOW_BYTES], LINE_BYTES) != NULL, "no memory");
        struct shadow_pair *piece = new_or_fail(e, SHADOW_PAIR, 0);
        uint32_t place = i * (PLACES / PIECES);
        piece->value = i;
        mmgc_set(e->t, cell(player, mmgc_handle_get(e->t, player->board), place), right, piece);
        player->place_of[i] = place;
        player->piece_at[place] = (int32_t)i;
    }
}

/* No safepoint: the piece is in no root but its place. */
static void move(struct player *player, mmgc_ref *board)
{
    struct mmgc_thread *t = player->e.t;
    uint32_t piece = rng_below(&player->rng, PIECES), to = rng_below(&player->rng, PLACES);
    uint32_t from = player->place_of[piece];
    if (player->piece_at[to] >= 0)
        return;
    struct shadow_pair *from_cell = cell(player, board, from), *to_cell = cell(player, board, to);
    mmgc_set(t, to_cell, right, mmgc_get(t, from_cell, right));
    mmgc_set(t, from_cell, right, NULL);
    player->piece_at[from] = -1;
    player->piece_at[to] = (int32_t)piece;
    player->place_of[piece] = to;
}

static void check(struct player *player)
{
    mmgc_ref *board = mmgc_handle_get(player->e.t, player->board);
    for (uint32_t i = 0; i < PLACES; i++) {
        struct shadow_pair *piece = mmgc_get(player->e.t, cell(player, board, i), right);
        int64_t value = piece ? (int64_t)piece->value : -1;
        EXPECT(value == player->piece_at[i], "place %" PRIu32 " has piece %" PRIx64 " and not %" PRId32,
               i, value, player->piece_at[i]);
    }
}

static void be_player(struct mate *mate, void *arg)
{
    static struct player player;
    const struct move_case *c = arg;
    struct entry *e = &player.e;
    player.rng = rng_from(c->seed + mate->number);
    entry_open(e, &(struct entry_options){ .socket = c->socket,
                                           .heap = HEAP,
                                           .plan = c->plan,
                                           .options = c->options,
                                           .max_bytes = stress_heap_bytes(c->plan, HEAP_BYTES),
                                           .name = "player",
                                           .exact = c->exact });
    EXPECT_OK(mmgc_enter(e->t));
    set_up(&player);
    for (mate_say(mate, 1); at_load_acquire(&mate->told) == 0; at_add_relaxed(&mate->numbers[0], 1)) {
        mmgc_ref *board = mmgc_handle_get(e->t, player.board);
        for (uint32_t n = rng_below(&player.rng, MOVES_MAX); n > 0; n--)
            move(&player, board);
        if (rng_one_in(&player.rng, 50))
            check(&player);
        for (uint32_t n = rng_below(&player.rng, GARBAGE_MAX); n > 0; n--) {
            struct shadow_pair *garbage = new_or_fail(e, SHADOW_PAIR, 0);
            garbage->value = UINT64_MAX;
        }
        mmgc_leave(e->t);
        if (rng_one_in(&player.rng, 4))
            crew_sleep_us(rng_below(&player.rng, 200));
        EXPECT_OK(mmgc_enter(e->t));
    }
    check(&player);
    mmgc_leave(e->t);
    entry_close(e);
}

/* Keeps a long chain and collects; outside, so that it never holds anything up. */
static void be_collector(struct mate *mate, void *arg)
{
    const struct move_case *c = arg;
    struct entry e;
    mmgc_handle top = { 0 };
    entry_open(&e, &(struct entry_options){ .socket = c->socket,
                                            .heap = HEAP,
                                            .plan = c->plan,
                                            .options = c->options,
                                            .max_bytes = stress_heap_bytes(c->plan, HEAP_BYTES),
                                            .name = "collector",
                                            .exact = c->exact });
    EXPECT_OK(mmgc_enter(e.t));
    EXPECT_OK(mmgc_handle_new(e.t, new_or_fail(&e, SHADOW_PAIR, 0), &top));
    for (uint32_t i = 0; i < BALLAST; i++) {
        struct shadow_pair *pair = new_or_fail(&e, SHADOW_PAIR, 0);
        mmgc_set(e.t, pair, left, mmgc_handle_get(e.t, top));
        mmgc_handle_set(e.t, top, pair);
    }
    mmgc_leave(e.t);
    for (mate_say(mate, 1); at_load_acquire(&mate->told) == 0;)
        EXPECT_OK(mmgc_gc(e.t));
    entry_close(&e);
}

START_TEST(pieces_that_move_while_others_collect_are_never_lost)
{
    struct daemon *daemon = daemon_start(NULL);
    struct move_case c = { .socket = daemon_socket(daemon),
                           .plan = stress_plan(_i / 2),
                           .options = stress_options(stress_plan(_i / 2), 1100 + (uint64_t)_i),
                           .exact = _i % 2 == 1,
                           .seed = stress_seed(1100 + (uint64_t)_i),
                           .seconds = stress_seconds_each(SECONDS_ALL, stress_plan_count() * 2) };
    struct crew crew;
    struct inspect ask;
    uint64_t rounds = 0;
    crew_init(&crew);
    for (uint32_t i = 0; i < CLIENTS; i++)
        crew_start(&crew, be_player, &c);
    crew_start(&crew, be_collector, &c);
    for (uint32_t i = 0; i <= CLIENTS; i++)
        mate_await(&crew.mates[i], 1, 60);
    for (uint64_t end = mm_now_ns() + (uint64_t)(c.seconds * 1e9); mm_now_ns() < end;
         crew_sleep_us(10000))
        for (uint32_t i = 0; i <= CLIENTS; i++)
            mate_check(&crew.mates[i]);
    for (uint32_t i = 0; i <= CLIENTS; i++)
        mate_tell(&crew.mates[i], 1);
    for (uint32_t i = 0; i <= CLIENTS; i++) {
        mate_join(&crew.mates[i], 60);
        rounds += crew.mates[i].numbers[0];
    }
    inspect_open(&ask, c.socket);
    inspect_verify(&ask, HEAP);
    uint64_t collections = inspect_heap(&ask, HEAP).collections;
    inspect_close(&ask);
    crew_fini(&crew);
    daemon_stop(daemon);
    fprintf(stderr, "plan %s (%s), %s: %" PRIu64 " times in and out, %" PRIu64 " collections\n", c.plan, c.options,
            c.exact ? "exact" : "ambiguous", rounds, collections);
    ck_assert_uint_gt(collections, 0);
}
END_TEST

static Suite *move_suite(void)
{
    Suite *suite = suite_create("stress_move");
    TCase *moves = tcase_create("moves");
    stress_limit(moves, SECONDS_ALL + 90);
    tcase_add_loop_test(moves, pieces_that_move_while_others_collect_are_never_lost, 0,
                        stress_plan_count() * 2);
    suite_add_tcase(suite, moves);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, move_suite);
}
