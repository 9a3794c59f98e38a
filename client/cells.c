/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cells.h"

#define BUMP(cell_class) (offsetof(struct shm_mutator, bumps) + sizeof(struct shm_bump) * (SHM_GRANT_CELLS + (cell_class)))
/* Cells that hold a header and payloads of @low to @high granules. */
#define CELL(low, high, cell_class) \
    [low ... high] = { .bytes = ((high) + 1) * MM_GRANULE_BYTES, .bump_offset = BUMP(cell_class) }

const struct cells_row cells_table[CELLS_PAYLOAD_MAX / 8 + 1] = {
    CELL(0, 1, 0),    CELL(2, 2, 1),    CELL(3, 3, 2),    CELL(4, 4, 3),    CELL(5, 5, 4),    CELL(6, 6, 5),
    CELL(7, 7, 6),    CELL(8, 9, 7),    CELL(10, 11, 8),  CELL(12, 13, 9),  CELL(14, 15, 10), CELL(16, 19, 11),
    CELL(20, 23, 12), CELL(24, 27, 13), CELL(28, 31, 14), CELL(32, 39, 15), CELL(40, 47, 16), CELL(48, 55, 17),
    CELL(56, 63, 18), CELL(64, 79, 19), CELL(80, 95, 20), CELL(96, 127, 21),
};
