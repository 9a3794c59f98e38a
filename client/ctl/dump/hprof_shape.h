/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shape: what a type of ours is in HPROF, where an object is an instance with fields of its class, or an array.
 *   INSTANCE  no elements: a field for each reference, named by its offset, and longs, ints, shorts and bytes for what lies between. The fields are
 *             as long as the payload, and a header there is as long as ours (identifiers of 4 bytes): so tools say our sizes
 *   WORDS     elements with references: an array with an entry for each 4 bytes of the payload, null where no reference is
 *   BYTES     no references, and elements or a fixed part too long for fields: byte[], as Java has strings; the type's name is lost        */
#include <stdbool.h>

#include "client/ctl/snap/snap.h"

#define HPROF_FIELDS_MAX 2048u                /* of a class */

enum hprof_shape { HPROF_INSTANCE, HPROF_WORDS, HPROF_BYTES };
enum hprof_value { HPROF_OBJECT = 2, HPROF_BYTE = 8, HPROF_SHORT = 9, HPROF_INT = 10, HPROF_LONG = 11 };   /* the format's own numbers */

struct hprof_field {
    uint32_t at;                              /* bytes from the payload */
    enum hprof_value value;
    const char *note;                         /* after the offset in its name: "", " weak", " key" */
};
enum hprof_shape hprof_shape_of(const struct snap *s, uint32_t type);
uint32_t hprof_fields(const struct snap *s, uint32_t type, struct hprof_field ret[HPROF_FIELDS_MAX]);     /* of an INSTANCE: how many */
static inline uint32_t hprof_bytes(enum hprof_value value)     /* in our payload */
{
    return value == HPROF_LONG ? 8 : value == HPROF_SHORT ? 2 : value == HPROF_BYTE ? 1 : 4;
}
