/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/dump/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/base.h"

#define DIGITS_MAX 20

bool sink_is_stdout(const char *path)
{
    return strcmp(path, "-") == 0;
}

int sink_open(struct sink *to, const char *path)
{
    struct stat stat;

    *to = (struct sink){ .fd = STDOUT_FILENO, .path = path, .tells = isatty(STDERR_FILENO) == 1, .percent = 101 };
    to->bytes = malloc(SINK_BYTES);
    if (to->bytes == NULL)
        return ENOMEM;
    if (!sink_is_stdout(path))
        to->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to->fd < 0 || fstat(to->fd, &stat) < 0) {
        int error = errno;
        free(to->bytes);
        return error;
    }
    to->made = !sink_is_stdout(path) && S_ISREG(stat.st_mode);
    return 0;
}

void sink_flush(struct sink *to)
{
    for (size_t done = 0; to->error == 0 && done < to->used;) {
        ssize_t r = write(to->fd, to->bytes + done, to->used - done);
        if (r < 0 && errno != EINTR)
            to->error = errno;
        done += r < 0 ? 0 : (size_t)r;
    }
    to->written += to->used;
    to->used = 0;
}

int sink_close(struct sink *to)
{
    sink_flush(to);
    if (to->fd != STDOUT_FILENO && close(to->fd) < 0 && to->error == 0)
        to->error = errno;
    if (to->error != 0 && to->made)
        (void)unlink(to->path);
    if (to->tells && to->percent <= 100)
        fputs("\r     \r", stderr);
    free(to->bytes);
    to->bytes = NULL;
    return to->error;
}

void sink_put(struct sink *to, const void *bytes, size_t count)
{
    for (size_t done = 0, step; done < count; done += step) {
        step = MM_MIN(count - done, SINK_BYTES / 2);
        memcpy(sink_room(to, step), (const char *)bytes + done, step);
    }
}

void sink_text(struct sink *to, const char *text)
{
    sink_put(to, text, strlen(text));
}

void sink_count(struct sink *to, uint64_t number)
{
    char digits[DIGITS_MAX];
    size_t at = DIGITS_MAX;

    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    memcpy(sink_room(to, DIGITS_MAX - at), digits + at, DIGITS_MAX - at);
}

void sink_progress(struct sink *to, uint64_t done, uint64_t all)
{
    unsigned percent = all == 0 ? 100 : (unsigned)(done * 100 / all);

    if (!to->tells || percent == to->percent)
        return;
    to->percent = percent;
    fprintf(stderr, "\r%3u %%", percent);
}
