/* SPDX-License-Identifier: Apache-2.0 */
/* headroom.c - Headroom: how much can be committed before the kernel kills somebody for it (soundness S11).
 *   H1  a file that is missing or odd says nothing; it never makes the answer larger than another file's
 *   H2  every ancestor's limit counts, so the path is walked up to the mount. In a container the path may name
 *       folders that are not visible there: the walk then ends at the one that is, the container's own. */
#include "shm/commit.h"

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

/* Reads the number a small file consists of. "max" and every other word is no number. */
static bool read_number(const char *path, uint64_t *ret_number)
{
    char text[32], *end;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0)
        return false;
    text[got] = '\0';
    *ret_number = strtoull(text, &end, 10);
    return end != text;
}

static uint64_t folder_headroom(const char *root, const struct controller *c, const char *folder)
{
    char path[PATH_MAX];
    uint64_t limit, usage;

    snprintf(path, sizeof(path), "%s%s%s/%s", root, c->mount, folder, c->limit);
    if (!read_number(path, &limit))
        return UINT64_MAX;
    snprintf(path, sizeof(path), "%s%s%s/%s", root, c->mount, folder, c->usage);
    if (!read_number(path, &usage))
        return UINT64_MAX;
    return limit > usage ? limit - usage : 0;
}

/* The least of @folder's and its ancestors'. Cuts @folder down to nothing on the way. */
static uint64_t lineage_headroom(const char *root, const struct controller *c, char *folder)
{
    uint64_t least = UINT64_MAX;

    for (;;) {
        uint64_t here = folder_headroom(root, c, folder);
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
static uint64_t cgroup_line_headroom(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *folder = controllers == NULL ? NULL : strchr(controllers + 1, ':');

    if (folder == NULL)
        return UINT64_MAX;
    *controllers++ = '\0';
    *folder++ = '\0';
    folder[strcspn(folder, "\n")] = '\0';
    if (strcmp(line, "0") == 0 && controllers[0] == '\0')
        return lineage_headroom(root, &version_2, folder);
    return names_memory(controllers) ? lineage_headroom(root, &version_1, folder) : UINT64_MAX;
}

static uint64_t meminfo_line_headroom(const char *root, char *line)
{
    unsigned long long kib;

    return sscanf(line, "MemAvailable: %llu kB", &kib) == 1 ? kib * 1024 : UINT64_MAX;
}

static uint64_t least_of_lines(const char *root, const char *file,
                               uint64_t (*read_line)(const char *root, char *line))
{
    char path[PATH_MAX], *line = NULL;
    size_t size = 0;
    uint64_t least = UINT64_MAX;

    snprintf(path, sizeof(path), "%s%s", root, file);
    FILE *lines = fopen(path, "re");
    while (lines != NULL && getline(&line, &size, lines) >= 0) {
        uint64_t here = read_line(root, line);
        least = MM_MIN(least, here);
    }
    free(line);
    if (lines != NULL)
        fclose(lines);
    return least;
}

uint64_t shm_headroom_under(const char *root)
{
    uint64_t system = least_of_lines(root, "/proc/meminfo", meminfo_line_headroom);
    uint64_t ours = least_of_lines(root, "/proc/self/cgroup", cgroup_line_headroom);

    return MM_MIN(system, ours);
}

uint64_t shm_commit_headroom(void)
{
    return shm_headroom_under("");
}
