/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/stage/collection.h"

bool stage_add_range(struct job *job, const struct packet_kind *kind, uint64_t from, uint64_t end)
{
    struct packet *p = from >= end ? NULL : job_packet_add(job, kind);

    if (p != NULL) {
        p->args[0] = from;
        p->args[1] = end;
    }
    return p != NULL || from >= end;
}

void stage_split(struct worker *w, struct packet *p)
{
    trace_split_range(w, p, p->kind->grain);
}

void stage_fold_sweep(struct sweep_tally *to, const struct sweep_tally *from)
{
    to->freed_bytes += from->freed_bytes;
    to->freed_pages += from->freed_pages;
    to->promoted_blocks += from->promoted_blocks;
    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++) {
        to->freed_blocks[kind] += from->freed_blocks[kind];
        to->closed_blocks[kind] += from->closed_blocks[kind];
        to->free_lines[kind] += from->free_lines[kind];
    }
}

void stage_fetch_row(const struct heap *h, const struct logged *row)
{
    uint64_t granule = row->object, unit = granule + row->offset;

    if (granule == 0 || unit >= h->granules)
        return;
    foreign_prefetch(h->arena, (granule - 1) * MM_GRANULE_BYTES);
    foreign_prefetch(h->arena, unit * MM_GRANULE_BYTES);
    __builtin_prefetch((const void *)&heap_vo(h)[granule / 64]);
    __builtin_prefetch((const void *)&h->log.lines[unit / MM_LINE_GRANULES]);
    if (h->log.bits != NULL)
        __builtin_prefetch((const void *)&h->log.bits[unit / MM_LINE_GRANULES]);
}
