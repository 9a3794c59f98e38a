/* SPDX-License-Identifier: Apache-2.0 */
/* snapshots.c - Snapshots: a stranger's memory, made safe to write to with the world stopped.
 * A page that is not there when we write to it is SIGBUS, which would be the daemon's end; one that has to be found first is a longer pause. Why all
 * pages are there, and stay, in the order in which it is checked:
 *   P1  the descriptor knows seals, and has SHRINK and GROW: it is of a memfd (files of a tmpfs are born sealed against seals), and its size, which is
 *       read after that, stays. Nothing before this asks a file system that may be slow to answer, as one of FUSE could be
 *   P2  it is of the kernel's tmpfs, not of hugetlbfs, which knows seals and where pages may be missing
 *   P3  it is mapped, for writing, and only then sealed FUTURE_WRITE and SEAL: from then on fallocate(2) refuses to punch (EPERM; so does
 *       MADV_REMOVE, which is the same), as it does for control segments. The seal and the hole are made under the same lock
 *   P4  only then it is asked how many blocks it has: as many as its size wants, so no hole is in it, and by P1 and P3 none comes
 *   P5  its pages are then mapped one by one (MADV_POPULATE_WRITE); a kernel before 5.14 leaves that to the copying
 * Pages can be swapped out, as the daemon's own can; they come back, on the account of the cgroup that they are charged to. A writable mapping that
 * the client made before goes on: it can spoil its own copy, which nobody here ever reads.             */
#include "daemon/snapshots.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/spare.h"
#include "shm/units.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

struct snapshot {
    uv_work_t work;
    struct request *request;                  /* while the pool has it */
    struct server *server;
    int fd;                                   /* -1: closed */
    const char *fault;
    struct snapshot_memory memory;
};

struct snapshot_memory *snapshot_memory(struct snapshot *s)
{
    return &s->memory;
}

const char *snapshot_fault(const struct snapshot *s)
{
    return s->fault;
}

/* ---- in the pool ---- */

static const char *check_kind(int fd)
{
    struct statfs system;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW)) /* P1 */
        return "it is no memfd sealed with F_SEAL_SHRINK and F_SEAL_GROW";
    if ((seals & F_SEAL_SEAL) != 0)
        return "it is sealed with F_SEAL_SEAL already: the daemon adds seals of its own";
    if (fstatfs(fd, &system) < 0 || system.f_type != TMPFS_MAGIC) /* P2 */
        return "it is of huge pages";
    return NULL;
}

static const char *map(struct snapshot *s)
{
    struct stat stat;

    if (fstat(s->fd, &stat) < 0 || stat.st_size < (off_t)MM_PAGE_BYTES || stat.st_size % MM_PAGE_BYTES != 0)
        return "its size is no multiple of pages";
    if ((uint64_t)stat.st_size > 2 * MM_ARENA_MAX_BYTES)
        return "it is larger than any snapshot";
    void *address = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (address == MAP_FAILED)
        return "it cannot be mapped for writing";
    s->memory.address = address;
    s->memory.bytes = (uint64_t)stat.st_size;
    if (fcntl(s->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) /* P3 */
        return "it cannot be sealed with F_SEAL_FUTURE_WRITE";
    if (fstat(s->fd, &stat) < 0 || (uint64_t)stat.st_blocks * 512 < s->memory.bytes) /* P4 */
        return "some of its pages are missing: fallocate(2) all of it first";
    (void)madvise(address, s->memory.bytes, MADV_DONTDUMP);
    if (madvise(address, s->memory.bytes, MADV_POPULATE_WRITE) < 0 && errno != EINVAL) /* P5 */
        return "its pages cannot be mapped";
    return NULL;
}

static void prepare(uv_work_t *work)
{
    struct snapshot *s = work->data;

    s->fault = check_kind(s->fd);
    if (s->fault == NULL)
        s->fault = map(s);
    close(s->fd); /* a stranger's close may sleep: here */
    s->fd = -1;
}

static void on_prepared(uv_work_t *work, int status)
{
    struct snapshot *s = work->data;
    struct request *r = s->request;

    if (status < 0) /* never run: the loop ends */
        s->fault = "the daemon is ending";
    s->request = NULL;
    request_continue(r);
}

static void unmap(uv_work_t *work)
{
    struct snapshot *s = work->data;

    if (s->memory.address != NULL)
        munmap(s->memory.address, s->memory.bytes);
    if (s->fd >= 0)
        close(s->fd);
}

static void on_unmapped(uv_work_t *work, int status)
{
    struct snapshot *s = work->data;

    (void)status;
    spare_free(s);
}

/* ---- on the loop ---- */

bool snapshot_begin(struct request *r)
{
    struct session *session = r->session;
    struct server *server = session->server;
    char why[QUOTA_WHY_MAX];

    if (session->has_snapshot) {
        answer_error(r, MMGC_E_LIMIT, "this connection has a snapshot under way");
        return false;
    }
    if (server->snapshots >= SNAPSHOTS_MAX) {
        answer_error(r, MMGC_E_LIMIT, "%u snapshots are under way, the most there may be at once; try again in a moment", SNAPSHOTS_MAX);
        return false;
    }
    if (!charges_take_files(&session->charges, 1, session->peer.administrator)) {
        answer_error(r, MMGC_E_LIMIT, "%s", account_explain(session->charges.account, QUOTA_FILES, 1, why));
        return false;
    }
    struct snapshot *s = spare_calloc(1, sizeof(*s));
    if (s == NULL) {
        charges_give_back(&session->charges, QUOTA_FILES, 1);
        answer_errno(r, -ENOMEM, "a snapshot");
        return false;
    }
    session->has_snapshot = true;
    server->snapshots++;
    *s = (struct snapshot){ .request = r, .server = server, .fd = r->fds.fd[0] };
    r->fds.fd[0] = -1;
    r->snapshot = s;
    s->work.data = s;
    MM_ASSERT(uv_queue_work(&server->loop, &s->work, prepare, on_prepared) == 0);
    return true;
}

void snapshot_free(struct session *session, struct snapshot *s)
{
    if (s == NULL)
        return;
    session->has_snapshot = false;
    s->server->snapshots--;
    charges_give_back(&session->charges, QUOTA_FILES, 1);
    if (session->heap == NULL && session->stage < SESSION_CLOSING)
        (void)packet_pass_fds(session->sock, false); /* as before it asked how large one must be */
    MM_ASSERT(uv_queue_work(&s->server->loop, &s->work, unmap, on_unmapped) == 0);
}
