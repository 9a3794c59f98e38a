/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Commit: give a range of a segment its pages, huge if the system can, and take them back (soundness S11, S12, S16).
 *   Threads  any; blocking (0.1 to 5 ms a 2 MiB unit), so never on the loop thread
 *   Danger   over a memory cgroup's limit the kernel KILLS the caller: run it in the committer process.
 *            The first shm_commit_probe() commits 2 MiB, so that holds for it too.
 *   Kernel   5.14 (MADV_POPULATE_WRITE); MADV_COLLAPSE is 6.1                                              */
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

enum shm_huge { SHM_HUGE_AUTO, SHM_HUGE_NEVER };
enum shm_pages { SHM_PAGES_SMALL, SHM_PAGES_ADVISED, SHM_PAGES_COLLAPSED };   /* what a commit got */

/* What this system can do for shared memory, found once by trying on a scratch memfd; for `mmgcctl info`. */
enum shm_pages shm_commit_probe(void);
const char *shm_pages_name(enum shm_pages pages);             /* "4 KiB pages", ... a sentence for people */

/* Commits [@address, @address + @bytes), multiples of 2 MiB, of a mapped segment. 0, or -errno (-ENOMEM); what was
 * committed by then stays until the caller punches it. *ret_pages says what it became: SMALL if any of it is. Contents
 * are kept (zero if never written). SHM_HUGE_NEVER does not ask for huge pages. Not for memory that clients use
 * while they run: making it huge would stall them for milliseconds. */
int shm_commit(void *address, size_t bytes, enum shm_huge huge, enum shm_pages *ret_pages);

/* Gives the pages back to the system; they read as zero afterwards. @fd is the segment's. 0, or -errno (-EPERM for a
 * published segment). Whole 2 MiB units, or huge pages are split and little comes back. */
int shm_punch(int fd, size_t offset, size_t bytes);

/* Bytes that could be committed now without the system or our memory cgroup killing somebody: the smaller of
 * MemAvailable and memory.max - memory.current (v1 and v2). UINT64_MAX if nothing is known. 0; -EMFILE, -ENOMEM and their
 * like: it cannot be looked at now, and *ret_bytes is as it was. Takes no memory. */
int shm_commit_headroom(uint64_t *ret_bytes);
int shm_headroom_under(const char *root, uint64_t *ret_bytes);        /* the same from @root/proc and @root/sys: for tests */

/* Bytes of pages that the memfd has now (st_blocks). */
uint64_t shm_resident_bytes(int fd);
/* The first row of pages that it has at or after @from: where it begins, and bytes; 0: none. From within a row the rest of it. */
uint64_t shm_pages_after(int fd, uint64_t from, uint64_t *ret_offset);
/* How many of @bytes from @offset on have pages, up to the first that has none: what was written without a gap is among them. To read further
 * would allocate. @bytes where the system cannot say. */
size_t shm_written_bytes(int fd, size_t offset, size_t bytes);
