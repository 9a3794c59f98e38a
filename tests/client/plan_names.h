/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Plan names: what a test in C++ asks of the plans, whose own headers are C. */
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

int plan_count(void);
const char *plan_name_of(int index);
bool plan_collects(int index);

#ifdef __cplusplus
}
#endif
