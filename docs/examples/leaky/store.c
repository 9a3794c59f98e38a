/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <stdio.h>

#include "say.h"

#define BUCKETS 64u
#define BASKET_BYTES 1000u

struct mmgc_heap *store_heap(struct mmgc_client *client)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(64) << 20 };
    struct mmgc_heap *heap;

    must("open", mmgc_heap_open(client, "leaky", &options, &heap));
    return heap;
}

void store_open(struct store_access *a, struct mmgc_heap *heap, struct mmgc_thread *t)
{
    mmgc_type refs, type;

    a->t = t;
    must("type", mmgc_type_refs(heap, &refs));
    must("type", mmgc_type_bytes(heap, &a->bytes));
    must("type", MMGC_DEFINE_TYPE(heap, session, &a->session, next, before, basket));
    must("type", MMGC_DEFINE_TYPE(heap, store, &type, buckets, last));
    a->store = mmgc_local_new(t, made(t, mmgc_new(t, type)));
    void *buckets = made(t, mmgc_new_array(t, refs, BUCKETS));
    struct store *store = mmgc_local_get(t, a->store);
    mmgc_set(t, store, buckets, buckets);
    must("name", mmgc_name_set(t, "store", store));
}

/* Adds a login to the list of the last ones, which reports show. */
static void remember(struct store_access *a, struct store *store, struct session *session)
{
    mmgc_set(a->t, session, before, mmgc_get(a->t, store, last));
    mmgc_set(a->t, store, last, session);
}

static struct session *session_new(struct store_access *a, uint32_t user)
{
    mmgc_scope scope = mmgc_scope_open(a->t);
    mmgc_local made_first = mmgc_local_new(a->t, made(a->t, mmgc_new(a->t, a->session)));
    char *basket = made(a->t, mmgc_new_array(a->t, a->bytes, BASKET_BYTES));
    struct session *session = mmgc_local_get(a->t, made_first);

    (void)snprintf(basket, BASKET_BYTES, "basket of user %u", user);
    mmgc_set(a->t, session, basket, basket);
    session->user = user;
    mmgc_scope_close(a->t, scope);
    return session;
}

void store_log_in(struct store_access *a, uint32_t user)
{
    struct session *session = session_new(a, user);
    struct store *store = mmgc_local_get(a->t, a->store);
    mmgc_ref *buckets = mmgc_get(a->t, store, buckets), *bucket = &buckets[user % BUCKETS];

    mmgc_set(a->t, session, next, mmgc_load(a->t, bucket));
    mmgc_store(a->t, buckets, bucket, session);
    remember(a, store, session);
    store->logged_in++;
    store->logins++;
}

void store_log_out(struct store_access *a, uint32_t user)
{
    struct store *store = mmgc_local_get(a->t, a->store);
    void *holder = mmgc_get(a->t, store, buckets);
    mmgc_ref *slot = (mmgc_ref *)holder + user % BUCKETS;
    struct session *session;

    for (; (session = mmgc_load(a->t, slot)) != NULL; holder = session, slot = &session->next)
        if (session->user == user) {
            mmgc_store(a->t, holder, slot, mmgc_get(a->t, session, next));
            store->logged_in--;
            return;
        }
}
