/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Trie: an immutable map from 32-bit ids to objects, shared between processes. A change copies the nodes on its path and
 * gives a new root; the old one stays good for whoever reads it. So a compare-and-swap of the one reference to the root is a
 * whole update: no lock, and whoever is killed on the way leaves nothing but garbage.
 * A bitmap-compressed 32-way trie over the id's bits, lowest first (Bagwell, Ideal Hash Trees, 2001; ids never collide). */
#include <stdint.h>

#include <mmgc/mmgc.h>

struct trie_node {
    uint32_t present;                        /* bit i: there is a child for digit i */
    uint32_t leaves;                         /* bit i: ... and it is a value, not a node */
    mmgc_ref children[];                     /* as many as bits in present */
};
struct trie_leaf {                           /* what every value begins with */
    uint32_t id;
};

int trie_define(struct mmgc_heap *heap, mmgc_type *ret_node_type);

/* @root with @value under its id, replacing what was there; NULL: no memory (mmgc_thread_error). [safepoint] */
struct trie_node *trie_with(struct mmgc_thread *t, mmgc_type node_type, struct trie_node *root, struct trie_leaf *value);
/* @root without @id; *ret_root is NULL when nothing is left. A code of <mmgc/error.h>. [safepoint] */
int trie_without(struct mmgc_thread *t, mmgc_type node_type, struct trie_node *root, uint32_t id, struct trie_node **ret_root);
/* Calls @visit for each value, in no order the caller may rely on. */
void trie_each(struct mmgc_thread *t, struct trie_node *root, void (*visit)(void *context, struct trie_leaf *value), void *context);
