/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Option: what is called so, fills this field, can be that. A table of them is all that file, command line, a heap's
 * creator, --help and the manual know.
 *   Threads  loop, and before there is any other */
#include "daemon/config_value.h"

struct option_row {
    const char *key;
    size_t offset, bytes;                     /* of its field in the struct that the table fills */
    enum config_type type;
    const char *fallback;
    struct config_range range;
    bool creators;                            /* the creator of a heap may say it, too */
    const char *help;
};
struct option_table {
    const char *section;
    const struct option_row *rows;
    size_t count;
};

#define OPTION_TEXT_MAX 80u                   /* of a printed value; longer texts are cut off */

const struct option_row *option_find(const struct option_table *table, const char *key);     /* NULL: no such */
/* Sets the row's field of @fields. False: *ret_why is a sentence (static), the field as it was. */
bool option_set(const struct option_row *row, void *fields, const char *text, const char **ret_why);
void option_print(const struct option_row *row, const void *fields, char ret_text[OPTION_TEXT_MAX]);
void option_set_defaults(const struct option_table *table, void *fields);

/* A layer is what one of those who may say something has said: in @values, and in *said a bit for each row (of at most 64). */
bool option_layer_set(const struct option_table *table, uint64_t *said, void *values, const struct option_row *row, const char *text,
                      const char **ret_why);
void option_layer_apply(const struct option_table *table, uint64_t said, const void *values, void *fields);
