/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Table: JSON rows as aligned text. A column is a heading, the key it shows and how to read the value.
 *   Widths   those of the contents; numbers at the right, text at the left, two spaces between. A column that is RARE and says nothing in
 *            any row is left out. What is wider than the terminal then has its widest texts shortened; what goes elsewhere is whole
 *   Text     escaped here (text.h), so nothing from the daemon reaches a terminal otherwise                      */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum cell {                                   /* a null is "any": nothing bounds it */
    CELL_TEXT,                                /* "-" if it is empty */
    CELL_COUNT,
    CELL_BYTES,                               /* "1.5 MiB", or exact */
    CELL_NS,
    CELL_AGE_MS,
    CELL_SHARE,                               /* 0 to 1, shown as per cent */
    CELL_FLAG,                                /* "yes" or "-" */
    CELL_USER,                                /* a uid, shown by name if it has one */
    CELL_GROWTH,                              /* a count that may be negative: "+12", "-3" */
    CELL_BYTES_GROWTH,                        /* the same of bytes */
    CELL_REF,                                 /* granules, shown as the byte offset in the arena */
    CELL_RARE = 64,                           /* a bit: of no interest where it is 0, empty or false */
};
struct column {
    const char *heading, *key;
    unsigned cell;                            /* enum cell */
};

/* @rows is an array of objects; nothing at all is printed for an empty one. */
void table_show(const json_t *rows, const struct column *columns, size_t count, unsigned indent, bool exact);
/* One object, a line a column: its heading at the left, its value at the right. */
void facts_show(const json_t *object, const struct column *columns, size_t count, unsigned indent, bool exact);
void text_show(const char *text);             /* on stdout, escaped */
void bytes_show(uint64_t bytes, bool exact);
