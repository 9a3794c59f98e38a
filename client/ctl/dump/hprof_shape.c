/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/dump/hprof_shape.h"

#include "shm/base.h"

static uint32_t payload_of(const struct shm_type_row *row)
{
    return (uint32_t)mm_align_up(MM_MAX(row->fixed_bytes, MM_GRANULE_BYTES), MM_GRANULE_BYTES);
}

/* At most: two for a reference, four to align after each, and longs. */
static bool fields_fit(const struct shm_type_row *row)
{
    return (uint64_t)row->ref_count * 6 + payload_of(row) / 8 <= HPROF_FIELDS_MAX;
}

enum hprof_shape hprof_shape_of(const struct snap *s, uint32_t type)
{
    const struct shm_type_row *row = snap_type(s, type);

    if (row->element_bytes == 0 && fields_fit(row))
        return HPROF_INSTANCE;
    return row->ref_count + row->element_ref_count > 0 ? HPROF_WORDS : HPROF_BYTES;
}

/* The longest primitives that are aligned, from @from to @to. */
static uint32_t fill(struct hprof_field *ret, uint32_t count, uint32_t from, uint32_t to)
{
    for (uint32_t at = from; at < to; count++) {
        enum hprof_value value = at % 8 == 0 && to - at >= 8   ? HPROF_LONG
                                 : at % 4 == 0 && to - at >= 4 ? HPROF_INT
                                 : at % 2 == 0 && to - at >= 2 ? HPROF_SHORT
                                                               : HPROF_BYTE;
        ret[count] = (struct hprof_field){ at, value, "" };
        at += hprof_bytes(value);
    }
    return count;
}

uint32_t hprof_fields(const struct snap *s, uint32_t type, struct hprof_field ret[HPROF_FIELDS_MAX])
{
    const struct shm_type_row *row = snap_type(s, type);
    const uint32_t *refs = snap_type_refs(s, type);
    uint32_t count = 0, done = 0;

    for (uint32_t i = 0; i < row->ref_count; i++) {
        uint32_t at = shm_ref_offset(refs[i]);
        enum shm_ref_kind kind = shm_ref_kind(refs[i]);
        count = fill(ret, count, done, at);
        done = at + shm_ref_bytes(kind);
        if (kind == SHM_REF_WEAK || kind == SHM_REF_PHANTOM)
            ret[count++] = (struct hprof_field){ at, HPROF_INT, " weak" };
        else if (kind == SHM_REF_EPHEMERON)
            ret[count++] = (struct hprof_field){ at, HPROF_INT, " key" };
        else
            ret[count++] = (struct hprof_field){ at, HPROF_OBJECT, "" };
        if (kind == SHM_REF_EPHEMERON)
            ret[count++] = (struct hprof_field){ at + 4, HPROF_OBJECT, "" };
        else if (kind == SHM_REF_SOFT)
            ret[count++] = (struct hprof_field){ at + 4, HPROF_INT, " used" };
    }
    return fill(ret, count, done, payload_of(row));
}
