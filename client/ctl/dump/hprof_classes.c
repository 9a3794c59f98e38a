/* SPDX-License-Identifier: Apache-2.0 */
/* hprof_classes.c - Hprof: types become classes under java.lang.Object; named roots the static fields of one more, which is a root.
 *   Eclipse MAT and VisualVM want java.lang.Object, Class, ClassLoader and String to be there, and a class [B for byte arrays. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/dump/hprof.h"

#define STATICS_MAX 65535u                    /* a count of 16 bits */
enum { NAME_VALUE, NAME_CODER, NAME_HASH, NAME_NAME };

static const char *const builtin_names[HPROF_BUILTINS] = {
    [HPROF_JAVA_OBJECT] = "java/lang/Object", [HPROF_JAVA_CLASS] = "java/lang/Class",   [HPROF_JAVA_LOADER] = "java/lang/ClassLoader",
    [HPROF_JAVA_STRING] = "java/lang/String", [HPROF_JAVA_THREAD] = "java/lang/Thread", [HPROF_JAVA_BYTES] = "[B",
    [HPROF_NAMES] = "mmgc/Names",
};

static void load_class(struct hprof *h, uint32_t serial, uint64_t id, const char *name)
{
    uint64_t name_id = hprof_name(&h->out, name);

    hprof_record(&h->out, HPROF_LOAD_CLASS, 8 + 2 * h->out.id_bytes);
    hprof_put(&h->out, serial, 4);
    hprof_put_id(&h->out, id);
    hprof_put(&h->out, HPROF_TRACE_NONE, 4);
    hprof_put_id(&h->out, name_id);
}

/* A name that begins with a bracket says in Java that it is an array's. */
static void load_type(struct hprof *h, uint32_t type)
{
    char name[SHM_TYPE_NAME_MAX + 8];
    const char *own = snap_type(h->d->s, type)->name;

    if (h->classes[type].shape == HPROF_WORDS)
        snprintf(name, sizeof(name), "[L%s;", own);
    else
        snprintf(name, sizeof(name), "%s%s", own[0] == '[' ? "_" : "", own);
    load_class(h, HPROF_BUILTINS + type, hprof_type_id(h, type), name);
}

static bool add_fields(struct hprof *h, uint32_t type)
{
    struct hprof_class *class = &h->classes[type];

    if (h->field_count + HPROF_FIELDS_MAX > h->field_capacity) {
        size_t capacity = 2 * h->field_capacity + HPROF_FIELDS_MAX;
        struct hprof_field *grown = realloc(h->fields, capacity * sizeof(grown[0]));
        if (grown == NULL)
            return false;
        h->fields = grown;
        h->field_capacity = capacity;
    }
    struct hprof_field *fields = &h->fields[h->field_count];
    class->first_field = (uint32_t)h->field_count;
    class->fields = hprof_fields(h->d->s, type, fields);
    class->first_name = h->out.names + 1u;
    for (uint32_t i = 0; i < class->fields; i++) {
        char name[32];
        snprintf(name, sizeof(name), "+%" PRIu32 "%s", fields[i].at, fields[i].note);
        (void)hprof_name(&h->out, name);
        class->value_bytes += fields[i].value == HPROF_OBJECT ? h->out.id_bytes : hprof_bytes(fields[i].value);
    }
    h->field_count += class->fields;
    return true;
}

/* Those of named roots, which become static fields. */
static bool name_roots(struct hprof *h)
{
    const struct snap *s = h->d->s;

    h->root_names = malloc((STATICS_MAX + (size_t)1) * sizeof(h->root_names[0]));
    if (h->root_names == NULL)
        return false;
    for (uint32_t i = 0; i < snap_root_count(s) && h->named < STATICS_MAX; i++) {
        struct shm_snapshot_root root = snap_root(s, i);
        if (root.kind == SHM_SNAPSHOT_NAMED)
            h->root_names[h->named++] = hprof_name(&h->out, snap_string(s, root.name));
    }
    return true;
}

bool hprof_load_classes(struct hprof *h)
{
    static const char *const names[] = { [NAME_VALUE] = "value", [NAME_CODER] = "coder", [NAME_HASH] = "hash", [NAME_NAME] = "name" };
    uint32_t types = snap_type_count(h->d->s);

    h->classes = calloc((size_t)types + 1, sizeof(h->classes[0]));
    if (h->classes == NULL)
        return false;
    for (unsigned i = 0; i < MM_ARRAY_LEN(names); i++)
        h->builtin_names[i] = hprof_name(&h->out, names[i]);
    for (uint32_t i = 0; i < HPROF_BUILTINS; i++)
        load_class(h, i + 1, hprof_builtin_id(h, (enum hprof_builtin)i), builtin_names[i]);
    for (uint32_t type = 1; type <= types; type++) {
        h->classes[type].shape = hprof_shape_of(h->d->s, type);
        if (h->classes[type].shape == HPROF_INSTANCE && !add_fields(h, type))
            return false;
        if (h->classes[type].shape != HPROF_BYTES)
            load_type(h, type);
    }
    return name_roots(h);
}

/* ---- in the heap dump ---- */

/* All but the counts of static and instance fields, and these. */
static void dump_class(struct hprof *h, uint64_t id, bool has_super, uint32_t instance_bytes, uint64_t more_bytes)
{
    hprof_sub(&h->out, HPROF_CLASS, 1 + 7 * h->out.id_bytes + 4 + 4 + 2 + 2 + 2 + more_bytes);
    hprof_add_id(&h->out, id);
    hprof_add(&h->out, HPROF_TRACE_NONE, 4);
    hprof_add_id(&h->out, has_super ? hprof_builtin_id(h, HPROF_JAVA_OBJECT) : 0);
    for (int i = 0; i < 5; i++)               /* loader, signers, domain, two that are reserved: the loader is the system's */
        hprof_add_id(&h->out, 0);
    hprof_add(&h->out, instance_bytes, 4);
    hprof_add(&h->out, 0, 2);                 /* constants */
}

static void dump_fields(struct hprof *h, uint64_t id, const uint64_t *names, const uint8_t *values, uint16_t count)
{
    uint32_t bytes = 0;

    for (uint16_t i = 0; i < count; i++)
        bytes += values[i] == HPROF_OBJECT ? h->out.id_bytes : hprof_bytes((enum hprof_value)values[i]);
    dump_class(h, id, true, bytes, count * (h->out.id_bytes + UINT64_C(1)));
    hprof_add(&h->out, 0, 2);
    hprof_add(&h->out, count, 2);
    for (uint16_t i = 0; i < count; i++) {
        hprof_add_id(&h->out, names[i]);
        hprof_add(&h->out, values[i], 1);
    }
}

/* As in Java 9 and later: bytes, and a coder that says they are Latin-1. */
static void dump_builtins(struct hprof *h)
{
    const uint64_t *n = h->builtin_names;
    const uint64_t of_string[] = { n[NAME_VALUE], n[NAME_CODER], n[NAME_HASH] }, of_thread[] = { n[NAME_NAME] };
    static const uint8_t values[] = { HPROF_OBJECT, HPROF_BYTE, HPROF_INT };

    dump_class(h, hprof_builtin_id(h, HPROF_JAVA_OBJECT), false, 0, 0);
    hprof_add(&h->out, 0, 4);
    dump_fields(h, hprof_builtin_id(h, HPROF_JAVA_CLASS), NULL, NULL, 0);
    dump_fields(h, hprof_builtin_id(h, HPROF_JAVA_LOADER), NULL, NULL, 0);
    dump_fields(h, hprof_builtin_id(h, HPROF_JAVA_STRING), of_string, values, 3);
    dump_fields(h, hprof_builtin_id(h, HPROF_JAVA_THREAD), of_thread, values, 1);
    dump_fields(h, hprof_builtin_id(h, HPROF_JAVA_BYTES), NULL, NULL, 0);
}

static void dump_names(struct hprof *h)
{
    const struct snap *s = h->d->s;
    uint32_t at = 0;

    dump_class(h, hprof_builtin_id(h, HPROF_NAMES), true, 0, h->named * (2 * h->out.id_bytes + UINT64_C(1)));
    hprof_add(&h->out, h->named, 2);
    for (uint32_t i = 0; i < snap_root_count(s) && at < h->named; i++) {
        struct shm_snapshot_root root = snap_root(s, i);
        if (root.kind != SHM_SNAPSHOT_NAMED)
            continue;
        hprof_add_id(&h->out, h->root_names[at++]);
        hprof_add(&h->out, HPROF_OBJECT, 1);
        hprof_add_id(&h->out, hprof_object_id(h, root.object));
    }
    hprof_add(&h->out, 0, 2);
}

void hprof_dump_classes(struct hprof *h)
{
    uint64_t names[HPROF_FIELDS_MAX];
    uint8_t values[HPROF_FIELDS_MAX];

    dump_builtins(h);
    dump_names(h);
    for (uint32_t type = 1; type <= snap_type_count(h->d->s); type++) {
        const struct hprof_class *class = &h->classes[type];
        if (class->shape == HPROF_BYTES)
            continue;
        for (uint32_t i = 0; i < class->fields; i++) {
            names[i] = class->first_name + i;
            values[i] = (uint8_t)h->fields[class->first_field + i].value;
        }
        dump_fields(h, hprof_type_id(h, type), names, values, (uint16_t)class->fields);
    }
}
