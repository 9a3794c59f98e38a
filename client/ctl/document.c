/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/document.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/text.h"
#include "shm/base.h"

void *need(void *p)
{
    if (p != NULL)
        return p;
    fputs("mmgcctl: out of memory\n", stderr);
    exit(EXIT_FAILURE);
}

static json_t *json_count(uint64_t count)
{
    return need(json_integer(count > INT64_MAX ? INT64_MAX : (json_int_t)count));
}

static json_t *json_text(const char *text)
{
    json_t *json = json_string(text);

    if (json == NULL) { /* no UTF-8 */
        char *utf8 = text_to_utf8(text);
        json = need(json_string(utf8));
        free(utf8);
    }
    return json;
}

void document_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0)
        need(NULL);
}

static void append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) < 0)
        need(NULL);
}

void document_text(json_t *object, const char *key, const char *text)
{
    document_set(object, key, json_text(text));
}

void document_count(json_t *object, const char *key, uint64_t count)
{
    document_set(object, key, json_count(count));
}

void document_growth(json_t *object, const char *key, uint64_t before, uint64_t now)
{
    document_set(object, key, now >= before ? json_count(now - before) : need(json_integer(-(json_int_t)MM_MIN(before - now, (uint64_t)INT64_MAX))));
}

void document_flag(json_t *object, const char *key, bool flag)
{
    document_set(object, key, json_boolean(flag));
}

void document_real(json_t *object, const char *key, double value)
{
    document_set(object, key, need(json_real(value)));
}

json_t *document_array(json_t *object, const char *key)
{
    json_t *array = need(json_array());

    document_set(object, key, array);
    return array;
}

json_t *document_object(json_t *object, const char *key)
{
    json_t *inner = need(json_object());

    document_set(object, key, inner);
    return inner;
}

json_t *document_row(json_t *array)
{
    json_t *row = need(json_object());

    append(array, row);
    return row;
}

void document_append_count(json_t *array, uint64_t count)
{
    append(array, json_count(count));
}

const char *document_get_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

uint64_t document_get_count(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

bool document_get_flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

struct sorted {
    json_t *row;
    uint64_t key;
    size_t at;
};

static int compare_sorted(const void *a, const void *b, void *descending)
{
    const struct sorted *x = a, *y = b;
    int order = (x->key > y->key) - (x->key < y->key);

    return order == 0 ? (x->at > y->at) - (x->at < y->at) : *(bool *)descending ? -order : order;
}

void document_sort(json_t *array, const char *key, bool descending)
{
    size_t count = json_array_size(array);
    struct sorted *rows = need(calloc(count + 1, sizeof(rows[0])));

    for (size_t i = 0; i < count; i++) {
        json_t *row = json_array_get(array, i);
        rows[i] = (struct sorted){ json_incref(row), document_get_count(row, key), i };
    }
    qsort_r(rows, count, sizeof(rows[0]), compare_sorted, &descending);
    for (size_t i = 0; i < count; i++)
        need(json_array_set_new(array, i, rows[i].row) < 0 ? NULL : array);
    free(rows);
}

uint64_t document_cut(json_t *array, uint64_t limit)
{
    uint64_t cut = 0;

    for (size_t rows = json_array_size(array); rows > limit; cut++)
        json_array_remove(array, --rows);
    return cut;
}

void document_print(const json_t *document)
{
    if (json_dumpf(document, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)) == 0)
        putchar('\n');
}
