/* SPDX-License-Identifier: Apache-2.0 */
/* sheet.c - Sheet: F_SEAL_WRITE is refused while anybody has it mapped for writing: so it is unmapped before. */
#include "shm/sheet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/segment.h"

#define SEALED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static int map(struct shm_sheet *sheet, int protection)
{
    sheet->address = mmap(NULL, sheet->bytes, protection, MAP_SHARED | MAP_NORESERVE, sheet->fd, 0);
    if (sheet->address == MAP_FAILED) {
        sheet->address = NULL;
        return -errno;
    }
    (void)madvise(sheet->address, sheet->bytes, MADV_DONTDUMP);
    (void)madvise(sheet->address, sheet->bytes, MADV_DONTFORK);
    return 0;
}

int shm_sheet_new(struct shm_sheet *ret_sheet, size_t bytes, const char *label)
{
    struct shm_sheet sheet = { .bytes = bytes, .fd = shm_memfd_new(label) };

    if (sheet.fd < 0)
        return sheet.fd;
    int r = bytes == 0 || bytes > PTRDIFF_MAX ? -EINVAL : ftruncate(sheet.fd, (off_t)bytes) < 0 ? -errno : map(&sheet, PROT_READ | PROT_WRITE);
    if (r < 0) {
        (void)close(sheet.fd);
        return r;
    }
    *ret_sheet = sheet;
    return 0;
}

static void unmap(struct shm_sheet *sheet)
{
    if (sheet->address != NULL)
        (void)munmap(sheet->address, sheet->bytes);
    sheet->address = NULL;
}

int shm_sheet_seal(struct shm_sheet *sheet, size_t bytes)
{
    unmap(sheet);
    if (bytes > sheet->bytes || ftruncate(sheet->fd, (off_t)bytes) < 0)
        return bytes > sheet->bytes ? -EINVAL : -errno;
    sheet->bytes = bytes;
    return fcntl(sheet->fd, F_ADD_SEALS, SEALED) < 0 ? -errno : 0;
}

int shm_sheet_read(struct shm_sheet *ret_sheet, int fd, size_t bytes)
{
    struct shm_sheet sheet = { .bytes = bytes, .fd = fd };
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS); /* fails on what is no memfd */

    if (fstat(fd, &status) < 0)
        return -errno;
    if (seals < 0 || (seals & SEALED) != SEALED || bytes == 0 || status.st_size < 0 || (uint64_t)status.st_size != bytes)
        return -EBADMSG;
    int r = map(&sheet, PROT_READ);
    if (r < 0)
        return r;
    sheet.fd = -1;
    *ret_sheet = sheet;
    return 0;
}

void shm_sheet_close(struct shm_sheet *sheet)
{
    unmap(sheet);
    if (sheet->fd >= 0)
        (void)close(sheet->fd);
    *sheet = (struct shm_sheet)SHM_SHEET_NONE;
}
