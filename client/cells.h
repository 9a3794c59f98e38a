/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Cells: for the sizes that are common, where the bump of their cells is, by table. Agrees with shm/cells.h.
 *   Threads  any: constants                                                                              */
#include <stdint.h>

#include "shm/mutator.h"

#define CELLS_PAYLOAD_MAX 1016u              /* of the objects in the table, in bytes without the header */

struct cells_row {
    uint16_t bytes;                          /* of a cell */
    uint16_t bump_offset;                    /* of its class's struct shm_bump in the mutator segment */
};
extern const struct cells_row cells_table[CELLS_PAYLOAD_MAX / 8 + 1];        /* by payload in granules, rounded up */

/* @payload: at most CELLS_PAYLOAD_MAX. */
static inline const struct cells_row *cells_row(uint64_t payload)
{
    return &cells_table[(payload + 7) / 8];
}
