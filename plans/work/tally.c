/* SPDX-License-Identifier: Apache-2.0 */
/* tally.c - Packet counters without sharing: each worker counts for itself, the reader folds at the end.
 *   T1  a row with a kind has count > 0 and min_ns <= total_ns / count <= max_ns; min starts at UINT64_MAX, not at 0 */
#include "plans/work/tally.h"

#include <string.h>

static struct tally_row *tally_row(struct tally *t, const struct packet_kind *kind)
{
    size_t start = ((uintptr_t)kind >> 4) * 0x9e3779b1u; /* kinds are 24-byte rows of a table */
    for (size_t i = 0; i < TALLY_KINDS; i++) {
        struct tally_row *row = &t->rows[(start + i) % TALLY_KINDS];
        if (row->kind == kind)
            return row;
        if (row->kind == NULL) {
            *row = (struct tally_row){ .kind = kind, .min_ns = UINT64_MAX };
            return row;
        }
    }
    mm_assert_failed("at most TALLY_KINDS kinds of packets in one job", __FILE__, __LINE__);
}

static void tally_fold(struct tally *t, const struct tally_row *from)
{
    struct tally_row *row = tally_row(t, from->kind);
    row->count += from->count;
    row->total_ns += from->total_ns;
    row->min_ns = MM_MIN(row->min_ns, from->min_ns);
    row->max_ns = MM_MAX(row->max_ns, from->max_ns);
}

void tally_add(struct tally *t, const struct packet_kind *kind, uint64_t ns)
{
    struct tally_row *row = tally_row(t, kind);
    row->count++;
    row->total_ns += ns;
    row->min_ns = MM_MIN(row->min_ns, ns);
    row->max_ns = MM_MAX(row->max_ns, ns);
}

void tally_merge(struct tally *t, const struct tally *from)
{
    for (size_t i = 0; i < TALLY_KINDS; i++)
        if (from->rows[i].kind != NULL)
            tally_fold(t, &from->rows[i]);
}

static bool row_precedes(const struct tally_row *a, const struct tally_row *b)
{
    if (a->kind->stage != b->kind->stage)
        return a->kind->stage < b->kind->stage;
    return strcmp(a->kind->name, b->kind->name) < 0;
}

size_t tally_list(const struct tally *t, struct packet_counters *ret, size_t capacity)
{
    const struct tally_row *sorted[TALLY_KINDS];
    size_t n = 0;
    for (size_t i = 0; i < TALLY_KINDS; i++) {
        if (t->rows[i].kind == NULL)
            continue;
        size_t at = n++;
        for (; at > 0 && row_precedes(&t->rows[i], sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &t->rows[i];
    }
    n = MM_MIN(n, capacity);
    for (size_t i = 0; i < n; i++)
        ret[i] = (struct packet_counters){ sorted[i]->kind->name, sorted[i]->count,
                                           sorted[i]->total_ns, sorted[i]->min_ns, sorted[i]->max_ns };
    return n;
}
