/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c - Profile: a profile that a client wrote (mmgc/profile.h): gives its addresses names, shows who allocated most, and writes it
 * as pprof's programs take it, compressed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "client/ctl/ctl.h"
#include "client/ctl/symbols.h"
#include "client/ctl/table.h"
#include "proto/pprof.h"
#include "shm/base.h"

#define FILE_BYTES_MAX (UINT64_C(1) << 30)

/* clang-format off */
static const struct column columns[] = {
    { "BYTES",        "bytes",        CELL_BYTES },
    { "SHARE",        "share",        CELL_SHARE },
    { "OBJECTS",      "objects",      CELL_COUNT },
    { "WITH CALLED",  "with_called_bytes", CELL_BYTES },
    { "SHARE",        "with_called_share", CELL_SHARE },
    { "FUNCTION",     "function",     CELL_TEXT },
    { "FILE",         "file",         CELL_TEXT },
};
/* clang-format on */

/* ---- reading and writing ---- */

static enum mmgc_error read_profile(struct ctl *ctl, pprof_profile **ret_profile)
{
    const char *path = ctl->options.operand;
    gzFile file = gzopen(path, "rbe"); /* reads what is not compressed as it is */
    size_t count = 0, capacity = 0;
    uint8_t *bytes = NULL;
    int n = 0;

    if (file == NULL)
        return ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", path, strerror(errno));
    do {
        if (capacity - count < 4096) {
            capacity = MM_MAX(2 * capacity, (size_t)65536);
            bytes = need(realloc(bytes, capacity));
        }
        n = gzread(file, bytes + count, (unsigned)MM_MIN(capacity - count, (size_t)1 << 20));
        count += n > 0 ? (size_t)n : 0;
    } while (n > 0 && count < FILE_BYTES_MAX);
    bool whole = gzclose(file) == Z_OK && n == 0;
    *ret_profile = whole ? pprof_unpack(bytes, count) : NULL;
    free(bytes);
    return *ret_profile != NULL ? MMGC_E_OK : ctl_failed(ctl, MMGC_E_INVALID, "%s is no profile", path);
}

static enum mmgc_error write_profile(struct ctl *ctl, const pprof_profile *p)
{
    const char *path = ctl->options.output;
    size_t count = 0;
    uint8_t *bytes = need(pprof_pack(p, &count));
    gzFile file = gzopen(path, "wbe");
    int why = errno;

    bool written = file != NULL && gzfwrite(bytes, 1, count, file) == count;
    bool closed = file != NULL && gzclose(file) == Z_OK;
    free(bytes);
    return written && closed ? MMGC_E_OK : ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", path, strerror(file == NULL ? why : errno));
}

/* ---- names ---- */

struct naming {
    pprof_profile *profile;
    pprof_location *location;
    pprof_mapping *mapping;
};

static uint64_t function_of(pprof_profile *p, const struct symbol *symbol)
{
    int64_t name = pprof_string(p, symbol->name), file = pprof_string(p, symbol->file), system = pprof_string(p, symbol->system_name);

    for (size_t i = 0; i < p->n_function; i++)
        if (p->function[i]->name == name && p->function[i]->filename == file && p->function[i]->system_name == system)
            return p->function[i]->id;
    pprof_function *function = need(pprof_add_function(p));
    function->name = name;
    function->filename = file;
    function->system_name = system;
    need(name < 0 || file < 0 || system < 0 ? NULL : function);
    return function->id;
}

/* What the library inlines into its callers allocates for them. */
static bool is_ours(const char *name)
{
    return strcmp(name, "mmgc_new") == 0 || strcmp(name, "mmgc_new_array") == 0;
}

static void add_line(void *context, const struct symbol *symbol)
{
    struct naming *naming = context;

    if (is_ours(symbol->name))
        return;
    pprof_line *line = need(pprof_add_line(naming->location));
    line->function_id = function_of(naming->profile, symbol);
    line->line = symbol->line;
    naming->mapping->has_functions = true;
    naming->mapping->has_filenames |= symbol->file[0] != '\0';
    naming->mapping->has_line_numbers |= symbol->line != 0;
    naming->mapping->has_inline_frames |= naming->location->n_line > 1;
}

/* What cannot be named says why in @document. */
static void name_addresses(pprof_profile *p, json_t *document)
{
    struct symbols *symbols = symbols_new();
    json_t *unnamed = document_array(document, "unnamed");

    for (size_t i = 0; i < p->n_mapping; i++) {
        const pprof_mapping *m = p->mapping[i];
        struct symbols_object object = { m->memory_start, m->memory_limit, m->file_offset, pprof_text(p, m->filename),
                                         pprof_text(p, m->build_id) };
        const char *why = m->has_functions || object.path[0] == '[' ? NULL : symbols_add(symbols, &object);
        if (why != NULL) {
            json_t *row = document_row(unnamed);
            document_text(row, "file", object.path);
            document_text(row, "why", why);
        }
    }
    for (size_t i = 0; i < p->n_location; i++) {
        pprof_location *location = p->location[i];
        struct naming naming = { p, location, location->mapping_id != 0 ? p->mapping[location->mapping_id - 1] : NULL };
        if (location->n_line == 0 && naming.mapping != NULL)
            (void)symbols_find(symbols, location->address, add_line, &naming);
    }
    symbols_free(symbols);
}

/* ---- who allocated ---- */

struct tally {
    uint64_t bytes, objects, with_called_bytes;
    size_t seen;                             /* the last sample, plus one, that counted for with_called_bytes */
    const char *name, *file;                 /* of a place without a name, the file that has its code */
    int64_t address;                         /* that place's, in its file */
};

static size_t value_named(const pprof_profile *p, const char *type)
{
    size_t i = 0;

    while (i < p->n_sample_type && strcmp(pprof_text(p, p->sample_type[i]->type), type) != 0)
        i++;
    return i;
}

/* Functions come first, then what has no name: by location. */
static struct tally *tallies_of(const pprof_profile *p)
{
    struct tally *tallies = need(calloc(p->n_function + p->n_location + 1, sizeof(*tallies)));

    for (size_t i = 0; i < p->n_function; i++) {
        tallies[i].name = pprof_text(p, p->function[i]->name);
        tallies[i].file = pprof_text(p, p->function[i]->filename);
    }
    for (size_t i = 0; i < p->n_location; i++) {
        const pprof_location *location = p->location[i];
        struct tally *tally = &tallies[p->n_function + i];
        const pprof_mapping *m = location->mapping_id != 0 ? p->mapping[location->mapping_id - 1] : NULL;
        tally->file = m != NULL ? pprof_text(p, m->filename) : "";
        tally->address = (int64_t)(m != NULL ? location->address - m->memory_start + m->file_offset : location->address);
    }
    return tallies;
}

static void count_one(struct tally *tally, size_t sample, bool leaf, uint64_t bytes, uint64_t objects)
{
    if (leaf) {
        tally->bytes += bytes;
        tally->objects += objects;
    }
    if (tally->seen != sample + 1) /* once, however often it called itself */
        tally->with_called_bytes += bytes;
    tally->seen = sample + 1;
}

static void count_samples(const pprof_profile *p, struct tally *tallies, size_t objects_at, size_t bytes_at, json_t *document)
{
    uint64_t total_bytes = 0, total_objects = 0;

    for (size_t i = 0; i < p->n_sample; i++) {
        const pprof_sample *sample = p->sample[i];
        uint64_t bytes = (uint64_t)MM_MAX(sample->value[bytes_at], INT64_C(0));
        uint64_t objects = (uint64_t)MM_MAX(sample->value[objects_at], INT64_C(0));
        bool leaf = true;
        total_bytes += bytes;
        total_objects += objects;
        for (size_t k = 0; k < sample->n_location_id; k++) {
            const pprof_location *location = p->location[sample->location_id[k] - 1];
            if (location->n_line == 0)
                count_one(&tallies[p->n_function + location->id - 1], i, leaf, bytes, objects);
            for (size_t n = 0; n < location->n_line; n++, leaf = false)
                count_one(&tallies[location->line[n]->function_id - 1], i, leaf, bytes, objects);
            leaf = false;
        }
    }
    document_count(document, "total_bytes", total_bytes);
    document_count(document, "total_objects", total_objects);
}

static int compare(const void *a, const void *b, void *by_objects)
{
    const struct tally *x = a, *y = b;
    uint64_t left = by_objects != NULL ? x->objects : x->bytes, right = by_objects != NULL ? y->objects : y->bytes;

    if (left != right)
        return left > right ? -1 : 1;
    return (x->with_called_bytes < y->with_called_bytes) - (x->with_called_bytes > y->with_called_bytes);
}

static void add_tally(json_t *rows, const struct tally *tally, double total)
{
    char place[64];
    json_t *row = document_row(rows);

    (void)snprintf(place, sizeof(place), "+0x%" PRIx64, (uint64_t)tally->address);
    document_count(row, "bytes", tally->bytes);
    document_real(row, "share", total > 0 ? (double)tally->bytes / total : 0);
    document_count(row, "objects", tally->objects);
    document_count(row, "with_called_bytes", tally->with_called_bytes);
    document_real(row, "with_called_share", total > 0 ? (double)tally->with_called_bytes / total : 0);
    document_text(row, "function", tally->name != NULL ? tally->name : place);
    document_text(row, "file", tally->file);
}

static enum mmgc_error tally_up(struct ctl *ctl, const pprof_profile *p, json_t *document)
{
    size_t objects_at = value_named(p, ctl->options.in_use ? "inuse_objects" : "alloc_objects");
    size_t bytes_at = value_named(p, ctl->options.in_use ? "inuse_space" : "alloc_space");
    size_t count = p->n_function + p->n_location;

    if (objects_at == p->n_sample_type || bytes_at == p->n_sample_type)
        return ctl_failed(ctl, MMGC_E_INVALID, "%s is a profile of something else", ctl->options.operand);
    struct tally *tallies = tallies_of(p);
    count_samples(p, tallies, objects_at, bytes_at, document);
    qsort_r(tallies, count, sizeof(*tallies), compare, ctl->options.sort == CTL_SORT_OBJECTS ? tallies : NULL);
    json_t *rows = document_array(document, "functions");
    for (size_t i = 0; i < count && tallies[i].with_called_bytes > 0; i++)
        add_tally(rows, &tallies[i], (double)document_get_count(document, "total_bytes"));
    free(tallies);
    document_count(document, "omitted", document_cut(rows, ctl->options.limit));
    return MMGC_E_OK;
}

/* ---- the command ---- */

static enum mmgc_error profile_ask(struct ctl *ctl, json_t *document)
{
    pprof_profile *p = NULL;
    enum mmgc_error e = read_profile(ctl, &p);

    if (e != MMGC_E_OK)
        return e;
    document_text(document, "value", ctl->options.in_use ? "inuse" : "alloc");
    document_count(document, "interval_bytes", (uint64_t)p->period);
    document_text(document, "comment", p->n_comment > 0 ? pprof_text(p, p->comment[0]) : "");
    name_addresses(p, document);
    e = tally_up(ctl, p, document);
    if (e == MMGC_E_OK && ctl->options.output != NULL)
        e = write_profile(ctl, p);
    pprof_free(p);
    return e;
}

static void profile_show(const struct ctl *ctl, const json_t *document)
{
    size_t i;
    json_t *row;

    table_show(json_object_get(document, "functions"), columns, MM_ARRAY_LEN(columns), 0, ctl->options.bytes);
    ctl_show_omitted(document);
    bytes_show(document_get_count(document, "total_bytes"), ctl->options.bytes);
    printf(" %s, %" PRIu64 " objects; one sample in ", ctl->options.in_use ? "in use" : "allocated", document_get_count(document, "total_objects"));
    bytes_show(document_get_count(document, "interval_bytes"), ctl->options.bytes);
    putchar('\n');
    json_array_foreach(json_object_get(document, "unnamed"), i, row)
    {
        printf("no names of ");
        text_show(document_get_text(row, "file"));
        printf(": %s\n", document_get_text(row, "why"));
    }
}

const struct ctl_command ctl_profile = {
    .name = "profile",
    .synopsis = "profile FILE",
    .summary = "who allocated most, by a profile that a client wrote (MMGC_PROFILE)",
    .takes = CTL_TAKES_FILE,
    .options = CTL_OPTION_LIMIT | CTL_OPTION_SORT | CTL_OPTION_BYTES | CTL_OPTION_PROFILE | CTL_OPTION_OUTPUT,
    .offline = true,
    .ask = profile_ask,
    .show = profile_show,
};
