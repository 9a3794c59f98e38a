/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/table.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/document.h"
#include "client/ctl/text.h"
#include "client/ctl/units.h"
#include "shm/base.h"

#define GAP "  "
#define REF_BYTES 8 /* a granule */

static bool is_left(enum cell cell)
{
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
static char *format_cell(const json_t *value, enum cell cell, bool exact)
{
    char text[UNITS_TEXT_MAX];
    uint64_t number = (uint64_t)json_integer_value(value);
    const char *shown = text;
    struct passwd *user;

    snprintf(text, sizeof(text), "%" PRIu64, number);
    switch (cell) {
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

static void print_line(char *const *cells, const size_t *widths, const struct column *columns,
                       size_t count, unsigned indent)
{
    print_spaces(indent);
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        print_padded(cells[i], widths[i], is_left(columns[i].cell), last);
        fputs(last ? "\n" : GAP, stdout);
    }
}

void table_show(const json_t *rows, const struct column *columns, size_t count, unsigned indent,
                bool exact)
{
    size_t row_count = json_array_size(rows);
    if (row_count == 0 || count == 0)
        return;
    size_t lines = row_count + 1; /* line 0 is the headings */
    char **cells = need(calloc(lines * count, sizeof(*cells)));
    size_t *widths = need(calloc(count, sizeof(*widths)));

    for (size_t i = 0; i < lines * count; i++) {
        const struct column *column = &columns[i % count];
        const json_t *row = i < count ? NULL : json_array_get(rows, i / count - 1);
        cells[i] = row == NULL ? need(strdup(column->heading))
                               : format_cell(json_object_get(row, column->key), column->cell, exact);
        widths[i % count] = MM_MAX(widths[i % count], text_columns(cells[i]));
    }
    for (size_t line = 0; line < lines; line++)
        print_line(&cells[line * count], widths, columns, count, indent);
    for (size_t i = 0; i < lines * count; i++)
        free(cells[i]);
    free(cells);
    free(widths);
}

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
