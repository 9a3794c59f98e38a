/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/ctl/churner.h"

#include "tests/support/runner.h"

#define NAMED 65536
#define KEPT 512 /* of them, under pageprotect, each has a page */

struct link {
    mmgc_ref next;
    uint32_t value;
};

#define ok(call) ck_assert_msg((call) == MMGC_OK, "%s: %s", #call, mmgc_error_detail())

/* A list that is begun anew when it is so long. */
static void *churn(void *arg)
{
    struct churner *c = arg;
    struct mmgc_thread *t;
    struct link *list = NULL;

    ok(mmgc_attach(c->heap, NULL, &t));
    ok(mmgc_enter(t));
    for (uint32_t i = 0; !atomic_load(&c->enough); i++) {
        struct link *link = mmgc_new(t, c->type);
        if (link == NULL) /* an assertion of Check's each time would be slower than all the rest */
            ck_abort_msg("%s", mmgc_error_detail());
        link->value = i;
        if (i % KEPT != 0)
            mmgc_init(t, link, next, list);
        list = link;
        if (i % NAMED == NAMED - 1)
            ok(mmgc_name_set(t, "kept", list)); /* what nothing on a stack keeps where it is */
        mmgc_poll(t);
    }
    mmgc_leave(t);
    mmgc_detach(t);
    return NULL;
}

void churner_start(struct churner *c, const char *socket, const char *name, const char *heap, const char *plan, const char *options)
{
    struct mmgc_heap_options made = { .create = true, .max_bytes = UINT64_C(32) << 20, .plan = plan, .options = options };

    *c = (struct churner){ 0 };
    ok(mmgc_connect(socket, name, &c->client));
    ok(mmgc_heap_open(c->client, heap, &made, &c->heap));
    ok(MMGC_DEFINE_TYPE(c->heap, link, &c->type, next));
    ck_assert_int_eq(pthread_create(&c->thread, NULL, churn, c), 0);
}

void churner_stop(struct churner *c)
{
    atomic_store(&c->enough, true);
    (void)pthread_join(c->thread, NULL);
    mmgc_heap_close(c->heap);
    mmgc_disconnect(c->client);
}
