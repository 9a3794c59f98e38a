/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/top/screen.h"

#include <curses.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/ctl/text.h"
#include "client/ctl/units.h"
#include "shm/base.h"

#define BAR_COLUMNS 10
#define HEAD_LINES 4
#define USER_COLUMNS 9
#define TEXT_MAX 512u

enum pair { PAIR_NONE, PAIR_LIVE, PAIR_USED, PAIR_BAD };

static bool begun, coloured;

/* ---- the terminal ------------------------------------------------------------------------------- */

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");

    return (no == NULL || no[0] == '\0') && has_colors();
}

static void begin_colours(void)
{
    coloured = wants_colour() && start_color() == OK;
    if (!coloured)
        return;
    (void)use_default_colors();
    (void)init_pair(PAIR_LIVE, COLOR_GREEN, -1);
    (void)init_pair(PAIR_USED, COLOR_YELLOW, -1);
    (void)init_pair(PAIR_BAD, COLOR_RED, -1);
}

static bool has(const char *capability)
{
    char *string = tigetstr((NCURSES_CONST char *)capability);

    return string != NULL && string != (char *)-1;
}

bool screen_begin(void)
{
    SCREEN *screen = newterm(NULL, stdout, stdin);

    if (screen == NULL)
        return false;
    if (!has("cup") || !has("clear")) { /* TERM=dumb */
        (void)endwin();
        delscreen(screen);
        return false;
    }
    begun = true;
    begin_colours();
    (void)cbreak();
    (void)noecho();
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    (void)curs_set(0);
    set_escdelay(25);
    return true;
}

void screen_end(void)
{
    if (begun)
        (void)endwin();
    begun = false;
}

void screen_resize(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        (void)resizeterm(size.ws_row, size.ws_col);
    (void)clear();
}

/* ---- pieces ------------------------------------------------------------------------------------- */

static attr_t colour(enum pair pair)
{
    return coloured && pair != PAIR_NONE ? (attr_t)COLOR_PAIR(pair) : A_NORMAL;
}

/* @text cut to @width columns, escaped; the columns it takes. */
static size_t put_cut(const char *text, size_t width)
{
    char *escaped = text_escape(text), *end = escaped;
    size_t columns = 0;

    while (*end != '\0') {
        uint32_t character;
        size_t bytes = MM_MAX(text_decode(end, &character), (size_t)1);
        char one[8] = "";
        memcpy(one, end, MM_MIN(bytes, sizeof(one) - 1));
        size_t next = columns + text_columns(one);
        if (next > width)
            break;
        columns = next;
        end += bytes;
    }
    *end = '\0';
    (void)addstr(escaped);
    free(escaped);
    return columns;
}

/* A cell of @width columns at the cursor, and a space behind it. */
static void put_left(const char *text, size_t width)
{
    (void)printw("%*s", (int)(width - put_cut(text, width) + 1), "");
}

static void __attribute__((format(printf, 2, 3))) put_right(size_t width, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)printw("%*.*s ", (int)width, (int)width, text);
}

static double real_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void put_bytes(size_t width, double bytes)
{
    char text[UNITS_TEXT_MAX];

    put_right(width, "%s", units_bytes_short(text, bytes));
}

static void put_ns(size_t width, uint64_t ns)
{
    char text[UNITS_TEXT_MAX];

    put_right(width, "%s", units_ns_short(text, ns));
}

/* How full a heap is, of what it may hold. */
static void put_bar(const json_t *heap)
{
    double limit = (double)MM_MAX(document_get_count(heap, "limit_bytes"), UINT64_C(1));
    double used = (double)document_get_count(heap, "used_bytes") / limit;
    double live = MM_MIN((double)document_get_count(heap, "live_bytes") / limit, used);

    for (int i = 0; i < BAR_COLUMNS; i++) {
        double here = (i + 0.5) / BAR_COLUMNS;
        enum pair pair = here < live ? PAIR_LIVE : here < used ? PAIR_USED : PAIR_NONE;
        (void)attron(colour(pair));
        (void)addch(here < live ? '#' : here < used ? '=' : '.');
        (void)attroff(colour(pair));
    }
    (void)addch(' ');
}

/* ---- heaps -------------------------------------------------------------------------------------- */

/* Right of the name; the narrower the window, the fewer. */
enum figure { USED, BAR, ALLOC, GC, LAST, P99, MAX, CLIENTS, THREADS, FIGURES };
static const struct {
    const char *heading;
    int width, from; /* shown in windows of so many columns and more */
} figures[FIGURES] = {
    [USED] = { "USED", 5, 0 }, [BAR] = { "OF LIMIT", BAR_COLUMNS, 48 }, [ALLOC] = { "ALLOC", 5, 0 },
    [GC] = { "GC/S", 5, 56 },  [LAST] = { "LAST", 5, 68 },              [P99] = { "P99", 5, 0 },
    [MAX] = { "MAX", 5, 74 },  [CLIENTS] = { "CLI", 4, 0 },             [THREADS] = { "THR", 4, 62 },
};

static int name_columns(void)
{
    int left = COLS - 2;

    for (size_t i = 0; i < FIGURES; i++)
        left -= COLS >= figures[i].from ? figures[i].width + 1 : 0;
    return MM_MAX(left, 4);
}

/* A whole line at most. */
static void __attribute__((format(printf, 2, 3))) put_line(int line, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)mvaddnstr(line, 0, text, COLS - (line == LINES - 1));
}

static void draw_heads(const struct screen *screen, const json_t *daemon)
{
    char uptime[UNITS_TEXT_MAX], alloc[UNITS_TEXT_MAX], resident[UNITS_TEXT_MAX];

    put_line(0, "mmgcd up %s: %" PRIu64 " heaps, %" PRIu64 " connections, %" PRIu64 " threads, %" PRIu64 " of %" PRIu64 " files",
             units_age(uptime, document_get_count(daemon, "uptime_ms")), document_get_count(daemon, "heaps"),
             document_get_count(daemon, "sessions"), document_get_count(daemon, "threads"), document_get_count(daemon, "files"),
             document_get_count(daemon, "max_files"));
    put_line(1, "%sB/s allocated, %.1f gc/s, %.0f requests/s, %" PRIu64 " held back, %" PRIu64 " refused, %s",
             units_bytes_short(alloc, real_of(daemon, "alloc_bytes_per_s")), real_of(daemon, "collections_per_s"),
             real_of(daemon, "requests_per_s"), document_get_count(daemon, "held_back"), document_get_count(daemon, "refused"),
             units_bytes(resident, document_get_count(daemon, "resident_bytes")));
    if (screen->paused)
        put_line(2, "paused: space goes on");
}

static void draw_columns(const struct screen *screen)
{
    static const char *const sorted[] = {
        [CTL_SORT_NAME] = "name",      [CTL_SORT_USED] = "used",     [CTL_SORT_ALLOC] = "alloc",
        [CTL_SORT_COLLECTIONS] = "gc", [CTL_SORT_PAUSE] = "p99",     [CTL_SORT_CLIENTS] = "clients",
    };

    (void)attron(A_REVERSE);
    (void)mvprintw(HEAD_LINES - 1, 0, "%*s", COLS, "");
    (void)move(HEAD_LINES - 1, 1);
    put_left("HEAP", (size_t)name_columns());
    for (size_t i = 0; i < FIGURES; i++)
        if (COLS >= figures[i].from)
            put_right((size_t)figures[i].width, "%s", figures[i].heading);
    (void)attroff(A_REVERSE);
    put_line(LINES - 1, "by %s (n u a g p c)  q quit  h help  Enter clients  space pause", sorted[screen->sort]);
}

static void put_figure(const json_t *heap, enum figure figure)
{
    size_t width = (size_t)figures[figure].width;

    switch (figure) {
    case USED: put_bytes(width, (double)document_get_count(heap, "used_bytes")); break;
    case BAR: put_bar(heap); break;
    case ALLOC: put_bytes(width, real_of(heap, "alloc_bytes_per_s")); break;
    case GC: put_right(width, "%.1f", real_of(heap, "collections_per_s")); break;
    case LAST: put_ns(width, document_get_count(heap, "last_pause_ns")); break;
    case P99: put_ns(width, document_get_count(heap, "p99_pause_ns")); break;
    case MAX: put_ns(width, document_get_count(heap, "max_pause_ns")); break;
    case CLIENTS: put_right(width, "%" PRIu64, document_get_count(heap, "sessions")); break;
    case THREADS: put_right(width, "%" PRIu64, document_get_count(heap, "threads")); break;
    case FIGURES: break;
    }
}

static void draw_heap(const json_t *heap, int line, bool marked)
{
    bool corrupt = document_get_flag(heap, "corrupt");
    attr_t look = (marked ? A_BOLD : A_NORMAL) | colour(corrupt ? PAIR_BAD : PAIR_NONE);

    (void)move(line, 0);
    (void)attron(look);
    (void)addch(marked ? '>' : corrupt ? '!' : ' ');
    put_left(document_get_text(heap, "name"), (size_t)name_columns());
    (void)attroff(look);
    for (enum figure i = 0; i < FIGURES; i++)
        if (COLS >= figures[i].from)
            put_figure(heap, i);
}

/* Of the marked heap; the first, if it is gone. */
static size_t marked_row(const struct screen *screen, const json_t *heaps)
{
    const json_t *heap;
    size_t i;

    json_array_foreach(heaps, i, heap)
        if (strcmp(document_get_text(heap, "name"), screen->heap) == 0)
            return i;
    return 0;
}

void screen_move(struct screen *screen, const struct top_model *model, long by)
{
    const json_t *heaps = json_object_get(model->document, "heaps");
    long count = (long)json_array_size(heaps), to = (long)marked_row(screen, heaps) + by;

    if (count == 0)
        return;
    to = to < 0 ? 0 : MM_MIN(to, count - 1);
    snprintf(screen->heap, sizeof(screen->heap), "%s", document_get_text(json_array_get(heaps, (size_t)to), "name"));
}

static void draw_heaps(struct screen *screen, const struct top_model *model)
{
    const json_t *heaps = json_object_get(model->document, "heaps");
    size_t marked = marked_row(screen, heaps), room = (size_t)MM_MAX(LINES - HEAD_LINES - 1, 1);

    if (marked < screen->first)
        screen->first = marked;
    if (marked >= screen->first + room)
        screen->first = marked - room + 1;
    draw_columns(screen);
    for (size_t i = 0; i < room && screen->first + i < json_array_size(heaps); i++)
        draw_heap(json_array_get(heaps, screen->first + i), HEAD_LINES + (int)i, screen->first + i == marked);
    if (json_array_size(heaps) == 0)
        (void)mvaddstr(HEAD_LINES, 1, "no heaps that you may see");
}

/* ---- one heap's clients ------------------------------------------------------------------------- */

static bool is_wide(void)
{
    return COLS >= 74;
}

static int client_columns(void)
{
    return MM_MAX(COLS - 30 - (is_wide() ? 27 + USER_COLUMNS : 0), 4);
}

static void put_user(uint64_t uid)
{
    const struct passwd *user = getpwuid((uid_t)uid);
    char number[24];

    snprintf(number, sizeof(number), "%" PRIu64, uid);
    (void)put_cut(user == NULL ? number : user->pw_name, USER_COLUMNS);
}

static void draw_client(const json_t *client, int line)
{
    const json_t *thread;
    uint64_t in = 0, late = 0, granted = 0;
    size_t i;

    json_array_foreach(json_object_get(client, "threads"), i, thread)
    {
        in += strcmp(document_get_text(thread, "state"), "in") == 0;
        late += document_get_count(thread, "late_stops");
        granted += document_get_count(thread, "granted_bytes");
    }
    (void)move(line, 0);
    put_right(7, "%" PRIu64, document_get_count(client, "pid"));
    put_left(document_get_text(client, "name"), (size_t)client_columns());
    put_right(7, "%zu", json_array_size(json_object_get(client, "threads")));
    put_right(4, "%" PRIu64, in);
    put_right(7, "%" PRIu64, document_get_count(client, "handles"));
    if (!is_wide())
        return;
    put_right(7, "%" PRIu64, document_get_count(client, "leases"));
    put_bytes(5, (double)granted);
    put_right(4, "%" PRIu64, late);
    put_right(7, "%" PRIu64, document_get_count(client, "session"));
    put_user(document_get_count(client, "uid"));
}

static void draw_clients(const struct screen *screen, const struct top_model *model)
{
    const json_t *clients = json_object_get(model->clients, "clients"), *client;
    size_t i;

    (void)attron(A_REVERSE);
    (void)mvprintw(HEAD_LINES - 1, 0, "%*s", COLS, "");
    put_line(HEAD_LINES - 1, "%7s %-*s %7s %4s %7s%s", "PID", client_columns(), "CLIENT", "THREADS", "IN", "HANDLES",
             is_wide() ? "  LEASES  HAVE LATE SESSION USER" : "");
    (void)attroff(A_REVERSE);
    (void)move(2, 0);
    (void)addstr("clients of ");
    put_left(screen->heap, (size_t)MM_MAX(COLS - 12, 8));
    json_array_foreach(clients, i, client)
    {
        if (HEAD_LINES + (int)i >= LINES - 1)
            break;
        draw_client(client, HEAD_LINES + (int)i);
    }
    if (json_array_size(clients) == 0)
        (void)mvaddstr(HEAD_LINES, 1, "no clients");
    put_line(LINES - 1, "Esc back  q quit  h help  space pause");
}

/* ---- help --------------------------------------------------------------------------------------- */

static void draw_help(void)
{
    static const char *const lines[] = {
        "up, down, page keys   mark another heap (j and k, too)",
        "Enter, right          its clients; Esc, left: back",
        "n u a g p c           sort by name, used, alloc, gc/s, p99, clients",
        "space                 pause, and go on",
        "+ -                   refresh more, less often",
        "q                     quit",
        "",
        "USED      granted or live; the bar: # live, = used, . what it may hold more",
        "ALLOC     bytes granted to its threads a second",
        "GC/S      collections a second",
        "LAST P99 MAX  pauses: n, u, m and s are nanoseconds to seconds",
        "CLI THR   connections that have it open, threads attached",
        "IN HAVE LATE  of a client: threads inside, memory they have been granted,",
        "          collections that they kept waiting past the deadline",
        "!         the heap is quarantined: see mmgcctl verify",
    };

    for (size_t i = 0; i < MM_ARRAY_LEN(lines); i++)
        (void)mvaddnstr((int)i + 2, 1, lines[i], MM_MAX(COLS - 1, 1));
    put_line(LINES - 1, "any key: back");
}

void screen_draw(struct screen *screen, const struct top_model *model)
{
    (void)erase();
    draw_heads(screen, json_object_get(model->document, "daemon"));
    switch (screen->what) {
    case SCREEN_HEAPS: draw_heaps(screen, model); break;
    case SCREEN_CLIENTS: draw_clients(screen, model); break;
    case SCREEN_HELP:
        (void)erase();
        draw_help();
        break;
    }
    if (screen->error != NULL) {
        (void)attron(A_REVERSE | colour(PAIR_BAD));
        (void)move(LINES - 1, 0);
        put_left(screen->error, (size_t)MM_MAX(COLS - 2, 1));
        (void)attroff(A_REVERSE | colour(PAIR_BAD));
    }
    (void)refresh();
}
