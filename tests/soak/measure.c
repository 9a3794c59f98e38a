/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/soak/measure.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void read_status(pid_t pid, struct measure *ret)
{
    char path[64], line[256];

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        (void)sscanf(line, "VmRSS: %lu", &ret->resident_kib);
        (void)sscanf(line, "Threads: %u", &ret->threads);
    }
    if (status != NULL)
        fclose(status);
}

static unsigned long segment_kib(const char *path)
{
    char name[256] = "";
    struct stat file;

    if (readlink(path, name, sizeof(name) - 1) < 0 || strncmp(name, "/memfd:", 7) != 0 || stat(path, &file) < 0)
        return 0;
    return (unsigned long)file.st_blocks / 2;
}

struct measure measure_take(pid_t pid)
{
    struct measure m = { 0 };
    char path[64 + 256];
    struct dirent *entry;

    read_status(pid, &m);
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *fds = opendir(path);
    while (fds != NULL && (entry = readdir(fds)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        m.fds++;
        snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, entry->d_name);
        m.segments_kib += segment_kib(path);
    }
    if (fds != NULL)
        closedir(fds);
    return m;
}
