/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/take.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/ctl/units.h"
#include "shm/segment.h"

#define TRIES 8

/* One Snapshot; @fd -1: how large must it be? */
static enum mmgc_error ask_snapshot(struct ctl *ctl, int fd, wire_snapshot_taken *ret)
{
    wire_snapshot body = wire_snapshot_init();
    wire_request request = wire_request_init();
    struct packet_fds fds = { .fd = { fd }, .count = fd >= 0 };
    wire_reply *reply;

    body.heap = (char *)ctl->options.operand;
    body.anyway = ctl->options.anyway;
    request.body_case = WIRE_REQUEST(SNAPSHOT);
    request.snapshot = &body;
    enum mmgc_error e = ctl_call_with(ctl, &request, &fds, WIRE_REPLY(SNAPSHOT_TAKEN), &reply);
    if (e != MMGC_E_OK)
        return e;
    *ret = *reply->snapshot_taken;
    wire_reply_free(reply);
    return MMGC_E_OK;
}

/* A memfd with all its pages, as the daemon wants it. -1: ctl_failed() has said why. */
static int make_memory(struct ctl *ctl, uint64_t bytes, enum mmgc_error *ret_error)
{
    char size[UNITS_TEXT_MAX];
    int fd = shm_memfd_new("mmgcctl-snapshot");
    int r = fd < 0 ? -fd : 0;

    if (r == 0 && ftruncate(fd, (off_t)bytes) < 0)
        r = errno;
    if (r == 0)
        r = posix_fallocate(fd, 0, (off_t)bytes);
    if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        r = errno;
    if (r == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    *ret_error = ctl_failed(ctl, MMGC_E_SYSTEM_NOMEM, "%s for the snapshot: %s", units_bytes(size, bytes), strerror(r));
    return -1;
}

static enum mmgc_error map_memory(struct ctl *ctl, int fd, uint64_t bytes, const wire_snapshot_taken *taken, struct taken *ret)
{
    void *address = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

    if (address == MAP_FAILED)
        return ctl_failed(ctl, MMGC_E_SYSTEM_NOMEM, "mapping the snapshot: %s", strerror(errno));
    *ret = (struct taken){ address, bytes, MM_MIN(taken->needed_bytes, bytes), taken->stop_ns, taken->pause_ns };
    return MMGC_E_OK;
}

enum mmgc_error take_memory(struct ctl *ctl, struct taken *ret)
{
    wire_snapshot_taken taken;
    enum mmgc_error e = MMGC_E_OK;

    for (int i = 0; i < TRIES; i++) {
        e = ask_snapshot(ctl, -1, &taken);
        if (e != MMGC_E_OK)
            return e;
        uint64_t bytes = mm_align_up(MM_MIN(taken.needed_bytes + taken.needed_bytes / 8 * (unsigned)i, 2 * MM_ARENA_MAX_BYTES), MM_PAGE_BYTES);
        int fd = make_memory(ctl, MM_MAX(bytes, (uint64_t)MM_PAGE_BYTES), &e);
        if (fd < 0)
            return e;
        e = ask_snapshot(ctl, fd, &taken);
        if (e == MMGC_E_OK && taken.taken)
            e = map_memory(ctl, fd, bytes, &taken, ret);
        close(fd);
        if (e != MMGC_E_OK || taken.taken)
            return e;
    }
    return ctl_failed(ctl, MMGC_E_LIMIT, "the heap grew each time between the question how much memory it needs and the copy");
}

static enum mmgc_error open_file(struct ctl *ctl, struct snap **ret)
{
    int error;
    const char *wrong = snap_open_file(ret, ctl->options.from, &error);

    if (wrong == NULL)
        return MMGC_E_OK;
    return ctl_failed(ctl, error != 0 ? MMGC_E_SYSTEM : MMGC_E_INVALID, "%s: %s%s%s", ctl->options.from, wrong, error != 0 ? ": " : "",
                      error != 0 ? strerror(error) : "");
}

static enum mmgc_error open_new(struct ctl *ctl, struct snap **ret)
{
    struct taken taken;
    enum mmgc_error e = take_memory(ctl, &taken);

    if (e != MMGC_E_OK)
        return e;
    const char *wrong = snap_open(ret, taken.address, taken.bytes);
    return wrong == NULL ? MMGC_E_OK : ctl_failed(ctl, MMGC_E_PROTOCOL, "%s", wrong);
}

enum mmgc_error take_snapshot(struct ctl *ctl, struct snap **ret_snap, struct snap_graph **ret_graph)
{
    enum mmgc_error e = ctl->options.from != NULL ? open_file(ctl, ret_snap) : open_new(ctl, ret_snap);

    if (e != MMGC_E_OK || ret_graph == NULL)
        return e;
    const char *wrong = snap_graph_new(ret_graph, *ret_snap);
    if (wrong == NULL)
        return MMGC_E_OK;
    *ret_snap = snap_free(*ret_snap);
    return ctl_failed(ctl, MMGC_E_SYSTEM_NOMEM, "%s", wrong);
}

bool take_is_place(const char *text)
{
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

bool take_object(struct ctl *ctl, const struct snap *s, const char *text, struct snap_object *ret)
{
    char *end;

    errno = 0;
    uint64_t place = take_is_place(text) ? strtoull(text, &end, 16) : 0;
    bool good = take_is_place(text) && errno == 0 && end != text + 2 && *end == '\0';
    if (!good || place / MM_GRANULE_BYTES > UINT32_MAX) {
        ctl_failed(ctl, MMGC_E_INVALID, "an object is named by its offset in the arena, as in 0x1a2b8, not by '%s'", text);
        return false;
    }
    if (snap_object_around(s, (uint32_t)(place / MM_GRANULE_BYTES), ret))
        return true;
    ctl_failed(ctl, MMGC_E_INVALID, "there is no object at %s", text);
    return false;
}

/* ---- owners ---- */

static const char *client_of(const struct snap *s, const struct shm_snapshot_owner *o)
{
    for (uint32_t i = 0; i < snap_owner_count(s); i++) {
        struct shm_snapshot_owner session = snap_owner(s, i);
        if (session.kind == SHM_SNAPSHOT_SESSION && session.session == o->session)
            return snap_string(s, session.name);
    }
    return "";
}

static void add_client(json_t *row, const struct snap *s, const struct shm_snapshot_owner *o)
{
    char holder[256], thread[128] = "";
    const char *client = client_of(s, o);

    if (o->kind == SHM_SNAPSHOT_THREAD)
        snprintf(thread, sizeof(thread), "thread %u '%s' of ", o->thread, snap_string(s, o->name));
    snprintf(holder, sizeof(holder), "%sclient '%.63s' (session %" PRIu64 ", pid %u)", thread, client, o->session, o->pid);
    document_text(row, "holder", holder);
    document_text(row, "client", client);
    document_count(row, "session", o->session);
    document_count(row, "pid", o->pid);
    document_count(row, "uid", o->uid);
    if (o->kind == SHM_SNAPSHOT_SESSION)
        return;
    document_count(row, "thread", o->thread);
    document_text(row, "thread_name", snap_string(s, o->name));
}

void take_owner(json_t *row, const struct snap *s, uint32_t owner)
{
    static const char *const kinds[] = { [SHM_SNAPSHOT_NAMES] = "names", [SHM_SNAPSHOT_ESTATE] = "estate", [SHM_SNAPSHOT_SESSION] = "client",
                                         [SHM_SNAPSHOT_THREAD] = "thread", [SNAP_IMMORTAL] = "immortal" };
    static const char *const holders[] = { [SHM_SNAPSHOT_NAMES] = "the heap's names", [SHM_SNAPSHOT_ESTATE] = "what clients have left to a guardian",
                                           [SNAP_IMMORTAL] = "immortal objects" };
    struct shm_snapshot_owner o = snap_owner(s, owner);

    document_text(row, "owner", kinds[o.kind]); /* snap_open() knows no others */
    if (o.kind == SHM_SNAPSHOT_SESSION || o.kind == SHM_SNAPSHOT_THREAD)
        add_client(row, s, &o);
    else
        document_text(row, "holder", holders[o.kind]);
}
