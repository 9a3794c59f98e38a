/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shadow objects: the kinds of object the shadow graph is made of, and the private model of one.
 *   Words    every 32-bit word of a payload that is no reference is a function of the object's seed and the word's place, so
 *            that a word of another object, or one moved by a little, is told from the right one
 *   Failing  as a mate does, with EXPECT()                                                                             */
#include <mmgc/mmgc.h>
#include <stddef.h>
#include <stdint.h>

enum shadow_kind {
    SHADOW_PAIR,  /* two references and a number: the usual small node */
    SHADOW_WIDE,  /* references that are not neighbours, an odd number of words */
    SHADOW_LEAF,  /* no reference */
    SHADOW_REFS,  /* an array of references, up to a large object */
    SHADOW_BYTES, /* an array of bytes, up to a large object */
    SHADOW_TABLE, /* fields, then an array of structs with references */
    SHADOW_KINDS
};

struct shadow_pair { /* the one kind that tests handle by its fields */
    mmgc_ref left, right;
    uint64_t value;
};

struct shadow_types {
    mmgc_type of[SHADOW_KINDS];
};
/* Defines or finds all of them; EXPECTs success. */
void shadow_types_define(struct mmgc_heap *heap, struct shadow_types *ret_types);

struct shadow_object {          /* the model: private memory */
    struct shadow_object *next; /* all of one shadow's, in no order */
    enum shadow_kind kind;
    uint32_t length;  /* 0 for kinds without elements */
    uint64_t seed;    /* of its words */
    uint32_t visited; /* the number of the last walk that came here */
    uint32_t ref_count;
    const char *at; /* where that walk found it */
    struct shadow_object *refs[];
};
struct shadow_object *shadow_object_new(enum shadow_kind kind, uint32_t length, uint64_t seed);
uint64_t shadow_object_bytes(const struct shadow_object *o); /* in the heap, header included */

/* Allocates the object that @o is the model of, without references yet, and fills its words. Checks that the memory was zero.
 * NULL as mmgc_new(): no memory. [safepoint] */
char *shadow_object_make(struct mmgc_thread *t, const struct shadow_types *types,
                         const struct shadow_object *o);
mmgc_ref *shadow_object_slot(const struct shadow_object *o, char *p, uint32_t ref); /* of reference number @ref */
void shadow_object_fill(const struct shadow_object *o, char *p);
/* The type, the length and every word but the references. */
void shadow_object_compare(struct mmgc_thread *t, const struct shadow_object *o, const char *p,
                           const char *label);
