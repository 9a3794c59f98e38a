/* SPDX-License-Identifier: Apache-2.0 */
/* soak: one daemon for as long as you like. Heaps of all plans come, grow, are filled and destroyed; clients (player.h) join, build, share, check and
 * leave; meanwhile some are killed with SIGKILL, some stopped and continued, some stopped for so long that the daemon kills them, and the daemon itself
 * sleeps now and then. When everybody has gone, what the daemon has of the system is what it had after the warm-up.
 *   Violation  a client that finds what should not be, or ends as nobody has told it to; a heap that does not verify, that a dead client still holds
 *              something of, or in which a stop was given up; a daemon that has grown. Each is printed, and counted
 *   Options    --minutes N: so long, with a line every ten seconds; else 20 s, as stress.h's --times says    MMGC_SEED replays              */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "shm/base.h"
#include "tests/soak/measure.h"
#include "tests/soak/player.h"
#include "tests/support/daemon.h"
#include "tests/support/inspect.h"

#define SECONDS 20.0
#define HEAPS 4u    /* at a time; the last one is there to be filled */
#define SEATS 8u    /* clients at a time */
#define FULL_SEATS 2u
#define HEAP_BYTES (UINT64_C(24) << 20)
#define FULL_BYTES (UINT64_C(6) << 20)
#define LEFT_BYTES (UINT64_C(4) << 20) /* by the dead: a board, names of each seat */
#define DEADLINE_MS (1500u * STRESS_SLOWER)
#define NS_PER_MS UINT64_C(1000000)
#define TICK_US 2000u
#define LIMIT_S 60.0
#define VIOLATIONS_MAX 20u
#define WARM_UP 5u /* a fifth of the time */
#define SAY_NS (10000 * NS_PER_MS)
#define GROWN_KIB (12u << 10)
#define POOL 4u /* threads that libuv starts when memory is given back for the first time */

static double minutes; /* 0: SECONDS */

struct seat {
    struct mate *mate; /* NULL: nobody */
    struct player_options options;
    uint64_t until_ns; /* it is stopped, to be continued then; 0: it runs */
    uint64_t ran_ns;   /* it was continued then */
    bool told;
    uint32_t dead_pid; /* of the one before, who was killed; 0: there was none */
};
struct place { /* of a heap */
    char name[32];
    const char *plan, *options;
    uint64_t bytes;
    uint32_t seats; /* clients that it has had; 0: it has not been made */
};
struct figures {
    uint64_t rounds, heaps, joins, left, kills, stops, late_kills, suspensions, turns, collections, allocated_bytes, verifications;
    uint32_t violations;
};
struct soak {
    struct daemon *daemon;
    struct inspect ask;
    struct crew crew;
    struct rng rng;
    struct place heaps[HEAPS];
    struct seat seats[SEATS];
    struct figures figures;
    uint64_t begun_ns, said_ns;
};

__attribute__((format(printf, 2, 3))) static void violation(struct soak *s, const char *format, ...)
{
    va_list args;

    fputs("VIOLATION: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    ck_assert_msg(++s->figures.violations < VIOLATIONS_MAX, "too many violations, the first of them above");
}

/* ---- heaps ----------------------------------------------------------------------------------------------------------- */

static void place_new(struct soak *s, uint32_t i)
{
    struct place *h = &s->heaps[i];
    bool full = i == HEAPS - 1;

    snprintf(h->name, sizeof(h->name), "heap %" PRIu64, s->figures.heaps++);
    h->plan = stress_plan((int)rng_below(&s->rng, (uint32_t)stress_plan_count()));
    h->options = full ? NULL : stress_options(h->plan, rng_next(&s->rng));
    h->bytes = stress_heap_bytes(h->plan, full ? FULL_BYTES : HEAP_BYTES);
    h->seats = 0;
}

static void check_heap(struct soak *s, const struct place *h)
{
    char report[512];

    inspect_try_verify(&s->ask, h->name, report, sizeof(report));
    s->figures.verifications++;
    if (report[0] != '\0')
        violation(s, "plan %s (%s): %s", h->plan, h->options, report);
}

/* Everybody has left it, or is dead. It was not made if all of them died too early. */
static void place_end(struct soak *s, uint32_t i)
{
    struct place *h = &s->heaps[i];

    if (h->seats > 0 && inspect_has_heap(&s->ask, h->name)) {
        inspect_await_sessions(&s->ask, h->name, 0);
        enum mmgc_error e = inspect_collect(&s->ask, h->name);
        if (e != MMGC_E_OK)
            violation(s, "plan %s: nobody is there, and it is not collected: %s", h->plan, mmgc_error_sentence(e));
        check_heap(s, h);
        struct inspect_heap now = inspect_heap(&s->ask, h->name);
        if (now.handles > 0 || now.threads > 0 || now.abandoned_stops > 0 || now.corrupt)
            violation(s, "plan %s (%s): nobody is there, and it has %" PRIu64 " handles and %" PRIu32 " threads; %" PRIu64 " stops were given up",
                      h->plan, h->options, now.handles, now.threads, now.abandoned_stops);
        if (now.live_bytes > LEFT_BYTES)
            violation(s, "plan %s (%s): nobody is there, and %" PRIu64 " bytes live", h->plan, h->options, now.live_bytes);
        s->figures.collections += now.collections;
        s->figures.allocated_bytes += now.granted_bytes;
        inspect_destroy(&s->ask, h->name);
    }
    place_new(s, i);
}

/* ---- clients --------------------------------------------------------------------------------------------------------- */

static uint32_t heap_of(uint32_t seat)
{
    return seat < FULL_SEATS ? HEAPS - 1 : seat % (HEAPS - 1);
}

static void seat_fill(struct soak *s, uint32_t i)
{
    struct seat *seat = &s->seats[i];
    struct place *h = &s->heaps[heap_of(i)];

    *seat = (struct seat){ .options = { .socket = daemon_socket(s->daemon), .heap = h->name, .plan = h->plan, .options = h->options,
                                        .max_bytes = h->bytes, .seed = rng_next(&s->rng), .seat = i, .full = heap_of(i) == HEAPS - 1 } };
    seat->mate = crew_start(&s->crew, player_live, &seat->options);
    s->figures.joins++;
    h->seats++;
}

/* It has ended, as @status says. */
static void seat_end(struct soak *s, struct seat *seat, int status, bool killed)
{
    struct mate *mate = seat->mate;
    bool by_signal = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    bool late = seat->until_ns != 0 || mm_now_ns() < seat->ran_ns + DEADLINE_MS * NS_PER_MS;

    s->figures.turns += at_load_relaxed(&mate->numbers[0]);
    seat->dead_pid = by_signal ? (uint32_t)mate->pid : 0;
    mate->pid = 0;
    seat->mate = NULL;
    if (by_signal && killed)
        s->figures.kills++;
    else if (by_signal && late)
        s->figures.late_kills++;
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && seat->told)
        s->figures.left++;
    else
        violation(s, "a client in heap '%s' of plan %s (%s) ended with status %#x: %s", seat->options.heap, seat->options.plan,
                  seat->options.options, (unsigned)status, mate->report);
}

static void seat_kill(struct soak *s, struct seat *seat)
{
    int status;

    ck_assert_int_eq(kill(seat->mate->pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(seat->mate->pid, &status, 0), seat->mate->pid);
    seat_end(s, seat, status, true);
}

static void seat_look(struct soak *s, struct seat *seat)
{
    int status;
    uint64_t now_ns = mm_now_ns();

    if (waitpid(seat->mate->pid, &status, WNOHANG) == seat->mate->pid) {
        seat_end(s, seat, status, false);
    } else if (seat->until_ns != 0 && now_ns >= seat->until_ns) {
        ck_assert_int_eq(kill(seat->mate->pid, SIGCONT), 0);
        seat->until_ns = 0;
        seat->ran_ns = now_ns;
    }
}

static void seat_tell(struct seat *seat)
{
    seat->told = true;
    mate_tell(seat->mate, LEAVE);
}

/* For moments, or once in a while for longer than a stop may take. */
static void seat_stop(struct soak *s, struct seat *seat)
{
    uint64_t ms = rng_one_in(&s->rng, 12) ? DEADLINE_MS + rng_below(&s->rng, DEADLINE_MS / 2) : rng_skewed(&s->rng, DEADLINE_MS / 2);

    if (seat->until_ns != 0)
        return;
    ck_assert_int_eq(kill(seat->mate->pid, SIGSTOP), 0);
    seat->until_ns = mm_now_ns() + ms * NS_PER_MS;
    s->figures.stops++;
}

/* ---- the course of it ------------------------------------------------------------------------------------------------ */

/* Nobody may be killed for what the daemon slept. */
static void suspend_daemon(struct soak *s)
{
    ck_assert_int_eq(kill(daemon_pid(s->daemon), SIGSTOP), 0);
    crew_sleep_us(rng_below(&s->rng, 300000));
    ck_assert_int_eq(kill(daemon_pid(s->daemon), SIGCONT), 0);
    s->figures.suspensions++;
}

/* The daemon has heard of it: a dead client's last request may still make a heap. */
static void await_death(struct soak *s, struct seat *seat)
{
    uint64_t end_ns = mm_now_ns() + (uint64_t)(LIMIT_S * 1e9);

    while (seat->dead_pid != 0 && inspect_rest(&s->ask, seat->dead_pid).sessions > 0) {
        ck_assert_msg(mm_now_ns() < end_ns, "process %" PRIu32 " is dead, and its sessions are not", seat->dead_pid);
        crew_sleep_us(TICK_US);
    }
    seat->dead_pid = 0;
}

/* Its clients are killed, or leave, and it goes. */
static void retire(struct soak *s, uint32_t heap, bool kill_all)
{
    for (uint32_t i = 0; i < SEATS; i++) {
        struct seat *seat = &s->seats[i];
        if (heap_of(i) != heap || seat->mate == NULL)
            continue;
        if (kill_all || rng_one_in(&s->rng, 2))
            seat_kill(s, seat);
        else
            seat_tell(seat);
    }
    uint64_t end_ns = mm_now_ns() + (uint64_t)(LIMIT_S * 1e9);
    for (uint32_t i = 0; i < SEATS; i++)
        for (struct seat *seat = &s->seats[i]; heap_of(i) == heap && seat->mate != NULL; crew_sleep_us(TICK_US)) {
            seat_look(s, seat);
            if (seat->mate != NULL && mm_now_ns() > end_ns) {
                violation(s, "seat %" PRIu32 " in plan %s (%s) does not leave", i, seat->options.plan, seat->options.options);
                seat_kill(s, seat);
            }
        }
    for (uint32_t i = 0; i < SEATS; i++)
        if (heap_of(i) == heap)
            await_death(s, &s->seats[i]);
    place_end(s, heap);
}

static void do_something(struct soak *s)
{
    struct seat *seat = &s->seats[rng_below(&s->rng, SEATS)];
    uint32_t heap = rng_below(&s->rng, HEAPS), what = rng_below(&s->rng, 1000);

    s->figures.rounds++;
    if (what < 60 && seat->mate != NULL)
        seat_kill(s, seat);
    else if (what < 90 && seat->mate != NULL)
        seat_tell(seat);
    else if (what < 120 && seat->mate != NULL)
        seat_stop(s, seat);
    else if (what < 130 && s->heaps[heap].seats > 0 && inspect_has_heap(&s->ask, s->heaps[heap].name))
        check_heap(s, &s->heaps[heap]);
    else if (what < 134)
        retire(s, heap, rng_one_in(&s->rng, 2));
    else if (what < 136)
        suspend_daemon(s);
}

static void say(const struct soak *s, const char *when)
{
    const struct figures *f = &s->figures;
    struct measure m = measure_take(daemon_pid(s->daemon));

    fprintf(stderr,
            "%s, %.0f s: %" PRIu64 " rounds, %" PRIu64 " clients (%" PRIu64 " killed, %" PRIu64 " left, %" PRIu64 " killed by the daemon as late), %" PRIu64
            " stops, %" PRIu64 " sleeps of the daemon, %" PRIu64 " heaps, %" PRIu64 " turns, %" PRIu64 " verifications, %" PRIu64 " collections, %" PRIu64
            " MiB allocated; fds %u, threads %u, resident %lu KiB, segments %lu KiB; %" PRIu32 " violations\n",
            when, (double)(mm_now_ns() - s->begun_ns) / 1e9, f->rounds, f->joins, f->kills, f->left, f->late_kills, f->stops, f->suspensions, f->heaps,
            f->turns, f->verifications, f->collections, f->allocated_bytes >> 20, m.fds, m.threads, m.resident_kib, m.segments_kib, f->violations);
}

static void go_on(struct soak *s, uint64_t until_ns)
{
    while (mm_now_ns() < until_ns) {
        for (uint32_t i = 0; i < SEATS; i++)
            if (s->seats[i].mate == NULL)
                seat_fill(s, i);
            else
                seat_look(s, &s->seats[i]);
        do_something(s);
        crew_sleep_us(TICK_US);
        if (minutes > 0 && mm_now_ns() > s->said_ns + SAY_NS) {
            s->said_ns = mm_now_ns();
            say(s, "so far");
        }
    }
}

/* Everybody goes; then what is the daemon's own is left. */
static struct measure clear(struct soak *s, unsigned fds)
{
    struct measure m;

    for (uint32_t i = 0; i < HEAPS; i++)
        retire(s, i, rng_one_in(&s->rng, 2));
    for (uint64_t end_ns = mm_now_ns() + 5000 * NS_PER_MS; (m = measure_take(daemon_pid(s->daemon))).fds > fds && mm_now_ns() < end_ns;)
        crew_sleep_us(TICK_US);
    return m;
}

/* What a sanitizer keeps back of what was freed is no leak. */
static void compare(struct soak *s, const struct measure *first, const struct measure *last)
{
    if (last->fds > first->fds)
        violation(s, "the daemon had %u fds after the warm-up, and has %u", first->fds, last->fds);
    if (last->threads > first->threads + POOL)
        violation(s, "the daemon had %u threads after the warm-up, and has %u", first->threads, last->threads);
    if (last->segments_kib > first->segments_kib)
        violation(s, "its segments took %lu KiB after the warm-up, and take %lu", first->segments_kib, last->segments_kib);
    if (STRESS_SLOWER == 1 && last->resident_kib > first->resident_kib + first->resident_kib / 4 + GROWN_KIB)
        violation(s, "%lu KiB of the daemon were resident after the warm-up, and %lu are", first->resident_kib, last->resident_kib);
}

START_TEST(clients_come_go_stop_and_die_and_the_daemon_is_as_it_was)
{
    static struct soak s;
    char config[160];
    double seconds = minutes > 0 ? minutes * 60 : stress_seconds(SECONDS);

    s.rng = rng_from(stress_seed(2000));
    snprintf(config, sizeof(config), "[daemon]\nthreads = 2\nstop_deadline = %ums\nstop_policy = kill\n", DEADLINE_MS);
    s.daemon = daemon_start(config);
    crew_init(&s.crew);
    inspect_open(&s.ask, daemon_socket(s.daemon));
    unsigned fds = measure_take(daemon_pid(s.daemon)).fds;
    for (uint32_t i = 0; i < HEAPS; i++)
        place_new(&s, i);
    s.begun_ns = s.said_ns = mm_now_ns();
    go_on(&s, s.begun_ns + (uint64_t)(seconds * 1e9 / WARM_UP));
    struct measure first = clear(&s, fds);
    say(&s, "after the warm-up");
    go_on(&s, s.begun_ns + (uint64_t)(seconds * 1e9));
    struct measure last = clear(&s, first.fds);
    compare(&s, &first, &last);
    say(&s, "at the end");
    ck_assert_uint_gt(s.figures.kills, 0);
    inspect_close(&s.ask);
    crew_fini(&s.crew);
    daemon_stop(s.daemon);
    ck_assert_uint_eq(s.figures.violations, 0);
}
END_TEST

static Suite *soak_suite(void)
{
    Suite *suite = suite_create("soak");
    TCase *soak = tcase_create("soak");

    stress_limit(soak, 240);
    if (minutes > 0)
        tcase_set_timeout(soak, 0);
    tcase_add_test(soak, clients_come_go_stop_and_die_and_the_daemon_is_as_it_was);
    suite_add_tcase(suite, soak);
    return suite;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "--minutes") == 0) {
        minutes = strtod(argv[2], NULL);
        if (minutes <= 0) {
            fprintf(stderr, "soak: --minutes takes a number, not %s\n", argv[2]);
            return EXIT_FAILURE;
        }
        memmove(&argv[1], &argv[3], (size_t)(argc - 2) * sizeof(argv[0]));
        argc -= 2;
    }
    return stress_main(argc, argv, soak_suite);
}
