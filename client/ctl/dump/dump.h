/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Dump: a snapshot written down as other programs read it. docs/dumps.md
 *   Memory   an index (snap/index.h) and 4 bytes an object beside the snapshot, and the sink's
 *   Same     what refers to no object is null; a weak reference keeps nothing alive there either              */
#include "client/ctl/dump/sink.h"
#include "client/ctl/snap/index.h"

struct dump {
    const struct snap *s;
    const struct snap_index *x;
    struct sink *to;
    uint64_t cut;                             /* objects of which the format holds only the beginning */
};

/* What goes wrong with the file is the sink's to say. False: not enough memory. */
bool dump_hprof(struct dump *d);              /* JAVA PROFILE 1.0.2: Eclipse MAT, VisualVM */
bool dump_heapsnapshot(struct dump *d);       /* V8's JSON: Chrome DevTools, memlab */
bool dump_snapshot(struct dump *d);           /* our own: shm/snapshot.h */

#define DUMP_LABEL_MAX 512
/* Who holds, in words: "client 'maker' (session 3, pid 120)"; of a thread "thread 1 'worker' (session 3, pid 120)". */
const char *dump_owner_label(const struct snap *s, uint32_t owner, char label[DUMP_LABEL_MAX]);
/* The root's object, if it keeps one alive; 0: it does not. */
uint32_t dump_root_object(const struct dump *d, const struct shm_snapshot_root *root);
