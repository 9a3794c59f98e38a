/* SPDX-License-Identifier: Apache-2.0 */
/* Identity hashes: who asks first settles them. That they go along with objects that move: test_identity_moves.c. */
#include "shm/object.h"

#include <pthread.h>
#include <stdlib.h>

#include "tests/client/fixture.h"

#define MANY 20000
#define THREADS 4

static void setup_in(void)
{
    setup();
    ck_assert_ok(mmgc_enter(t));
}

static void setup_read_only(void)
{
    struct mmgc_heap_options options = { .read_only = true };

    fixture_open(&options, NULL);
    ck_assert_ok(mmgc_enter(t));
}

static void *array_new(uint32_t length)
{
    void *p = mmgc_new_array(t, bytes_type, length);

    ck_assert_ptr_nonnull(p);
    return p;
}

START_TEST(a_hash_stays_and_is_not_zero)
{
    struct node *n = mmgc_new(t, node_type);
    uint32_t hash = mmgc_identity_hash(t, n);

    ck_assert_uint_ne(hash, 0);
    ck_assert_uint_eq(mmgc_identity_hash(t, n), hash);
    ck_assert_str_eq(mmgc_type_name(t, n), "node");
    ck_assert(n->left.granule == 0 && n->right.granule == 0 && n->value == 0);
}
END_TEST

START_TEST(arrays_have_one_and_keep_their_length)
{
    static const uint32_t lengths[] = { 0, 1, 7, 8, 1000, 3000 };

    for (size_t i = 0; i < MM_ARRAY_LEN(lengths); i++) {
        void *p = array_new(lengths[i]), *refs = mmgc_new_array(t, refs_type, lengths[i]);
        uint32_t hash = mmgc_identity_hash(t, p), other = mmgc_identity_hash(t, refs);
        ck_assert_uint_ne(hash, 0);
        ck_assert_uint_ne(other, 0);
        ck_assert_uint_eq(mmgc_identity_hash(t, p), hash);
        ck_assert_uint_eq(mmgc_identity_hash(t, refs), other);
        ck_assert_uint_eq(mmgc_length(p), lengths[i]);
        ck_assert_uint_eq(mmgc_length(refs), lengths[i]);
        ck_assert_str_eq(mmgc_type_name(t, p), "byte[]");
    }
}
END_TEST

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* How many of them another has, too. */
static uint32_t doubles(uint32_t *hashes, uint32_t count)
{
    uint32_t doubles = 0;

    qsort(hashes, count, sizeof(*hashes), ascending);
    for (uint32_t i = 1; i < count; i++)
        doubles += hashes[i] == hashes[i - 1];
    return doubles;
}

static void expect_even(const uint32_t *hashes, uint32_t count, unsigned shift)
{
    uint32_t buckets[64] = { 0 };

    for (uint32_t i = 0; i < count; i++)
        buckets[hashes[i] >> shift & 63]++;
    for (unsigned i = 0; i < 64; i++) /* 312 each; six deviations are 106 */
        ck_assert(buckets[i] > count / 64 * 2 / 3 && buckets[i] < count / 64 * 4 / 3);
}

/* By the birthday formula 0.05 of MANY 32-bit numbers are there twice, and 1500 of as many 17-bit ones. */
START_TEST(hashes_are_spread_over_all_bits)
{
    uint32_t *hashes = calloc(MANY, sizeof(*hashes));
    bool arrays = _i == 1;

    for (uint32_t i = 0; i < MANY; i++)
        hashes[i] = mmgc_identity_hash(t, arrays ? array_new(12) : mmgc_new(t, node_type));
    expect_even(hashes, MANY, 0);
    expect_even(hashes, MANY, 13);
    expect_even(hashes, MANY, 26);
    ck_assert_uint_le(doubles(hashes, MANY), arrays ? 2000 : 3);
    free(hashes);
}
END_TEST

static _Atomic uint32_t race_started;
static void *raced[MANY / 10];

static void *ask_all(void *arg)
{
    struct mmgc_thread *mine;
    uint32_t *hashes = arg;

    if (mmgc_attach(heap, NULL, &mine) != MMGC_OK || mmgc_enter(mine) != MMGC_OK)
        return NULL;
    (void)at_add_relaxed(&race_started, 1);
    while (at_load_relaxed(&race_started) < THREADS)
        ;
    for (uint32_t i = 0; i < MM_ARRAY_LEN(raced); i++)
        hashes[i] = mmgc_identity_hash(mine, raced[i]);
    mmgc_leave(mine);
    mmgc_detach(mine);
    return hashes;
}

START_TEST(threads_that_ask_at_once_agree)
{
    static uint32_t hashes[THREADS][MM_ARRAY_LEN(raced)];
    pthread_t threads[THREADS];

    for (uint32_t i = 0; i < MM_ARRAY_LEN(raced); i++)
        raced[i] = i % 2 == 0 ? mmgc_new(t, node_type) : array_new(i % 9);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_all, hashes[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result;
        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_ptr_nonnull(result);
    }
    for (uint32_t i = 0; i < MM_ARRAY_LEN(raced); i++)
        for (size_t k = 0; k < THREADS; k++) {
            ck_assert_uint_ne(hashes[k][i], 0);
            ck_assert_uint_eq(hashes[k][i], mmgc_identity_hash(t, raced[i]));
        }
}
END_TEST

START_TEST(what_is_no_object_has_none)
{
    uint64_t *n = mmgc_new(t, node_type);

    ck_assert_uint_eq(mmgc_identity_hash(t, NULL), 0);
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_INVALID);
    n[0] = 0;
    ck_assert_uint_eq(mmgc_identity_hash(t, n + 1), 0); /* a field for its header */
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_NO_OBJECT);
    n[0] = OBJECT_TYPE_MAX;
    ck_assert_uint_eq(mmgc_identity_hash(t, n + 1), 0);
    n[0] = object_header(node_type->id, 0) | 1u << 20;
    ck_assert_uint_eq(mmgc_identity_hash(t, n + 1), 0);
    mmgc_leave(t);
    ck_assert_uint_eq(mmgc_identity_hash(t, n), 0);
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_NOT_IN);
    ck_assert_uint_eq(mmgc_identity_hash(NULL, n), 0);
}
END_TEST

START_TEST(who_only_reads_settles_none)
{
    _Atomic uint64_t *header = (_Atomic uint64_t *)(void *)(fake->arena + MM_BLOCK_BYTES);
    const void *object = t->base + MM_BLOCK_BYTES + MM_GRANULE_BYTES;

    at_store_relaxed(header, object_header(node_type->id, 0));
    ck_assert_uint_eq(mmgc_identity_hash(t, object), 0);
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_READ_ONLY);
    at_store_relaxed(header, object_header_identified(object_header(node_type->id, 0), false, 77)); /* somebody else asks */
    ck_assert_uint_eq(mmgc_identity_hash(t, object), 77);
    at_store_relaxed(header, object_header_identified(object_header(bytes_type->id, 5), true, 77));
    ck_assert_uint_ne(mmgc_identity_hash(t, object), 0);
    ck_assert_uint_eq(mmgc_length(object), 5);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("identity");
    TCase *tc = tcase_create("identity"), *reading = tcase_create("read_only");

    tcase_add_checked_fixture(tc, setup_in, teardown);
    tcase_add_test(tc, a_hash_stays_and_is_not_zero);
    tcase_add_test(tc, arrays_have_one_and_keep_their_length);
    tcase_add_loop_test(tc, hashes_are_spread_over_all_bits, 0, 2);
    tcase_add_test(tc, threads_that_ask_at_once_agree);
    tcase_add_test(tc, what_is_no_object_has_none);
    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(reading, setup_read_only, teardown);
    tcase_add_test(reading, who_only_reads_settles_none);
    suite_add_tcase(suite, reading);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
