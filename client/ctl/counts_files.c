/* SPDX-License-Identifier: Apache-2.0 */
/* counts_files.c - Counts: of a snapshot, and marks: histograms in files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ctl/counts.h"
#include "client/ctl/snap/index.h"

static json_t *count_snapshot(const struct snap *s)
{
    uint32_t types = snap_type_count(s);
    uint64_t *objects = need(calloc((size_t)types + 1, sizeof(objects[0]))), *bytes = need(calloc((size_t)types + 1, sizeof(bytes[0]))), at = 0;
    json_t *rows = need(json_array());
    struct snap_object o;

    while (snap_index_step(s, &at, &o)) {
        objects[o.type]++;
        bytes[o.type] += o.bytes;
    }
    for (uint32_t type = 1; type <= types; type++) {
        json_t *row = document_row(rows);
        document_text(row, "name", snap_type(s, type)->name);
        document_count(row, "objects", objects[type]);
        document_count(row, "bytes", bytes[type]);
    }
    free(objects);
    free(bytes);
    return rows;
}

/* Each row has what we read of it: the file may be anybody's. */
static bool rows_are_good(const json_t *rows)
{
    size_t i;
    json_t *row;

    json_array_foreach((json_t *)rows, i, row)
        if (!json_is_string(json_object_get(row, "name")) || json_integer_value(json_object_get(row, "objects")) < 0 ||
            json_integer_value(json_object_get(row, "bytes")) < 0 || !json_is_integer(json_object_get(row, "bytes")))
            return false;
    return json_is_array(rows);
}

static enum mmgc_error read_mark(struct ctl *ctl, const char *path, json_t **ret)
{
    json_error_t error;
    json_auto_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    json_t *rows = json_object_get(document, "types");

    if (document == NULL && errno != 0 && access(path, R_OK) < 0)
        return ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", path, strerror(errno));
    if (document == NULL)
        return ctl_failed(ctl, MMGC_E_INVALID, "%s: line %d: %s", path, error.line, error.text);
    if (!rows_are_good(rows))
        return ctl_failed(ctl, MMGC_E_INVALID, "%s is no histogram: `mmgcctl histogram HEAP --mark FILE` makes one", path);
    if (document_get_count(document, "omitted") > 0)
        return ctl_failed(ctl, MMGC_E_INVALID, "%s does not have all types: it was made with --limit", path);
    *ret = json_incref(rows);
    return MMGC_E_OK;
}

static bool is_json(const char *path)
{
    FILE *file = fopen(path, "re");
    int c = file == NULL ? EOF : fgetc(file);

    if (file != NULL)
        fclose(file);
    return c == '{';
}

enum mmgc_error counts_load(struct ctl *ctl, const char *file, json_t **ret)
{
    MM_AUTO(snap) s = NULL;
    int error;

    if (is_json(file))
        return read_mark(ctl, file, ret);
    const char *wrong = snap_open_file(&s, file, &error);
    if (wrong != NULL)
        return ctl_failed(ctl, error != 0 ? MMGC_E_SYSTEM : MMGC_E_INVALID, "%s: %s", file, error != 0 ? strerror(error) : wrong);
    *ret = count_snapshot(s);
    return MMGC_E_OK;
}

/* ---- marks ---- */

/* Makes each folder on the way to @path, which is absolute, and ours to change. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700); /* if not, opening the file fails, and says why */
        *slash = '/';
    }
}

/* Where a mark is; free() it. NULL: a name, and nowhere to keep it, which ctl_failed() has said. */
static char *find_mark(struct ctl *ctl, const char *mark, bool make)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *path;

    if (strpbrk(mark, "/.") != NULL)
        return need(strdup(mark));
    bool given = state != NULL && state[0] == '/';
    if (!given && (home == NULL || home[0] != '/')) {
        ctl_failed(ctl, MMGC_E_INVALID, "where '%s' is kept is said by HOME, which is not set: name a file, as in ./%s.json", mark, mark);
        return NULL;
    }
    (void)need(asprintf(&path, "%s%s/mmgcctl/%s.json", given ? state : home, given ? "" : "/.local/state", mark) < 0 ? NULL : path);
    if (make)
        make_folders(path);
    return path;
}

enum mmgc_error counts_load_mark(struct ctl *ctl, const char *mark, json_t **ret)
{
    char *path = find_mark(ctl, mark, false);
    enum mmgc_error e = path == NULL ? MMGC_E_INVALID : counts_load(ctl, path, ret);

    free(path);
    return e;
}

enum mmgc_error counts_save_mark(struct ctl *ctl, const char *mark, const json_t *histogram)
{
    char *path = find_mark(ctl, mark, true);
    enum mmgc_error e = MMGC_E_OK;

    if (path == NULL)
        return MMGC_E_INVALID;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && json_dumpfd(histogram, fd, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)) == 0;
    if ((fd >= 0 && close(fd) < 0) || !good)
        e = ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", path, strerror(errno));
    free(path);
    return e;
}
