/* SPDX-License-Identifier: Apache-2.0 */
/* dump.c - Dump: writes a heap into a file that other programs open. docs/dumps.md */
#include "client/ctl/dump/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl/table.h"
#include "client/ctl/take.h"

static const struct format {
    const char *name, *suffix;
    bool (*write)(struct dump *d);
} formats[] = {
    { "hprof", ".hprof", dump_hprof },
    { "heapsnapshot", ".heapsnapshot", dump_heapsnapshot },
    { "snapshot", ".mmgcsnap", dump_snapshot },
};

/* What --format says, or the file's name. NULL: ctl_failed() has said why. */
static const struct format *find_format(struct ctl *ctl)
{
    const char *name = ctl->options.format, *file = ctl->options.target;
    size_t length = strlen(file);

    for (size_t i = 0; i < MM_ARRAY_LEN(formats); i++) {
        size_t suffix = strlen(formats[i].suffix);
        if (name != NULL ? strcmp(name, formats[i].name) == 0 : length > suffix && strcmp(file + length - suffix, formats[i].suffix) == 0)
            return &formats[i];
    }
    ctl_failed(ctl, MMGC_E_INVALID, "%s%s%s: say --format=hprof, heapsnapshot or snapshot, or end the file's name with .hprof, .heapsnapshot or .mmgcsnap",
               name != NULL ? "there is no format '" : "the name of the file does not say the format", name != NULL ? name : "", name != NULL ? "'" : "");
    return NULL;
}

static enum mmgc_error write_dump(struct ctl *ctl, const struct format *format, struct dump *d, uint64_t *ret_bytes)
{
    struct sink to;
    int r = sink_open(&to, ctl->options.target);

    if (r != 0)
        return ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", ctl->options.target, strerror(r));
    d->to = &to;
    bool good = format->write(d);
    if (!good && to.error == 0)
        to.error = ENOMEM;
    r = sink_close(&to);
    *ret_bytes = to.written;
    if (r != 0)
        return ctl_failed(ctl, r == ENOMEM ? MMGC_E_SYSTEM_NOMEM : MMGC_E_SYSTEM, "%s: %s", ctl->options.target, strerror(r));
    return MMGC_E_OK;
}

static enum mmgc_error dump_ask(struct ctl *ctl, json_t *document)
{
    MM_AUTO(snap) s = NULL;
    MM_AUTO(snap_index) x = NULL;
    const struct format *format = find_format(ctl);

    if (format == NULL)
        return MMGC_E_INVALID;
    if (sink_is_stdout(ctl->options.target) && ctl->options.json)
        return ctl_failed(ctl, MMGC_E_INVALID, "the dump and --json cannot both go to standard output: name a file");
    enum mmgc_error e = take_snapshot(ctl, &s, NULL);
    if (e != MMGC_E_OK)
        return e;
    x = snap_index_new(s);
    if (x == NULL)
        return ctl_failed(ctl, MMGC_E_SYSTEM_NOMEM, "for an index of the snapshot");
    struct dump d = { .s = s, .x = x };
    uint64_t written = 0;
    e = write_dump(ctl, format, &d, &written);
    document_text(document, "heap", snap_header(s)->heap);
    document_text(document, "file", ctl->options.target);
    document_text(document, "format", format->name);
    document_count(document, "objects", snap_index_count(x));
    document_count(document, "bytes", written);
    document_count(document, "cut", d.cut);
    return e;
}

static void dump_show(const struct ctl *ctl, const json_t *document)
{
    uint64_t cut = document_get_count(document, "cut");

    if (sink_is_stdout(ctl->options.target))
        return;
    printf("%" PRIu64 " objects, ", document_get_count(document, "objects"));
    bytes_show(document_get_count(document, "bytes"), ctl->options.bytes);
    fputs(" in ", stdout);
    text_show(document_get_text(document, "file"));
    putchar('\n');
    if (cut > 0)
        printf("%" PRIu64 " objects are larger than the format holds: it has their beginning\n", cut);
}

const struct ctl_command ctl_dump = {
    .name = "dump",
    .synopsis = "dump HEAP FILE",
    .summary = "writes the heap for other tools: Eclipse MAT, VisualVM, Chrome DevTools",
    .takes = CTL_TAKES_SNAPSHOT_AND_WHAT,
    .options = CTL_OPTION_SNAPSHOT | CTL_OPTION_FORMAT | CTL_OPTION_BYTES | CTL_OPTION_ANYWAY,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = dump_ask,
    .show = dump_show,
};
