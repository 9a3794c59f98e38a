/* SPDX-License-Identifier: Apache-2.0 */
/* hprof_roots.c - Hprof: threads with their names, and who holds what: handles are JNI globals, exact roots JNI locals, words of stacks a frame's. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl/dump/hprof.h"

static bool is_thread(const struct snap *s, uint32_t owner)
{
    return snap_owner(s, owner).kind == SHM_SNAPSHOT_THREAD;
}

/* Of threads their number in the file, of traces and frames the same and one more: 1 is the empty trace. */
static uint32_t serial_of(uint32_t owner)
{
    return owner + 1;
}
static uint32_t trace_of(uint32_t owner)
{
    return owner + HPROF_TRACE_NONE + 1;
}

static void load_trace(struct hprof *h, uint32_t trace, uint32_t thread, uint32_t frames)
{
    hprof_record(&h->out, HPROF_TRACE, 12 + frames * h->out.id_bytes);
    hprof_put(&h->out, trace, 4);
    hprof_put(&h->out, thread, 4);
    hprof_put(&h->out, frames, 4);
    for (uint32_t i = 0; i < frames; i++)
        hprof_put_id(&h->out, trace);
}

static void load_frame(struct hprof *h, uint32_t frame, const uint64_t names[3])
{
    hprof_record(&h->out, HPROF_FRAME, 4 * h->out.id_bytes + 8);
    hprof_put_id(&h->out, frame);
    for (int i = 0; i < 3; i++)
        hprof_put_id(&h->out, names[i]);
    hprof_put(&h->out, HPROF_JAVA_THREAD + 1, 4);              /* the class's serial */
    hprof_put(&h->out, UINT32_MAX, 4);                         /* no line is known */
}

void hprof_load_threads(struct hprof *h)
{
    const struct snap *s = h->d->s;
    char label[DUMP_LABEL_MAX];
    const uint64_t frame_names[] = { hprof_name(&h->out, "roots"), hprof_name(&h->out, "()V"), hprof_name(&h->out, "mmgc") };

    load_trace(h, HPROF_TRACE_NONE, 0, 0);
    for (uint32_t i = 0; i < snap_owner_count(s); i++) {
        if (!is_thread(s, i))
            continue;
        uint64_t name = hprof_name(&h->out, dump_owner_label(s, i, label));
        load_frame(h, trace_of(i), frame_names);
        load_trace(h, trace_of(i), serial_of(i), 1);
        hprof_record(&h->out, HPROF_START_THREAD, 8 + 4 * h->out.id_bytes);
        hprof_put(&h->out, serial_of(i), 4);
        hprof_put_id(&h->out, hprof_thread_id(h, i, 0));
        hprof_put(&h->out, trace_of(i), 4);
        hprof_put_id(&h->out, name);
        hprof_put_id(&h->out, frame_names[2]);
        hprof_put_id(&h->out, frame_names[2]);
    }
}

static void dump_instance(struct hprof *h, uint64_t id, enum hprof_builtin class, uint32_t bytes)
{
    hprof_sub(&h->out, HPROF_INSTANCE_DUMP, 9 + 2 * h->out.id_bytes + bytes);
    hprof_add_id(&h->out, id);
    hprof_add(&h->out, HPROF_TRACE_NONE, 4);
    hprof_add_id(&h->out, hprof_builtin_id(h, class));
    hprof_add(&h->out, bytes, 4);
}

/* The thread itself, its name, and the bytes of that. */
static void dump_thread(struct hprof *h, uint32_t owner)
{
    char room[DUMP_LABEL_MAX];
    const char *label = dump_owner_label(h->d->s, owner, room);
    uint32_t length = (uint32_t)strlen(label);

    dump_instance(h, hprof_thread_id(h, owner, 0), HPROF_JAVA_THREAD, h->out.id_bytes);
    hprof_add_id(&h->out, hprof_thread_id(h, owner, 1));
    dump_instance(h, hprof_thread_id(h, owner, 1), HPROF_JAVA_STRING, h->out.id_bytes + 5);
    hprof_add_id(&h->out, hprof_thread_id(h, owner, 2));
    hprof_add(&h->out, 0, 1);
    hprof_add(&h->out, 0, 4);
    hprof_sub(&h->out, HPROF_PRIMITIVE_ARRAY, 10 + h->out.id_bytes + length);
    hprof_add_id(&h->out, hprof_thread_id(h, owner, 2));
    hprof_add(&h->out, HPROF_TRACE_NONE, 4);
    hprof_add(&h->out, length, 4);
    hprof_add(&h->out, HPROF_BYTE, 1);
    memcpy(hprof_room(&h->out, length), label, length);
}

void hprof_dump_threads(struct hprof *h)
{
    for (uint32_t i = 0; i < snap_owner_count(h->d->s); i++) {
        if (!is_thread(h->d->s, i))
            continue;
        hprof_sub(&h->out, HPROF_ROOT_THREAD, 9 + h->out.id_bytes);
        hprof_add_id(&h->out, hprof_thread_id(h, i, 0));
        hprof_add(&h->out, serial_of(i), 4);
        hprof_add(&h->out, trace_of(i), 4);
        dump_thread(h, i);
    }
}

/* A root that only has an object. */
static void dump_sticky(struct hprof *h, uint64_t id)
{
    hprof_sub(&h->out, HPROF_ROOT_STICKY, 1 + h->out.id_bytes);
    hprof_add_id(&h->out, id);
}

static void dump_of_thread(struct hprof *h, enum hprof_sub tag, const struct shm_snapshot_root *root)
{
    hprof_sub(&h->out, tag, 9 + h->out.id_bytes);
    hprof_add_id(&h->out, hprof_object_id(h, root->object));
    hprof_add(&h->out, serial_of(root->owner), 4);
    hprof_add(&h->out, 0, 4);                 /* the thread's only frame */
}

static void dump_global(struct hprof *h, const struct shm_snapshot_root *root)
{
    hprof_sub(&h->out, HPROF_ROOT_JNI_GLOBAL, 1 + 2 * h->out.id_bytes);
    hprof_add_id(&h->out, hprof_object_id(h, root->object));
    hprof_add_id(&h->out, root->row);
}

/* A claim of the file that a thread's root is somebody else's makes it a global one. */
static void dump_root(struct hprof *h, const struct shm_snapshot_root *root)
{
    bool of_thread = is_thread(h->d->s, root->owner);

    switch (root->kind) {
    case SHM_SNAPSHOT_NAMED: break;           /* a static field of the names' class */
    case SHM_SNAPSHOT_IMMORTAL_OBJECT: dump_sticky(h, hprof_object_id(h, root->object)); break;
    case SHM_SNAPSHOT_LOCAL:
    case SHM_SNAPSHOT_STACK:
        if (of_thread) {
            dump_of_thread(h, root->kind == SHM_SNAPSHOT_LOCAL ? HPROF_ROOT_JNI_LOCAL : HPROF_ROOT_JAVA_FRAME, root);
            break;
        }
        /* fallthrough */
    default: dump_global(h, root); break;
    }
}

void hprof_dump_roots(struct hprof *h)
{
    dump_sticky(h, hprof_builtin_id(h, HPROF_NAMES));
    for (uint32_t i = 0; i < snap_root_count(h->d->s); i++) {
        struct shm_snapshot_root root = snap_root(h->d->s, i);
        if (dump_root_object(h->d, &root) != 0)
            dump_root(h, &root);
    }
}
