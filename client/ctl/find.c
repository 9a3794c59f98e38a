/* SPDX-License-Identifier: Apache-2.0 */
/* find.c - Find: the objects of a type, all of them or those with a value in a field. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/table.h"
#include "client/ctl/take.h"
#include "shm/base.h"

/* clang-format off */
static const struct column columns[] = {
    { "OFFSET", "ref",    CELL_REF },
    { "BYTES",  "bytes",  CELL_BYTES },
    { "LENGTH", "length", CELL_COUNT },
};
/* clang-format on */

struct condition { /* "8=42", "8:2=42": of the bytes at 8 of an object, 4 of them unless it says how many */
    bool any;
    uint64_t at, value;
    unsigned bytes;
};

static bool read_number(const char **text, uint64_t *ret)
{
    char *end;

    errno = 0;
    if (**text < '0' || **text > '9')
        return false;
    *ret = strtoull(*text, &end, 0);
    bool good = errno == 0;
    *text = end;
    return good;
}

static bool read_condition(const char *text, struct condition *ret)
{
    uint64_t bytes = 4;

    *ret = (struct condition){ .any = text == NULL };
    if (text == NULL)
        return true;
    if (!read_number(&text, &ret->at))
        return false;
    if (*text == ':') {
        text++;
        if (!read_number(&text, &bytes))
            return false;
    }
    ret->bytes = (unsigned)bytes;
    if (*text++ != '=' || !read_number(&text, &ret->value) || *text != '\0')
        return false;
    return (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) && (bytes == 8 || ret->value >> 8 * bytes == 0 || bytes == 4);
}

static bool holds(const struct condition *c, const struct snap_object *o)
{
    uint64_t value = 0;

    if (c->any)
        return true;
    if (c->at > o->payload_bytes || o->payload_bytes - c->at < c->bytes)
        return false;
    memcpy(&value, o->payload + c->at, c->bytes); /* little endian */
    return value == c->value;
}

/* A reference is written as its object's place, and stands there in granules. */
static void translate(const struct snap *s, uint32_t type, struct condition *c)
{
    const struct shm_type_row *row = snap_type(s, type);
    const uint32_t *refs = snap_type_refs(s, type);

    for (uint32_t i = 0; !c->any && i < row->ref_count; i++)
        if (shm_ref_offset(refs[i]) == c->at && c->bytes == 4)
            c->value /= MM_GRANULE_BYTES;
}

static enum mmgc_error find_ask(struct ctl *ctl, json_t *document)
{
    MM_AUTO(snap) s = NULL;
    struct snap_object o;
    struct condition condition;
    uint64_t found = 0;

    if (!read_condition(ctl->options.condition, &condition))
        return ctl_failed(ctl, MMGC_E_INVALID, "a condition is OFFSET=VALUE or OFFSET:BYTES=VALUE, as in 8=42 or 16:8=0x2a, not '%s'",
                          ctl->options.condition);
    enum mmgc_error e = take_snapshot(ctl, &s, NULL);
    if (e != MMGC_E_OK)
        return e;
    uint32_t type = snap_type_find(s, ctl->options.target);
    if (type == 0)
        return ctl_failed(ctl, MMGC_E_INVALID, "the heap has no type '%s'; `mmgcctl histogram` shows those there are", ctl->options.target);
    translate(s, type, &condition);
    document_text(document, "heap", snap_header(s)->heap);
    document_text(document, "type", ctl->options.target);
    json_t *rows = document_array(document, "objects");
    for (uint64_t at = 0; snap_object_next(s, at, &o); at = o.ref + o.bytes / MM_GRANULE_BYTES) {
        if (o.type != type || !holds(&condition, &o))
            continue;
        if (found++ >= ctl->options.limit)
            continue;
        json_t *row = document_row(rows);
        document_count(row, "ref", o.ref);
        document_count(row, "bytes", o.bytes);
        document_count(row, "length", o.length);
    }
    document_count(document, "found", found);
    document_count(document, "omitted", found - json_array_size(rows));
    return MMGC_E_OK;
}

static void find_show(const struct ctl *ctl, const json_t *document)
{
    table_show(json_object_get(document, "objects"), columns, MM_ARRAY_LEN(columns), 0, ctl->options.bytes);
    ctl_show_omitted(document);
    printf("%" PRIu64 " objects\n", document_get_count(document, "found"));
}

const struct ctl_command ctl_find = {
    .name = "find",
    .synopsis = "find HEAP TYPE [FIELD=VALUE]",
    .summary = "the objects of a type, or those with a value in a field",
    .takes = CTL_TAKES_SNAPSHOT_AND_TYPE,
    .options = CTL_OPTION_SNAPSHOT | CTL_OPTION_LIMIT | CTL_OPTION_BYTES | CTL_OPTION_ANYWAY,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = find_ask,
    .show = find_show,
};
