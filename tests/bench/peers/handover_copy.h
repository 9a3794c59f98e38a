/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* handover_copy.h: the graph as those have it who must copy it to hand it over: nodes of their own, and one flat form to be sent.
 *   Flat    an array of nodes in the order in which they were made; references are places in it, 0 is none (the root is nobody's child)
 *   Ways    rebuilt: A has nodes from malloc, flattens them for the transfer, and B makes nodes from malloc of what comes, as a
 *           program does that goes on with them one by one.   in place: A builds the array itself, and B reads it as it is,
 *           which costs least and leaves B with something that it cannot change node by node                               */
#include "handover.h"

struct flat_node {
    uint32_t left, right;
    uint64_t key, value;
};
struct own_node {
    struct own_node *left, *right;
    uint64_t key, value;
};

static inline void *must(void *memory)
{
    if (!memory)
        handover_die("no memory");
    return memory;
}

/* ---- rebuilt ---- */

static inline struct own_node *own_build(uint32_t low, uint32_t high)
{
    if (low == high)
        return NULL;
    uint32_t middle = handover_middle(low, high);
    struct own_node *n = (struct own_node *)must(malloc(sizeof *n));
    n->key = handover_key(middle);
    n->value = handover_value(middle);
    n->left = own_build(low, middle);
    n->right = own_build(middle + 1, high);
    return n;
}

/* Appends the tree @n to @flat, which has *@count nodes; says where its root stands. */
static inline uint32_t own_flatten(const struct own_node *n, struct flat_node *flat, uint32_t *count)
{
    if (!n)
        return 0;
    uint32_t at = (*count)++;
    flat[at].key = n->key;
    flat[at].value = n->value;
    flat[at].left = own_flatten(n->left, flat, count);
    flat[at].right = own_flatten(n->right, flat, count);
    return at;
}

/* Any graph in this form: all nodes first, then what they refer to. */
static inline struct own_node *own_rebuild(const struct flat_node *flat, uint32_t count)
{
    struct own_node **made = (struct own_node **)must(malloc(count * sizeof *made));
    for (uint32_t i = 0; i < count; i++)
        made[i] = (struct own_node *)must(malloc(sizeof *made[i]));
    for (uint32_t i = 0; i < count; i++) {
        made[i]->key = flat[i].key;
        made[i]->value = flat[i].value;
        made[i]->left = flat[i].left ? made[flat[i].left] : NULL;
        made[i]->right = flat[i].right ? made[flat[i].right] : NULL;
    }
    struct own_node *root = made[0];
    free(made);
    return root;
}

static inline uint64_t own_walk_from(const struct own_node *n)
{
    uint64_t sum = 0;
    for (; n; n = n->right) {
        sum += n->key ^ n->value;
        sum += own_walk_from(n->left);
    }
    return sum;
}

static inline uint64_t own_walk(void *root)
{
    return own_walk_from((const struct own_node *)root);
}

static inline uint64_t own_peek(void *root)
{
    return ((struct own_node *)root)->left->key;
}

static inline void own_drop(void *root)
{
    for (struct own_node *n = (struct own_node *)root, *right; n; n = right) {
        own_drop(n->left);
        right = n->right;
        free(n);
    }
}

/* ---- in place ---- */

static inline uint32_t flat_build(struct flat_node *flat, uint32_t *count, uint32_t low, uint32_t high)
{
    if (low == high)
        return 0;
    uint32_t middle = handover_middle(low, high), at = (*count)++;
    flat[at].key = handover_key(middle);
    flat[at].value = handover_value(middle);
    flat[at].left = flat_build(flat, count, low, middle);
    flat[at].right = flat_build(flat, count, middle + 1, high);
    return at;
}

static inline uint64_t flat_walk_from(const struct flat_node *flat, uint32_t at)
{
    uint64_t sum = 0;
    do {
        sum += flat[at].key ^ flat[at].value;
        if (flat[at].left)
            sum += flat_walk_from(flat, flat[at].left);
    } while ((at = flat[at].right) != 0);
    return sum;
}

static inline uint64_t flat_walk(void *root)
{
    return flat_walk_from((const struct flat_node *)root, 0);
}

static inline uint64_t flat_peek(void *root)
{
    const struct flat_node *flat = (const struct flat_node *)root;
    return flat[flat[0].left].key;
}

/* ---- either ---- */

static inline struct flat_node *flat_new(uint32_t nodes)
{
    return (struct flat_node *)must(malloc(nodes * sizeof(struct flat_node)));
}

static inline void read_all(int fd, void *bytes, size_t count)
{
    for (ssize_t got; count > 0; bytes = (char *)bytes + got, count -= (size_t)got)
        if ((got = read(fd, bytes, count)) <= 0)
            handover_die("the other side has gone");
}

static inline void write_all(int fd, const void *bytes, size_t count)
{
    for (ssize_t put; count > 0; bytes = (const char *)bytes + put, count -= (size_t)put)
        if ((put = write(fd, bytes, count)) <= 0)
            handover_die("the other side has gone");
}
