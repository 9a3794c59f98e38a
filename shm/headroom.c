/* SPDX-License-Identifier: Apache-2.0 */
/* headroom.c - Headroom: how much can be committed before the kernel kills somebody for it (soundness S11).
 *   H1  a file that is missing or odd says nothing; it never makes the answer larger than another file's
 *       One that is there and cannot be looked at now, for want of descriptors or memory, is an error: "nothing known" would be no limit
 *   H2  every ancestor's limit counts, so the path is walked up to the mount. In a container the path may name
 *       folders that are not visible there: the walk then ends at the one that is, the container's own.
 *   H3  it takes no memory: it is asked when there may be none */
#include "shm/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One version of the memory controller. */
struct controller {
    const char *mount, *limit, *usage;
};
static const struct controller version_1 = { "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                             "memory.usage_in_bytes" };
static const struct controller version_2 = { "/sys/fs/cgroup", "memory.max", "memory.current" };

#define FILE_BYTES 8192u /* of a file of lines, from its beginning: more than any of these has */

struct look {
    const char *root;
    int error; /* the first that is no file's absence (H1) */
};

static void note_error(struct look *l, int error)
{
    bool passing = error == EMFILE || error == ENFILE || error == ENOMEM || error == EINTR || error == EAGAIN;

    if (passing && l->error == 0)
        l->error = -error;
}

/* Up to @capacity bytes of a file, which end with a NUL; 0: nothing. */
static size_t read_text(struct look *l, const char *path, char *ret_text, size_t capacity)
{
    size_t count = 0;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    ret_text[0] = '\0';
    if (fd < 0) {
        note_error(l, errno);
        return 0;
    }
    while (count < capacity - 1 && (got = read(fd, ret_text + count, capacity - 1 - count)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            note_error(l, errno);
            break;
        }
        count += (size_t)got;
    }
    close(fd);
    ret_text[count] = '\0';
    return count;
}

/* Reads the number a small file consists of. "max" and every other word is no number. */
static bool read_number(struct look *l, const char *path, uint64_t *ret_number)
{
    char text[32], *end;

    if (read_text(l, path, text, sizeof(text)) == 0)
        return false;
    *ret_number = strtoull(text, &end, 10);
    return end != text;
}

static uint64_t folder_headroom(struct look *l, const struct controller *c, const char *folder)
{
    char path[PATH_MAX];
    uint64_t limit, usage;

    snprintf(path, sizeof(path), "%s%s%s/%s", l->root, c->mount, folder, c->limit);
    if (!read_number(l, path, &limit))
        return UINT64_MAX;
    snprintf(path, sizeof(path), "%s%s%s/%s", l->root, c->mount, folder, c->usage);
    if (!read_number(l, path, &usage))
        return UINT64_MAX;
    return limit > usage ? limit - usage : 0;
}

/* The least of @folder's and its ancestors'. Cuts @folder down to nothing on the way. */
static uint64_t lineage_headroom(struct look *l, const struct controller *c, char *folder)
{
    uint64_t least = UINT64_MAX;

    for (;;) {
        uint64_t here = folder_headroom(l, c, folder);
        least = MM_MIN(least, here);
        char *slash = strrchr(folder, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

static bool names_memory(char *controllers)
{
    char *rest = NULL;

    for (char *name = strtok_r(controllers, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, "memory") == 0)
            return true;
    return false;
}

/* A line of /proc/self/cgroup: "4:memory:/a/b" of version 1, "0::/a/b" of version 2. */
static uint64_t cgroup_line_headroom(struct look *l, char *line)
{
    char *controllers = strchr(line, ':');
    char *folder = controllers == NULL ? NULL : strchr(controllers + 1, ':');

    if (folder == NULL)
        return UINT64_MAX;
    *controllers++ = '\0';
    *folder++ = '\0';
    folder[strcspn(folder, "\n")] = '\0';
    if (strcmp(line, "0") == 0 && controllers[0] == '\0')
        return lineage_headroom(l, &version_2, folder);
    return names_memory(controllers) ? lineage_headroom(l, &version_1, folder) : UINT64_MAX;
}

static uint64_t meminfo_line_headroom(struct look *l, char *line)
{
    unsigned long long kib;

    return sscanf(line, "MemAvailable: %llu kB", &kib) == 1 ? kib * 1024 : UINT64_MAX;
}

static uint64_t least_of_lines(struct look *l, const char *file, uint64_t (*read_line)(struct look *l, char *line))
{
    char path[PATH_MAX], text[FILE_BYTES], *rest = NULL;
    uint64_t least = UINT64_MAX;

    snprintf(path, sizeof(path), "%s%s", l->root, file);
    (void)read_text(l, path, text, sizeof(text));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        uint64_t here = read_line(l, line);
        least = MM_MIN(least, here);
    }
    return least;
}

int shm_headroom_under(const char *root, uint64_t *ret_bytes)
{
    struct look l = { .root = root };
    uint64_t system = least_of_lines(&l, "/proc/meminfo", meminfo_line_headroom);
    uint64_t ours = least_of_lines(&l, "/proc/self/cgroup", cgroup_line_headroom);

    if (l.error < 0)
        return l.error;
    *ret_bytes = MM_MIN(system, ours);
    return 0;
}

int shm_commit_headroom(uint64_t *ret_bytes)
{
    return shm_headroom_under("", ret_bytes);
}
