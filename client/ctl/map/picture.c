/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/map/picture.h"

#include <stdlib.h>
#include <string.h>

#include "shm/base.h"

#define TYPES_SHOWN 8u                        /* of their own colour */
enum { COLOUR_FREE, COLOUR_HOLE, COLOUR_MORE }; /* the first two are the same in all pictures */

/* Colours that the colour-blind tell apart, too: Okabe and Ito, Color Universal Design (2008), and steps of one blue. */
static const struct map_colour free_colour = { "free block", 0xe8e8e8, ' ', " ", 0, 0 }, hole_colour = { "hole", 0xbdbdbd, '.', "\xc2\xb7", 0, 0 };
static const struct map_colour live_colours[] = {
    { "to a quarter in use", 0xc6dbef, ':', "\xe2\x96\x91", 0, 0 },
    { "to a half", 0x6baed6, '+', "\xe2\x96\x92", 0, 0 },
    { "to three quarters", 0x2171b5, '%', "\xe2\x96\x93", 0, 0 },
    { "to all of it", 0x08306b, '#', "\xe2\x96\x88", 0, 0 },
};
static const struct map_colour age_colours[] = {
    { "dead", 0xd55e00, 'x', NULL, 0, 0 }, { "old", 0x0072b2, 'o', NULL, 0, 0 }, { "young", 0x009e73, 'y', NULL, 0, 0 },
};
static const uint32_t type_rgbs[TYPES_SHOWN] = { 0x0072b2, 0xe69f00, 0x009e73, 0xcc79a7, 0xd55e00, 0x56b4e9, 0xf0e442, 0x7f5fa0 };

/* By type: which colour a type has. */
struct ranking {
    uint8_t colours[SHM_TYPES_MAX];
};

static void add_colour(struct map_picture *p, const struct map_colour *colour)
{
    p->colours[p->colour_count++] = *colour;
}

/* The types with the most lines get colours of their own, most first; the others share the last. */
static bool rank_types(struct map_picture *p, const struct snap *s, const struct map_lines *l, struct ranking *r)
{
    uint64_t *lines = calloc(SHM_TYPES_MAX, sizeof(lines[0]));
    struct map_colour more = { "other types", 0x000000, '*', NULL, 0, 0 };

    if (lines == NULL)
        return false;
    for (uint64_t i = 0; i < l->count; i++)
        lines[l->types[i]]++;
    lines[0] = 0;
    memset(r->colours, 0, sizeof(r->colours));
    for (uint32_t rank = 0; rank < TYPES_SHOWN; rank++) {
        uint32_t most = 0;
        for (uint32_t type = 1; type < SHM_TYPES_MAX; type++)
            most = lines[type] > lines[most] ? type : most;
        if (most == 0)
            break;
        struct map_colour colour = { "", type_rgbs[rank], (char)('A' + rank), NULL, 0, 0 };
        strcpy(colour.label, snap_type(s, most)->name); /* of types in lines: one that is there; checked to end */
        r->colours[most] = (uint8_t)p->colour_count;
        add_colour(p, &colour);
        lines[most] = 0;
    }
    for (uint32_t type = 1; type < SHM_TYPES_MAX; type++)
        if (r->colours[type] == 0)
            r->colours[type] = (uint8_t)p->colour_count;
    add_colour(p, &more);
    free(lines);
    return true;
}

/* ---- cells ---- */

static uint8_t colour_of_line(const struct map_picture *p, const struct map_lines *l, const struct ranking *r, uint64_t line)
{
    enum map_state state = (enum map_state)l->states[line];

    if (state == MAP_FREE || state == MAP_HOLE)
        return (uint8_t)(state == MAP_FREE ? COLOUR_FREE : COLOUR_HOLE);
    if (p->by == MAP_BY_TYPE)
        return l->types[line] == 0 ? COLOUR_HOLE : r->colours[l->types[line]];
    return (uint8_t)(COLOUR_MORE + state - MAP_DEAD);          /* of age_colours */
}

/* Of age and type: the colour of most lines that have one; a cell with any object is no hole. */
static uint8_t most_of(const uint64_t counts[MAP_COLOURS_MAX])
{
    uint8_t most = counts[COLOUR_HOLE] >= counts[COLOUR_FREE] && counts[COLOUR_HOLE] > 0 ? COLOUR_HOLE : COLOUR_FREE;
    uint64_t lines = 0;

    for (uint8_t i = COLOUR_MORE; i < MAP_COLOURS_MAX; i++)
        if (counts[i] > lines) {
            most = i;
            lines = counts[i];
        }
    return most;
}

static uint8_t share_of(uint64_t used, uint64_t lines, uint64_t free)
{
    if (used == 0)
        return (uint8_t)(free == lines ? COLOUR_FREE : COLOUR_HOLE);
    return (uint8_t)(COLOUR_MORE + (used * 4 - 1) / lines);
}

static void paint_cell(struct map_picture *p, const struct map_lines *l, const struct ranking *r, uint64_t cell)
{
    uint64_t from = cell * p->lines_a_cell, to = MM_MIN(from + p->lines_a_cell, l->count), counts[MAP_COLOURS_MAX] = { 0 }, states[MAP_STATES] = { 0 };

    for (uint64_t line = from; line < to; line++) {
        states[l->states[line]]++;
        if (p->by != MAP_BY_LIVE)
            counts[colour_of_line(p, l, r, line)]++;
    }
    uint8_t colour = p->by == MAP_BY_LIVE ? share_of(states[MAP_OLD] + states[MAP_YOUNG], to - from, states[MAP_FREE]) : most_of(counts);
    p->cells[cell] = colour;
    p->colours[colour].cells++;
    if (p->by == MAP_BY_LIVE)
        p->colours[colour].lines += to - from;
    else
        for (uint32_t i = 0; i < p->colour_count; i++)
            p->colours[i].lines += counts[i];
}

static bool choose_colours(struct map_picture *p, const struct snap *s, const struct map_lines *l, struct ranking *r)
{
    add_colour(p, &free_colour);
    add_colour(p, &hole_colour);
    if (p->by == MAP_BY_TYPE)
        return rank_types(p, s, l, r);
    for (size_t i = 0; i < (p->by == MAP_BY_LIVE ? MM_ARRAY_LEN(live_colours) : MM_ARRAY_LEN(age_colours)); i++)
        add_colour(p, p->by == MAP_BY_LIVE ? &live_colours[i] : &age_colours[i]);
    return true;
}

bool map_picture_init(struct map_picture *p, const struct snap *s, enum map_by by, uint32_t columns, uint32_t rows_max)
{
    struct map_lines l;
    struct ranking *r = malloc(sizeof(*r));

    *p = (struct map_picture){ .by = by, .columns = columns };
    if (r == NULL || !map_lines_init(&l, s)) {
        free(r);
        return false;
    }
    uint64_t room = (uint64_t)columns * rows_max;
    p->lines_a_cell = MM_MAX((l.count + room - 1) / room, UINT64_C(1));
    uint64_t cells = (l.count + p->lines_a_cell - 1) / p->lines_a_cell;
    p->rows = (uint32_t)((cells + columns - 1) / columns);
    p->cells = malloc((size_t)p->rows * columns + 1);
    bool good = p->cells != NULL && choose_colours(p, s, &l, r);
    if (good) {
        memset(p->cells, MAP_NO_COLOUR, (size_t)p->rows * columns);
        for (uint64_t cell = 0; cell < cells; cell++)
            paint_cell(p, &l, r, cell);
    }
    map_lines_fini(&l);
    free(r);
    return good;
}

void map_picture_fini(struct map_picture *p)
{
    free(p->cells);
    p->cells = NULL;
}
