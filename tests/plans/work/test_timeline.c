/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/work/timeline.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plans/work/support.h"
#include "tests/support/runner.h"

#define TRACKS 8u
#define MANY (300000u / SLOWER)

static struct timeline *timeline;
static struct timeline_event got[TIMELINE_EVENTS + 1];

static void set_up(void)
{
    size_t bytes = mm_align_up(timeline_bytes(TRACKS), MM_CACHE_LINE);
    void *zeroes = aligned_alloc(MM_CACHE_LINE, bytes);

    ck_assert_ptr_nonnull(zeroes);
    timeline = timeline_init(memset(zeroes, 0, bytes), TRACKS);
}

static void tear_down(void)
{
    free(timeline);
}

static void put(unsigned track, uint64_t number)
{
    timeline_put(timeline, track, &(struct timeline_event){ .kind = TIMELINE_COMMIT, .name = "n", .number = number, .begin_ns = ~number });
}

START_TEST(events_come_out_in_their_order_and_once)
{
    for (uint64_t i = 0; i < 3 * TIMELINE_EVENTS; i += 100) { /* round the end of the ring */
        for (uint64_t n = 0; n < 100; n++)
            put(1, i + n);
        ck_assert_uint_eq(timeline_take(timeline, 1, got, 60), 60);
        ck_assert_uint_eq(got[59].number, i + 59);
        ck_assert_uint_eq(timeline_take(timeline, 1, got, TIMELINE_EVENTS), 40);
        ck_assert_uint_eq(got[0].number, i + 60);
        ck_assert_uint_eq(timeline_take(timeline, 1, got, 1), 0);
    }
    ck_assert_uint_eq(timeline_take(timeline, 2, got, 1), 0);
    ck_assert_uint_eq(timeline_lost(timeline), 0);
}
END_TEST

START_TEST(what_finds_no_room_is_counted_and_the_oldest_stay)
{
    for (uint64_t i = 0; i < TIMELINE_EVENTS + 7; i++)
        put(3, i);
    put(4, 1);
    ck_assert_uint_eq(timeline_lost(timeline), 7);
    ck_assert_uint_eq(timeline_take(timeline, 3, got, TIMELINE_EVENTS + 1), TIMELINE_EVENTS);
    ck_assert_uint_eq(got[0].number, 0);
    ck_assert_uint_eq(got[TIMELINE_EVENTS - 1].number, TIMELINE_EVENTS - 1);
    put(3, 99);
    ck_assert_uint_eq(timeline_take(timeline, 3, got, 1), 1);
    ck_assert_uint_eq(got[0].number, 99);
    ck_assert_uint_eq(timeline_lost(timeline), 7);
}
END_TEST

static void *write_many(void *unused)
{
    for (uint64_t i = 0; i < MANY; i++)
        put(5, i);
    return unused;
}

/* No event is torn, none comes twice or late; those that are missing are counted. */
START_TEST(a_writer_and_a_reader_at_once)
{
    uint64_t taken = 0, next = 0;
    pthread_t writer;

    ck_assert_int_eq(pthread_create(&writer, NULL, write_many, NULL), 0);
    while (taken + timeline_lost(timeline) < MANY) {
        size_t n = timeline_take(timeline, 5, got, 64);
        for (size_t i = 0; i < n; i++) {
            if (got[i].number < next || got[i].begin_ns != ~got[i].number)
                ck_abort_msg("%llu after %llu", (unsigned long long)got[i].number, (unsigned long long)next);
            next = got[i].number + 1;
        }
        taken += n;
    }
    pthread_join(writer, NULL);
    ck_assert_uint_eq(taken + timeline_lost(timeline), MANY);
    ck_assert_uint_gt(taken, 0);
}
END_TEST

/* ---- jobs ---- */

static const char *const stages[] = { "first", "second", "third" };
static void run_letter(struct worker *w, struct packet *p);
static const struct packet_kind A = { "a", 0, run_letter, 0 }, C = { "c", 2, run_letter, 0 };

static void run_letter(struct worker *w, struct packet *p)
{
}

static size_t count(const struct timeline_event *events, size_t n, enum timeline_kind kind, const char *name)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += events[i].kind == kind && strcmp(events[i].name, name) == 0;
    return found;
}

START_TEST(a_job_records_its_stages_and_packets_on_its_workers_tracks)
{
    struct engine *engine = NULL;
    size_t n = 0;

    ck_assert_int_eq(engine_new_with(&engine, &(struct engine_config){ .workers = 2, .first_track = 3 }), 0);
    MM_AUTO(job) job = test_job(engine, &(struct job_config){ .name = "letters", .stages = 3, .stage_names = stages, .timeline = timeline });
    job_disable_stage(job, 1);
    for (uint64_t i = 0; i < 10; i++)
        (void)test_add(job, i < 6 ? &A : &C, i);
    engine_run(engine, job);
    for (unsigned track = 0; track < TRACKS; track++) {
        size_t taken = timeline_take(timeline, track, got + n, TIMELINE_EVENTS - n);
        ck_assert(taken == 0 || track == 3 || track == 4);
        n += taken;
    }
    ck_assert_uint_eq(n, 12);
    ck_assert_uint_eq(count(got, n, TIMELINE_PACKET, "a"), 6);
    ck_assert_uint_eq(count(got, n, TIMELINE_PACKET, "c"), 4);
    ck_assert_uint_eq(count(got, n, TIMELINE_STAGE, "first"), 1);
    ck_assert_uint_eq(count(got, n, TIMELINE_STAGE, "third"), 1);
    job_unref(MM_TAKE(job));
    engine_unref(engine);
}
END_TEST

static Suite *timeline_suite(void)
{
    Suite *suite = suite_create("timeline");
    TCase *tc = tcase_create("timeline");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, events_come_out_in_their_order_and_once);
    tcase_add_test(tc, what_finds_no_room_is_counted_and_the_oldest_stay);
    tcase_add_test(tc, a_writer_and_a_reader_at_once);
    tcase_add_test(tc, a_job_records_its_stages_and_packets_on_its_workers_tracks);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, timeline_suite);
}
