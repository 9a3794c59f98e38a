/* SPDX-License-Identifier: Apache-2.0 */
/* show.c - Show: one object: its type, its references and what they lead to, its bytes. With --follow from one to the next. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/table.h"
#include "client/ctl/take.h"
#include "client/ctl/text.h"
#include "shm/base.h"
#include "shm/object.h"

#define ROWS_USUAL 64u /* of references, and of 16 bytes each, without --limit */
#define ROW_BYTES 16u

/* Each reference, up to @limit of them. */
static void add_refs(json_t *document, const struct snap *s, const struct snap_object *o, uint64_t limit)
{
    static const char *const kinds[SHM_REF_KINDS] = { "strong", "weak", "soft", "phantom", "ephemeron", "queue", "link" };
    struct snap_ref refs[64];
    json_t *rows = document_array(document, "refs");
    uint64_t from = 0;
    size_t got;

    while (from < limit && (got = snap_refs(s, o, from, refs, MM_MIN(limit - from, MM_ARRAY_LEN(refs)))) > 0) {
        for (size_t i = 0; i < got; i++) {
            struct snap_object to;
            json_t *row = document_row(rows);
            document_count(row, "field", refs[i].at);
            document_text(row, "kind", (unsigned)refs[i].kind < SHM_REF_KINDS ? kinds[refs[i].kind] : "unknown");
            document_count(row, "ref", refs[i].to);
            document_text(row, "type", refs[i].to != 0 && snap_object(s, refs[i].to, &to) ? snap_type(s, to.type)->name : "");
        }
        from += got;
    }
    uint64_t all = (uint64_t)snap_type(s, o->type)->ref_count + (uint64_t)snap_type(s, o->type)->element_ref_count * o->length;
    document_count(document, "omitted", all > json_array_size(rows) ? all - json_array_size(rows) : 0);
}

/* Is it what people would read? */
static bool is_text(const unsigned char *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if ((bytes[i] < ' ' && bytes[i] != '\n' && bytes[i] != '\t') || bytes[i] == 0x7f)
            return false;
    return count > 0;
}

static void add_bytes(json_t *document, const struct snap *s, const struct snap_object *o, uint64_t limit)
{
    const struct shm_type_row *type = snap_type(s, o->type);
    uint64_t used = MM_MIN(type->fixed_bytes + (uint64_t)type->element_bytes * o->length, o->payload_bytes);
    uint64_t count = limit > used / ROW_BYTES ? used : limit * ROW_BYTES;
    char *hex = need(malloc(2 * count + 1)), *text = need(malloc(count + 1));

    for (uint64_t i = 0; i < count; i++)
        snprintf(hex + 2 * i, 3, "%02x", o->payload[i]);
    hex[2 * count] = '\0';
    document_text(document, "data", hex);
    memcpy(text, o->payload, count);
    text[count] = '\0';
    if (type->element_bytes == 1 && type->ref_count == 0 && is_text(o->payload, count))
        document_text(document, "text", text);
    document_count(document, "data_bytes", used);
    free(hex);
    free(text);
}

static void describe(json_t *document, const struct ctl *ctl, const struct snap *s, const struct snap_object *o)
{
    const struct shm_type_row *type = snap_type(s, o->type);
    uint64_t limit = ctl->options.limit == UINT64_MAX ? ROWS_USUAL : ctl->options.limit;

    document_text(document, "heap", snap_header(s)->heap);
    document_count(document, "ref", o->ref);
    document_text(document, "type", type->name);
    document_count(document, "bytes", o->bytes);
    document_count(document, "length", o->length);
    document_count(document, "identity", object_header_identity(o->header, type->element_bytes != 0));
    add_refs(document, s, o, limit);
    add_bytes(document, s, o, limit);
}

/* ---- showing ---- */

static void show_refs(const json_t *document)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(document, "refs"), i, row)
    {
        uint64_t to = document_get_count(row, "ref");
        const char *type = document_get_text(row, "type");
        printf("  %4zu  +%-8" PRIu64 " %-9s ", i, document_get_count(row, "field"), document_get_text(row, "kind"));
        if (to == 0) {
            puts("null");
            continue;
        }
        printf("0x%" PRIx64 "  ", to * MM_GRANULE_BYTES);
        text_show(*type == '\0' ? "no object" : type);
        putchar('\n');
    }
    ctl_show_omitted(document);
}

static void show_bytes(const json_t *document)
{
    const char *hex = document_get_text(document, "data");
    size_t count = strlen(hex) / 2;

    for (size_t at = 0; at < count; at += ROW_BYTES) {
        char shown[ROW_BYTES + 1] = "";
        printf("  %06zx", at);
        for (size_t i = 0; i < ROW_BYTES; i++) {
            unsigned byte = 0;
            if (at + i < count)
                (void)sscanf(hex + 2 * (at + i), "%2x", &byte);
            printf(at + i < count ? "%s%02x" : "%s  ", i % 8 == 0 ? "  " : " ", byte);
            shown[i] = at + i >= count ? '\0' : byte >= ' ' && byte < 0x7f ? (char)byte : '.';
        }
        printf("  %s\n", shown);
    }
    if (count < document_get_count(document, "data_bytes"))
        printf("... and %" PRIu64 " bytes more\n", document_get_count(document, "data_bytes") - count);
}

static void show_show(const struct ctl *ctl, const json_t *document)
{
    if (json_object_get(document, "ref") == NULL) /* --follow has shown all there was */
        return;
    printf("0x%" PRIx64 "  ", document_get_count(document, "ref") * MM_GRANULE_BYTES);
    text_show(document_get_text(document, "type"));
    fputs(", ", stdout);
    bytes_show(document_get_count(document, "bytes"), ctl->options.bytes);
    if (document_get_count(document, "length") > 0)
        printf(", length %" PRIu64, document_get_count(document, "length"));
    putchar('\n');
    show_refs(document);
    if (json_object_get(document, "text") != NULL) {
        fputs("  \"", stdout);
        text_show(document_get_text(document, "text"));
        puts("\"");
    } else {
        show_bytes(document);
    }
}

/* ---- from one to the next ---- */

struct trail {
    uint32_t *refs;
    size_t count;
};

/* What is typed: the number of a reference, a place, b or q. 0: nothing new; @trail's last one otherwise, or after q an empty trail. */
static void follow(struct ctl *ctl, const struct snap *s, const json_t *document, const char *line, struct trail *trail)
{
    const json_t *row = NULL;
    struct snap_object o;
    char *end;

    if (line[0] == 'q') {
        trail->count = 0;
        return;
    }
    if (line[0] == 'b') {
        trail->count -= trail->count > 1;
        return;
    }
    if (!take_is_place(line)) {
        uint64_t i = strtoull(line, &end, 10);
        row = end == line ? NULL : json_array_get(json_object_get(document, "refs"), (size_t)i);
        if (row == NULL || !snap_object(s, (uint32_t)document_get_count(row, "ref"), &o)) {
            puts("a reference's number, 0x... for a place, b for back, q to end");
            return;
        }
    } else if (!take_object(ctl, s, line, &o)) {
        puts("there is no object");
        return;
    }
    trail->refs = need(realloc(trail->refs, (trail->count + 1) * sizeof(trail->refs[0])));
    trail->refs[trail->count++] = o.ref;
}

static void walk(struct ctl *ctl, const struct snap *s, uint32_t ref)
{
    struct trail trail = { need(malloc(sizeof(trail.refs[0]))), 1 };
    char line[64];

    trail.refs[0] = ref;
    while (trail.count > 0) {
        json_auto_t *document = need(json_object());
        struct snap_object o;
        if (!snap_object(s, trail.refs[trail.count - 1], &o))
            break;
        describe(document, ctl, s, &o);
        show_show(ctl, document);
        fputs("> ", stdout);
        fflush(stdout);
        if (fgets(line, sizeof(line), stdin) == NULL)
            break;
        line[strcspn(line, "\n")] = '\0';
        follow(ctl, s, document, line, &trail);
    }
    free(trail.refs);
}

static enum mmgc_error show_ask(struct ctl *ctl, json_t *document)
{
    MM_AUTO(snap) s = NULL;
    struct snap_object o;
    ctl->options.anyway = true; /* where a heap is broken one wants to look */
    enum mmgc_error e = take_snapshot(ctl, &s, NULL);

    if (e != MMGC_E_OK)
        return e;
    if (!take_object(ctl, s, ctl->options.target, &o))
        return MMGC_E_INVALID;
    if (ctl->options.follow && !ctl->options.json)
        walk(ctl, s, o.ref);
    else
        describe(document, ctl, s, &o);
    return MMGC_E_OK;
}

const struct ctl_command ctl_show = {
    .name = "show",
    .synopsis = "show HEAP OBJECT",
    .summary = "an object: its type, its references, its bytes",
    .takes = CTL_TAKES_SNAPSHOT_AND_WHAT,
    .options = CTL_OPTION_SNAPSHOT | CTL_OPTION_LIMIT | CTL_OPTION_BYTES | CTL_OPTION_FOLLOW,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = show_ask,
    .show = show_show,
};
