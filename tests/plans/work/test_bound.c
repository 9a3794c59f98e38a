/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/work/bound.h"

#include <pthread.h>
#include <sched.h>

#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

#define PUSHERS 3u
#define PACKETS (200000u / SLOWER)
#define AT_ONCE \
    64u /* each pusher's packets, of which some are always on the list: they come back often */

static struct bound list;

struct pusher {
    struct packet packets[AT_ONCE];
    _Atomic bool out[AT_ONCE];
};

static struct pusher pushers[PUSHERS];

START_TEST(newest_comes_out_first_and_then_nothing)
{
    static struct packet packets[3];
    ck_assert(bound_is_empty(&list));
    for (unsigned i = 0; i < 3; i++)
        bound_push(&list, &packets[i]);
    ck_assert(!bound_is_empty(&list));
    for (unsigned i = 3; i-- > 0;)
        ck_assert_ptr_eq(bound_pop(&list), &packets[i]);
    ck_assert_ptr_null(bound_pop(&list));
    ck_assert(bound_is_empty(&list));
}
END_TEST

/* Numbers its packets; one is used again as soon as it has come out. */
static void *push_all(void *arg)
{
    struct pusher *pusher = arg;
    for (uint64_t n = 0; n < PACKETS; n++) {
        unsigned slot = (unsigned)(n % AT_ONCE);
        while (at_load_acquire(&pusher->out[slot]))
            sched_yield();
        pusher->packets[slot].args[0] = n;
        pusher->packets[slot].args[1] = (uint64_t)(pusher - pushers);
        at_store_relaxed(&pusher->out[slot], true);
        bound_push(&list, &pusher->packets[slot]);
    }
    return NULL;
}

START_TEST(each_packet_comes_out_once_whoever_pushed_it)
{
    pthread_t threads[PUSHERS];
    _Atomic uint8_t *seen = calloc((size_t)PUSHERS * PACKETS, 1);
    for (unsigned i = 0; i < PUSHERS; i++)
        pthread_create(&threads[i], NULL, push_all, &pushers[i]);
    for (size_t left = (size_t)PUSHERS * PACKETS; left != 0;) {
        struct packet *p = bound_pop(&list);
        if (p == NULL)
            continue;
        struct pusher *pusher = &pushers[p->args[1]];
        at_add_relaxed(&seen[p->args[1] * PACKETS + p->args[0]], 1);
        at_store_release(&pusher->out[p - pusher->packets], false);
        left--;
    }
    for (unsigned i = 0; i < PUSHERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(test_count_not_one(seen, (size_t)PUSHERS * PACKETS), 0);
    ck_assert_ptr_null(bound_pop(&list));
    free((void *)seen);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("bound");
    TCase *tc = tcase_create("bound");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, newest_comes_out_first_and_then_nothing);
    tcase_add_test(tc, each_packet_comes_out_once_whoever_pushed_it);
    suite_add_tcase(s, tc);
    return s;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite);
}
