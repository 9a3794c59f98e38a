/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reserve: address space of the system, which costs nothing until it is opened and touched. All that plans/ asks the system for memory.
 *   Units    bytes; whole pages                Threads  any, each range in one hand at a time
 *   Without a system that maps memory this file is left out, with store_new() alone to miss it                        */
#include <stdbool.h>
#include <stddef.h>

void *reserve_map(size_t bytes);                     /* nothing of it may be touched yet; NULL: no address space */
bool reserve_open(void *at, size_t bytes);           /* it may be touched, and is zero; false: no memory, and nothing has changed */
bool reserve_discard(void *at, size_t bytes);        /* opened before: its pages are the system's, and it is zero; false: it is as it was */
void reserve_unmap(void *at, size_t bytes);
