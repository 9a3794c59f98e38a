/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/shadow_object.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"
#include "tests/support/crew.h"

#define WORD 4u

static const struct layout {
    const char *name;
    uint32_t fixed_bytes, element_bytes; /* words, but for bytes */
    uint32_t ref_count, element_ref_count;
    uint32_t refs[3], element_refs[2];
} layouts[SHADOW_KINDS] = {
    [SHADOW_PAIR] = { "shadow_pair", sizeof(struct shadow_pair), 0, 2, 0, { 0, 4 }, { 0 } },
    [SHADOW_WIDE] = { "shadow_wide", 44, 0, 3, 0, { 4, 24, 40 }, { 0 } },
    [SHADOW_LEAF] = { "shadow_leaf", 20, 0, 0, 0, { 0 }, { 0 } },
    [SHADOW_REFS] = { "", 0, 4, 0, 1, { 0 }, { 0 } },
    [SHADOW_BYTES] = { "", 0, 1, 0, 0, { 0 }, { 0 } },
    [SHADOW_TABLE] = { "shadow_table", 12, 12, 1, 2, { 8 }, { 0, 8 } },
};

void shadow_types_define(struct mmgc_heap *heap, struct shadow_types *ret_types)
{
    EXPECT_OK(MMGC_DEFINE_TYPE(heap, shadow_pair, &ret_types->of[SHADOW_PAIR], left, right));
    EXPECT_OK(mmgc_type_refs(heap, &ret_types->of[SHADOW_REFS]));
    EXPECT_OK(mmgc_type_bytes(heap, &ret_types->of[SHADOW_BYTES]));
    for (unsigned kind = 0; kind < SHADOW_KINDS; kind++) {
        const struct layout *l = &layouts[kind];
        if (kind == SHADOW_PAIR || *l->name == '\0')
            continue;
        struct mmgc_type_layout layout = { .name = l->name,
                                           .fixed_bytes = l->fixed_bytes,
                                           .element_bytes = l->element_bytes,
                                           .refs = l->refs,
                                           .ref_count = l->ref_count,
                                           .element_refs = l->element_refs,
                                           .element_ref_count = l->element_ref_count };
        EXPECT_OK(mmgc_type_define(heap, &layout, &ret_types->of[kind]));
    }
}

struct shadow_object *shadow_object_new(enum shadow_kind kind, uint32_t length, uint64_t seed)
{
    uint32_t refs = layouts[kind].ref_count + layouts[kind].element_ref_count * length;
    struct shadow_object *o = calloc(1, sizeof(*o) + refs * sizeof(struct shadow_object *));
    EXPECT(o != NULL, "no private memory");
    o->kind = kind;
    o->length = length;
    o->seed = seed;
    o->ref_count = refs;
    return o;
}

static uint64_t payload_bytes(const struct shadow_object *o)
{
    return layouts[o->kind].fixed_bytes + (uint64_t)layouts[o->kind].element_bytes * o->length;
}

uint64_t shadow_object_bytes(const struct shadow_object *o)
{
    return 8 + mm_align_up(MM_MAX(payload_bytes(o), 8u), 8);
}

mmgc_ref *shadow_object_slot(const struct shadow_object *o, char *p, uint32_t ref)
{
    const struct layout *l = &layouts[o->kind];
    if (ref < l->ref_count)
        return (mmgc_ref *)(void *)(p + l->refs[ref]);
    ref -= l->ref_count;
    return (mmgc_ref *)(void *)(p + l->fixed_bytes + ref / l->element_ref_count * l->element_bytes +
                                l->element_refs[ref % l->element_ref_count]);
}

/* ---- words --------------------------------------------------------------------------------------------------------- */

static uint32_t word_at(uint64_t seed, uint64_t offset)
{
    return (uint32_t)((seed ^ offset) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static bool is_ref(const uint32_t *refs, uint32_t count, uint32_t offset)
{
    for (uint32_t i = 0; i < count; i++)
        if (refs[i] == offset)
            return true;
    return false;
}

/* One struct's words, references left out: store them, or compare and give the offset of the first that differs. */
static int64_t each_word(uint64_t seed, char *p, uint64_t at, uint32_t bytes, const uint32_t *refs,
                         uint32_t ref_count, bool store)
{
    for (uint32_t i = 0; i < bytes; i += WORD) {
        uint32_t want = word_at(seed, at + i), have;
        if (is_ref(refs, ref_count, i))
            continue;
        if (store)
            memcpy(p + at + i, &want, WORD);
        else if (memcpy(&have, p + at + i, WORD), have != want)
            return (int64_t)(at + i);
    }
    return -1;
}

static int64_t each_byte(uint64_t seed, char *p, uint64_t bytes, bool store)
{
    for (uint64_t i = 0; i < bytes; i += WORD) {
        uint32_t want = word_at(seed, i);
        size_t n = MM_MIN(bytes - i, WORD);
        if (store)
            memcpy(p + i, &want, n);
        else if (memcmp(p + i, &want, n) != 0)
            return (int64_t)i;
    }
    return -1;
}

static int64_t all_words(const struct shadow_object *o, char *p, bool store)
{
    const struct layout *l = &layouts[o->kind];
    if (o->kind == SHADOW_BYTES)
        return each_byte(o->seed, p, o->length, store);
    int64_t bad = each_word(o->seed, p, 0, l->fixed_bytes, l->refs, l->ref_count, store);
    if (o->kind == SHADOW_TABLE)
        for (uint32_t i = 0; bad < 0 && i < o->length; i++)
            bad = each_word(o->seed, p, l->fixed_bytes + (uint64_t)i * l->element_bytes,
                            l->element_bytes, l->element_refs, l->element_ref_count, store);
    return bad;
}

void shadow_object_fill(const struct shadow_object *o, char *p)
{
    all_words(o, p, true);
}

static void expect_zero(const struct shadow_object *o, const char *p)
{
    uint64_t word, bytes = mm_align_up(MM_MAX(payload_bytes(o), 8u), 8);
    for (uint64_t i = 0; i < bytes; i += sizeof(word)) {
        memcpy(&word, p + i, sizeof(word));
        EXPECT(word == 0, "a new %s of %" PRIu64 " bytes at %p has %" PRIx64 " at offset %" PRIu64,
               layouts[o->kind].name, bytes, (const void *)p, word, i);
    }
}

char *shadow_object_make(struct mmgc_thread *t, const struct shadow_types *types,
                         const struct shadow_object *o)
{
    mmgc_type type = types->of[o->kind];
    char *p = layouts[o->kind].element_bytes ? mmgc_new_array(t, type, o->length) : mmgc_new(t, type);
    if (p == NULL)
        return NULL;
    EXPECT((uintptr_t)p % 8 == 0, "an object at %p", (void *)p);
    expect_zero(o, p);
    shadow_object_fill(o, p);
    return p;
}

void shadow_object_compare(struct mmgc_thread *t, const struct shadow_object *o, const char *p,
                           const char *label)
{
    const struct layout *l = &layouts[o->kind];
    EXPECT(mmgc_length(p) == o->length,
           "%s: %s %" PRIx64 " at %p has %" PRIu32 " elements, not %" PRIu32, label, l->name,
           o->seed, (const void *)p, mmgc_length(p), o->length);
    if (*l->name != '\0') {
        const char *name = mmgc_type_name(t, p);
        EXPECT(strcmp(name, l->name) == 0, "%s: %s %" PRIx64 " at %p is a %s", label, l->name,
               o->seed, (const void *)p, name);
    }
    int64_t bad = all_words(o, (char *)p, false);
    EXPECT(bad < 0, "%s: %s %" PRIx64 " of length %" PRIu32 " at %p differs at offset %" PRId64, label,
           *l->name                 ? l->name
           : o->kind == SHADOW_REFS ? "refs"
                                    : "bytes",
           o->seed, o->length, (const void *)p, bad);
}
