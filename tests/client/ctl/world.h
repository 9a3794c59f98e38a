/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* World: heaps that a fake daemon tells of, in short pages. "trees" has everything, another name is NO_HEAP.
 *   Heaps    arbor, birch, "ce\ndar" with an escape sequence, fir, trees: two a page                                  */
#include "tests/client/ctl/fake.h"

#define WORLD_HEAPS 5
#define WORLD_HOSTILE_HEAP "ce\ndar\033[31m"
#define WORLD_HOSTILE_ROOT "zz\xff"            /* no UTF-8 */

struct world {
    unsigned looks_until_done;                /* HeapInfos that a collection takes; 0: it is done at once */
    bool ignores;                             /* collections that are asked for */
    bool stalls;                              /* its stop is given up instead */
    bool faulty;                              /* verify finds some */
    bool busy;                                /* destroy needs force */
    bool corrupt;
    bool circles;                             /* pages of handles do not go on */
    bool generational;                        /* with young pauses, a barrier and concurrent collections */
    /* What happened. */
    unsigned looks, collects, destroyed;
    uint32_t last_after_type;
    uint64_t last_session;                    /* whose handles were asked for */
    unsigned revoked, evicted;
};

fake_answer world_answer;                     /* @context is a struct world */
