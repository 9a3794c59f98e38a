/* SPDX-License-Identifier: Apache-2.0 */
/* reserve.c - Reserve: what is not opened counts against no limit of memory (vm.overcommit_memory 2, RLIMIT_DATA): it is not writable. */
#include "plans/work/reserve.h"

#include <sys/mman.h>

void *reserve_map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return NULL;
    (void)madvise(at, bytes, MADV_NOHUGEPAGE); /* records are touched here and there: 2 MiB for each would be a lot */
    return at;
}

bool reserve_open(void *at, size_t bytes)
{
    return mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0;
}

bool reserve_discard(void *at, size_t bytes)
{
    return madvise(at, bytes, MADV_DONTNEED) == 0;
}

void reserve_unmap(void *at, size_t bytes)
{
    (void)munmap(at, bytes);
}
