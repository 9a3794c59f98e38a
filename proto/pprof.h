/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Pprof: a profile as a tree of messages that can be added to, its way into bytes, and back. The one place that sees protobuf-c's names for it.
 *   Owner    the profile, of all that is added to it; pprof_free() frees it whole
 *   Strings  are indices into the profile's table; 0 is ""
 *   Errors   adding gives NULL, or -1, when there is no memory; the profile is whole then, and can be freed
 *   Threads  one                                                                                                       */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/pprof.pb-c.h"

typedef Mmgc__Pprof__Profile pprof_profile;
typedef Mmgc__Pprof__ValueType pprof_value_type;
typedef Mmgc__Pprof__Sample pprof_sample;
typedef Mmgc__Pprof__Mapping pprof_mapping;
typedef Mmgc__Pprof__Location pprof_location;
typedef Mmgc__Pprof__Line pprof_line;
typedef Mmgc__Pprof__Function pprof_function;

pprof_profile *pprof_new(void);
void pprof_free(pprof_profile *p);           /* NULL is fine */

/* The index of @text, which is copied if it is new. Looks at all there are: for some thousands. */
int64_t pprof_string(pprof_profile *p, const char *text);
/* What stands at @index; "" if there is nothing. Borrowed. */
const char *pprof_text(const pprof_profile *p, int64_t index);

/* Each added with nothing set but its id, if it has one: its place among its like, from 1. */
pprof_mapping *pprof_add_mapping(pprof_profile *p);
pprof_location *pprof_add_location(pprof_profile *p);
pprof_function *pprof_add_function(pprof_profile *p);
pprof_line *pprof_add_line(pprof_location *location);
pprof_value_type *pprof_add_sample_type(pprof_profile *p, const char *type, const char *unit);
pprof_value_type *pprof_set_period(pprof_profile *p, const char *type, const char *unit, int64_t period);
bool pprof_add_comment(pprof_profile *p, const char *text);
/* With room for so many locations and values, all 0. */
pprof_sample *pprof_add_sample(pprof_profile *p, size_t locations, size_t values);

/* Its bytes, to be freed; NULL: no memory. */
uint8_t *pprof_pack(const pprof_profile *p, size_t *ret_bytes);
/* From bytes of anybody's. NULL: it is none, or there is no memory. Then it is checked: ids are places, every reference leads somewhere, each sample
 * has a value for each type; what is not so makes it none. */
pprof_profile *pprof_unpack(const uint8_t *bytes, size_t count);
