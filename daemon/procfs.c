/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/procfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
