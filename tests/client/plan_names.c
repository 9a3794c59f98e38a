/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/plan_names.h"

#include "plans/plan.h"

int plan_count(void)
{
    return PLAN_COUNT;
}

const char *plan_name_of(int index)
{
    return plans[index]->name;
}

bool plan_collects(int index)
{
    return plans[index]->constraints.trace != PLAN_TRACE_NONE;
}
