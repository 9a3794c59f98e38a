/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Profile, its file: what the table has, and what is mapped here now, as a message of pprof's.
 *   Threads  any, without a lock                                                                         */
#include "client/profile_table.h"
#include "proto/pprof.h"

struct profile_facts {
    uint64_t interval, begun_ns, ended_ns;   /* since 1970 */
    const char *way;                         /* how stacks were walked */
};
/* NULL: no memory. pprof_free() it. */
pprof_profile *profile_build(const struct profile_copy *copy, const struct profile_facts *facts);
