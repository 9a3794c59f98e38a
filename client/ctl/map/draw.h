/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Draw: a picture on a terminal, as SVG, as PNG. All have a legend; the SVG's is text, the PNG's stands in its text chunks. */
#include <stdio.h>

#include "client/ctl/map/picture.h"

#define MAP_TEXT_COLUMNS 80u
#define MAP_TEXT_ROWS 24u
#define MAP_FILE_COLUMNS 128u
#define MAP_FILE_ROWS 128u

/* With colours (256 of them, two cells in a character where UTF-8 is understood) or in letters and shades. */
void map_draw_text(FILE *out, const struct map_picture *p, bool colours, bool utf8);
void map_draw_svg(FILE *out, const struct map_picture *p, const char *title);
/* NULL, or what is wrong: a constant sentence. */
const char *map_draw_png(FILE *out, const struct map_picture *p, const char *title);
