/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/two_module.h"

#include <mmgc/mmgc.h>

struct node {
    mmgc_ref next;
    int64_t value;
};

static struct mmgc_client *client;
static struct mmgc_heap *heap;
static struct mmgc_thread *t;
static mmgc_type node_type;

static int module_open(const char *socket, const char *name)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(32) << 20 };
    int r = mmgc_connect(socket, "module", &client);

    if (r == MMGC_OK)
        r = mmgc_heap_open(client, name, &options, &heap);
    if (r == MMGC_OK)
        r = MMGC_DEFINE_TYPE(heap, node, &node_type, next);
    return r == MMGC_OK ? mmgc_attach(heap, NULL, &t) : r;
}

static int grow_inside(const char *name, int64_t nodes)
{
    struct node *list = NULL;

    for (int64_t i = 0; i < nodes; i++) {
        struct node *n = mmgc_new(t, node_type);
        if (n == NULL || mmgc_new(t, node_type) == NULL)
            return mmgc_thread_error(t);
        n->value = i;
        mmgc_set(t, n, next, list);
        list = n;
    }
    return mmgc_name_set(t, name, list);
}

static int check_inside(const char *name, int64_t nodes)
{
    const struct node *n = mmgc_name_get(t, name);

    if (n == NULL)
        return mmgc_thread_error(t);
    for (; n != NULL; n = mmgc_get(t, n, next))
        if (n->value != --nodes)
            return -1;
    return nodes == 0 ? MMGC_OK : -1;
}

static int inside(int (*run)(const char *name, int64_t nodes), const char *name, int64_t nodes)
{
    int r = mmgc_enter(t);

    if (r != MMGC_OK)
        return r;
    r = run(name, nodes);
    mmgc_leave(t);
    return r;
}

static int module_grow(const char *name, int64_t nodes)
{
    return inside(grow_inside, name, nodes);
}

static int module_check(const char *name, int64_t nodes)
{
    return inside(check_inside, name, nodes);
}

static int module_enter(void)
{
    return mmgc_enter(t);
}

static void module_leave(void)
{
    mmgc_leave(t);
}

static int module_collect(void)
{
    return mmgc_gc(t);
}

static int module_ping(void)
{
    return mmgc_ping(client);
}

static int module_attach_and_end(void)
{
    struct mmgc_thread *mine;
    int r = mmgc_attach(heap, NULL, &mine);

    if (r == MMGC_OK)
        r = mmgc_enter(mine);
    return r == MMGC_OK && mmgc_new(mine, node_type) == NULL ? mmgc_thread_error(mine) : r;
}

static void module_close(void)
{
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
}

extern const struct two_module two_module;
__attribute__((visibility("default"))) const struct two_module two_module = {
    .open = module_open,
    .grow = module_grow,
    .check = module_check,
    .enter = module_enter,
    .leave = module_leave,
    .collect = module_collect,
    .ping = module_ping,
    .attach_and_end = module_attach_and_end,
    .close = module_close,
};
