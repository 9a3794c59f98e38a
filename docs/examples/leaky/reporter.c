/* SPDX-License-Identifier: Apache-2.0 */
#include "reporter.h"

#include <stdio.h>
#include <unistd.h>

#include "say.h"
#include "store.h"

#define REPORT_BYTES 8000

struct report {                              /* an object */
    char text[REPORT_BYTES];
};
struct reporter {
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type type;
    mmgc_handle newest;                      /* what is shown to who asks */
};

static void publish(struct reporter *r, const struct report *report)
{
    must("handle", mmgc_handle_new(r->t, report, &r->newest));
    must("name", mmgc_handle_name(r->heap, r->newest, "newest report"));
}

static void write_report(struct reporter *r)
{
    must("enter", mmgc_enter(r->t));
    struct report *report = made(r->t, mmgc_new(r->t, r->type));
    const struct store *store = mmgc_name_get(r->t, "store");

    if (store != NULL)
        (void)snprintf(report->text, sizeof(report->text), "%u logins, %u are here now", store->logins, store->logged_in);
    publish(r, report);
    mmgc_leave(r->t);
}

void reporter_run(int fd)
{
    struct reporter r = { 0 };
    struct mmgc_client *client;
    char byte;

    must("connect", mmgc_connect(NULL, "reporter", &client));
    r.heap = store_heap(client);
    must("type", MMGC_DEFINE_LEAF(r.heap, report, &r.type));
    must("attach", mmgc_attach(r.heap, NULL, &r.t));
    while (must_system("read", (int)read(fd, &byte, 1)) == 1) {
        write_report(&r);
        must_system("write", (int)write(fd, &byte, 1));
    }
    mmgc_detach(r.t);
    mmgc_heap_close(r.heap);
    mmgc_disconnect(client);
}
