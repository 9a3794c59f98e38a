/* SPDX-License-Identifier: Apache-2.0 */
/* stress_references: processes that play with all kinds of references (reference_player.h), each alone beside a model, and together with posts on a
 * board that all see by its name; and that are killed with SIGKILL at random moments of it.
 *   Posts     never change once they are on the board. Each refers to one target by every kind of reference that keeps nothing alive, some by
 *             a strong one, too: those find it for ever; of the others all kinds are cleared at once, for good, and the post is announced
 *             once, whoever takes it
 *   Found     who finds a target by a weak reference posts it again, held: a cycle that marks beside that must have been told
 *   Guards    each is given back at most once, to whomever: who guarded it or the heir of the dead. In the end all have been, but for those
 *             that somebody was killed with in his hands
 *   Replay    MMGC_SEED=... as printed      Longer  --long, --times N                                                    */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/base.h"
#include "tests/stress/reference_player.h"
#include "tests/support/daemon.h"
#include "tests/support/inspect.h"

#define HEAP "references"
#define HEAP_BYTES (UINT64_C(48) << 20)
#define PLAYERS 3u
#define BOARD 64u
#define SEEN 512u
#define KILLS 130u /* of all plans together */
#define STEPS 60u

struct reference_case {
    const char *socket, *plan;
    char options[256];
    bool keeps_soft, chains; /* as in reference_player.h */
    struct tally *tally;
    uint64_t seed;
};
struct seat {
    const struct reference_case *c;
    uint64_t seed;
};

/* ---- the board ---- */

static mmgc_type refs_type;

static void open_board(struct player *p)
{
    void *board, *queue;

    EXPECT_OK(mmgc_type_refs(p->heap, &refs_type));
    void *mine = mmgc_new_array(p->t, refs_type, BOARD);
    EXPECT(mine != NULL, "no memory for a board");
    EXPECT_OK(mmgc_name_claim(p->t, "board", mine, &board));
    mine = mmgc_queue_new(p->t);
    EXPECT(mine != NULL, "no memory for a queue");
    EXPECT_OK(mmgc_name_claim(p->t, "queue", mine, &queue));
}

static mmgc_ref *board_slot(struct player *p, uint32_t i, void **ret_board)
{
    *ret_board = mmgc_name_get(p->t, "board");
    EXPECT(*ret_board != NULL, "no board: %s", mmgc_strerror(mmgc_thread_error(p->t)));
    return (mmgc_ref *)*ret_board + i;
}

/* Everything about the target in p->found. */
static void post(struct player *p, bool held)
{
    mmgc_scope scope = mmgc_scope_open(p->t);
    mmgc_local local = mmgc_local_new(p->t, player_new(p));
    struct thing *made = mmgc_local_get(p->t, local), *target = mmgc_local_get(p->t, p->found);
    void *board, *queue = mmgc_name_get(p->t, "queue");

    made->id = at_add_relaxed(&p->tally->posts, 1) + 1;
    EXPECT(made->id < TALLY_MARKS && queue != NULL, "no more posts");
    made->child = target->id;
    made->mark = held;
    for (enum edge e = held ? FIRST : WEAK; e < EDGES; e++)
        if (e != SECOND)
            mmgc_store(p->t, made, thing_slot(made, e), target);
    mmgc_set(p->t, made, queue, queue);
    mmgc_ref *slot = board_slot(p, rng_below(&p->rng, BOARD), &board);
    mmgc_store(p->t, board, slot, made);
    mmgc_scope_close(p->t, scope);
}

static void do_post(struct player *p)
{
    struct thing *target = player_new(p);

    target->id = rng_below(&p->rng, UINT32_MAX);
    target->mark = ~target->id;
    mmgc_local_set(p->t, p->found, target);
    post(p, rng_one_in(&p->rng, 4));
    if (rng_one_in(&p->rng, 2))
        mmgc_local_set(p->t, p->found, NULL);
}

static uint32_t seen_cleared[SEEN]; /* numbers of posts */

static void check_target(struct player *p, const struct thing *post, struct thing *target)
{
    if (target != NULL)
        EXPECT(target->id == post->child && target->mark == ~target->id, "the target of post %" PRIu32 " is another", post->id);
    (void)p;
}

/* All that do not hold it are cleared at once, but for the phantom one. */
static struct thing *look_at(struct player *p, struct thing *post)
{
    bool cleared = mmgc_is_cleared(&post->weak);

    for (enum edge e = SOFT; e < EDGES; e++)
        EXPECT(mmgc_is_cleared(thing_slot(post, e)) == cleared, "edge %d of post %" PRIu32 " is %s, its weak one is not", e, post->id,
               cleared ? "there" : "cleared");
    EXPECT(cleared || !mmgc_is_cleared(&post->phantom), "post %" PRIu32 " has lost the phantom one alone", post->id);
    EXPECT(!cleared || !post->mark, "post %" PRIu32 " holds its target, and has lost it", post->id);
    EXPECT(mmgc_is_cleared(&post->queue) == cleared, "post %" PRIu32 " is %s announced", post->id, cleared ? "not" : "");
    uint32_t *seen = &seen_cleared[post->id % SEEN];
    EXPECT(cleared || *seen != post->id, "what post %" PRIu32 " has lost is back", post->id);
    *seen = cleared ? post->id : *seen;
    struct thing *target = mmgc_load_weak(p->t, &post->weak);
    EXPECT((target == NULL) == cleared, "post %" PRIu32 " has and has not its target", post->id);
    check_target(p, post, target);
    check_target(p, post, mmgc_load_soft(p->t, &post->soft));
    check_target(p, post, mmgc_load_ephemeron(p->t, &post->pair, target));
    if (post->mark)
        check_target(p, post, mmgc_get(p->t, post, first));
    return target;
}

static void do_look(struct player *p)
{
    void *board;
    struct thing *seen = mmgc_load(p->t, board_slot(p, rng_below(&p->rng, BOARD), &board));
    struct thing *target = seen == NULL ? NULL : look_at(p, seen);

    if (target == NULL || !rng_one_in(&p->rng, 3))
        return;
    mmgc_local_set(p->t, p->found, target); /* found weakly: it lives from here on */
    post(p, rng_one_in(&p->rng, 2));
}

static void do_wipe(struct player *p)
{
    void *board;
    mmgc_ref *slot = board_slot(p, rng_below(&p->rng, BOARD), &board);

    mmgc_store(p->t, board, slot, NULL);
}

static void do_take_queue(struct player *p)
{
    void *queue = mmgc_name_get(p->t, "queue");
    EXPECT(queue != NULL, "no queue");

    struct thing *next, *post = mmgc_queue_take(p->t, queue);
    for (; post != NULL; post = next) {
        next = mmgc_get(p->t, post, next);
        EXPECT(mmgc_is_cleared(&post->weak) && mmgc_is_cleared(&post->queue), "post %" PRIu32 " is announced and has lost nothing", post->id);
        EXPECT(at_add_relaxed(&p->tally->announced[post->id], 1) == 0, "post %" PRIu32 " was announced twice", post->id);
        mmgc_set(p->t, post, next, NULL);
        p->cleared++;
    }
}

static void do_together(struct player *p)
{
    uint32_t what = rng_below(&p->rng, 10);

    if (what < 3)
        do_post(p);
    else if (what < 7)
        do_look(p);
    else if (what < 9)
        do_wipe(p);
    else
        do_take_queue(p);
}

/* ---- lives ---- */

/* Old and young, and enough of it that collections come by themselves. */
static void do_litter(struct player *p)
{
    for (uint32_t i = rng_below(&p->rng, 600); i > 0; i--)
        (void)player_new(p);
}

static void do_rest(struct player *p)
{
    uint32_t what = rng_below(&p->rng, 12);

    if (what == 0) {
        EXPECT_OK(mmgc_gc(p->t));
    } else if (what < 4) {
        mmgc_leave(p->t);
        crew_sleep_us(rng_below(&p->rng, 800));
        EXPECT_OK(mmgc_enter(p->t));
    } else {
        do_litter(p);
    }
    if (rng_one_in(&p->rng, 20)) {
        int r = mmgc_guardian_be(p->heap, PLAYER_HEIR);
        EXPECT(r == MMGC_OK || r == MMGC_E_BUSY, "%s", mmgc_strerror(r));
    }
}

static void live(struct player *p)
{
    for (uint32_t i = 0; i < STEPS; i++) {
        player_step(p);
        if (rng_one_in(&p->rng, 3))
            do_together(p);
        if (rng_one_in(&p->rng, 8))
            do_rest(p);
    }
    if (rng_one_in(&p->rng, 4))
        player_check_all(p);
}

static void join(struct entry *e, const struct reference_case *c)
{
    entry_open(e, &(struct entry_options){ .socket = c->socket, .heap = HEAP, .plan = c->plan, .max_bytes = stress_heap_bytes(c->plan, HEAP_BYTES),
                                           .options = c->options, .name = "references", .exact = true });
}

static void be_player(struct mate *mate, void *arg)
{
    const struct seat *seat = arg;
    struct player p;
    struct entry e;

    join(&e, seat->c);
    EXPECT_OK(mmgc_guards_leave_to(e.heap, PLAYER_HEIR));
    player_begin(&p, &e, mate, seat->c->tally, seat->seed);
    p.keeps_soft = seat->c->keeps_soft;
    p.chains = seat->c->chains;
    open_board(&p);
    mate_say(mate, 1);
    do {
        live(&p);
        at_store_relaxed(&mate->numbers[1], p.compared);
        at_store_relaxed(&mate->numbers[2], p.cleared);
        at_store_relaxed(&mate->numbers[3], p.given);
    } while (at_load_acquire(&mate->told) == 0);
    player_check_all(&p);
    at_store_relaxed(&mate->numbers[3], p.given);
    player_end(&p);
    entry_close(&e);
}

static uint64_t not_given(struct tally *tally)
{
    uint64_t count = 0;

    for (uint32_t mark = 1; mark <= at_load_acquire(&tally->marks); mark++)
        count += at_load_acquire(&tally->guards[mark]) == GUARD_STANDS && at_load_acquire(&tally->taken[mark]) == 0;
    return count;
}

/* When all others have gone: takes what they have left, all of it but for @arg's number of guards at most. */
static void be_last_heir(struct mate *mate, void *arg)
{
    const struct seat *seat = arg;
    struct player p;
    struct entry e;

    join(&e, seat->c);
    player_begin(&p, &e, mate, seat->c->tally, seat->seed);
    p.keeps_soft = seat->c->keeps_soft;
    p.chains = seat->c->chains;
    EXPECT_OK(mmgc_guardian_be(e.heap, PLAYER_HEIR));
    EXPECT(mmgc_name_set(p.t, "board", NULL) == MMGC_OK && mmgc_name_set(p.t, "queue", NULL) == MMGC_OK, "no board");
    for (unsigned round = 0; round < 20 && not_given(seat->c->tally) > 0; round++) {
        EXPECT_OK(mmgc_gc(p.t));
        while (player_take(&p))
            continue;
    }
    at_store_relaxed(&mate->numbers[3], p.given);
    entry_close(&e);
}

static void check_tally(struct tally *tally, uint64_t lost_at_most)
{
    uint64_t missing = not_given(tally);

    ck_assert_msg(missing <= lost_at_most, "%" PRIu64 " guards were never given back, and %" PRIu64 " killed had one in their hands", missing,
                  lost_at_most);
    for (uint32_t mark = 1; mark <= at_load_acquire(&tally->marks); mark++)
        if (at_load_acquire(&tally->guards[mark]) == GUARD_DROPPED)
            ck_assert_uint_eq(at_load_acquire(&tally->taken[mark]), 0);
}

struct sums {
    uint64_t compared, cleared, given, in_hand;
};

static void add_up(struct sums *sums, const struct mate *mate)
{
    sums->in_hand += at_load_acquire(&mate->numbers[0]);
    sums->compared += at_load_acquire(&mate->numbers[1]);
    sums->cleared += at_load_acquire(&mate->numbers[2]);
    sums->given += at_load_acquire(&mate->numbers[3]);
}

static struct reference_case case_of(const struct daemon *daemon, int i)
{
    struct reference_case c = { .socket = daemon_socket(daemon), .plan = stress_plan(i), .seed = stress_seed(1200 + (uint64_t)i),
                                .keeps_soft = stress_toss(1300 + (uint64_t)i), .chains = stress_seed(1400 + (uint64_t)i) % 4 == 0 };

    const char *more = strcmp(c.plan, "immix") == 0 ? "immix_always_defrag=on" : "stress_factor=1M";
    (void)snprintf(c.options, sizeof(c.options), "%s sanity=on soft_ms_per_mib=%u", more, c.keeps_soft ? 3600000u : 0u);
    c.tally = mmap(NULL, sizeof(*c.tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(c.tally, MAP_FAILED);
    return c;
}

/* Who is left goes on until everything has happened that is to be checked, on a machine however slow. */
static void await_all_kinds(struct mate *const *players, const struct sums *dead)
{
    for (int tick = 0; tick < 6000; tick++, crew_sleep_us(10000)) {
        struct sums sums = *dead;
        for (uint32_t i = 0; i < PLAYERS; i++)
            add_up(&sums, players[i]);
        if (sums.compared > 0 && sums.cleared > 0 && sums.given > 0)
            return;
    }
}

static void kill_some(struct crew *crew, const struct reference_case *c, struct sums *sums)
{
    struct rng rng = rng_from(c->seed);
    struct seat seats[PLAYERS];
    struct mate *players[PLAYERS];

    for (uint32_t i = 0; i < PLAYERS; i++) {
        seats[i] = (struct seat){ .c = c, .seed = rng_next(&rng) };
        players[i] = crew_start(crew, be_player, &seats[i]);
    }
    for (uint64_t kills = stress_count_each(KILLS, stress_plan_count()); kills > 0; kills--) {
        uint32_t i = rng_below(&rng, PLAYERS);
        if (!rng_one_in(&rng, 6))
            mate_await(players[i], 1, 60);
        crew_sleep_us(rng_skewed(&rng, 200000));
        ck_assert(mate_kill(players[i]));
        add_up(sums, players[i]);
        seats[i].seed = rng_next(&rng);
        players[i] = crew_start(crew, be_player, &seats[i]);
    }
    for (uint32_t i = 0; i < PLAYERS; i++)
        mate_await(players[i], 1, 60);
    await_all_kinds(players, sums);
    for (uint32_t i = 0; i < PLAYERS; i++)
        mate_tell(players[i], 1);
    for (uint32_t i = 0; i < PLAYERS; i++) {
        mate_join(players[i], 120);
        add_up(sums, players[i]);
    }
}

START_TEST(what_must_be_there_is_and_what_is_cleared_stays_so)
{
    struct daemon *daemon = daemon_start(NULL);
    struct reference_case c = case_of(daemon, _i);
    struct sums sums = { 0 };
    struct inspect ask;
    struct crew crew;

    crew_init(&crew);
    kill_some(&crew, &c, &sums);
    inspect_open(&ask, c.socket);
    inspect_await_sessions(&ask, HEAP, 0);
    inspect_verify(&ask, HEAP);
    struct seat last = { .c = &c, .seed = c.seed };
    struct mate *heir = crew_start(&crew, be_last_heir, &last);
    mate_join(heir, 120);
    add_up(&sums, heir);
    inspect_await_sessions(&ask, HEAP, 0);
    ck_assert_int_eq(inspect_collect(&ask, HEAP), MMGC_E_OK);
    inspect_verify(&ask, HEAP);
    struct inspect_heap heap = inspect_heap(&ask, HEAP);
    ck_assert_uint_eq(heap.live_bytes, 0);
    inspect_close(&ask);
    check_tally(c.tally, sums.in_hand);
    crew_fini(&crew);
    daemon_stop(daemon);
    fprintf(stderr, "plan %s (%s%s): %" PRIu64 " collections, %" PRIu64 " things compared, %" PRIu64 " references seen cleared, ", c.plan, c.options,
            c.chains ? ", chains" : "", heap.collections, sums.compared, sums.cleared);
    fprintf(stderr, "%u guards, %" PRIu64 " given back\n", at_load_relaxed(&c.tally->marks), sums.given);
    munmap(c.tally, sizeof(*c.tally));
    ck_assert(sums.compared > 0 && sums.cleared > 0 && sums.given > 0);
}
END_TEST

static Suite *references_suite(void)
{
    Suite *suite = suite_create("stress_references");
    TCase *tc = tcase_create("models");

    tcase_add_loop_test(tc, what_must_be_there_is_and_what_is_cleared_stays_so, 0, stress_plan_count());
    stress_limit(tc, 150);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, references_suite);
}
