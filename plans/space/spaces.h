/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Spaces: what is asked of all of them at once. */
#include "plans/plan.h"

enum heap_fault spaces_check_block_stw(const struct heap *h, uint32_t block);
size_t spaces_describe(const struct heap *h, struct heap_space_info *ret, size_t capacity);
