/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fixture: a fake daemon, a client of it and one attached thread, as most tests of the library need them. */
#include <mmgc/mmgc.h>

#include "client/thread.h"
#include "tests/client/fake_daemon.h"
#include "tests/support/runner.h"

struct node {
    mmgc_ref left, right;
    int64_t value;
};

static struct fake_daemon *fake;
static struct mmgc_client *client;
static struct mmgc_heap *heap;
static struct mmgc_thread *t;
static mmgc_type node_type, bytes_type, refs_type;
static enum shm_allocator fixture_allocator;                 /* of the heap to be opened */
static enum shm_barrier_kind fixture_barrier;                /* the same */
static bool fixture_active;                                  /* its barrier */

#define ck_assert_ok(call) ck_assert_int_eq((call), MMGC_OK)

static void fixture_open(const struct mmgc_heap_options *heap_options, const struct mmgc_thread_options *options)
{
    fake = fake_start();
    fake->control->allocator = fixture_allocator;
    fake->control->barrier = fixture_barrier;
    at_store_relaxed(&fake->control->barrier_active, fixture_active);
    ck_assert_ok(mmgc_connect(fake->path, "test", &client));
    ck_assert_ok(mmgc_heap_open(client, "heap", heap_options, &heap));
    ck_assert_ok(mmgc_attach(heap, options, &t));
    ck_assert_ok(MMGC_DEFINE_TYPE(heap, node, &node_type, left, right));
    ck_assert_ok(mmgc_type_bytes(heap, &bytes_type));
    ck_assert_ok(mmgc_type_refs(heap, &refs_type));
}

static inline void setup(void)
{
    fixture_open(NULL, NULL);
}

static void teardown(void)
{
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    fake_stop(fake);
}

static inline struct shm_mutator *mutator(void)
{
    return thread_of(t)->m;
}
