/* SPDX-License-Identifier: Apache-2.0 */
/* identity.c - Identity: a number of an object that goes with it wherever it is moved: some bits of its header (shm/object.h).
 *   Most objects are never asked for one; who asks first draws it, and whoever asks at the same time, here or in another process, finds
 *   what was first. So two objects that are both old may have the same: it is a hash. */
#include <mmgc/mmgc.h>

#include "client/error.h"
#include "client/thread.h"
#include "shm/control.h"
#include "shm/object.h"

/* A bijection of 64 bits that leaves no pattern (the end of Steele, Lea and Flood's SplitMix, OOPSLA 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint32_t not_zero(uint32_t x)
{
    return x != 0 ? x : 1;
}

/* What nobody has drawn before, as a rule: from this thread's own row of numbers, and where the object is now. */
static uint32_t draw(struct thread *th, const void *object, bool elements)
{
    if (th->identity_seed == 0)
        th->identity_seed = mix(mm_now_ns() ^ (uint64_t)th->id << 48 ^ (uint64_t)(uintptr_t)th);
    uint64_t drawn = mix((th->identity_seed += UINT64_C(0x9e3779b97f4a7c15)) ^ (uint64_t)(uintptr_t)object);
    return not_zero(elements ? (uint32_t)drawn & OBJECT_IDENTITY_MAX : (uint32_t)drawn);
}

/* Arrays have few bits of their own; their type and length do not change either. */
static uint32_t hash_of(uint64_t header, bool elements)
{
    return elements ? not_zero((uint32_t)(mix(header) >> 32)) : object_header_identity(header, false);
}

static uint32_t fail(struct thread *th, int code)
{
    (void)thread_fail(th, code);
    return 0;
}

/* 0: it is of no type. */
static uint32_t type_of(const struct thread *th, uint64_t header)
{
    uint32_t type = object_header_type(header);

    return type < at_load_acquire(&th->heap->control->type_count) ? type : 0; /* pairs with the daemon's release: rows below it are whole */
}

uint32_t mmgc_identity_hash(struct mmgc_thread *t, const void *object)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return t != NULL ? fail(thread_of(t), r) : 0;
    struct thread *th = thread_of(t);
    if (object == NULL)
        return fail(th, error_set(MMGC_E_INVALID, "the object is NULL"));
    _Atomic uint64_t *word = (_Atomic uint64_t *)(uintptr_t)object - 1;
    uint64_t header = at_load_relaxed(word);
    uint32_t type = type_of(th, header);
    bool elements = th->heap->control->types[type].element_bytes != 0;

    if (type == 0 || !object_header_is_sound(header, elements))
        return fail(th, error_set(MMGC_E_NO_OBJECT, "%p", object));
    if (object_header_identity(header, elements) == 0 && th->heap->read_only)
        return fail(th, error_set(MMGC_E_READ_ONLY, "nobody has asked for this object's identity hash before"));
    while (object_header_identity(header, elements) == 0) {
        uint64_t with = object_header_identified(header, elements, draw(th, object, elements));
        if (at_cas_acq_rel(word, &header, with)) /* else: the header that was first */
            header = with;
    }
    return hash_of(header, elements);
}
