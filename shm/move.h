/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Move: a row of a relocation notice: an object that a collection moved, or one that was watched and died. docs/heap-layout.md#moves
 *   All rows of a notice hold at once: where one leads to, another may have come from                       */
#include <assert.h>
#include <stdint.h>

struct shm_move {
    uint32_t from;                           /* granules: where it was */
    uint32_t to;                             /* where it is; 0: it died */
    uint32_t granules;                       /* how long it is, header included; 0: not known, as of what died */
};
static_assert(sizeof(struct shm_move) == 12, "docs/heap-layout.md#moves");
