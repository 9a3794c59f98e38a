/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Table: a second session of a heap that is open, for its own table of rows and its own connection: a struct mmgc_heap that no thread
 * attaches to and that maps neither arena nor log.
 *   Rows     begin and change as those of the heap do (row.h), by threads of the heap while they are IN: a stop waits for them,
 *            whichever session they are of
 *   Close    mmgc_heap_close()                                                                              */
#include "client/heap.h"

/* MMGC_E_HEAP_GONE: what has that name now is another heap. Else as mmgc_heap_open(). */
int table_open(const struct mmgc_heap *of, struct mmgc_heap **ret_table);
