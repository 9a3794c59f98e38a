/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside: the body of struct snap, for the files beside this one.
 *   Checked  by snap_open(): what is marked so holds for every snap there is                     */
#include "client/ctl/snap/snap.h"
#include "shm/object.h"

#define SNAP_WORDS (MM_BLOCK_GRANULES / 64u)  /* of OBJECTS a block */

struct snap {
    char *base;                               /* multiple of pages */
    size_t bytes;
    const struct shm_snapshot *header;
    const struct shm_snapshot_block *blocks;  /* checked: ascending, slots 1, 2, 3 ... of those that have one */
    const struct shm_snapshot_space *spaces;
    const struct shm_snapshot_type *types;    /* checked: sound, their refs are within REFS */
    const uint32_t *refs;
    const struct shm_snapshot_owner *owners;
    const struct shm_snapshot_root *roots;    /* checked: owner */
    const char *strings;                      /* checked: ends in a zero byte */
    const uint64_t *objects;                  /* [slots * SNAP_WORDS] */
    const char *copies;                       /* [slots * MM_BLOCK_BYTES] */
    uint32_t block_count, space_count, type_count, owner_count, root_count, slots;
    uint32_t arena_blocks;
    uint32_t *rows;                           /* [arena_blocks] 1 + row of blocks; 0: none */
    uint32_t *immortals;                      /* objects that are roots by themselves */
    uint32_t immortal_count;
};

/* The row of @granule's block if that was copied; else NULL. */
static inline const struct shm_snapshot_block *snap_row_of(const struct snap *s, uint64_t granule)
{
    uint64_t block = granule / MM_BLOCK_GRANULES;
    uint32_t row = block < s->arena_blocks ? s->rows[block] : 0;

    return row == 0 || s->blocks[row - 1].slot == 0 ? NULL : &s->blocks[row - 1];
}
static inline const uint64_t *snap_bits_of(const struct snap *s, const struct shm_snapshot_block *row)
{
    return &s->objects[(size_t)(row->slot - 1) * SNAP_WORDS];
}
/* The references of a good object's elements and fixed part, by a call that is inlined: @visit(context, at, kind, keeps, to) says whether to go on. */
#define SNAP_EACH_REF(s, o, VISIT)                                                                              \
    do {                                                                                                        \
        const struct shm_snapshot_type *type_ = &(s)->types[(o)->type - 1];                                     \
        const uint32_t *refs_ = &(s)->refs[type_->refs];                                                        \
        for (uint32_t i_ = 0; i_ < type_->row.ref_count; i_++)                                                  \
            VISIT((o), shm_ref_offset(refs_[i_]), shm_ref_kind(refs_[i_]));                                     \
        refs_ += type_->row.ref_count;                                                                          \
        for (uint64_t e_ = 0; type_->row.element_ref_count > 0 && e_ < (o)->length; e_++)                       \
            for (uint32_t i_ = 0; i_ < type_->row.element_ref_count; i_++)                                      \
                VISIT((o), type_->row.fixed_bytes + e_ * type_->row.element_bytes + shm_ref_offset(refs_[i_]),  \
                      shm_ref_kind(refs_[i_]));                                                                 \
    } while (0)

static inline uint32_t snap_word(const struct snap_object *o, uint64_t at)
{
    uint32_t word;

    __builtin_memcpy(&word, o->payload + at, sizeof(word));
    return word;
}
static inline bool snap_kind_keeps(enum shm_ref_kind kind)
{
    return kind == SHM_REF_STRONG || kind == SHM_REF_SOFT || kind == SHM_REF_QUEUE || kind == SHM_REF_LINK;
}
