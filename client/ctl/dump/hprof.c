/* SPDX-License-Identifier: Apache-2.0 */
/* hprof.c - Hprof: a heap as a Java VM's, in the binary format JAVA PROFILE 1.0.2, as the comment in OpenJDK's heapDumper.cpp describes it.
 *   Identifiers have 4 bytes while all offsets do: then tools reckon with headers of 8 bytes and references of 4, which are ours. A larger heap has
 *   8-byte ones, and looks larger than it is.
 *   Names, classes and threads come first; then, in segments, classes, threads, roots and objects: each is defined before it is used. */
#include "client/ctl/dump/hprof.h"

#include <stdlib.h>
#include <string.h>

#define NARROW_MAX UINT64_C(0xf0000000)       /* offsets below leave room for what has no place in the heap */
#define NARROW_OWNERS_MAX (1u << 20)
#define CHUNK_BYTES 65536u

/* ---- instances ---- */

static void write_instance(struct hprof *h, const struct hprof_class *class, const struct snap_object *o)
{
    struct hprof_out *out = &h->out;
    uint32_t bytes = 9 + 2 * out->id_bytes + class->value_bytes;

    hprof_sub(out, HPROF_INSTANCE_DUMP, bytes);
    unsigned char *to = hprof_room(out, bytes - 1);
    to = hprof_big(to, (uint64_t)o->ref * MM_GRANULE_BYTES, out->id_bytes);
    to = hprof_big(to, HPROF_TRACE_NONE, 4);
    to = hprof_big(to, hprof_type_id(h, o->type), out->id_bytes);
    to = hprof_big(to, class->value_bytes, 4);
    for (const struct hprof_field *f = &h->fields[class->first_field], *end = f + class->fields; f < end; f++) {
        uint64_t value = 0;
        uint32_t length = hprof_bytes(f->value);
        memcpy(&value, o->payload + f->at, length);            /* little endian, as we are */
        to = f->value == HPROF_OBJECT ? hprof_big(to, hprof_object_id(h, (uint32_t)value), out->id_bytes) : hprof_big(to, value, length);
    }
}

/* ---- arrays ---- */

/* How many elements of @wanted, of @size bytes each, one record holds. */
static uint32_t cut(struct hprof *h, uint64_t wanted, uint32_t size)
{
    uint64_t most = (HPROF_RECORD_MAX - CHUNK_BYTES) / size / 2;             /* and Java's arrays have 2^31 at most */

    h->d->cut += wanted > most;
    return (uint32_t)MM_MIN(wanted, most);
}

struct words {
    struct hprof *h;
    uint32_t at, count;                       /* written; all */
};

static void add_nulls(struct words *w, uint32_t until)
{
    while (w->at < until) {
        uint32_t count = MM_MIN(until - w->at, CHUNK_BYTES / 8);
        memset(hprof_room(&w->h->out, (size_t)count * w->h->out.id_bytes), 0, (size_t)count * w->h->out.id_bytes);
        w->at += count;
    }
}

static bool add_word(void *context, const struct snap_ref *ref)
{
    struct words *w = context;

    if (ref->at / 4 >= w->count)
        return false;
    if (!ref->keeps)
        return true;
    add_nulls(w, (uint32_t)(ref->at / 4));
    hprof_add_id(&w->h->out, hprof_object_id(w->h, ref->to));
    w->at++;
    return true;
}

static void write_words(struct hprof *h, const struct snap_object *o)
{
    struct hprof_out *out = &h->out;
    struct words w = { h, 0, cut(h, o->payload_bytes / 4, out->id_bytes) };

    hprof_sub(out, HPROF_OBJECT_ARRAY, 9 + 2 * out->id_bytes + (uint64_t)w.count * out->id_bytes);
    hprof_add_id(out, (uint64_t)o->ref * MM_GRANULE_BYTES);
    hprof_add(out, HPROF_TRACE_NONE, 4);
    hprof_add(out, w.count, 4);
    hprof_add_id(out, hprof_type_id(h, o->type));
    snap_each_ref(h->d->s, o, add_word, &w);
    add_nulls(&w, w.count);
}

/* What was asked for, without what rounds it up. */
static uint64_t exact_bytes(const struct snap *s, const struct snap_object *o)
{
    const struct shm_type_row *row = snap_type(s, o->type);

    return row->fixed_bytes + (uint64_t)row->element_bytes * o->length;
}

static void write_bytes(struct hprof *h, const struct snap_object *o)
{
    struct hprof_out *out = &h->out;
    uint32_t count = cut(h, exact_bytes(h->d->s, o), 1);

    hprof_sub(out, HPROF_PRIMITIVE_ARRAY, 10 + out->id_bytes + (uint64_t)count);
    hprof_add_id(out, (uint64_t)o->ref * MM_GRANULE_BYTES);
    hprof_add(out, HPROF_TRACE_NONE, 4);
    hprof_add(out, count, 4);
    hprof_add(out, HPROF_BYTE, 1);
    for (uint32_t at = 0, step; at < count; at += step) {
        step = MM_MIN(count - at, CHUNK_BYTES);
        memcpy(hprof_room(out, step), o->payload + at, step);
    }
}

static void write_objects(struct hprof *h)
{
    struct snap_object o;
    uint64_t at = 0, done = 0;

    while (h->d->to->error == 0 && snap_index_step(h->d->s, &at, &o)) {
        const struct hprof_class *class = &h->classes[o.type];
        switch (class->shape) {
        case HPROF_INSTANCE: write_instance(h, class, &o); break;
        case HPROF_WORDS: write_words(h, &o); break;
        case HPROF_BYTES: write_bytes(h, &o); break;
        }
        if (++done % 65536 == 0)
            sink_progress(h->d->to, done, snap_index_count(h->d->x));
    }
}

bool dump_hprof(struct dump *d)
{
    struct hprof h = { .d = d };
    uint64_t end = ((uint64_t)snap_index_top(d->x) + 1) * MM_GRANULE_BYTES;
    bool narrow = end <= NARROW_MAX && snap_owner_count(d->s) <= NARROW_OWNERS_MAX;

    h.beyond = narrow ? NARROW_MAX : 2 * MM_ARENA_MAX_BYTES;
    if (!hprof_out_init(&h.out, d->to, narrow ? 4 : 8, snap_header(d->s)->taken_ns / 1000000))
        return false;
    bool good = hprof_load_classes(&h);
    if (good) {
        hprof_load_threads(&h);
        hprof_dump_classes(&h);
        hprof_dump_threads(&h);
        hprof_dump_roots(&h);
        write_objects(&h);
    }
    hprof_out_fini(&h.out);
    free(h.classes);
    free(h.fields);
    free(h.root_names);
    return good;
}
