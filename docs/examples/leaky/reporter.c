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

static void describe(struct reporter *r, FILE *out, const struct store *store)
{
    const struct session *session = mmgc_get(r->t, store, last);

    fprintf(out, "%u logins, %u users here now. The last were", store->logins, store->logged_in);
    for (int i = 0; i < LAST_SHOWN && session != NULL; i++, session = mmgc_get(r->t, session, before))
        fprintf(out, " %u", session->user);
}

static void write_report(struct reporter *r)
{
    must("enter", mmgc_enter(r->t));
    struct report *report = made(r->t, mmgc_new(r->t, r->type));
    FILE *out = fmemopen(report->text, sizeof(report->text), "w");

    if (out != NULL) {
        describe(r, out, made(r->t, mmgc_name_get(r->t, "store")));
        fclose(out);
    }
    publish(r, report);
    mmgc_leave(r->t);
}

void reporter_run(int fd)
{
    struct reporter r = { 0 };
    struct mmgc_client *client;
    char byte;

    if (must_system("read", (int)read(fd, &byte, 1)) == 0)
        return;
    must("connect", mmgc_connect(NULL, "reporter", &client));
    r.heap = store_heap(client);
    must("type", MMGC_DEFINE_LEAF(r.heap, report, &r.type));
    must("attach", mmgc_attach(r.heap, NULL, &r.t));
    do {
        write_report(&r);
        must_system("write", (int)write(fd, &byte, 1));
    } while (must_system("read", (int)read(fd, &byte, 1)) == 1);
    mmgc_detach(r.t);
    mmgc_heap_close(r.heap);
    mmgc_disconnect(client);
}
