/* SPDX-License-Identifier: Apache-2.0 */
/* type.c - Type: what the inline calls need of a type, and a memory of what was registered, so that defining it again in
 * each function that uses it costs no round trip. The daemon's word decides; what is here never disagrees with it. */
#include <errno.h>
#include <mmgc/mmgc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/error.h"
#include "client/fork.h"
#include "client/heap.h"
#include "client/layout.h"
#include "client/thread.h"
#include "shm/object.h"
#include "shm/type.h"

#define TYPE_BUCKETS 256u
#define STRUCT_REFS_MAX 16u

struct type {
    struct mmgc_type_info info;    /* what mmgc_type points at: constant */
    struct type *next;             /* in its bucket */
    struct shm_type_layout layout; /* its arrays and name lie behind this struct */
    uint32_t words[];              /* refs, element refs, then the name's bytes */
};

static uint32_t bucket_of(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash % TYPE_BUCKETS;
}

static bool same_refs(const uint32_t *a, const uint32_t *b, uint32_t count)
{
    return count == 0 || memcmp(a, b, count * sizeof(*a)) == 0;
}

static bool same_layout(const struct shm_type_layout *a, const struct shm_type_layout *b)
{
    return a->fixed_bytes == b->fixed_bytes && a->element_bytes == b->element_bytes &&
           a->ref_count == b->ref_count && a->element_ref_count == b->element_ref_count &&
           same_refs(a->refs, b->refs, a->ref_count) &&
           same_refs(a->element_refs, b->element_refs, a->element_ref_count) &&
           strcmp(a->name, b->name) == 0;
}

static struct type *type_find_locked(struct mmgc_heap *heap, const struct shm_type_layout *layout)
{
    struct type *type = heap->types == NULL ? NULL : heap->types[bucket_of(layout->name)];

    while (type != NULL && !same_layout(&type->layout, layout))
        type = type->next;
    return type;
}

static struct type *type_new(const struct shm_type_layout *layout, uint32_t id)
{
    size_t refs = layout->ref_count, element_refs = layout->element_ref_count;
    size_t name_bytes = strlen(layout->name) + 1;
    struct type *type =
        calloc(1, sizeof(*type) + (refs + element_refs) * sizeof(uint32_t) + name_bytes);

    if (type == NULL)
        return NULL;
    if (refs > 0)
        memcpy(type->words, layout->refs, refs * sizeof(uint32_t));
    if (element_refs > 0)
        memcpy(type->words + refs, layout->element_refs, element_refs * sizeof(uint32_t));
    memcpy(type->words + refs + element_refs, layout->name, name_bytes);
    type->layout = *layout;
    type->layout.refs = type->words;
    type->layout.element_refs = type->words + refs;
    type->layout.name = (const char *)(type->words + refs + element_refs);
    type->info = (struct mmgc_type_info){
        .header = object_header(id, 0),
        .bytes = (uint32_t)object_bytes(layout->fixed_bytes, layout->element_bytes, 0),
        .element_bytes = layout->element_bytes,
        .fixed_bytes = layout->fixed_bytes,
        .id = id,
    };
    return type;
}

/* Enters it, unless another thread was faster. NULL: out of memory. */
static struct type *type_keep(struct mmgc_heap *heap, const struct shm_type_layout *layout, uint32_t id)
{
    (void)pthread_mutex_lock(&heap->lock);
    struct type *type = type_find_locked(heap, layout);
    if (heap->types == NULL)
        heap->types = calloc(TYPE_BUCKETS, sizeof(*heap->types));
    if (type == NULL && heap->types != NULL && (type = type_new(layout, id)) != NULL) {
        struct type **bucket = &heap->types[bucket_of(layout->name)];
        type->next = *bucket;
        *bucket = type;
    }
    (void)pthread_mutex_unlock(&heap->lock);
    return type;
}

void type_free_all(struct mmgc_heap *heap)
{
    for (uint32_t i = 0; heap->types != NULL && i < TYPE_BUCKETS; i++) {
        while (heap->types[i] != NULL) {
            struct type *type = heap->types[i];
            heap->types[i] = type->next;
            free(type);
        }
    }
    free(heap->types);
}

static int type_call_define(struct mmgc_heap *heap, const struct shm_type_layout *layout, uint32_t *ret_id)
{
    wire_type_define define = wire_type_define_init();
    wire_request request = wire_request_init();
    wire_reply *reply;

    define.name = (char *)layout->name;
    define.fixed_bytes = layout->fixed_bytes;
    define.element_bytes = layout->element_bytes;
    define.n_refs = layout->ref_count;
    define.refs = (uint32_t *)layout->refs;
    define.n_element_refs = layout->element_ref_count;
    define.element_refs = (uint32_t *)layout->element_refs;
    request.body_case = WIRE_REQUEST(TYPE_DEFINE);
    request.type_define = &define;
    int r = connection_call(&heap->connection, &request, NULL, WIRE_REPLY(TYPE_DEFINED), &reply, NULL);
    if (r != MMGC_OK)
        return r;
    *ret_id = reply->type_defined->id;
    wire_reply_free(reply);
    if (*ret_id == 0 || *ret_id >= SHM_TYPES_MAX)
        return error_set(MMGC_E_PROTOCOL, "type '%s' got the number %u", layout->name, *ret_id);
    return MMGC_OK;
}

int mmgc_type_define(struct mmgc_heap *heap, const struct mmgc_type_layout *given, mmgc_type *ret_type)
{
    const char *why;
    uint32_t id;
    int r = heap_check(heap);

    if (r != MMGC_OK)
        return r;
    if (given == NULL || ret_type == NULL)
        return error_set(MMGC_E_INVALID, "layout or ret_type is NULL");
    struct shm_type_layout layout = {
        .name = given->name,
        .fixed_bytes = given->fixed_bytes,
        .element_bytes = given->element_bytes,
        .ref_count = given->ref_count,
        .element_ref_count = given->element_ref_count,
        .refs = given->refs,
        .element_refs = given->element_refs,
    };
    if (shm_type_check(&layout, &why) < 0)
        return error_set(MMGC_E_TYPE_LAYOUT, "%s", why);
    (void)pthread_mutex_lock(&heap->lock);
    struct type *type = type_find_locked(heap, &layout);
    (void)pthread_mutex_unlock(&heap->lock);
    if (type == NULL) {
        r = type_call_define(heap, &layout, &id);
        if (r != MMGC_OK)
            return r;
        r = layout_keep(heap, id, &layout);
        if (r != MMGC_OK)
            return r;
        type = type_keep(heap, &layout, id);
        if (type == NULL)
            return error_system("malloc", -ENOMEM);
    }
    *ret_type = &type->info;
    return MMGC_OK;
}

int mmgc_type_refs(struct mmgc_heap *heap, mmgc_type *ret_type)
{
    static const uint32_t first[] = { 0 };
    struct mmgc_type_layout layout = {
        .name = "ref[]",
        .element_bytes = sizeof(mmgc_ref),
        .element_refs = first,
        .element_ref_count = 1,
    };
    return mmgc_type_define(heap, &layout, ret_type);
}

int mmgc_type_bytes(struct mmgc_heap *heap, mmgc_type *ret_type)
{
    struct mmgc_type_layout layout = { .name = "byte[]", .element_bytes = 1 };

    return mmgc_type_define(heap, &layout, ret_type);
}

int mmgc_type_struct(struct mmgc_heap *heap, const char *name, size_t bytes, mmgc_type *ret_type,
                     unsigned refs, ...)
{
    uint32_t offsets[STRUCT_REFS_MAX];
    va_list arguments;

    if (refs > STRUCT_REFS_MAX || bytes > SHM_TYPE_FIXED_MAX)
        return error_set(MMGC_E_TYPE_LAYOUT, "struct %s: %u references, %zu bytes",
                         name != NULL ? name : "?", refs, bytes);
    va_start(arguments, refs);
    for (unsigned i = 0; i < refs; i++)
        offsets[i] = (uint32_t)va_arg(arguments, size_t); /* offsetof() is a size_t */
    va_end(arguments);
    struct mmgc_type_layout layout = {
        .name = name,
        .fixed_bytes = (uint32_t)bytes,
        .refs = offsets,
        .ref_count = refs,
    };
    return mmgc_type_define(heap, &layout, ret_type);
}

const char *mmgc_type_name(const struct mmgc_thread *t, const void *object)
{
    if (object == NULL || thread_check_in(t) != MMGC_OK)
        return "";
    const struct shm_control *control = thread_of(t)->heap->control;
    uint64_t header = __atomic_load_n((const uint64_t *)object - 1, __ATOMIC_RELAXED);
    uint32_t id = object_header_type(header);
    /* pairs with the daemon's release of type_count: rows below it are whole */
    return id < at_load_acquire(&control->type_count) ? control->types[id].name : "";
}
