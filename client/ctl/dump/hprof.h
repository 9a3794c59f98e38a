/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hprof: one dump in that format, for the files that write it.
 *   Ids      an object's is its offset in the arena in bytes, as everywhere in mmgcctl; what has no place in the heap lies beyond */
#include "client/ctl/dump/dump.h"
#include "client/ctl/dump/hprof_shape.h"
#include "client/ctl/dump/hprof_write.h"

#define HPROF_TRACE_NONE 1u                   /* the stack trace without frames */

enum hprof_builtin {                          /* classes that tools look for, and one of ours */
    HPROF_JAVA_OBJECT, HPROF_JAVA_CLASS, HPROF_JAVA_LOADER, HPROF_JAVA_STRING, HPROF_JAVA_THREAD, HPROF_JAVA_BYTES, HPROF_NAMES, HPROF_BUILTINS
};
struct hprof_class {                          /* of a type */
    enum hprof_shape shape;
    uint32_t fields, first_field;             /* INSTANCE: rows of hprof.fields */
    uint32_t value_bytes;                     /* INSTANCE: of its fields, as they are written */
    uint64_t first_name;                      /* INSTANCE: of the fields, counting up */
};
struct hprof {
    struct dump *d;
    struct hprof_out out;
    uint64_t beyond;                          /* the first identifier that no object has */
    struct hprof_class *classes;              /* [types + 1] */
    struct hprof_field *fields;
    size_t field_count, field_capacity;
    uint64_t builtin_names[4];                /* "value", "coder", "hash", "name" */
    uint64_t *root_names;                     /* [names] of named roots' names, in the roots' order */
    uint32_t named;
};

static inline uint64_t hprof_type_id(const struct hprof *h, uint32_t type)
{
    return h->beyond + (uint64_t)type * 8;
}
static inline uint64_t hprof_builtin_id(const struct hprof *h, enum hprof_builtin which)
{
    return h->beyond + (SHM_TYPES_MAX + (uint64_t)which) * 8;
}
/* A thread's java.lang.Thread, its name's String, and that one's bytes: @part 0, 1, 2. */
static inline uint64_t hprof_thread_id(const struct hprof *h, uint32_t owner, unsigned part)
{
    return h->beyond + (2 * SHM_TYPES_MAX + (uint64_t)owner * 3 + part) * 8;
}
static inline uint64_t hprof_object_id(const struct hprof *h, uint32_t ref)      /* 0, if there is none */
{
    return ref == 0 || snap_index_find(h->d->x, ref) == SNAP_INDEX_NONE ? 0 : (uint64_t)ref * MM_GRANULE_BYTES;
}

bool hprof_load_classes(struct hprof *h);     /* names and LOAD_CLASS records; false: not enough memory */
void hprof_dump_classes(struct hprof *h);
void hprof_load_threads(struct hprof *h);     /* frames, traces, threads */
void hprof_dump_threads(struct hprof *h);     /* as objects and roots */
void hprof_dump_roots(struct hprof *h);
