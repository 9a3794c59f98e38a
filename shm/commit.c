/* SPDX-License-Identifier: Apache-2.0 */
/* commit.c - Commit: pages for a range, huge ones by whichever way works here.
 *   C1  contents never change: pages are faulted in by MADV_POPULATE_WRITE, which stores nothing and returns an
 *       error where a store would raise SIGBUS
 *   C2  what a commit is said to have got was confirmed by the kernel: MADV_COLLAPSE of a range that is huge already
 *       succeeds at once, and fails where any unit is not
 *   Costs of a 2 MiB unit (Linux 6.18, virtual machine): COLLAPSED 0.13 ms, SMALL 1.1-1.7 ms; 3-5 ms either
 *   way where the machine's host must find the memory first.  Why: soundness S16. */
#include "shm/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/segment.h"
#include "shm/units.h"

#ifndef MADV_COLLAPSE /* Linux 6.1; glibc 2.36 does not know it */
#define MADV_COLLAPSE 25
#endif

#define COLLAPSE_TRIES 3 /* EAGAIN: a page was locked or on its way to an LRU list for a moment */

static int populate(char *address, size_t bytes)
{
    if (madvise(address, bytes, MADV_POPULATE_WRITE) == 0)
        return 0;
    return errno == EFAULT ? -ENOMEM : -errno; /* EFAULT stands for the SIGBUS of a store */
}

static int collapse(char *address, size_t bytes)
{
    for (int tries = 1;; tries++) {
        if (madvise(address, bytes, MADV_COLLAPSE) == 0)
            return 0;
        if (errno != EAGAIN || tries == COLLAPSE_TRIES)
            return -errno;
    }
}

/* The kernel allocates huge pages at the fault. Neighbouring ranges merge, so the advice splits our mapping only
 * around holes, in the process that commits and no other. */
static int commit_advised(char *address, size_t bytes)
{
    if (madvise(address, bytes, MADV_HUGEPAGE) < 0)
        return -errno;
    return populate(address, bytes);
}

/* One small page a unit, so that there is something to collapse: an empty unit is refused. */
static int commit_seeds(char *address, size_t bytes)
{
    int r = 0;

    for (size_t at = 0; at < bytes && r == 0; at += MM_COMMIT_BYTES)
        r = populate(address + at, MM_PAGE_BYTES);
    return r;
}

static int commit_by(enum shm_pages way, char *address, size_t bytes, enum shm_pages *ret_pages)
{
    int r = 0;

    if (way == SHM_PAGES_ADVISED)
        r = commit_advised(address, bytes);
    else if (way == SHM_PAGES_COLLAPSED)
        r = commit_seeds(address, bytes);
    if (r < 0)
        return r;
    if (way == SHM_PAGES_SMALL || collapse(address, bytes) < 0) {
        way = SHM_PAGES_SMALL;
        r = populate(address, bytes); /* passes over what is huge already */
    }
    if (r == 0)
        *ret_pages = way;
    return r;
}

/* Bytes of the mapping at @address that smaps reports as mapped by huge pages of shared memory. */
static uint64_t huge_mapped_bytes(const void *address)
{
    char *line = NULL;
    size_t size = 0;
    bool inside = false;
    unsigned long long start, end, kib, found = 0;
    FILE *smaps = fopen("/proc/self/smaps", "re");

    while (smaps != NULL && getline(&line, &size, smaps) >= 0) {
        if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
            inside = start <= (uintptr_t)address && (uintptr_t)address < end;
        else if (inside && sscanf(line, "ShmemPmdMapped: %llu", &kib) == 1)
            found = kib;
    }
    free(line);
    if (smaps != NULL)
        fclose(smaps);
    return found * 1024;
}

/* The proof that @way works: a fresh unit committed so is mapped by one huge page. Settings in /sys tell less: they
 * are absent, overridden per process, or right on a kernel that finds no free 2 MiB. */
static bool way_works(enum shm_pages way)
{
    MM_AUTO(shm_segment) scratch = NULL;
    int r = shm_segment_new(&scratch, MM_COMMIT_BYTES, "mmgc-probe");

    if (r < 0)
        return false;
    char *unit = shm_segment_address(scratch);
    r = way == SHM_PAGES_ADVISED ? commit_advised(unit, MM_COMMIT_BYTES)
                                 : commit_seeds(unit, MM_COMMIT_BYTES);
    if (r == 0 && way == SHM_PAGES_COLLAPSED)
        r = collapse(unit, MM_COMMIT_BYTES);
    if (r == 0)
        r = populate(unit, MM_PAGE_BYTES); /* a collapse leaves the mapping to the next fault */
    return r == 0 && huge_mapped_bytes(unit) == MM_COMMIT_BYTES;
}

static enum shm_pages probed; /* written under probe_once */

static void probe(void)
{
    probed = way_works(SHM_PAGES_ADVISED)     ? SHM_PAGES_ADVISED
             : way_works(SHM_PAGES_COLLAPSED) ? SHM_PAGES_COLLAPSED
                                              : SHM_PAGES_SMALL;
}

enum shm_pages shm_commit_probe(void)
{
    static pthread_once_t probe_once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&probe_once, probe);
    return probed;
}

const char *shm_pages_name(enum shm_pages pages)
{
    switch (pages) {
    case SHM_PAGES_SMALL: return "4 KiB pages";
    case SHM_PAGES_ADVISED: return "2 MiB pages, on advice";
    case SHM_PAGES_COLLAPSED: return "2 MiB pages, by collapsing";
    }
    return "unknown pages";
}

int shm_commit(void *address, size_t bytes, enum shm_huge huge, enum shm_pages *ret_pages)
{
    MM_ASSERT((uintptr_t)address % MM_COMMIT_BYTES == 0 && bytes % MM_COMMIT_BYTES == 0);
    return commit_by(huge == SHM_HUGE_AUTO ? shm_commit_probe() : SHM_PAGES_SMALL, address, bytes,
                     ret_pages);
}

int shm_punch(int fd, size_t offset, size_t bytes)
{
    int r;

    do
        r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

uint64_t shm_resident_bytes(int fd)
{
    struct stat status;

    return fstat(fd, &status) < 0 ? 0 : (uint64_t)status.st_blocks * 512;
}

uint64_t shm_pages_after(int fd, uint64_t from, uint64_t *ret_offset)
{
    off_t at = lseek(fd, (off_t)from, SEEK_DATA); /* nobody reads or writes there: the offset is of no interest */
    off_t end = at < 0 ? at : lseek(fd, at, SEEK_HOLE);

    if (end <= at)
        return 0;
    *ret_offset = (uint64_t)at;
    return (uint64_t)(end - at);
}

size_t shm_written_bytes(int fd, size_t offset, size_t bytes)
{
    off_t hole = lseek(fd, (off_t)offset, SEEK_HOLE);

    return hole < 0 ? bytes : MM_MIN((size_t)hole - offset, bytes);
}
