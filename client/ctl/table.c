/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/table.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/ctl/document.h"
#include "client/ctl/text.h"
#include "client/ctl/units.h"
#include "shm/base.h"

#define GAP "  "
#define TEXT_COLUMNS_MIN 8u
#define REF_BYTES 8 /* a granule */

static bool is_left(unsigned cell)
{
    cell &= ~CELL_RARE;
    return cell == CELL_TEXT || cell == CELL_USER;
}

static const char *format_bytes(char text[UNITS_TEXT_MAX], uint64_t bytes, bool exact)
{
    if (!exact)
        return units_bytes(text, bytes);
    snprintf(text, UNITS_TEXT_MAX, "%" PRIu64, bytes);
    return text;
}

/* "+1.5 MiB", "-3", "0". */
static char *format_growth(json_int_t growth, bool bytes, bool exact)
{
    char text[UNITS_TEXT_MAX], *signed_text;
    uint64_t size = growth < 0 ? 0 - (uint64_t)growth : (uint64_t)growth;

    (void)format_bytes(text, size, exact || !bytes);
    (void)need(asprintf(&signed_text, "%s%s", growth > 0 ? "+" : growth < 0 ? "-" : "", text) < 0 ? NULL : signed_text);
    return signed_text;
}

/* What @value looks like; free() it. */
static char *format_cell(const json_t *value, unsigned cell, bool exact)
{
    char text[UNITS_TEXT_MAX];
    uint64_t number = (uint64_t)json_integer_value(value);
    const char *shown = text;
    struct passwd *user;

    if (json_is_null(value))
        return need(strdup("any"));
    snprintf(text, sizeof(text), "%" PRIu64, number);
    switch (cell & ~CELL_RARE) {
    case CELL_TEXT:
        if (json_string_length(value) > 0)
            return text_escape(json_string_value(value));
        shown = "-";
        break;
    case CELL_COUNT: break;
    case CELL_BYTES: shown = format_bytes(text, number, exact); break;
    case CELL_GROWTH: return format_growth(json_integer_value(value), false, exact);
    case CELL_BYTES_GROWTH: return format_growth(json_integer_value(value), true, exact);
    case CELL_NS: shown = units_ns(text, number); break;
    case CELL_AGE_MS: shown = units_age(text, number); break;
    case CELL_SHARE: snprintf(text, sizeof(text), "%.1f %%", 100 * json_number_value(value)); break;
    case CELL_FLAG: shown = json_is_true(value) ? "yes" : "-"; break;
    case CELL_REF: snprintf(text, sizeof(text), "0x%" PRIx64, number * REF_BYTES); break;
    case CELL_USER:
        user = getpwuid((uid_t)number);
        if (user != NULL)
            return text_escape(user->pw_name);
        break;
    }
    return need(strdup(shown));
}

static void print_spaces(size_t count)
{
    printf("%*s", (int)count, "");
}

/* @last: nothing stands right of it, so no spaces follow. */
static void print_padded(const char *text, size_t width, bool left, bool last)
{
    size_t columns = text_columns(text), pad = width > columns ? width - columns : 0;

    if (!left)
        print_spaces(pad);
    fputs(text, stdout);
    if (left && !last)
        print_spaces(pad);
}

/* ---- a table ---- */

struct grid {                                 /* lines of cells: line 0 is the headings */
    const struct column **columns;
    size_t count, lines;
    char **cells;
    size_t *widths;
};

static bool says_something(const json_t *value)
{
    return json_integer_value(value) != 0 || json_real_value(value) != 0 || json_is_true(value) || json_string_length(value) > 0;
}

static bool is_shown(const json_t *rows, const struct column *column)
{
    const json_t *row;
    size_t i;

    if ((column->cell & CELL_RARE) == 0)
        return true;
    json_array_foreach(rows, i, row)
        if (says_something(json_object_get(row, column->key)))
            return true;
    return false;
}

static void grid_init(struct grid *g, const json_t *rows, const struct column *columns, size_t count, bool exact)
{
    *g = (struct grid){ .columns = need(calloc(count, sizeof(*g->columns))), .lines = json_array_size(rows) + 1 };
    for (size_t i = 0; i < count; i++)
        if (is_shown(rows, &columns[i]))
            g->columns[g->count++] = &columns[i];
    g->cells = need(calloc(MM_MAX(g->lines * g->count, (size_t)1), sizeof(*g->cells)));
    g->widths = need(calloc(MM_MAX(g->count, (size_t)1), sizeof(*g->widths)));
    for (size_t i = 0; i < g->lines * g->count; i++) {
        const struct column *column = g->columns[i % g->count];
        const json_t *row = i < g->count ? NULL : json_array_get(rows, i / g->count - 1);
        g->cells[i] = row == NULL ? need(strdup(column->heading))
                                  : format_cell(json_object_get(row, column->key), column->cell, exact);
        g->widths[i % g->count] = MM_MAX(g->widths[i % g->count], text_columns(g->cells[i]));
    }
}

static void grid_fini(struct grid *g)
{
    for (size_t i = 0; i < g->lines * g->count; i++)
        free(g->cells[i]);
    free(g->cells);
    free(g->widths);
    free(g->columns);
}

static size_t grid_width(const struct grid *g, unsigned indent)
{
    size_t width = indent;

    for (size_t i = 0; i < g->count; i++)
        width += g->widths[i] + (i > 0 ? strlen(GAP) : 0);
    return width;
}

/* Of the terminal; 0: what is printed goes elsewhere. */
static size_t screen_width(void)
{
    struct winsize size;

    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* The widest text, a column at a time, until all fits or none can be shorter. */
static void grid_fit(struct grid *g, unsigned indent)
{
    size_t most = screen_width();

    while (most > 0 && grid_width(g, indent) > most) {
        size_t widest = g->count;
        for (size_t i = 0; i < g->count; i++)
            if (is_left(g->columns[i]->cell) && g->widths[i] > TEXT_COLUMNS_MIN && (widest == g->count || g->widths[i] > g->widths[widest]))
                widest = i;
        if (widest == g->count)
            return;
        g->widths[widest]--;
    }
    for (size_t i = 0; most > 0 && i < g->lines * g->count; i++)
        text_shorten(g->cells[i], g->widths[i % g->count]);
}

static void print_line(const struct grid *g, size_t line, unsigned indent)
{
    print_spaces(indent);
    for (size_t i = 0; i < g->count; i++) {
        bool last = i + 1 == g->count;
        print_padded(g->cells[line * g->count + i], g->widths[i], is_left(g->columns[i]->cell), last);
        fputs(last ? "\n" : GAP, stdout);
    }
}

void table_show(const json_t *rows, const struct column *columns, size_t count, unsigned indent,
                bool exact)
{
    struct grid g;

    if (json_array_size(rows) == 0 || count == 0)
        return;
    grid_init(&g, rows, columns, count, exact);
    grid_fit(&g, indent);
    for (size_t line = 0; line < g.lines; line++)
        print_line(&g, line, indent);
    grid_fini(&g);
}

/* ---- one object ---- */

void facts_show(const json_t *object, const struct column *columns, size_t count, unsigned indent,
                bool exact)
{
    size_t heading_width = 0, number_width = 0;
    char **values = need(calloc(MM_MAX(count, 1u), sizeof(*values)));

    for (size_t i = 0; i < count; i++) {
        values[i] = format_cell(json_object_get(object, columns[i].key), columns[i].cell, exact);
        heading_width = MM_MAX(heading_width, text_columns(columns[i].heading));
        if (!is_left(columns[i].cell))
            number_width = MM_MAX(number_width, text_columns(values[i]));
    }
    for (size_t i = 0; i < count; i++) {
        bool left = is_left(columns[i].cell);
        print_spaces(indent);
        print_padded(columns[i].heading, heading_width, true, false);
        fputs(GAP, stdout);
        print_padded(values[i], left ? 0 : number_width, left, true);
        putchar('\n');
        free(values[i]);
    }
    free(values);
}

void text_show(const char *text)
{
    char *escaped = text_escape(text);

    fputs(escaped, stdout);
    free(escaped);
}

void bytes_show(uint64_t bytes, bool exact)
{
    char text[UNITS_TEXT_MAX];

    printf("%s%s", format_bytes(text, bytes, exact), exact ? " B" : "");
}
