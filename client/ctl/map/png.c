/* SPDX-License-Identifier: Apache-2.0 */
/* png.c - Draw: as PNG, by libpng: a palette of the picture's colours, a square of pixels a cell, and its legend in text chunks.
 *   libpng ends a call that fails by longjmp(): nothing that is changed after setjmp() is read behind it */
#include "client/ctl/map/draw.h"

#if MM_HAVE_PNG
#include <inttypes.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"

#define CELL 4u                               /* pixels */

static void set_palette(png_structp png, png_infop info, const struct map_picture *p)
{
    png_color palette[MAP_COLOURS_MAX + 1];

    for (uint32_t i = 0; i < p->colour_count; i++)
        palette[i] = (png_color){ (png_byte)(p->colours[i].rgb >> 16), (png_byte)(p->colours[i].rgb >> 8), (png_byte)p->colours[i].rgb };
    palette[p->colour_count] = (png_color){ 255, 255, 255 };   /* of no cell */
    png_set_PLTE(png, info, palette, (int)p->colour_count + 1);
}

/* "c0: free block, 12 lines", Latin-1 in the format's first kind of text: so in the other. */
static void set_legend(png_structp png, png_infop info, const struct map_picture *p, const char *title)
{
    char values[MAP_COLOURS_MAX][SHM_TYPE_NAME_MAX + 64], keys[MAP_COLOURS_MAX][8];
    png_text texts[MAP_COLOURS_MAX + 1];

    memset(texts, 0, sizeof(texts));
    texts[0] = (png_text){ .compression = PNG_ITXT_COMPRESSION_NONE, .key = (char *)"Title", .text = (char *)title };
    for (uint32_t i = 0; i < p->colour_count; i++) {
        snprintf(keys[i], sizeof(keys[i]), "c%" PRIu32, i);
        snprintf(values[i], sizeof(values[i]), "%s, %" PRIu64 " lines", p->colours[i].label, p->colours[i].lines);
        texts[i + 1] = (png_text){ .compression = PNG_ITXT_COMPRESSION_NONE, .key = keys[i], .text = values[i] };
    }
    png_set_text(png, info, texts, (int)p->colour_count + 1);
}

static void write_rows(png_structp png, const struct map_picture *p, png_byte *pixels)
{
    for (uint32_t row = 0; row < MM_MAX(p->rows, 1u); row++) {
        for (uint32_t column = 0; column < p->columns; column++) {
            uint8_t colour = map_picture_at(p, column, row);
            memset(pixels + (size_t)column * CELL, colour == MAP_NO_COLOUR ? (int)p->colour_count : colour, CELL);
        }
        for (uint32_t line = 0; line < CELL; line++)
            png_write_row(png, pixels);
    }
}

const char *map_draw_png(FILE *out, const struct map_picture *p, const char *title)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png == NULL ? NULL : png_create_info_struct(png);
    png_byte *const pixels = malloc((size_t)p->columns * CELL);
    const char *volatile wrong = "libpng cannot write the picture";

    if (info != NULL && pixels != NULL && setjmp(png_jmpbuf(png)) == 0) {
        png_init_io(png, out);
        png_set_IHDR(png, info, p->columns * CELL, MM_MAX(p->rows, 1u) * CELL, 8, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE,
                     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        set_palette(png, info, p);
        set_legend(png, info, p, title);
        png_write_info(png, info);
        write_rows(png, p, pixels);
        png_write_end(png, info);
        wrong = NULL;
    }
    png_destroy_write_struct(&png, &info);
    free(pixels);
    return wrong;
}
#else
const char *map_draw_png(FILE *out, const struct map_picture *p, const char *title)
{
    (void)out;
    (void)p;
    (void)title;
    return "mmgcctl was built without libpng: name a file that ends with .svg";
}
#endif
