/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Collections: the part of `mmgcctl info` about what collections cost and what they found. */
#include <stdbool.h>

#include <jansson.h>

#include "proto/wire.h"

void collections_fill(json_t *document, const wire_heap_facts *facts);
void collections_show(const json_t *document, bool exact);
