/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - Map: a picture of a heap's blocks and lines, on the terminal or in a file. */
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/map/draw.h"
#include "client/ctl/take.h"

#define COLUMNS_MAX 1000u

static const char *const by_names[] = { [MAP_BY_LIVE] = "live", [MAP_BY_AGE] = "age", [MAP_BY_TYPE] = "type" };

static bool find_by(struct ctl *ctl, enum map_by *ret)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(by_names); i++) {
        if (ctl->options.by_what == NULL || strcmp(ctl->options.by_what, by_names[i]) == 0) {
            *ret = (enum map_by)i;
            return true;
        }
    }
    ctl_failed(ctl, MMGC_E_INVALID, "--by takes live, age or type, not '%s'", ctl->options.by_what);
    return false;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), have = strlen(end);

    return length > have && strcmp(text + length - have, end) == 0;
}

static enum mmgc_error draw_file(struct ctl *ctl, const struct map_picture *p, const char *heap)
{
    const char *path = ctl->options.output, *wrong = NULL;
    char title[sizeof(((struct shm_snapshot *)0)->heap) + 64];
    bool png = ends_with(path, ".png");

    if (!png && !ends_with(path, ".svg"))
        return ctl_failed(ctl, MMGC_E_INVALID, "%s: a picture's name ends with .svg or .png", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (out == NULL)
        return ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", path, strerror(errno));
    snprintf(title, sizeof(title), "heap %s by %s", heap, by_names[p->by]);
    if (png)
        wrong = map_draw_png(out, p, title);
    else
        map_draw_svg(out, p, title);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed || wrong != NULL) {
        int error = errno;
        (void)unlink(path);
        return ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", path, wrong != NULL ? wrong : strerror(error));
    }
    return MMGC_E_OK;
}

/* Each row of cells as letters, and what the letters are. */
static void describe(json_t *document, const struct map_picture *p)
{
    json_t *colours = document_array(document, "colours"), *rows = document_array(document, "rows");
    char *line = need(malloc((size_t)p->columns + 1));

    document_text(document, "by", by_names[p->by]);
    document_count(document, "cell_bytes", p->lines_a_cell * MM_LINE_BYTES);
    for (uint32_t i = 0; i < p->colour_count; i++) {
        json_t *row = document_row(colours);
        document_text(row, "letter", (char[]){ p->colours[i].letter, '\0' });
        document_text(row, "name", p->colours[i].label);
        document_count(row, "cells", p->colours[i].cells);
        document_count(row, "bytes", p->colours[i].lines * MM_LINE_BYTES);
    }
    for (uint32_t row = 0; row < p->rows; row++) {
        uint32_t length = 0;
        for (; length < p->columns && map_picture_at(p, length, row) != MAP_NO_COLOUR; length++)
            line[length] = p->colours[map_picture_at(p, length, row)].letter;
        line[length] = '\0';
        json_array_append_new(rows, need(json_string(line)));
    }
    free(line);
}

/* The picture on the terminal is drawn here: show() has the document alone. */
static enum mmgc_error map_ask(struct ctl *ctl, json_t *document)
{
    MM_AUTO(snap) s = NULL;
    struct map_picture p;
    enum map_by by;
    bool file = ctl->options.output != NULL, utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    uint64_t columns = ctl->options.columns != 0 ? ctl->options.columns : file ? MAP_FILE_COLUMNS : MAP_TEXT_COLUMNS;

    if (!find_by(ctl, &by))
        return MMGC_E_INVALID;
    if (columns > COLUMNS_MAX)
        return ctl_failed(ctl, MMGC_E_INVALID, "--columns takes a number up to %u", COLUMNS_MAX);
    enum mmgc_error e = take_snapshot(ctl, &s, NULL);
    if (e != MMGC_E_OK)
        return e;
    uint32_t rows = file ? MAP_FILE_ROWS : MAP_TEXT_ROWS * (ctl->options.color && utf8 ? 2 : 1);
    if (!map_picture_init(&p, s, by, (uint32_t)columns, rows))
        return ctl_failed(ctl, MMGC_E_SYSTEM_NOMEM, "for the picture");
    document_text(document, "heap", snap_header(s)->heap);
    describe(document, &p);
    if (file)
        e = draw_file(ctl, &p, snap_header(s)->heap);
    else if (!ctl->options.json)
        map_draw_text(stdout, &p, ctl->options.color, utf8);
    map_picture_fini(&p);
    return e;
}

static void map_show(const struct ctl *ctl, const json_t *document)
{
    (void)ctl;
    (void)document;
}

const struct ctl_command ctl_map = {
    .name = "map",
    .synopsis = "map HEAP",
    .summary = "a picture of the heap's blocks and lines",
    .takes = CTL_TAKES_SNAPSHOT,
    .options = CTL_OPTION_SNAPSHOT | CTL_OPTION_MAP | CTL_OPTION_OUTPUT | CTL_OPTION_BY | CTL_OPTION_ANYWAY,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = map_ask,
    .show = map_show,
};
