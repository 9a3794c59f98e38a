/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c - Layout: a table by type number, each row stored once, by whoever comes first. */
#include "client/layout.h"

#include <errno.h>
#include <stdlib.h>

#include "client/error.h"

typedef _Atomic(struct layout *) layout_row;

/* The offsets that @refs tell of, to @to; how many. */
static uint32_t expand(struct layout *l, uint32_t *to, const uint32_t *refs, uint32_t count)
{
    uint32_t made = 0;

    for (uint32_t i = 0; i < count; i++) {
        enum shm_ref_kind kind = shm_ref_kind(refs[i]);
        to[made++] = shm_ref_offset(refs[i]);
        if (kind == SHM_REF_EPHEMERON)
            to[made++] = shm_ref_offset(refs[i]) + sizeof(uint32_t);
        l->weak |= kind != SHM_REF_STRONG && kind != SHM_REF_QUEUE && kind != SHM_REF_LINK;
    }
    return made;
}

static struct layout *layout_new(const struct shm_type_layout *given)
{
    size_t most = 2 * ((size_t)given->ref_count + given->element_ref_count);
    struct layout *l = calloc(1, sizeof(*l) + most * sizeof(uint32_t));

    if (l == NULL)
        return NULL;
    l->fixed_bytes = given->fixed_bytes;
    l->bytes = (uint32_t)object_bytes(given->fixed_bytes, 0, 0);
    l->element_bytes = given->element_bytes;
    l->ref_count = expand(l, l->refs, given->refs, given->ref_count);
    l->element_refs = l->refs + l->ref_count;
    l->element_ref_count = expand(l, l->refs + l->ref_count, given->element_refs, given->element_ref_count);
    return l;
}

/* The heap's table, made when it is first needed; NULL: no memory. */
static layout_row *table_of(struct mmgc_heap *heap)
{
    layout_row *table = at_load_acquire(&heap->layouts), *made;

    if (table != NULL)
        return table;
    made = calloc(SHM_TYPES_MAX, sizeof(*made));
    if (made == NULL || at_cas_acq_rel(&heap->layouts, &table, made))
        return made;
    free(made);
    return table;
}

int layout_keep(struct mmgc_heap *heap, uint32_t id, const struct shm_type_layout *given)
{
    layout_row *table = table_of(heap);
    struct layout *was = NULL, *made;

    if (table != NULL && at_load_acquire(&table[id]) != NULL)
        return MMGC_E_OK;
    made = table == NULL ? NULL : layout_new(given);
    if (made == NULL)
        return error_system("malloc", -ENOMEM);
    if (!at_cas_acq_rel(&table[id], &was, made))
        free(made);
    return MMGC_E_OK;
}

void layout_free_all(struct mmgc_heap *heap)
{
    layout_row *table = at_load_relaxed(&heap->layouts);

    for (uint32_t id = 0; table != NULL && id < SHM_TYPES_MAX; id++)
        free(at_load_relaxed(&table[id]));
    free(table);
}
