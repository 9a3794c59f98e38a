/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/option.h"

#include <string.h>

#include "shm/base.h"

const struct option_row *option_find(const struct option_table *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].key, key) == 0)
            return &table->rows[i];
    return NULL;
}

bool option_set(const struct option_row *row, void *fields, const char *text, const char **ret_why)
{
    return config_value_parse(row->type, &row->range, text, (char *)fields + row->offset,
                              row->bytes, ret_why);
}

void option_print(const struct option_row *row, const void *fields, char ret_text[OPTION_TEXT_MAX])
{
    config_value_print(row->type, &row->range, (const char *)fields + row->offset, row->bytes,
                       ret_text, OPTION_TEXT_MAX);
}

void option_set_defaults(const struct option_table *table, void *fields)
{
    const char *why;

    for (size_t i = 0; i < table->count; i++)
        MM_ASSERT(option_set(&table->rows[i], fields, table->rows[i].fallback, &why));
}

bool option_layer_set(const struct option_table *table, uint64_t *said, void *values, const struct option_row *row, const char *text,
                      const char **ret_why)
{
    bool good = option_set(row, values, text, ret_why);

    if (good)
        *said |= UINT64_C(1) << (row - table->rows);
    return good;
}

void option_layer_apply(const struct option_table *table, uint64_t said, const void *values, void *fields)
{
    for (size_t i = 0; i < table->count; i++)
        if ((said >> i & 1) != 0)
            memcpy((char *)fields + table->rows[i].offset, (const char *)values + table->rows[i].offset, table->rows[i].bytes);
}
