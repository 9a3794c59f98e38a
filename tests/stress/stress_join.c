/* SPDX-License-Identifier: Apache-2.0 */
/* stress_join: a few processes join and leave as fast as they can: each time connected, heap opened, thread attached, an object made and checked, and
 * all of that undone; the last time it is left to the end of the process. Says how many joined in a second; nothing of them is left in the daemon. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "shm/base.h"
#include "tests/support/crew.h"
#include "tests/support/daemon.h"
#include "tests/support/entry.h"
#include "tests/support/inspect.h"
#include "tests/support/stress.h"

#define HEAP "doors"
#define HEAP_BYTES (UINT64_C(16) << 20)
#define JOINERS 4u
#define SECONDS 6.0 /* of all plans together */
#define LIMIT_S 60.0
#define JOINS_MIN 1u /* of each, or nothing was tried: the machine may be busy */

enum { READY = 1 };
enum { END = 1 };

struct join_case {
    const char *socket, *plan;
};

static void join_once(const struct join_case *c, struct mmgc_client **ret_client, struct mmgc_heap **ret_heap, struct mmgc_thread **ret_thread)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = stress_heap_bytes(c->plan, HEAP_BYTES), .plan = c->plan };
    mmgc_type bytes;

    EXPECT_OK(mmgc_connect(c->socket, "joining", ret_client));
    EXPECT_OK(mmgc_heap_open(*ret_client, HEAP, &options, ret_heap));
    EXPECT_OK(mmgc_type_bytes(*ret_heap, &bytes));
    EXPECT_OK(mmgc_attach(*ret_heap, NULL, ret_thread));
    EXPECT_OK(mmgc_enter(*ret_thread));
    char *made = mmgc_new_array(*ret_thread, bytes, 100);
    EXPECT(made != NULL && made[0] == 0 && made[99] == 0, "no new object: %s", mmgc_strerror(mmgc_thread_error(*ret_thread)));
    mmgc_leave(*ret_thread);
}

static void leave(struct mmgc_client *client, struct mmgc_heap *heap, struct mmgc_thread *t)
{
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
}

static void join_and_leave(struct mate *mate, void *arg)
{
    const struct join_case *c = arg;
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;

    for (mate_say(mate, READY); at_load_acquire(&mate->told) < END; at_add_relaxed(&mate->numbers[0], 1)) {
        join_once(c, &client, &heap, &t);
        leave(client, heap, t);
    }
    join_once(c, &client, &heap, &t); /* and ends as it is */
    _exit(0);
}

START_TEST(whoever_joins_and_leaves_leaves_nothing)
{
    struct daemon *daemon = daemon_start(NULL);
    struct join_case c = { .socket = daemon_socket(daemon), .plan = stress_plan(_i) };
    struct mate *joiners[JOINERS], *first;
    struct crew crew;
    struct inspect ask;
    uint64_t joins = 0;

    crew_init(&crew);
    inspect_open(&ask, c.socket);
    first = crew_start(&crew, join_and_leave, &c); /* the heap is there from now on */
    mate_tell(first, END);
    mate_join(first, LIMIT_S);
    inspect_await_sessions(&ask, HEAP, 0);
    ck_assert_int_eq(inspect_collect(&ask, HEAP), MMGC_E_OK);
    int fds = daemon_fd_count(daemon);
    for (uint32_t i = 0; i < JOINERS; i++)
        joiners[i] = crew_start(&crew, join_and_leave, &c);
    uint64_t begun_ns = mm_now_ns();
    crew_sleep_us((uint64_t)(stress_seconds_each(SECONDS, stress_plan_count()) * 1e6));
    for (uint32_t i = 0; i < JOINERS; i++)
        mate_tell(joiners[i], END);
    double seconds = (double)(mm_now_ns() - begun_ns) / 1e9;
    for (uint32_t i = 0; i < JOINERS; i++) {
        mate_join(joiners[i], LIMIT_S);
        ck_assert_uint_ge(joiners[i]->numbers[0], JOINS_MIN);
        joins += joiners[i]->numbers[0];
    }
    fprintf(stderr, "plan %s: %" PRIu64 " joined and left in %.1f s, %.0f a second\n", c.plan, joins, seconds, (double)joins / seconds);
    inspect_await_sessions(&ask, HEAP, 0);
    ck_assert_int_eq(inspect_collect(&ask, HEAP), MMGC_E_OK);
    inspect_verify(&ask, HEAP);
    ck_assert_uint_eq(inspect_heap(&ask, HEAP).live_bytes, 0);
    ck_assert_msg(daemon_await_fds(daemon, fds), "the daemon has %d fds, and had %d", daemon_fd_count(daemon), fds);
    inspect_close(&ask);
    crew_fini(&crew);
    daemon_stop(daemon);
}
END_TEST

static Suite *join_suite(void)
{
    Suite *suite = suite_create("stress_join");
    TCase *tc = tcase_create("join");

    tcase_add_loop_test(tc, whoever_joins_and_leaves_leaves_nothing, 0, stress_plan_count());
    stress_limit(tc, 120);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return stress_main(argc, argv, join_suite);
}
