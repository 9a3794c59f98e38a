/* SPDX-License-Identifier: Apache-2.0 */
/* softcache: what a program has computed of its documents, kept while they live and while there is room. Usage: softcache [SOCKET]
 *   Values    of each document its words are counted once; then the cache has them (cache.h), softly
 *   Notes     each document has a note, which refers to it. It is in an array of ephemerons: a map that held its values by strong references would
 *             keep all its keys, by way of them */
#include <stdio.h>
#include <string.h>

#include "cache.h"

#define DOCUMENTS 8u

struct note {
    mmgc_ref about;
    uint32_t number;
};
struct words {
    uint32_t count;
};
struct program {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type refs, bytes, ephemerons, note, words;
    mmgc_local documents, notes;
    struct cache cache;
    unsigned computed, found;
};

static void begin(struct program *p, const char *socket)
{
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(16) << 20 };

    must("connect", mmgc_connect(socket, "softcache", &p->client));
    must("open", mmgc_heap_open(p->client, "softcache", &options, &p->heap));
    must("type", mmgc_type_refs(p->heap, &p->refs));
    must("type", mmgc_type_bytes(p->heap, &p->bytes));
    must("type", mmgc_type_ephemerons(p->heap, &p->ephemerons));
    must("type", MMGC_DEFINE_TYPE(p->heap, note, &p->note, about));
    must("type", MMGC_DEFINE_LEAF(p->heap, words, &p->words));
    /* exact: no stale word of the stack keeps a document */
    must("attach", mmgc_attach(p->heap, &(struct mmgc_thread_options){ .exact = true }, &p->t));
    must("enter", mmgc_enter(p->t));
    p->documents = mmgc_local_new(p->t, made(p->t, mmgc_new_array(p->t, p->refs, DOCUMENTS)));
    p->notes = mmgc_local_new(p->t, made(p->t, mmgc_new_array(p->t, p->ephemerons, DOCUMENTS)));
    cache_begin(&p->cache, p->heap, p->t);
}

static void *document(struct program *p, unsigned i)
{
    return mmgc_load(p->t, (mmgc_ref *)mmgc_local_get(p->t, p->documents) + i);
}

static void document_set(struct program *p, unsigned i, void *object)
{
    void *all = mmgc_local_get(p->t, p->documents);

    mmgc_store(p->t, all, (mmgc_ref *)all + i, object);
}

static void write_document(struct program *p, unsigned i)
{
    char text[64];
    int length = snprintf(text, sizeof(text), "document %u%s", i, i % 2 == 0 ? " of those that stay" : "");

    document_set(p, i, strcpy(made(p->t, mmgc_new_array(p->t, p->bytes, (uint32_t)length + 1)), text));
    struct note *note = made(p->t, mmgc_new(p->t, p->note));
    void *notes = mmgc_local_get(p->t, p->notes);
    struct mmgc_ephemeron *pair = (struct mmgc_ephemeron *)notes + i;
    note->number = i;
    mmgc_set(p->t, note, about, document(p, i));
    mmgc_store(p->t, notes, &pair->key, document(p, i));     /* the key first */
    mmgc_store(p->t, notes, &pair->value, note);
}

static unsigned notes_left(struct program *p)
{
    struct mmgc_ephemeron *pairs = mmgc_local_get(p->t, p->notes);
    unsigned count = 0;

    for (unsigned i = 0; i < DOCUMENTS; i++) {
        struct note *note = mmgc_load_ephemeron(p->t, &pairs[i], document(p, i));
        count += note != NULL && note->number == i;
    }
    return count;
}

static uint32_t count_words(const char *text)
{
    uint32_t count = 1;

    for (; *text != '\0'; text++)
        count += *text == ' ';
    return count;
}

/* [safepoint] */
static uint32_t words_of(struct program *p, unsigned i)
{
    struct words *words = cache_find(&p->cache, document(p, i));

    if (words != NULL) {
        p->found++;
        return words->count;
    }
    mmgc_scope scope = mmgc_scope_open(p->t);
    mmgc_local value = mmgc_local_new(p->t, words = made(p->t, mmgc_new(p->t, p->words)));
    uint32_t count = words->count = count_words(document(p, i));
    cache_add(&p->cache, mmgc_local_new(p->t, document(p, i)), value);
    mmgc_scope_close(p->t, scope);
    p->computed++;
    return count;
}

static void count_all(struct program *p)
{
    uint32_t words = 0;

    p->computed = p->found = 0;
    for (unsigned i = 0; i < DOCUMENTS; i++)
        if (document(p, i) != NULL)
            words += words_of(p, i);
    printf("%u words: %u computed, %u found\n", words, p->computed, p->found);
}

int main(int argc, char **argv)
{
    struct program p = { 0 };

    begin(&p, argc > 1 ? argv[1] : NULL);
    for (unsigned i = 0; i < DOCUMENTS; i++)
        write_document(&p, i);
    count_all(&p);
    count_all(&p);
    for (unsigned i = 1; i < DOCUMENTS; i += 2)
        document_set(&p, i, NULL);
    must("collect", mmgc_gc(p.t));
    unsigned out = cache_tidy(&p.cache);
    printf("half of the documents are gone: %u entries taken out, %u left, %u notes\n", out, p.cache.entries, notes_left(&p));
    count_all(&p);
    mmgc_detach(p.t);
    mmgc_heap_close(p.heap);
    mmgc_disconnect(p.client);
    return 0;
}
