/* SPDX-License-Identifier: Apache-2.0 */
#include "plans/plan.h"

#include <string.h>

const struct plan *const plans[PLAN_COUNT] = { &plan_nogc,      &plan_immix,       &plan_semispace,
                                               &plan_marksweep, &plan_markcompact, &plan_compressor,
                                               &plan_pageprotect, &plan_stickyimmix, &plan_genimmix,
                                               &plan_gencopy,     &plan_concurrentimmix,
                                               &plan_concurrentstickyimmix, &plan_lxr };

const struct plan *plan_find(const char *name)
{
    for (size_t i = 0; i < PLAN_COUNT; i++)
        if (name != NULL && strcmp(plans[i]->name, name) == 0)
            return plans[i];
    return NULL;
}
