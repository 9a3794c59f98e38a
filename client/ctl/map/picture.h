/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Picture: a heap's lines as a grid of cells, each of one colour, and what the colours mean. Of the heap only names of types are in it.
 *   By       live: how much of a cell is in use; age: found alive by the last collection, or granted since; type: those with the most lines
 *   Cells    row by row; all stand for the same number of lines, but for the last; unused ones at the end are MAP_NO_COLOUR            */
#include "client/ctl/map/lines.h"

enum map_by { MAP_BY_LIVE, MAP_BY_AGE, MAP_BY_TYPE };
#define MAP_COLOURS_MAX 12u
#define MAP_NO_COLOUR 255u

struct map_colour {
    char label[SHM_TYPE_NAME_MAX + 1];
    uint32_t rgb;
    char letter;                              /* in plain text */
    const char *shade;                        /* UTF-8, or NULL: the letter */
    uint64_t lines, cells;
};
struct map_picture {
    enum map_by by;
    uint32_t columns, rows;
    uint64_t lines_a_cell;
    struct map_colour colours[MAP_COLOURS_MAX];
    uint32_t colour_count;
    uint8_t *cells;                           /* [columns * rows] */
};
/* False: not enough memory. */
bool map_picture_init(struct map_picture *p, const struct snap *s, enum map_by by, uint32_t columns, uint32_t rows_max);
void map_picture_fini(struct map_picture *p); /* zeroes are legal */
static inline uint8_t map_picture_at(const struct map_picture *p, uint32_t column, uint32_t row)
{
    return row < p->rows ? p->cells[(size_t)row * p->columns + column] : MAP_NO_COLOUR;
}
