/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reserve: memory that is kept for the moment when there is no more. libuv ends the process where it cannot watch one more file
 * descriptor; so it allocates through us, and what is kept is given up for it. Everybody else handles a NULL: the request fails.
 *   Threads  init before there are any; refill the loop; libuv's allocations come from its pool, too         */
#include <stdbool.h>
#include <stddef.h>

#define RESERVE_BYTES (1u << 20)              /* libuv's table of 64 Ki file descriptors, twice */

void reserve_init(void);                      /* before any other call of libuv */
bool reserve_refill(void);                    /* it is whole, or is again. False: there is no memory for it: new clients must wait */
