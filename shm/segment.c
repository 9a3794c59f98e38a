/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c - Segment: memfds with the rights and seals that let strangers map them.
 *   G1  the fd is 0600 and sealed before shm_segment_new() returns, so before anybody else can have it: a memfd is
 *       born 0666, and a descriptor received read-only is reopened for writing through /proc/self/fd
 *   G2  nobody can shrink a segment under its mappings (SIGBUS), nor seal it further (a client could else keep all
 *       later ones from mapping it for writing)
 *   Why and how measured: soundness S10, S14. */
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/units.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3; glibc 2.36 does not know it */
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define SEALED_SIZE (F_SEAL_SHRINK | F_SEAL_GROW)

static struct shm_segment *segment_blank(size_t bytes)
{
    struct shm_segment *seg = calloc(1, sizeof(*seg));

    if (seg != NULL)
        *seg = (struct shm_segment){ .bytes = bytes, .fd = -1 };
    return seg;
}

int shm_memfd_new(const char *label)
{
    unsigned flags = MFD_ALLOW_SEALING | MFD_CLOEXEC;
    int fd = memfd_create(label, flags | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(label, flags);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

/* Reserves more than it needs and maps over the aligned part of it, so that no other thread can map in between. */
static void *map_aligned(size_t bytes, size_t align, int protection, int fd)
{
    size_t reserved = bytes + align;
    char *start = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED)
        return MAP_FAILED;
    char *aligned = start + (mm_align_up((uintptr_t)start, align) - (uintptr_t)start);
    char *end = aligned + bytes;
    if (mmap(aligned, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        int saved = errno;
        munmap(start, reserved);
        errno = saved;
        return MAP_FAILED;
    }
    if (aligned > start)
        munmap(start, (size_t)(aligned - start));
    munmap(end, (size_t)(start + reserved - end));
    return aligned;
}

static int segment_map(struct shm_segment *seg, int fd, enum shm_access access)
{
    int protection = access == SHM_READ_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
    void *address = seg->bytes >= MM_COMMIT_BYTES
                        ? map_aligned(seg->bytes, MM_CHUNK_BYTES, protection, fd)
                        : mmap(NULL, seg->bytes, protection, MAP_SHARED, fd, 0);

    if (address == MAP_FAILED)
        return -errno;
    seg->address = address;
    if (madvise(address, seg->bytes, MADV_DONTDUMP) < 0) /* 1 GiB in a core dump is 2 s of dying */
        return -errno;
    return 0;
}

static int segment_create(struct shm_segment **ret_seg, size_t bytes, const char *label, int seals)
{
    if (bytes == 0 || bytes > PTRDIFF_MAX - MM_CHUNK_BYTES)
        return -EINVAL;
    if (strlen(label) > SHM_LABEL_MAX)
        return -ENAMETOOLONG;
    MM_AUTO(shm_segment) seg = segment_blank(mm_align_up(bytes, MM_PAGE_BYTES));
    if (seg == NULL)
        return -ENOMEM;
    seg->fd = shm_memfd_new(label);
    if (seg->fd < 0)
        return seg->fd;
    if (ftruncate(seg->fd, (off_t)seg->bytes) < 0)
        return -errno;
    int r = segment_map(seg, seg->fd, SHM_READ_WRITE); /* before the seals: FUTURE_WRITE would refuse us too */
    if (r < 0)
        return r;
    if (fcntl(seg->fd, F_ADD_SEALS, seals) < 0)
        return -errno;
    *ret_seg = MM_TAKE(seg);
    return 0;
}

int shm_segment_new(struct shm_segment **ret_seg, size_t bytes, const char *label)
{
    return segment_create(ret_seg, bytes, label, SEALED_SIZE | F_SEAL_SEAL);
}

int shm_segment_new_published(struct shm_segment **ret_seg, size_t bytes, const char *label)
{
    return segment_create(ret_seg, bytes, label, SEALED_SIZE | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

/* What a peer sent may be any file at all: one whose size can change would be a SIGBUS to come. Whether it may be
 * written is for mmap to say. */
static int check_received(int fd, size_t bytes)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS); /* fails on what is no memfd */

    if (fstat(fd, &status) < 0)
        return -errno;
    if (seals < 0 || (seals & SEALED_SIZE) != SEALED_SIZE)
        return -EBADMSG;
    if (status.st_size < 0 || (uint64_t)status.st_size != bytes || bytes == 0)
        return -EBADMSG;
    return 0;
}

int shm_segment_adopt(struct shm_segment **ret_seg, int fd, size_t bytes, enum shm_access access)
{
    int r = check_received(fd, bytes);
    if (r < 0)
        return r;
    MM_AUTO(shm_segment) seg = segment_blank(bytes);
    if (seg == NULL)
        return -ENOMEM;
    r = segment_map(seg, fd, access);
    if (r < 0)
        return r;
    if (madvise(seg->address, bytes, MADV_DONTFORK) < 0)
        return -errno;
    seg->fd = fd;
    *ret_seg = MM_TAKE(seg);
    return 0;
}

int shm_segment_init_memory(struct shm_segment *seg, void *memory, size_t bytes)
{
    if (memory == NULL || bytes == 0 || bytes % MM_PAGE_BYTES != 0 || (uintptr_t)memory % MM_PAGE_BYTES != 0)
        return -EINVAL;
    *seg = (struct shm_segment){ .address = memory, .bytes = bytes, .fd = -1 };
    return 0;
}

int shm_segment_reopen_read_only(const struct shm_segment *seg)
{
    char path[32];

    if (seg->fd < 0)
        return -EBADF;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", seg->fd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void *shm_segment_address(const struct shm_segment *seg)
{
    return seg->address;
}

size_t shm_segment_bytes(const struct shm_segment *seg)
{
    return seg->bytes;
}

int shm_segment_fd(const struct shm_segment *seg)
{
    return seg->fd;
}

struct shm_segment *shm_segment_unref(struct shm_segment *seg)
{
    if (seg == NULL)
        return NULL;
    if (seg->address != NULL)
        (void)munmap(seg->address, seg->bytes);
    if (seg->fd >= 0)
        (void)close(seg->fd);
    free(seg);
    return NULL;
}
