/* SPDX-License-Identifier: Apache-2.0 */
/* footprint_malloc.c by mimalloc. */
#include <mimalloc.h>

#define malloc mi_malloc
#define FOOTPRINT_USED(n, nodes) ((double)mi_usable_size(n) * (double)(nodes))
#include "footprint_malloc.c"
