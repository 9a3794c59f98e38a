/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Spare: memory for what the loop cannot do without, when malloc() has none: libuv ends the process otherwise, and a request that has
 * been received must become an answer. Pieces come from malloc() first, and from a store of the program's own when that says no.
 *   Bound    SPARE_BYTES: libuv's tables for as many descriptors as there may be, and some hundred requests under way. When that is used
 *            up, too, NULL; who asked says MMGC_E_SYSTEM_NOMEM
 *   Threads  any                                                                                             */
#include <stdbool.h>
#include <stddef.h>

#define SPARE_BYTES ((size_t)16 << 20)       /* untouched it costs nothing */

int spare_start(void);                       /* first of all, before libuv does anything: gives it these. 0, -errno */
void *spare_alloc(size_t bytes);             /* contents undefined */
void *spare_calloc(size_t count, size_t bytes);
void *spare_realloc(void *piece, size_t bytes);
void spare_free(void *piece);                /* NULL: nothing */
size_t spare_used_bytes(void);               /* of the store: not 0 while malloc() has said no to somebody */
