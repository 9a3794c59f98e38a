/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - Draw: on a terminal. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/ctl/map/draw.h"
#include "client/ctl/text.h"
#include "client/ctl/units.h"

#define UPPER_HALF "\xe2\x96\x80"
#define RESET "\x1b[0m"

/* The nearest colour of the cube of 6 * 6 * 6 that terminals have from 16 on. */
static unsigned in_cube(uint32_t rgb)
{
    unsigned red = ((rgb >> 16 & 255) * 5 + 127) / 255, green = ((rgb >> 8 & 255) * 5 + 127) / 255, blue = ((rgb & 255) * 5 + 127) / 255;

    return 16 + 36 * red + 6 * green + blue;
}

static const char *letter_of(const struct map_colour *colour, bool utf8, char room[2])
{
    if (utf8 && colour->shade != NULL)
        return colour->shade;
    room[0] = colour->letter;
    room[1] = '\0';
    return room;
}

/* @which is fore- or background: 38 or 48. */
static void set_colour(FILE *out, const struct map_picture *p, uint8_t colour, int which)
{
    if (colour == MAP_NO_COLOUR)
        fprintf(out, "\x1b[%dm", which + 1);
    else
        fprintf(out, "\x1b[%d;5;%um", which, in_cube(p->colours[colour].rgb));
}

/* A character has an upper cell in its foreground and a lower one in its background. */
static void draw_halves(FILE *out, const struct map_picture *p, uint32_t row)
{
    for (uint32_t column = 0; column < p->columns; column++) {
        uint8_t upper = map_picture_at(p, column, row), lower = map_picture_at(p, column, row + 1);
        if (upper == MAP_NO_COLOUR)
            break;
        set_colour(out, p, upper, 38);
        set_colour(out, p, lower, 48);
        fputs(UPPER_HALF, out);
    }
    fputs(RESET "\n", out);
}

static void draw_row(FILE *out, const struct map_picture *p, uint32_t row, bool colours, bool utf8)
{
    for (uint32_t column = 0; column < p->columns; column++) {
        uint8_t colour = map_picture_at(p, column, row);
        char room[2];
        if (colour == MAP_NO_COLOUR)
            break;
        if (colours)
            set_colour(out, p, colour, 48);
        fputs(letter_of(&p->colours[colour], utf8, room), out);
    }
    fputs(colours ? RESET "\n" : "\n", out);
}

static void draw_legend(FILE *out, const struct map_picture *p, bool colours, bool utf8)
{
    char size[UNITS_TEXT_MAX], room[2];

    fprintf(out, "\na cell is %s, of committed blocks in the order of their addresses\n", units_bytes(size, p->lines_a_cell * MM_LINE_BYTES));
    for (uint32_t i = 0; i < p->colour_count; i++) {
        const struct map_colour *c = &p->colours[i];
        char *label = text_escape(c->label);
        if (colours)
            set_colour(out, p, (uint8_t)i, 48);
        fprintf(out, " %s %s  %-22s %s\n", colours && utf8 ? " " : letter_of(c, utf8, room), colours ? RESET : "", label,
                units_bytes(size, c->lines * MM_LINE_BYTES));
        free(label);
    }
}

void map_draw_text(FILE *out, const struct map_picture *p, bool colours, bool utf8)
{
    if (colours && utf8)
        for (uint32_t row = 0; row < p->rows; row += 2)
            draw_halves(out, p, row);
    else
        for (uint32_t row = 0; row < p->rows; row++)
            draw_row(out, p, row, colours, utf8);
    draw_legend(out, p, colours, utf8);
}
