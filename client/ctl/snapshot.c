/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.c - Snapshot: copies a heap into a file, for later: why, retained, show and find take it by --from. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ctl/take.h"
#include "client/ctl/table.h"
#include "client/ctl/units.h"

#define PIECE_BYTES ((size_t)MM_COMMIT_BYTES)
static const char zeroes[MM_PAGE_BYTES];

/* Zero pages become holes. errno. */
static int write_piece(int fd, const char *bytes, size_t at, size_t count)
{
    for (size_t done = 0, step; done < count; done += step) {
        step = MM_MIN(count - done, (size_t)MM_PAGE_BYTES);
        if (memcmp(bytes + at + done, zeroes, step) == 0)
            continue;
        while (done + step < count && memcmp(bytes + at + done + step, zeroes, MM_MIN(count - done - step, (size_t)MM_PAGE_BYTES)) != 0)
            step += MM_MIN(count - done - step, (size_t)MM_PAGE_BYTES);
        for (size_t written = 0; written < step;) {
            ssize_t r = pwrite(fd, bytes + at + done + written, step - written, (off_t)(at + done + written));
            if (r < 0 && errno != EINTR)
                return errno;
            written += r < 0 ? 0 : (size_t)r;
        }
    }
    return 0;
}

static int write_file(int fd, const struct taken *taken)
{
    bool tells = isatty(STDERR_FILENO) == 1;
    int r = ftruncate(fd, (off_t)taken->used) < 0 ? errno : 0;

    for (size_t at = 0; r == 0 && at < taken->used; at += PIECE_BYTES) {
        r = write_piece(fd, taken->address, at, MM_MIN(PIECE_BYTES, taken->used - at));
        if (tells && at % (PIECE_BYTES * 16) == 0)
            fprintf(stderr, "\r%3u %%", (unsigned)(at * 100 / taken->used));
    }
    if (tells)
        fputs("\r     \r", stderr);
    return r;
}

/* Only its owner may read what may be anybody's data. */
static enum mmgc_error save(struct ctl *ctl, const struct taken *taken)
{
    int fd = open(ctl->options.target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 ? errno : write_file(fd, taken);

    if (fd >= 0 && close(fd) < 0 && r == 0)
        r = errno;
    return r == 0 ? MMGC_E_OK : ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", ctl->options.target, strerror(r));
}

static enum mmgc_error snapshot_ask(struct ctl *ctl, json_t *document)
{
    struct taken taken;
    enum mmgc_error e = take_memory(ctl, &taken);

    if (e != MMGC_E_OK)
        return e;
    e = save(ctl, &taken);
    (void)munmap(taken.address, taken.bytes);
    document_text(document, "heap", ctl->options.operand);
    document_text(document, "file", ctl->options.target);
    document_count(document, "bytes", taken.used);
    document_count(document, "stop_ns", taken.stop_ns);
    document_count(document, "pause_ns", taken.pause_ns);
    return e;
}

static void snapshot_show(const struct ctl *ctl, const json_t *document)
{
    char pause[UNITS_TEXT_MAX];

    bytes_show(document_get_count(document, "bytes"), ctl->options.bytes);
    fputs(" in ", stdout);
    text_show(document_get_text(document, "file"));
    printf("; the heap stood still for %s\n", units_ns(pause, document_get_count(document, "pause_ns")));
}

const struct ctl_command ctl_snapshot = {
    .name = "snapshot",
    .synopsis = "snapshot HEAP FILE",
    .summary = "copies the heap into a file, to look inside later",
    .takes = CTL_TAKES_HEAP_AND_FILE,
    .options = CTL_OPTION_ANYWAY | CTL_OPTION_BYTES,
    .timeout_ns = CTL_LONG_TIMEOUT_NS,
    .ask = snapshot_ask,
    .show = snapshot_show,
};
