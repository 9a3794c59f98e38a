/* SPDX-License-Identifier: Apache-2.0 */
/* handles: what a program keeps of a heap outside of it. Usage: handles [SOCKET]
 *   A cache of rendered pages: what must stay is held by strong handles, what can be made again by soft ones. */
#include <mmgc/mmgc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 4

struct cache {
    struct mmgc_heap *heap;
    mmgc_handle title;                       /* kept: it is the program's own */
    mmgc_weak pages[PAGES];                  /* made again when they are gone */
    int made;
};

static void must(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "handles: %s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(1);
}

static char *text_new(struct mmgc_thread *t, mmgc_type bytes, const char *text)
{
    char *object = mmgc_new_array(t, bytes, (uint32_t)strlen(text) + 1);

    if (object == NULL)
        must("new", mmgc_thread_error(t));
    return strcpy(object, text);
}

/* The page, from the cache if it is still there. */
static const char *page_get(struct mmgc_thread *t, mmgc_type bytes, struct cache *cache, int number)
{
    char text[64];
    const char *page = mmgc_weak_get(t, cache->pages[number]);

    if (page != NULL)
        return page;
    if (mmgc_thread_error(t) == MMGC_E_CLEARED)
        must("drop", mmgc_weak_drop(cache->heap, cache->pages[number]));
    cache->made++;
    (void)snprintf(text, sizeof(text), "%s, page %d", (const char *)mmgc_handle_get(t, cache->title), number);
    page = text_new(t, bytes, text);
    must("soft", mmgc_soft_new(t, page, &cache->pages[number]));
    return page;
}

int main(int argc, char **argv)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(16) << 20 };
    struct cache cache = { 0 };
    struct mmgc_handle_counts counts;
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type bytes;

    must("connect", mmgc_connect(argc > 1 ? argv[1] : NULL, "handles", &client));
    must("open", mmgc_heap_open(client, "handles", &options, &heap));
    must("attach", mmgc_attach(heap, NULL, &t));
    cache.heap = heap;
    must("type", mmgc_type_bytes(heap, &bytes));
    must("enter", mmgc_enter(t));
    must("handle", mmgc_handle_new(t, text_new(t, bytes, "A book"), &cache.title));
    must("name", mmgc_handle_name(heap, cache.title, "title"));
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < PAGES; i++)
            (void)page_get(t, bytes, &cache, i);
    puts(page_get(t, bytes, &cache, 2));
    must("counts", mmgc_handle_counts(heap, &counts));
    printf("%u strong and %u soft handles, %d pages made\n", counts.strong, counts.soft, cache.made);
    must("drop", mmgc_handle_drop(heap, cache.title));
    if (mmgc_handle_drop(heap, cache.title) == MMGC_E_DROPPED)
        puts("a second drop is found out");
    mmgc_detach(t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return 0;
}
