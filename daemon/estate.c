/* SPDX-License-Identifier: Apache-2.0 */
/* estate.c - Estate: guarded objects of clients that are gone.
 *   E1  a row with an heir is GUARDED or READY, and collections change it as they do a session's; without one it is FREE and 0
 *   E2  what many rows cost together grows with their number alone: a row is looked for from where one may be
 *   E3  rows come and go under the heap's lock, so never while the world is stopped */
#include "daemon/estate.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROWS 64u

void estate_fini(struct estate *e)
{
    for (uint32_t i = 0; i < e->high; i++)
        free(e->heirs[i]);
    free((void *)e->words);
    free((void *)e->tags);
    free(e->marks);
    free(e->heirs);
    *e = (struct estate){ 0 };
}

static bool resize(void **array, size_t rows, size_t bytes)
{
    void *grown = realloc(*array, rows * bytes);

    if (grown != NULL)
        *array = grown;
    return grown != NULL;
}

static bool grow(struct estate *e)
{
    uint32_t rows = e->capacity == 0 ? FIRST_ROWS : e->capacity * 2;
    void *words = (void *)e->words, *tags = (void *)e->tags, *marks = e->marks, *heirs = e->heirs;
    bool grown = rows <= ESTATE_MAX && resize(&words, rows, sizeof(*e->words)) && resize(&tags, rows, sizeof(*e->tags)) &&
                 resize(&marks, rows, sizeof(*e->marks)) && resize(&heirs, rows, sizeof(*e->heirs));

    e->words = words; /* what has grown has moved, whatever came of the rest */
    e->tags = tags;
    e->marks = marks;
    e->heirs = heirs;
    e->capacity = grown ? rows : e->capacity;
    return grown;
}

static uint32_t free_row(struct estate *e)
{
    while (e->free_from < e->high && e->heirs[e->free_from] != NULL)
        e->free_from++;
    return e->free_from;
}

static bool add(struct estate *e, const char *heir, enum shm_row_kind kind, uint32_t granule, uint64_t mark)
{
    uint32_t row = free_row(e);

    if (row == e->capacity && !grow(e))
        return false;
    char *name = strdup(heir);
    if (name == NULL)
        return false;
    e->heirs[row] = name;
    e->marks[row] = mark;
    at_store_relaxed(&e->words[row], granule);
    at_store_relaxed(&e->tags[row], shm_row_tag(kind, 0));
    e->high = MM_MAX(e->high, row + 1);
    e->count++;
    return true;
}

uint32_t estate_inherit(struct estate *e, const char *heir, const struct shm_session MM_NODEREF *table, uint32_t count)
{
    uint32_t lost = 0;

    for (uint32_t i = 1; i < MM_MIN(count, SHM_ROWS_MAX); i++) {
        enum shm_row_kind kind = shm_row_kind(at_load_relaxed(&table->row_tags[i]));
        uint32_t granule = kind == SHM_ROW_GUARDED || kind == SHM_ROW_READY ? at_load_relaxed(&table->row_words[i]) : 0;
        if (granule != 0)
            lost += !add(e, heir, kind, granule, at_load_relaxed(&table->row_notes[i].since_ns));
    }
    return lost;
}

static void end_row(struct estate *e, uint32_t row)
{
    free(e->heirs[row]);
    e->heirs[row] = NULL;
    at_store_relaxed(&e->tags[row], shm_row_tag(SHM_ROW_FREE, 0));
    at_store_relaxed(&e->words[row], 0);
    e->count--;
    e->free_from = MM_MIN(e->free_from, row);
}

uint32_t estate_take(struct estate *e, const char *heir, uint64_t *ret_mark)
{
    for (uint32_t k = 0, i = e->look_from; k < e->high; k++, i++) {
        i = i < e->high ? i : 0;
        uint32_t tag = at_load_relaxed(&e->tags[i]), granule = at_load_relaxed(&e->words[i]);
        if (e->heirs[i] == NULL || strcmp(e->heirs[i], heir) != 0)
            continue;
        bool ready = shm_row_kind(tag) == SHM_ROW_READY && granule != 0;
        *ret_mark = e->marks[i];
        if (ready || granule == 0) /* or forged, and cleared by a collection */
            end_row(e, i);
        if (!ready)
            continue;
        e->look_from = i + 1;
        return granule;
    }
    return 0;
}

struct heap_roots estate_roots(const struct estate *e)
{
    return (struct heap_roots){ .kind = HEAP_ROOTS_TABLE, .words = e->words, .count = e->high, .tags = e->tags };
}
