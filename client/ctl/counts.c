/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/counts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/table.h"
#include "shm/base.h"

/* clang-format off */
static const struct column columns[] = {
    { "OBJECTS", "objects_growth", CELL_GROWTH },
    { "BEFORE",  "objects_before", CELL_COUNT },
    { "NOW",     "objects",        CELL_COUNT },
    { "BYTES",   "bytes_growth",   CELL_BYTES_GROWTH },
    { "BEFORE",  "bytes_before",   CELL_BYTES },
    { "NOW",     "bytes",          CELL_BYTES },
    { "TYPE",    "name",           CELL_TEXT },
};
/* clang-format on */

static int compare_rows(const json_t *a, const json_t *b, const char *key)
{
    json_int_t x = key == NULL ? 0 : json_integer_value(json_object_get(a, key)), y = key == NULL ? 0 : json_integer_value(json_object_get(b, key));

    if (x != y)
        return x > y ? -1 : 1;
    return strcmp(document_get_text(a, "name"), document_get_text(b, "name"));
}

static int compare(const void *a, const void *b, void *key)
{
    return compare_rows(*(json_t *const *)a, *(json_t *const *)b, key);
}

void counts_sort(json_t *array, const char *key)
{
    size_t count = json_array_size(array);
    json_t **rows = need(calloc(MM_MAX(count, 1u), sizeof(json_t *)));

    for (size_t i = 0; i < count; i++)
        rows[i] = json_incref(json_array_get(array, i));
    qsort_r(rows, count, sizeof(json_t *), compare, (void *)key);
    for (size_t i = 0; i < count; i++)
        json_array_set_new(array, i, rows[i]);
    free(rows);
}

/* A row of the type, with numbers as they are when nothing is there. */
static json_t *row_of(json_t *by_name, json_t *types, const char *name)
{
    json_t *row = json_object_get(by_name, name);

    if (row != NULL)
        return row;
    row = document_row(types);
    document_text(row, "name", name);
    json_object_set(by_name, name, row);
    return row;
}

/* Sums, as two clients may have given the same name to different types of two heaps. */
static void add_counts(json_t *row, const json_t *from, const char *objects, const char *bytes)
{
    document_count(row, objects, document_get_count(row, objects) + document_get_count(from, "objects"));
    document_count(row, bytes, document_get_count(row, bytes) + document_get_count(from, "bytes"));
}

static void add_growth(json_t *row)
{
    static const char *const keys[][3] = { { "objects_before", "objects", "objects_growth" }, { "bytes_before", "bytes", "bytes_growth" } };

    for (size_t i = 0; i < MM_ARRAY_LEN(keys); i++) {
        uint64_t before = document_get_count(row, keys[i][0]), now = document_get_count(row, keys[i][1]);
        document_count(row, keys[i][0], before);
        document_count(row, keys[i][1], now);
        document_growth(row, keys[i][2], before, now);
    }
}

void counts_compare(const struct ctl *ctl, json_t *document, const json_t *before, const json_t *now)
{
    static const char *const keys[] = { [CTL_SORT_BYTES] = "bytes_growth", [CTL_SORT_OBJECTS] = "objects_growth", [CTL_SORT_NAME] = NULL };
    json_t *types = document_array(document, "types"), *total = document_object(document, "total"), *row;
    json_auto_t *by_name = need(json_object());
    size_t i;

    json_array_foreach((json_t *)before, i, row)
    {
        add_counts(row_of(by_name, types, document_get_text(row, "name")), row, "objects_before", "bytes_before");
        add_counts(total, row, "objects_before", "bytes_before");
    }
    json_array_foreach((json_t *)now, i, row)
    {
        add_counts(row_of(by_name, types, document_get_text(row, "name")), row, "objects", "bytes");
        add_counts(total, row, "objects", "bytes");
    }
    json_array_foreach(types, i, row) add_growth(row);
    add_growth(total);
    counts_sort(types, keys[ctl->options.sort]);
    document_count(document, "omitted", document_cut(types, ctl->options.limit));
}

void counts_show(const struct ctl *ctl, const json_t *document)
{
    json_auto_t *rows = need(json_array());
    json_t *total = document_row(rows), *row;
    size_t i;

    json_array_foreach(json_object_get(document, "types"), i, row) json_array_append(rows, row);
    json_object_update(total, json_object_get(document, "total"));
    document_text(total, "name", "all");
    json_array_append(rows, total); /* last, as in other tables */
    json_array_remove(rows, 0);
    table_show(rows, columns, MM_ARRAY_LEN(columns), 0, ctl->options.bytes);
    ctl_show_omitted(document);
}
