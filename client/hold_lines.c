/* SPDX-License-Identifier: Apache-2.0 */
/* hold_lines.c - Hold lines: a small piece of ones, mapped again and again. */
#include "client/hold_lines.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/error.h"
#include "client/heap.h"
#include "shm/base.h"
#include "shm/segment.h"

#define PIECE_BYTES (UINT64_C(256) << 10) /* 512 mappings of it for the largest heap, and in cache for any */

static int piece_new(size_t bytes)
{
    int fd = shm_memfd_new("mmgc-held-lines");

    if (fd < 0)
        return fd;
    char *ones = ftruncate(fd, (off_t)bytes) < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ones == MAP_FAILED) {
        int r = -errno;
        close(fd);
        return r;
    }
    memset(ones, 1, bytes);
    (void)munmap(ones, bytes);
    return fd;
}

/* As often as is needed, one behind the other. 0, -errno. */
static int map_pieces(char **ret_lines, size_t lines, int fd, size_t piece_bytes)
{
    char *all = mmap(NULL, lines, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (all == MAP_FAILED)
        return -errno;
    for (size_t at = 0; at < lines; at += piece_bytes)
        if (mmap(all + at, MM_MIN(piece_bytes, lines - at), PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
            int r = -errno;
            (void)munmap(all, lines);
            return r;
        }
    *ret_lines = all;
    return 0;
}

static int map_locked(struct mmgc_heap *heap)
{
    size_t lines = heap_lines(heap), piece_bytes = MM_MIN(PIECE_BYTES, lines);
    char *all = NULL;
    int fd = piece_new(piece_bytes);

    if (fd < 0)
        return error_system("a memfd", fd);
    int r = map_pieces(&all, lines, fd, piece_bytes);
    close(fd);
    if (r < 0)
        return error_system("mapping ones", r);
    heap->held_lines = all;
    return MMGC_E_OK;
}

int hold_lines_map(struct mmgc_heap *heap)
{
    (void)pthread_mutex_lock(&heap->lock);
    int r = heap->held_lines != NULL ? MMGC_E_OK : map_locked(heap);
    (void)pthread_mutex_unlock(&heap->lock);
    return r;
}
