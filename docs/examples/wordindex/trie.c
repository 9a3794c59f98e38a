/* SPDX-License-Identifier: Apache-2.0 */
#include "trie.h"

#include <stdbool.h>
#include <stddef.h>

#define DIGIT_BITS 5u

int trie_define(struct mmgc_heap *heap, mmgc_type *ret_node_type)
{
    static const uint32_t first = 0;
    return mmgc_type_define(heap,
                            &(struct mmgc_type_layout){.name = "trie_node",
                                                       .fixed_bytes = sizeof(struct trie_node),
                                                       .element_bytes = sizeof(mmgc_ref),
                                                       .element_refs = &first,
                                                       .element_ref_count = 1},
                            ret_node_type);
}

static uint32_t digit_bit(uint32_t id, uint32_t shift)
{
    return 1u << (id >> shift & 31u);
}

static uint32_t position(const struct trie_node *node, uint32_t bit)
{
    return (uint32_t)__builtin_popcount(node->present & (bit - 1));
}

/* A copy of @node (or of nothing) in which @child stands for @bit, as a leaf or as a node. */
static struct trie_node *with_child(struct mmgc_thread *t, mmgc_type type, struct trie_node *node, uint32_t bit, void *child, bool leaf)
{
    uint32_t present = node ? node->present : 0, at = node ? position(node, bit) : 0;
    uint32_t length = (uint32_t)__builtin_popcount(present);
    bool replaces = (present & bit) != 0;
    struct trie_node *copy = mmgc_new_array(t, type, length + !replaces);
    if (copy == NULL)
        return NULL;
    copy->present = present | bit;
    copy->leaves = ((node ? node->leaves : 0) & ~bit) | (leaf ? bit : 0);
    for (uint32_t i = 0; i < at; i++)
        mmgc_store(t, copy, &copy->children[i], mmgc_load(t, &node->children[i]));
    mmgc_store(t, copy, &copy->children[at], child);
    for (uint32_t i = at + replaces; i < length; i++)
        mmgc_store(t, copy, &copy->children[i + !replaces], mmgc_load(t, &node->children[i]));
    return copy;
}

/* A node, or a chain of them, that holds two values whose ids agree below @shift. */
static struct trie_node *of_two(struct mmgc_thread *t, mmgc_type type, struct trie_leaf *a, struct trie_leaf *b, uint32_t shift)
{
    uint32_t bit_a = digit_bit(a->id, shift), bit_b = digit_bit(b->id, shift);
    if (bit_a == bit_b) {
        struct trie_node *deeper = of_two(t, type, a, b, shift + DIGIT_BITS);
        return deeper ? with_child(t, type, NULL, bit_a, deeper, false) : NULL;
    }
    struct trie_node *one = with_child(t, type, NULL, bit_a, a, true);
    return one ? with_child(t, type, one, bit_b, b, true) : NULL;
}

static struct trie_node *with(struct mmgc_thread *t, mmgc_type type, struct trie_node *node, struct trie_leaf *value, uint32_t shift)
{
    uint32_t bit = digit_bit(value->id, shift);
    if (node == NULL || !(node->present & bit))
        return with_child(t, type, node, bit, value, true);
    void *child = mmgc_load(t, &node->children[position(node, bit)]);
    if (!(node->leaves & bit))
        child = with(t, type, child, value, shift + DIGIT_BITS);
    else if (((struct trie_leaf *)child)->id == value->id)
        return with_child(t, type, node, bit, value, true);
    else
        child = of_two(t, type, child, value, shift + DIGIT_BITS);
    return child ? with_child(t, type, node, bit, child, false) : NULL;
}

struct trie_node *trie_with(struct mmgc_thread *t, mmgc_type type, struct trie_node *root, struct trie_leaf *value)
{
    return with(t, type, root, value, 0);
}

static int without_child(struct mmgc_thread *t, mmgc_type type, struct trie_node *node, uint32_t bit, struct trie_node **ret)
{
    uint32_t at = position(node, bit), length = (uint32_t)__builtin_popcount(node->present);
    if (length == 1) {
        *ret = NULL;
        return MMGC_OK;
    }
    struct trie_node *copy = mmgc_new_array(t, type, length - 1);
    if (copy == NULL)
        return mmgc_thread_error(t);
    copy->present = node->present & ~bit;
    copy->leaves = node->leaves & ~bit;
    for (uint32_t i = 0; i + 1 < length; i++)
        mmgc_store(t, copy, &copy->children[i], mmgc_load(t, &node->children[i + (i >= at)]));
    *ret = copy;
    return MMGC_OK;
}

static int without(struct mmgc_thread *t, mmgc_type type, struct trie_node *node, uint32_t id, uint32_t shift, struct trie_node **ret)
{
    uint32_t bit = digit_bit(id, shift);
    *ret = node;
    if (node == NULL || !(node->present & bit))
        return MMGC_OK;
    void *child = mmgc_load(t, &node->children[position(node, bit)]);
    if (node->leaves & bit)
        return ((struct trie_leaf *)child)->id == id ? without_child(t, type, node, bit, ret) : MMGC_OK;
    struct trie_node *smaller;
    int r = without(t, type, child, id, shift + DIGIT_BITS, &smaller);
    if (r != MMGC_OK || smaller == child)
        return r;
    if (smaller == NULL)
        return without_child(t, type, node, bit, ret);
    struct trie_node *copy = with_child(t, type, node, bit, smaller, false);
    if (copy == NULL)
        return mmgc_thread_error(t);
    *ret = copy;
    return MMGC_OK;
}

int trie_without(struct mmgc_thread *t, mmgc_type type, struct trie_node *root, uint32_t id, struct trie_node **ret_root)
{
    return without(t, type, root, id, 0, ret_root);
}

void trie_each(struct mmgc_thread *t, struct trie_node *root, void (*visit)(void *, struct trie_leaf *), void *context)
{
    if (root == NULL)
        return;
    uint32_t i = 0;
    for (uint32_t left = root->present; left != 0; left &= left - 1, i++) {
        void *child = mmgc_load(t, &root->children[i]);
        if (root->leaves & (left & -left))
            visit(context, child);
        else
            trie_each(t, child, visit, context);
    }
}
