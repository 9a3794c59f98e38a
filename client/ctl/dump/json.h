/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Json: long arrays, written as they come: of numbers, a row a line, and of strings. */
#include "client/ctl/dump/sink.h"

void json_begin_numbers(struct sink *to, const char *key);     /* after what stands before it in its object */
void json_numbers(struct sink *to, const uint64_t *numbers, size_t count);           /* a row; up to 10 numbers */
void json_end_numbers(struct sink *to);
void json_begin(struct sink *to, const char *key, const char *first);                /* of strings; the caller ends it */
void json_item(struct sink *to, const char *text);             /* what is no UTF-8 becomes U+FFFD */
