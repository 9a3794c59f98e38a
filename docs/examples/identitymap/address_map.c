/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing, linear probing; what is taken out closes its gap, so that there are no tombstones. */
#include "address_map.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64u

static size_t home(const struct address_map *m, uint32_t granule)
{
    return (size_t)(granule * UINT32_C(2654435761)) & (m->capacity - 1);
}

/* Where @granule is, or would go. */
static struct address_entry *place(const struct address_map *m, uint32_t granule)
{
    size_t i = home(m, granule);

    while (m->entries[i].granule != 0 && m->entries[i].granule != granule)
        i = (i + 1) & (m->capacity - 1);
    return &m->entries[i];
}

static void insert(struct address_map *m, const struct address_entry *e)
{
    *place(m, e->granule) = *e;
    m->count++;
}

static void take_out(struct address_map *m, struct address_entry *e)
{
    size_t mask = m->capacity - 1, hole = (size_t)(e - m->entries);

    for (size_t i = (hole + 1) & mask; m->entries[i].granule != 0; i = (i + 1) & mask) {
        if (((i - home(m, m->entries[i].granule)) & mask) >= ((i - hole) & mask)) { /* it may stand in the hole */
            m->entries[hole] = m->entries[i];
            hole = i;
        }
    }
    m->entries[hole] = (struct address_entry){0};
    m->count--;
}

static int grow(struct address_map *m)
{
    struct address_map larger = *m;

    if (2 * (m->count + 1) <= m->capacity)
        return MMGC_OK;
    larger.capacity = m->capacity == 0 ? FIRST_CAPACITY : 2 * m->capacity;
    larger.count = 0;
    larger.entries = calloc(larger.capacity, sizeof(*larger.entries));
    larger.between = calloc(larger.capacity, sizeof(*larger.between));
    if (larger.entries == NULL || larger.between == NULL) {
        free(larger.entries);
        free(larger.between);
        return MMGC_E_SYSTEM_NOMEM;
    }
    for (size_t i = 0; i < m->capacity; i++)
        if (m->entries[i].granule != 0)
            insert(&larger, &m->entries[i]);
    free(m->entries);
    free(m->between);
    *m = larger;
    return MMGC_OK;
}

int address_map_open(struct address_map *m, struct mmgc_heap *heap)
{
    *m = (struct address_map){0};
    int r = grow(m);
    return r == MMGC_OK ? mmgc_notices_subscribe(heap, NULL, &m->notices) : r;
}

void address_map_close(struct address_map *m)
{
    mmgc_notices_close(m->notices);
    free(m->entries);
    free(m->between);
    *m = (struct address_map){0};
}

/* ---- following ---- */

static void forget_all(struct address_map *m)
{
    for (size_t i = 0; i < m->capacity; i++)
        if (m->entries[i].granule != 0)
            (void)mmgc_unwatch(m->notices, m->entries[i].watched);
    memset(m->entries, 0, m->capacity * sizeof(*m->entries));
    m->count = 0;
    m->forgot++;
}

/* First all that moved out of the table, then all into it: one may have gone to where another was. */
static void on_notice(void *context, const struct mmgc_notice *notice, const struct mmgc_move *moves, size_t count)
{
    struct address_map *m = context;

    if (notice->incomplete) {
        forget_all(m);
        return;
    }
    m->between_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct address_entry *e = place(m, moves[i].from.granule);
        if (e->granule == 0)
            continue;
        if (moves[i].to.granule != 0) {
            m->between[m->between_count] = *e;
            m->between[m->between_count++].granule = moves[i].to.granule;
        } else {
            (void)mmgc_unwatch(m->notices, e->watched);
            m->died++;
        }
        take_out(m, e);
    }
    for (size_t i = 0; i < m->between_count; i++)
        insert(m, &m->between[i]);
    m->followed += m->between_count;
}

int address_map_follow(struct address_map *m, struct mmgc_thread *t)
{
    return mmgc_notices_due(m->notices) ? mmgc_notices_apply(m->notices, t, on_notice, m) : MMGC_OK;
}

/* ---- using ---- */

int address_map_put(struct address_map *m, struct mmgc_thread *t, const void *object, uint64_t value)
{
    int r = address_map_follow(m, t); /* or a notice to come would speak of what was at this address before */
    if (r == MMGC_OK)
        r = grow(m);
    if (r != MMGC_OK)
        return r;
    uint32_t granule = mmgc_ref_of(t, object).granule;
    struct address_entry *e = place(m, granule), fresh = {granule, value, {0, 0}};
    if (e->granule != 0) {
        e->value = value;
        return MMGC_OK;
    }
    r = mmgc_watch(m->notices, t, object, &fresh.watched);
    if (r == MMGC_OK)
        insert(m, &fresh);
    return r;
}

int address_map_get(struct address_map *m, struct mmgc_thread *t, const void *object, bool *ret_found, uint64_t *ret_value)
{
    int r = address_map_follow(m, t);
    if (r != MMGC_OK)
        return r;
    const struct address_entry *e = place(m, mmgc_ref_of(t, object).granule);
    *ret_found = e->granule != 0;
    *ret_value = e->value;
    return MMGC_OK;
}
