/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - Top for scripts: a table each time, or a document a line. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client/ctl/table.h"
#include "client/ctl/top/top.h"
#include "client/ctl/units.h"
#include "shm/base.h"

/* clang-format off */
static const struct column columns[] = {
    { "HEAP",    "name",            CELL_TEXT },
    { "USED",    "used_bytes",      CELL_BYTES },
    { "LIVE",    "live_bytes",      CELL_BYTES },
    { "LIMIT",   "limit_bytes",     CELL_BYTES },
    { "ALLOC/S", "alloc_rate",      CELL_BYTES },
    { "GC/S",    "collection_rate", CELL_TEXT },
    { "P99",     "p99_pause_ns",    CELL_NS },
    { "MAX",     "max_pause_ns",    CELL_NS },
    { "CLIENTS", "sessions",        CELL_COUNT },
};
/* clang-format on */

static double real_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void show_heads(const json_t *daemon)
{
    char uptime[UNITS_TEXT_MAX], alloc[UNITS_TEXT_MAX], now[32];
    time_t seconds = time(NULL);
    struct tm clock;

    (void)localtime_r(&seconds, &clock);
    (void)strftime(now, sizeof(now), "%F %T", &clock);
    printf("%s  up %s, %" PRIu64 " heaps, %" PRIu64 " connections, %" PRIu64 " threads\n%s/s allocated, %.1f collections/s, %.0f requests/s\n\n",
           now, units_age(uptime, document_get_count(daemon, "uptime_ms")), document_get_count(daemon, "heaps"),
           document_get_count(daemon, "sessions"), document_get_count(daemon, "threads"),
           units_bytes(alloc, (uint64_t)real_of(daemon, "alloc_bytes_per_s")), real_of(daemon, "collections_per_s"),
           real_of(daemon, "requests_per_s"));
}

static void show(const struct ctl *ctl, const json_t *document)
{
    json_auto_t *heaps = need(json_copy(json_object_get(document, "heaps")));
    uint64_t omitted = document_cut(heaps, ctl->options.limit);
    json_t *heap;
    size_t i;

    show_heads(json_object_get(document, "daemon"));
    json_array_foreach(heaps, i, heap)
    {
        char rate[UNITS_TEXT_MAX];
        snprintf(rate, sizeof(rate), "%4.1f", real_of(heap, "collections_per_s"));
        document_count(heap, "alloc_rate", (uint64_t)real_of(heap, "alloc_bytes_per_s"));
        document_text(heap, "collection_rate", rate);
    }
    table_show(heaps, columns, MM_ARRAY_LEN(columns), 0, ctl->options.bytes);
    if (omitted > 0)
        printf("... and %" PRIu64 " more\n", omitted);
}

static void wait_until(uint64_t ns)
{
    struct timespec until = { (time_t)(ns / UNITS_NS_PER_S), (long)(ns % UNITS_NS_PER_S) };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        continue;
}

/* The first time there is nothing to compare with, and so no rate: as top(1) has it, it is shown all the same. */
enum mmgc_error top_batch(struct ctl *ctl)
{
    struct top_model model = { 0 };
    uint64_t due_ns = mm_now_ns();
    enum mmgc_error e = MMGC_E_OK;

    for (uint64_t i = 0; ctl->options.iterations == 0 || i < ctl->options.iterations; i++) {
        if (i > 0)
            wait_until(due_ns = MM_MAX(due_ns + ctl->options.delay_ns, mm_now_ns()));
        e = top_refresh(&model, ctl);
        if (e != MMGC_E_OK && (i == 0 || ctl->options.iterations != 0))
            break; /* without end it waits for the daemon to come back */
        if (e != MMGC_E_OK)
            continue;
        if (ctl->options.json)
            (void)(json_dumpf(model.document, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)), putchar('\n'));
        else
            (void)(i > 0 && putchar('\n')), show(ctl, model.document);
        if (fflush(stdout) != 0)
            break; /* nobody reads any more; main.c says so */
    }
    top_fini(&model);
    return e;
}
