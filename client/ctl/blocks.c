/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c - Blocks: a heap's blocks as a picture: a character a cell, which says whose most of its blocks are. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/ctl.h"
#include "client/ctl/table.h"
#include "client/ctl/text.h"
#include "shm/base.h"

#define CELLS 1024u /* sixteen rows */
#define ROW_CELLS 64u

static void fill(json_t *document, const wire_block_map *map, const char *heap)
{
    json_t *names, *kinds, *used;

    document_text(document, "heap", heap);
    document_count(document, "block_bytes", map->block_bytes);
    document_count(document, "blocks", map->blocks);
    document_count(document, "blocks_a_cell", map->blocks_a_cell);
    names = document_array(document, "kind_names");
    for (size_t i = 0; i < map->n_kind_names; i++) {
        char *name = text_to_utf8(map->kind_names[i]);
        need(json_array_append_new(names, need(json_string(name))) < 0 ? NULL : names);
        free(name);
    }
    kinds = document_array(document, "kinds");
    used = document_array(document, "used");
    for (size_t i = 0; i < map->kinds.len; i++) {
        document_append_count(kinds, map->kinds.data[i]);
        document_append_count(used, map->used.data[i]);
    }
}

static bool is_whole(const wire_block_map *map)
{
    for (size_t i = 0; i < map->kinds.len; i++)
        if (map->kinds.data[i] >= map->n_kind_names)
            return false;
    return map->kinds.len == map->used.len && map->kinds.len <= CELLS;
}

static enum mmgc_error blocks_ask(struct ctl *ctl, json_t *document)
{
    wire_blocks body = wire_blocks_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    body.heap = (char *)ctl->options.operand;
    body.max_cells = CELLS;
    request.body_case = WIRE_REQUEST(BLOCKS);
    request.blocks = &body;
    enum mmgc_error e = ctl_call(ctl, &request, WIRE_REPLY(BLOCK_MAP), &reply);
    if (e != MMGC_E_OK)
        return e;
    if (is_whole(reply->block_map))
        fill(document, reply->block_map, ctl->options.operand);
    else
        e = ctl_failed(ctl, MMGC_E_PROTOCOL, "a map whose cells do not fit together");
    wire_reply_free(reply);
    return e;
}

/* A letter, and a capital if it is more than half full. */
static char sign_of(const char *kind, json_int_t used)
{
    static const struct {
        const char *kind;
        char sign;
    } signs[] = {
        { "uncommitted", '.' }, { "free", '-' },  { "closed", 'x' },    { "immix", 'i' },    { "copy", 'c' },  { "nursery", 'n' },
        { "slide", 's' },       { "large", 'l' }, { "nonmoving", 'o' }, { "immortal", 't' }, { "cells", 'e' },
    };
    char sign = '?';

    for (size_t i = 0; i < MM_ARRAY_LEN(signs); i++)
        if (strcmp(kind, signs[i].kind) == 0)
            sign = signs[i].sign;
    return used > UINT8_MAX / 2 ? (char)toupper(sign) : sign;
}

static char sign_at(const json_t *document, size_t cell)
{
    json_int_t kind = json_integer_value(json_array_get(json_object_get(document, "kinds"), cell));
    const char *name = json_string_value(json_array_get(json_object_get(document, "kind_names"), (size_t)kind));

    return sign_of(name, json_integer_value(json_array_get(json_object_get(document, "used"), cell)));
}

static void blocks_show(const struct ctl *ctl, const json_t *document)
{
    size_t cells = json_array_size(json_object_get(document, "kinds"));
    uint64_t cell_bytes = document_get_count(document, "block_bytes") * document_get_count(document, "blocks_a_cell");

    text_show(document_get_text(document, "heap"));
    printf(": ");
    bytes_show(cell_bytes, ctl->options.bytes);
    puts(" a character");
    for (size_t i = 0; i < cells; i++) {
        if (i % ROW_CELLS == 0)
            printf("%s%10" PRIx64 "  ", i == 0 ? "" : "\n", i * cell_bytes);
        putchar(sign_at(document, i));
    }
    puts(cells == 0 ? "nothing was ever committed" : "");
    puts("- free  i immix  c copy  n nursery  s slide  o nonmoving  t immortal  e cells\n"
         "l large  x closed  ? others  . uncommitted; a capital: more than half full\n"
         "What lies behind the last character was never committed.");
}

const struct ctl_command ctl_blocks = {
    .name = "blocks",
    .synopsis = "blocks HEAP",
    .summary = "a picture of its blocks: whose they are, how full; clients run on",
    .takes = CTL_TAKES_HEAP,
    .options = CTL_OPTION_BYTES,
    .timeout_ns = CTL_TIMEOUT_NS,
    .ask = blocks_ask,
    .show = blocks_show,
};
