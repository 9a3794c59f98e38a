/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/serve/metrics.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/text.h"
#include "client/ctl/units.h"
#include "shm/base.h"

#define LE_BYTES 24

struct page {
    FILE *out;
    bool open;                                /* OpenMetrics */
    struct stats stats;                       /* count 0: no daemon */
    char **heaps;                             /* by row: its labels without braces */
    char (*ends)[LE_BYTES];                   /* by bucket: `le="0.01"`; the same in both formats, or the series would be others */
    json_t *users;                            /* of `mmgcctl users`; NULL: no daemon */
};

enum type { GAUGE, COUNTER, HISTOGRAM, INFO };
enum unit { NUMBER, BYTES, SECONDS };         /* SECONDS: the field has nanoseconds */
struct metric {
    const char *name;                         /* without _total */
    enum type type;
    enum unit unit;
    size_t offset;                            /* of an uint64_t in the row */
    const char *help;
};

#define HEAP(field) offsetof(wire_heap_stats, field)
/* clang-format off */
static const struct metric heap_metrics[] = {
    { "mmgcd_heap_limit_bytes",            GAUGE,   BYTES,   HEAP(limit_bytes),            "What it may hold now." },
    { "mmgcd_heap_committed_bytes",        GAUGE,   BYTES,   HEAP(committed_bytes),        "Memory that it has of the system, or is being given." },
    { "mmgcd_heap_resident_bytes",         GAUGE,   BYTES,   HEAP(resident_bytes),         "Of its arena, in memory." },
    { "mmgcd_heap_metadata_bytes",         GAUGE,   BYTES,   HEAP(metadata_bytes),         "The daemon's own for it." },
    { "mmgcd_heap_foreign_bytes",          GAUGE,   BYTES,   HEAP(foreign_bytes),          "Resident, though nobody was granted them." },
    { "mmgcd_heap_nursery_bytes",          GAUGE,   BYTES,   HEAP(nursery_bytes),          "Granted between two young collections; 0 if none come now." },
    { "mmgcd_heap_live_objects",           GAUGE,   NUMBER,  HEAP(live_objects),           "Found by the last collection." },
    { "mmgcd_heap_types",                  GAUGE,   NUMBER,  HEAP(types),                  "Types that were defined." },
    { "mmgcd_heap_named_roots",            GAUGE,   NUMBER,  HEAP(names),                  "Named roots." },
    { "mmgcd_heap_handles",                GAUGE,   NUMBER,  HEAP(handles),                "Handles of its clients." },
    { "mmgcd_heap_leases",                 GAUGE,   NUMBER,  HEAP(leases),                 "Leases of its clients." },
    { "mmgcd_heap_last_pause_seconds",     GAUGE,   SECONDS, HEAP(last_pause_ns),          "The newest pause." },
    { "mmgcd_heap_longest_pause_seconds",  GAUGE,   SECONDS, HEAP(max_pause_ns),           "The longest pause since the heap was made." },
    { "mmgcd_heap_granted_bytes",          COUNTER, BYTES,   HEAP(granted_bytes),          "Granted to its threads: how fast it allocates." },
    { "mmgcd_heap_emergency_collections",  COUNTER, NUMBER,  HEAP(emergency_collections),  "Collections because the one before had not made room." },
    { "mmgcd_heap_abandoned_stops",        COUNTER, NUMBER,  HEAP(abandoned_stops),        "Stops given up because a thread did not stop." },
    { "mmgcd_heap_concurrent_seconds",     COUNTER, SECONDS, HEAP(concurrent_ns),          "That the daemon worked for it while clients ran." },
    { "mmgcd_heap_concurrent_fallbacks",   COUNTER, NUMBER,  HEAP(fallbacks),              "Concurrent collections that became full ones." },
    { "mmgcd_heap_logged_stores",          COUNTER, NUMBER,  HEAP(barrier_slow_paths),     "Stores that the write barrier logged." },
    { "mmgcd_heap_barrier_losses",         COUNTER, NUMBER,  HEAP(barrier_losses),         "Times that it could not log all." },
    { "mmgcd_heap_commits",                COUNTER, NUMBER,  HEAP(commits),                "Units of 2 MiB that the system granted." },
    { "mmgcd_heap_released_bytes",         COUNTER, BYTES,   HEAP(released_bytes),         "Given back to the system." },
    { "mmgcd_heap_out_of_memory",          COUNTER, NUMBER,  HEAP(out_of_memory),          "Requests for memory that were refused." },
};
#undef HEAP
#define DAEMON(field) offsetof(wire_daemon_stats, field)
static const struct metric daemon_metrics[] = {
    { "mmgcd_heaps",                       GAUGE,   NUMBER,  DAEMON(heaps),                "Heaps of all users." },
    { "mmgcd_sessions",                    GAUGE,   NUMBER,  DAEMON(sessions),             "Connections of all users." },
    { "mmgcd_open_files",                  GAUGE,   NUMBER,  DAEMON(files),                "File descriptors that the daemon has open." },
    { "mmgcd_max_files",                   GAUGE,   NUMBER,  DAEMON(max_files),            "File descriptors that it may have." },
    { "mmgcd_resident_memory_bytes",       GAUGE,   BYTES,   DAEMON(resident_bytes),       "Of the daemon's process, shared memory included." },
    { "mmgcd_requests",                    COUNTER, NUMBER,  DAEMON(requests),             "Requests that it has run." },
    { "mmgcd_held_back",                   COUNTER, NUMBER,  DAEMON(held_back),            "Times that a connection had to wait for requests_per_second." },
    { "mmgcd_refused",                     COUNTER, NUMBER,  DAEMON(refused),              "Times that a user's limit was in the way." },
    { "mmgcd_connections",                 COUNTER, NUMBER,  DAEMON(connections),          "Connections that became sessions." },
};
#undef DAEMON
static const struct {
    struct metric metric;
    const char *key;                          /* of `mmgcctl users` */
} user_metrics[] = {
    { { "mmgcd_user_heaps",     GAUGE,   NUMBER, 0, "Heaps that the user made." },                   "heaps" },
    { { "mmgcd_user_bytes",     GAUGE,   BYTES,  0, "The maximum sizes of those together." },        "bytes" },
    { { "mmgcd_user_sessions",  GAUGE,   NUMBER, 0, "Connections." },                                "sessions" },
    { { "mmgcd_user_threads",   GAUGE,   NUMBER, 0, "Attached threads." },                           "threads" },
    { { "mmgcd_user_handles",   GAUGE,   NUMBER, 0, "Places for handles." },                         "handles" },
    { { "mmgcd_user_leases",    GAUGE,   NUMBER, 0, "Leases." },                                     "leases" },
    { { "mmgcd_user_files",     GAUGE,   NUMBER, 0, "File descriptors of the daemon for the user." },"files" },
    { { "mmgcd_user_refused",   COUNTER, NUMBER, 0, "Times that a limit was in the user's way." },   "refused" },
    { { "mmgcd_user_held_back", COUNTER, NUMBER, 0, "Times that a connection of the user's had to wait." }, "held_back" },
};
/* clang-format on */

/* ---- writing ------------------------------------------------------------------------------------ */

/* The lines before a family's samples. In the older format a counter's family is called as its samples are. */
static void head(const struct page *page, const struct metric *m)
{
    static const char *const types[] = { "gauge", "counter", "histogram", "info" };
    static const char *const units[] = { "", "bytes", "seconds" };
    const char *ending = page->open ? "" : m->type == COUNTER ? "_total" : m->type == INFO ? "_info" : "";
    const char *type = m->type == INFO && !page->open ? "gauge" : types[m->type];

    fprintf(page->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", m->name, ending, m->help, m->name, ending, type);
    if (page->open && m->unit != NUMBER)
        fprintf(page->out, "# UNIT %s %s\n", m->name, units[m->unit]);
}

/* Thousands of lines: printf's parsing would be most of a scrape. Nobody else has the stream. */
static void put(const struct page *page, const char *text)
{
    (void)fputs_unlocked(text, page->out);
}

/* With @digits at least, and a newline. */
static void put_number(const struct page *page, uint64_t number, size_t digits)
{
    char text[24], *at = text + sizeof(text);

    *--at = '\0';
    *--at = '\n';
    for (; number > 0 || digits > 0; number /= 10, digits -= digits > 0)
        *--at = (char)('0' + number % 10);
    put(page, at);
}

static void value(const struct page *page, enum unit unit, uint64_t number)
{
    put(page, " ");
    if (unit != SECONDS) {
        put_number(page, number, 1);
        return;
    }
    (void)fprintf(page->out, "%" PRIu64 ".", number / UNITS_NS_PER_S);
    put_number(page, number % UNITS_NS_PER_S, 9);
}

/* @labels may be NULL. */
static void sample(const struct page *page, const struct metric *m, const char *labels, uint64_t number)
{
    put(page, m->name);
    put(page, m->type == COUNTER ? "_total" : "");
    if (labels != NULL) {
        put(page, "{");
        put(page, labels);
        put(page, "}");
    }
    value(page, m->unit, number);
}

/* `key="text"` with what a label's value may not have escaped; free() it. */
static char *label(const char *key, const char *text)
{
    char *utf8 = text_to_utf8(text), *result = need(malloc(strlen(key) + 2 * strlen(utf8) + 4)), *to = result;

    to += sprintf(to, "%s=\"", key);
    for (const char *s = utf8; *s != '\0'; s++) {
        if (*s == '\\' || *s == '"' || *s == '\n')
            *to++ = '\\';
        *to++ = (char)(*s == '\n' ? 'n' : *s);
    }
    strcpy(to, "\"");
    free(utf8);
    return result;
}

/* ---- heaps -------------------------------------------------------------------------------------- */

/* Row @i of all pages, in their order; NULL: there are no more. */
static const wire_heap_stats *row_at(const struct page *page, size_t i)
{
    for (size_t p = 0; p < page->stats.count; p++) {
        const wire_stats_rows *rows = page->stats.pages[p]->stats_rows;
        if (i < rows->n_rows)
            return rows->rows[i];
        i -= rows->n_rows;
    }
    return NULL;
}

#define FOREACH_HEAP(page, heap, i) \
    for (size_t i = 0; ((heap) = row_at(page, i)) != NULL; i++)

static void heap_numbers(const struct page *page)
{
    const wire_heap_stats *heap;

    for (size_t m = 0; m < MM_ARRAY_LEN(heap_metrics); m++) {
        head(page, &heap_metrics[m]);
        FOREACH_HEAP (page, heap, i)
            sample(page, &heap_metrics[m], page->heaps[i],
                   *(const uint64_t *)((const char *)heap + heap_metrics[m].offset));
    }
}

/* What has a field of another kind: those of HeapRow. */
static void heap_rows(const struct page *page)
{
#define ROWS(X)                                                                                             \
    X("mmgcd_heap_used_bytes", GAUGE, BYTES, used_bytes, "Granted or live now.")                            \
    X("mmgcd_heap_live_bytes", GAUGE, BYTES, live_bytes, "Found live by the last collection.")              \
    X("mmgcd_heap_max_bytes", GAUGE, BYTES, max_bytes, "What it may ever hold.")                            \
    X("mmgcd_heap_sessions", GAUGE, NUMBER, sessions, "Connections that have it open.")                     \
    X("mmgcd_heap_threads", GAUGE, NUMBER, threads, "Threads attached to it.")                              \
    X("mmgcd_heap_corrupt", GAUGE, NUMBER, corrupt, "1 if it is quarantined: see mmgcctl verify.")          \
    X("mmgcd_heap_collections", COUNTER, NUMBER, collections, "Collections that are done.")
    const wire_heap_stats *heap;
#define ROW(name, type, unit, field, help)                           \
    {                                                                \
        const struct metric metric = { name, type, unit, 0, help };  \
        head(page, &metric);                                         \
        FOREACH_HEAP (page, heap, i)                                 \
            sample(page, &metric, page->heaps[i], heap->row->field); \
    }
    ROWS(ROW)
#undef ROW
#undef ROWS
}

static void heap_info(const struct page *page)
{
    static const struct metric metric = { "mmgcd_heap", INFO, NUMBER, 0, "Whose it is and what collects it." };
    const wire_heap_stats *heap;

    head(page, &metric);
    FOREACH_HEAP (page, heap, i) {
        char *plan = label("plan", heap->row->plan);
        fprintf(page->out, "mmgcd_heap_info{%s,%s,uid=\"%" PRIu32 "\"} 1\n", page->heaps[i], plan, heap->uid);
        free(plan);
    }
}

/* One line: @le NULL for none. */
static void histogram_line(const struct page *page, const struct metric *m, const char *ending, const char *labels, const char *le)
{
    put(page, m->name);
    put(page, ending);
    put(page, labels);
    if (le != NULL) {
        put(page, ",");
        put(page, le);
    }
    put(page, "}");
}

/* @kind may be NULL. */
static void histogram(const struct page *page, const struct metric *m, const char *heap, const char *kind,
                      const wire_pause_stats *pause)
{
    char *labels;

    if (asprintf(&labels, "{%s%s%s", heap, kind == NULL ? "" : ",", kind == NULL ? "" : kind) < 0)
        need(NULL);
    for (size_t i = 0; i < pause->n_buckets; i++) {
        histogram_line(page, m, "_bucket", labels, page->ends[i]);
        value(page, NUMBER, pause->buckets[i]);
    }
    histogram_line(page, m, "_bucket", labels, "le=\"+Inf\"");
    value(page, NUMBER, pause->count);
    histogram_line(page, m, "_count", labels, NULL);
    value(page, NUMBER, pause->count);
    histogram_line(page, m, "_sum", labels, NULL);
    value(page, SECONDS, pause->total_ns);
    free(labels);
}

/* Canonical numbers as OpenMetrics has them: 1.0, 0.01, 1e-05. */
static void name_ends(struct page *page)
{
    const wire_stats_rows *rows = page->stats.pages[0]->stats_rows;

    page->ends = need(calloc(rows->n_bucket_ns + 1, sizeof(*page->ends)));
    for (size_t i = 0; i < rows->n_bucket_ns; i++) {
        double end = (double)rows->bucket_ns[i] / 1e9;
        snprintf(page->ends[i], LE_BYTES, rows->bucket_ns[i] % UNITS_NS_PER_S == 0 ? "le=\"%.1f\"" : "le=\"%g\"", end);
    }
}

static void heap_pauses(const struct page *page)
{
    static const struct metric pauses = { "mmgcd_heap_pause_seconds", HISTOGRAM, SECONDS, 0, "How long clients were stopped, by kind of pause." };
    static const struct metric stops = { "mmgcd_heap_stop_seconds", HISTOGRAM, SECONDS, 0, "From the request to stop until all threads had." };
    const wire_heap_stats *heap;

    head(page, &pauses);
    FOREACH_HEAP (page, heap, i) {
        for (size_t k = 0; k < heap->n_pauses; k++) {
            char *kind = label("kind", heap->pauses[k]->kind);
            histogram(page, &pauses, page->heaps[i], kind, heap->pauses[k]);
            free(kind);
        }
    }
    head(page, &stops);
    FOREACH_HEAP (page, heap, i)
        histogram(page, &stops, page->heaps[i], NULL, heap->stops);
}

static void heaps(struct page *page)
{
    const wire_heap_stats *heap;
    size_t count = 0;

    for (size_t p = 0; p < page->stats.count; p++)
        count += page->stats.pages[p]->stats_rows->n_rows;
    page->heaps = need(calloc(count + 1, sizeof(*page->heaps)));
    FOREACH_HEAP (page, heap, i)
        page->heaps[i] = label("heap", heap->row->name);
    name_ends(page);
    heap_info(page);
    heap_rows(page);
    heap_numbers(page);
    heap_pauses(page);
    for (size_t i = 0; i < count; i++)
        free(page->heaps[i]);
    free(page->heaps);
    free(page->ends);
}

/* ---- users and the daemon ----------------------------------------------------------------------- */

static char *user_label(uint64_t uid)
{
    char buffer[4096], number[24];
    struct passwd entry, *user = NULL;

    snprintf(number, sizeof(number), "%" PRIu64, uid);
    (void)getpwuid_r((uid_t)uid, &entry, buffer, sizeof(buffer), &user);
    return label("user", user == NULL ? number : user->pw_name);
}

static void users(const struct page *page)
{
    const json_t *user;
    size_t i;

    for (size_t m = 0; m < MM_ARRAY_LEN(user_metrics); m++) {
        head(page, &user_metrics[m].metric);
        json_array_foreach(page->users, i, user)
        {
            char *labels = user_label(document_get_count(user, "uid"));
            sample(page, &user_metrics[m].metric, labels, document_get_count(user, user_metrics[m].key));
            free(labels);
        }
    }
}

static void daemon_numbers(const struct page *page, const char *version)
{
    static const struct metric uptime = { "mmgcd_uptime_seconds", GAUGE, SECONDS, 0, "Since the daemon was started." };
    static const struct metric build = { "mmgcd_build", INFO, NUMBER, 0, "Which daemon this is." };
    const wire_daemon_stats *daemon = page->stats.pages[page->stats.count - 1]->stats_rows->daemon;
    char *labels = label("version", version);

    head(page, &build);
    fprintf(page->out, "mmgcd_build_info{%s} 1\n", labels);
    free(labels);
    head(page, &uptime);
    sample(page, &uptime, NULL, daemon->uptime_ms * UNITS_NS_PER_MS);
    for (size_t m = 0; m < MM_ARRAY_LEN(daemon_metrics); m++) {
        head(page, &daemon_metrics[m]);
        sample(page, &daemon_metrics[m], NULL, *(const uint64_t *)((const char *)daemon + daemon_metrics[m].offset));
    }
}

/* ---- the page ----------------------------------------------------------------------------------- */

bool metrics_wants_open(const char *accept)
{
    return accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
}

static enum mmgc_error ask(struct ctl *ctl, struct page *page, json_t *document)
{
    enum mmgc_error e = stats_ask(ctl, NULL, &page->stats);

    if (e == MMGC_E_OK)
        e = ctl_users.ask(ctl, document);
    page->users = e == MMGC_E_OK ? json_object_get(document, "users") : NULL;
    return e;
}

char *metrics_page(struct ctl *ctl, bool open, size_t *ret_bytes)
{
    static const struct metric up = { "mmgcd_up", GAUGE, NUMBER, 0, "1 if the daemon answered." };
    json_auto_t *document = need(json_object());
    struct page page = { .open = open };
    char *text = NULL;

    page.out = need(open_memstream(&text, ret_bytes));
    enum mmgc_error e = ctl_connect(ctl);
    if (e == MMGC_E_OK)
        e = ask(ctl, &page, document);
    head(&page, &up);
    sample(&page, &up, NULL, e == MMGC_E_OK);
    if (e == MMGC_E_OK) {
        daemon_numbers(&page, ctl->connection.welcome->welcome->daemon_version);
        heaps(&page);
        users(&page);
    }
    fputs(open ? "# EOF\n" : "", page.out);
    ctl_disconnect(ctl);
    stats_free(&page.stats);
    if (fclose(page.out) != 0)
        need(NULL);
    return text;
}
