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

/* The header begins the file, and says where the last section ends: snap_open() has checked that. */
bool dump_snapshot(struct dump *d)
{
    static const size_t row_bytes[SHM_SNAPSHOT_SECTIONS] = {
        [SHM_SNAPSHOT_BLOCKS] = sizeof(struct shm_snapshot_block), [SHM_SNAPSHOT_SPACES] = sizeof(struct shm_snapshot_space),
        [SHM_SNAPSHOT_TYPES] = sizeof(struct shm_snapshot_type),   [SHM_SNAPSHOT_REFS] = sizeof(uint32_t),
        [SHM_SNAPSHOT_OWNERS] = sizeof(struct shm_snapshot_owner), [SHM_SNAPSHOT_ROOTS] = sizeof(struct shm_snapshot_root),
        [SHM_SNAPSHOT_STRINGS] = 1,                                [SHM_SNAPSHOT_OBJECTS] = SHM_SNAPSHOT_BITS,
        [SHM_SNAPSHOT_BYTES] = MM_BLOCK_BYTES,
    };
    const struct shm_snapshot *header = snap_header(d->s);
    uint64_t end = sizeof(*header);

    for (unsigned i = 0; i < SHM_SNAPSHOT_SECTIONS; i++)
        end = MM_MAX(end, header->sections[i].offset + header->sections[i].count * row_bytes[i]);
    for (uint64_t at = 0, step; at < end && d->to->error == 0; at += step) {
        step = MM_MIN(end - at, (uint64_t)SINK_BYTES);
        sink_put(d->to, (const char *)header + at, step);
        sink_progress(d->to, at, end);
    }
    return true;
}
