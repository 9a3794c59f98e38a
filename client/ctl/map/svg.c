/* SPDX-License-Identifier: Apache-2.0 */
/* svg.c - Draw: as SVG: a rectangle for each run of cells of one colour in a row; nothing in it is fetched from elsewhere. */
#include <inttypes.h>
#include <stdlib.h>

#include "client/ctl/map/draw.h"
#include "client/ctl/text.h"
#include "client/ctl/units.h"

#define CELL 6u                               /* pixels */
#define MARGIN 12u
#define LEGEND_LINE 20u

static void put_text(FILE *out, const char *text)
{
    char *escaped = text_escape(text);        /* XML has no control characters */

    for (const char *c = escaped; *c != '\0'; c++) {
        switch (*c) {
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '&': fputs("&amp;", out); break;
        case '"': fputs("&quot;", out); break;
        default: putc(*c, out); break;
        }
    }
    free(escaped);
}

static void draw_run(FILE *out, uint32_t column, uint32_t row, uint32_t length, uint8_t colour)
{
    fprintf(out, "<rect class=\"c%u\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\"/>\n", colour, column * CELL, row * CELL, length * CELL, CELL);
}

static void draw_cells(FILE *out, const struct map_picture *p)
{
    for (uint32_t row = 0; row < p->rows; row++) {
        for (uint32_t column = 0, length; column < p->columns; column += length) {
            uint8_t colour = map_picture_at(p, column, row);
            for (length = 1; column + length < p->columns && map_picture_at(p, column + length, row) == colour;)
                length++;
            if (colour != MAP_NO_COLOUR)
                draw_run(out, column, row, length, colour);
        }
    }
}

static void draw_legend(FILE *out, const struct map_picture *p)
{
    char size[UNITS_TEXT_MAX];

    for (uint32_t i = 0; i < p->colour_count; i++) {
        unsigned y = i * LEGEND_LINE;
        fprintf(out, "<rect class=\"c%u key\" x=\"0\" y=\"%u\" width=\"14\" height=\"14\"/><text x=\"22\" y=\"%u\" data-lines=\"%" PRIu64
                     "\" data-cells=\"%" PRIu64 "\">",
                i, y, y + 12, p->colours[i].lines, p->colours[i].cells);
        put_text(out, p->colours[i].label);
        fprintf(out, ", %s</text>\n", units_bytes(size, p->colours[i].lines * MM_LINE_BYTES));
    }
}

void map_draw_svg(FILE *out, const struct map_picture *p, const char *title)
{
    unsigned width = p->columns * CELL + 2 * MARGIN, cells = p->rows * CELL, height = cells + p->colour_count * LEGEND_LINE + 4 * MARGIN + LEGEND_LINE;
    char size[UNITS_TEXT_MAX];

    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" viewBox=\"0 0 %u %u\" font-family=\"sans-serif\" font-size=\"13\">\n<title>",
            width, height, width, height);
    put_text(out, title);
    fputs("</title>\n<style>.key{stroke:#888;stroke-width:.5}", out);
    for (uint32_t i = 0; i < p->colour_count; i++)
        fprintf(out, ".c%u{fill:#%06x}", i, p->colours[i].rgb);
    fprintf(out, "</style>\n<rect width=\"%u\" height=\"%u\" fill=\"#fff\"/>\n<text x=\"%u\" y=\"%u\">", width, height, MARGIN, MARGIN + 10);
    put_text(out, title);
    fprintf(out, "; a cell is %s</text>\n<g transform=\"translate(%u %u)\" shape-rendering=\"crispEdges\">\n",
            units_bytes(size, p->lines_a_cell * MM_LINE_BYTES), MARGIN, MARGIN + LEGEND_LINE);
    draw_cells(out, p);
    fprintf(out, "</g>\n<g transform=\"translate(%u %u)\">\n", MARGIN, 2 * MARGIN + LEGEND_LINE + cells);
    draw_legend(out, p);
    fputs("</g>\n</svg>\n", out);
}
