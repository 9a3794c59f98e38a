/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Take: the snapshot that a command looks at: a new one of the heap, or the one in the file of --from.
 *   Memory   a memfd of ours, with all of its pages, that the daemon fills (docs/protocol.md#snapshot); asked for again, larger, if the heap
 *            has grown meanwhile                                                                     */
#include "client/ctl/ctl.h"
#include "client/ctl/snap/graph.h"
#include "client/ctl/snap/snap.h"

struct taken {
    void *address;                            /* read-only; munmap() it, or snap_open() takes it */
    size_t bytes, used;
    uint64_t stop_ns, pause_ns;               /* what it cost the heap's clients */
};
enum mmgc_error take_memory(struct ctl *ctl, struct taken *ret);
/* What options.from or options.operand say, and its graph if @ret_graph is not NULL. */
enum mmgc_error take_snapshot(struct ctl *ctl, struct snap **ret_snap, struct snap_graph **ret_graph);

/* What people write for an object: "0x1a2b8", its offset in the arena, anywhere in it. False: it is none, which ctl_failed() has said. */
bool take_object(struct ctl *ctl, const struct snap *s, const char *text, struct snap_object *ret);
bool take_is_place(const char *text);         /* it looks like one, and not like a type's name */
/* Who holds: "holder", for people, "owner" (names, estate, client, thread, immortal) and, of the middle ones, "client", "session", "pid", "uid";
 * "thread", "thread_name". */
void take_owner(json_t *row, const struct snap *s, uint32_t owner);
