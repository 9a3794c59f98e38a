/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Lines: what each line of a heap's committed blocks has, in the order of addresses.
 *   Memory   3 bytes a line: a hundredth of the copies                                                     */
#include "client/ctl/snap/snap.h"

enum map_state {
    MAP_FREE,                                 /* of a block in which nothing is */
    MAP_HOLE,                                 /* of one in use, without an object */
    MAP_DEAD,                                 /* an object that the last collection did not find alive, and nobody has made since */
    MAP_OLD,                                  /* it has found it alive; or the space does not say so by lines */
    MAP_YOUNG,                                /* granted since */
    MAP_STATES
};
struct map_lines {
    uint64_t count;
    uint8_t *states;                          /* [count] enum map_state */
    uint16_t *types;                          /* [count] of an object in it; 0: none */
};
bool map_lines_init(struct map_lines *l, const struct snap *s);          /* false: not enough memory */
void map_lines_fini(struct map_lines *l);     /* zeroes are legal */
