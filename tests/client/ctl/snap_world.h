/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Snap world: a small snapshot made by hand, of blocks of every shape: what tests read, and spoil.
 *   Blocks   1 lines, 2 cells of 32 bytes, 3 free, 4 and 5 a large object's, 6 immortal; of an arena of 16
 *   Owners   0 names, 1 the estate, 2 session 7, 3 session 8, 4 a thread of session 7                                   */
#include "client/ctl/snap/snap.h"

enum { SNAP_WORLD_NODE = 1, SNAP_WORLD_ROW, SNAP_WORLD_BYTES, SNAP_WORLD_WEAK, SNAP_WORLD_TYPES = SNAP_WORLD_WEAK };
#define SNAP_WORLD_LINES 1u
#define SNAP_WORLD_CELLS 2u
#define SNAP_WORLD_LARGE 4u
#define SNAP_WORLD_IMMORTAL 6u
#define SNAP_WORLD_OWNERS 5u

struct snap_world;
struct snap_world *snap_world_new(void);
struct snap_world *snap_world_free(struct snap_world *w);
/* An object in @block, behind those that are there. 0: no room. */
uint32_t snap_world_add(struct snap_world *w, uint32_t block, uint32_t type, uint32_t length);
void snap_world_set(struct snap_world *w, uint32_t ref, uint32_t word, uint32_t to);         /* its @word-th word of 4 bytes */
void snap_world_root(struct snap_world *w, uint32_t owner, uint32_t kind, uint32_t object);
/* The file: malloc()ed. */
unsigned char *snap_world_bytes(const struct snap_world *w, size_t *ret_count);
/* A file of some objects of each shape, that refer to each other. */
unsigned char *snap_world_sample(size_t *ret_count);
/* Opens a copy of @bytes: NULL, or what is wrong with it. */
const char *snap_world_open(const unsigned char *bytes, size_t count, struct snap **ret_snap);
/* Asks everything there is to be asked of it. */
void snap_world_read_all(const struct snap *s);
