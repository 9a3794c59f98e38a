/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/procfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCORE_OF_THE_LAST "-900" /* as in mmgcd.service (S11) */

/* The number behind "@key:" in a file of such lines. */
static bool parse_line(const char *line, const char *key, uint64_t *ret_value)
{
    size_t length = strlen(key);

    if (strncmp(line, key, length) != 0 || line[length] != ':')
        return false;
    *ret_value = strtoull(line + length + 1, NULL, 10);
    return true;
}

bool procfs_process_read(pid_t pid, struct procfs_process *ret_process)
{
    char path[64], line[256];
    uint64_t tracer = 0, locked_kib = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof(line), file) != NULL)
        if (!parse_line(line, "TracerPid", &tracer))
            (void)parse_line(line, "VmLck", &locked_kib);
    (void)fclose(file);
    *ret_process = (struct procfs_process){ .tracer = (pid_t)tracer, .locked_bytes = locked_kib << 10 };
    return true;
}

bool procfs_kill_us_last(void)
{
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return false;
    bool ours = read(fd, text, sizeof(text) - 1) > 0 && strtol(text, NULL, 10) == 0;
    bool done = !ours || pwrite(fd, SCORE_OF_THE_LAST, strlen(SCORE_OF_THE_LAST), 0) > 0;
    close(fd);
    return done;
}

uint64_t procfs_resident_bytes(void)
{
    char text[128] = "";
    unsigned long long pages = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof(text) - 1) <= 0 || sscanf(text, "%*u %llu", &pages) != 1)
        pages = 0;
    close(fd);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool procfs_swaps(void)
{
    char line[256];
    int lines = 0;
    FILE *file = fopen("/proc/swaps", "re");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        lines++;
    if (file != NULL)
        (void)fclose(file);
    return lines > 1; /* below the heads of the columns */
}
