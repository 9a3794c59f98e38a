/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sink: a file or a pipe that bytes are written to, a MiB at a time.
 *   Errors   the first one stays, and nothing is written after it: sink_close() says it
 *   Progress on stderr, if that is a terminal                                              */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SINK_BYTES ((size_t)1 << 20)

struct sink {
    int fd, error;                            /* error: errno, 0: none */
    bool tells, made;                         /* made: there is a regular file now, which goes if it fails */
    unsigned percent;
    const char *path;                         /* borrowed */
    uint64_t written;
    size_t used;
    unsigned char *bytes;
};

/* @path "-" is stdout; a new file is for its owner alone. 0, or an errno: then nothing is open. */
int sink_open(struct sink *to, const char *path);
/* Writes the rest; if anything failed, a regular file is removed. 0 or errno. */
int sink_close(struct sink *to);
void sink_flush(struct sink *to);
void sink_put(struct sink *to, const void *bytes, size_t count);
void sink_text(struct sink *to, const char *text);
void sink_count(struct sink *to, uint64_t number);             /* in decimal */
void sink_progress(struct sink *to, uint64_t done, uint64_t all);
bool sink_is_stdout(const char *path);

/* @count bytes, SINK_BYTES at most, that the caller fills at once. */
static inline unsigned char *sink_room(struct sink *to, size_t count)
{
    if (to->used + count > SINK_BYTES)
        sink_flush(to);
    to->used += count;
    return to->bytes + to->used - count;
}
