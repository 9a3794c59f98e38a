/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/entry.h"

#include "tests/support/crew.h"

void entry_open(struct entry *e, const struct entry_options *options)
{
    struct mmgc_heap_options heap = { .create = true,
                                      .max_bytes = options->max_bytes,
                                      .limit_bytes = options->limit_bytes,
                                      .plan = options->plan,
                                      .options = options->options };
    struct mmgc_thread_options thread = { .exact = options->exact, .name = options->name };
    *e = (struct entry){ .exact = options->exact };
    EXPECT_OK(mmgc_connect(options->socket, options->name, &e->client));
    EXPECT_OK(mmgc_heap_open(e->client, options->heap, &heap, &e->heap));
    EXPECT_OK(mmgc_attach(e->heap, &thread, &e->t));
    shadow_types_define(e->heap, &e->types);
}

void entry_close(struct entry *e)
{
    mmgc_detach(e->t);
    mmgc_heap_close(e->heap);
    mmgc_disconnect(e->client);
    *e = (struct entry){ 0 };
}

uint64_t entry_collections(const struct entry *e)
{
    struct mmgc_heap_info info;
    EXPECT_OK(mmgc_heap_info(e->heap, &info));
    return info.collections;
}
