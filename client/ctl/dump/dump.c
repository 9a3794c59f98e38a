/* SPDX-License-Identifier: Apache-2.0 */
/* dump.c - Dump: what the formats have in common, and the simplest of them. */
#include "client/ctl/dump/dump.h"

#include <inttypes.h>
#include <stdio.h>

const char *dump_owner_label(const struct snap *s, uint32_t owner, char label[DUMP_LABEL_MAX])
{
    struct shm_snapshot_owner o = snap_owner(s, owner);
    const char *name = snap_string(s, o.name);

    switch (o.kind) {
    case SHM_SNAPSHOT_NAMES: return "the heap's names";
    case SHM_SNAPSHOT_ESTATE: return "what clients have left to a guardian";
    case SNAP_IMMORTAL: return "immortal objects";
    case SHM_SNAPSHOT_THREAD:
        snprintf(label, DUMP_LABEL_MAX, "thread %" PRIu32 " '%.400s' (session %" PRIu64 ", pid %" PRIu32 ")", o.thread, name, o.session, o.pid);
        return label;
    default: snprintf(label, DUMP_LABEL_MAX, "client '%.400s' (session %" PRIu64 ", pid %" PRIu32 ")", name, o.session, o.pid); return label;
    }
}

uint32_t dump_root_object(const struct dump *d, const struct shm_snapshot_root *root)
{
    if (root->object == 0 || !snap_root_holds(root->kind))
        return 0;
    return snap_index_find(d->x, root->object) == SNAP_INDEX_NONE ? 0 : root->object;
}

bool dump_snapshot(struct dump *d)
{
    const char *bytes = (const char *)snap_header(d->s);
    uint64_t end = snap_bytes(d->s);

    for (uint64_t at = 0, step; at < end && d->to->error == 0; at += step) {
        step = MM_MIN(end - at, (uint64_t)SINK_BYTES);
        sink_put(d->to, bytes + at, step);
        sink_progress(d->to, at, end);
    }
    return true;
}
