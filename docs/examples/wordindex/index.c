/* SPDX-License-Identifier: Apache-2.0 */
#include "index.h"

#include <stdbool.h>
#include <string.h>

static int define_types(struct index *x, struct mmgc_heap *heap)
{
    int r = mmgc_type_refs(heap, &x->refs_type);
    if (r == MMGC_OK)
        r = mmgc_type_bytes(heap, &x->bytes_type);
    if (r == MMGC_OK)
        r = trie_define(heap, &x->node_type);
    if (r == MMGC_OK)
        r = MMGC_DEFINE_TYPE(heap, catalog, &x->catalog_type, words, files);
    if (r == MMGC_OK)
        r = MMGC_DEFINE_TYPE(heap, term, &x->term_type, next, word, postings);
    if (r == MMGC_OK)
        r = MMGC_DEFINE_TYPE(heap, file, &x->file_type, next, path, terms);
    if (r == MMGC_OK)
        r = MMGC_DEFINE_TYPE(heap, posting, &x->posting_type, file);
    return r;
}

int index_open(struct index *x, struct mmgc_heap *heap, struct mmgc_thread *t)
{
    *x = (struct index){.t = t};
    int r = define_types(x, heap);
    if (r != MMGC_OK)
        return r;
    x->catalog = mmgc_name_get(t, "wordindex");
    if (x->catalog != NULL)
        return MMGC_OK;
    struct catalog *fresh = mmgc_new(t, x->catalog_type);
    void *words = fresh ? mmgc_new_array(t, x->refs_type, INDEX_BUCKETS) : NULL;
    void *files = words ? mmgc_new_array(t, x->refs_type, INDEX_BUCKETS) : NULL;
    if (files == NULL)
        return mmgc_thread_error(t);
    mmgc_set(t, fresh, words, words);
    mmgc_set(t, fresh, files, files);
    void *winner = NULL;                     /* several indexers start at once: one catalog wins, the others become garbage */
    r = mmgc_name_claim(t, "wordindex", fresh, &winner);
    x->catalog = winner;
    return r;
}

static void *new_bytes(struct index *x, const char *text, size_t length)
{
    void *bytes = mmgc_new_array(x->t, x->bytes_type, (uint32_t)length);
    if (bytes != NULL)
        memcpy(bytes, text, length);
    return bytes;
}

static bool bytes_equal(const void *bytes, const char *text, size_t length)
{
    return mmgc_length(bytes) == length && memcmp(bytes, text, length) == 0;
}

/* Terms and files are both links of a chain that begin with {next, text} and hold a hash. */
static struct term *find_term(struct index *x, struct term *from, const char *text, size_t length, uint32_t hash)
{
    for (struct term *term = from; term != NULL; term = mmgc_get(x->t, term, next))
        if (term->hash == hash && bytes_equal(mmgc_get(x->t, term, word), text, length))
            return term;
    return NULL;
}

static struct file *find_file(struct index *x, struct file *from, const char *path, size_t length, uint32_t hash)
{
    for (struct file *file = from; file != NULL; file = mmgc_get(x->t, file, next))
        if (file->hash == hash && bytes_equal(mmgc_get(x->t, file, path), path, length))
            return file;
    return NULL;
}

/* Finds or adds. The new link is complete before the one compare-and-swap that shows it. */
static struct term *intern_term(struct index *x, const struct token *token)
{
    mmgc_ref *buckets = mmgc_get(x->t, x->catalog, words), *slot = &buckets[token->hash % INDEX_BUCKETS];
    struct term *head = mmgc_load(x->t, slot), *found = find_term(x, head, token->text, token->length, token->hash);
    if (found != NULL)
        return found;
    struct term *fresh = mmgc_new(x->t, x->term_type);
    void *word = fresh ? new_bytes(x, token->text, token->length) : NULL;
    if (word == NULL)
        return NULL;
    fresh->hash = token->hash;
    mmgc_set(x->t, fresh, word, word);
    for (;;) {
        mmgc_set(x->t, fresh, next, head);
        if (mmgc_compare_and_swap(x->t, buckets, slot, head, fresh))
            return fresh;
        head = mmgc_load(x->t, slot);
        found = find_term(x, head, token->text, token->length, token->hash);
        if (found != NULL)
            return found;
    }
}

static struct file *intern_file(struct index *x, const char *path)
{
    size_t length = strlen(path);
    uint32_t hash = tokens_hash(path, length);
    mmgc_ref *buckets = mmgc_get(x->t, x->catalog, files), *slot = &buckets[hash % INDEX_BUCKETS];
    struct file *head = mmgc_load(x->t, slot), *found = find_file(x, head, path, length, hash);
    if (found != NULL)
        return found;
    struct file *fresh = mmgc_new(x->t, x->file_type);
    void *bytes = fresh ? new_bytes(x, path, length) : NULL;
    if (bytes == NULL)
        return NULL;
    fresh->hash = hash;
    fresh->id = __atomic_fetch_add(&x->catalog->next_file_id, 1, __ATOMIC_RELAXED);
    mmgc_set(x->t, fresh, path, bytes);
    for (;;) {
        mmgc_set(x->t, fresh, next, head);
        if (mmgc_compare_and_swap(x->t, buckets, slot, head, fresh))
            return fresh;
        head = mmgc_load(x->t, slot);
        found = find_file(x, head, path, length, hash);
        if (found != NULL)
            return found;
    }
}

static int put_posting(struct index *x, struct term *term, struct posting *posting)
{
    for (;;) {
        struct trie_node *old = mmgc_get(x->t, term, postings);
        struct trie_node *root = trie_with(x->t, x->node_type, old, (struct trie_leaf *)posting);
        if (root == NULL)
            return mmgc_thread_error(x->t);
        if (mmgc_cas(x->t, term, postings, old, root))
            return MMGC_OK;
    }
}

static int remove_posting(struct index *x, struct term *term, struct file *file)
{
    for (;;) {
        struct trie_node *old = mmgc_get(x->t, term, postings), *root;
        int r = trie_without(x->t, x->node_type, old, file->id, &root);
        if (r != MMGC_OK || root == old || mmgc_cas(x->t, term, postings, old, root))
            return r;
    }
}

/* The terms of @tokens, and behind them those of @old that are not among them. NULL: no memory. */
static mmgc_ref *list_terms(struct index *x, const struct tokens *tokens, mmgc_ref *old)
{
    uint32_t old_count = old ? mmgc_length(old) : 0, n = 0;
    mmgc_ref *list = mmgc_new_array(x->t, x->refs_type, (uint32_t)tokens->used + old_count);
    for (size_t i = 0; list != NULL && i < tokens->capacity; i++) {
        if (tokens->slots[i].text == NULL)
            continue;
        struct term *term = intern_term(x, &tokens->slots[i]);
        if (term == NULL)
            return NULL;
        mmgc_store(x->t, list, &list[n++], term);
    }
    for (uint32_t i = 0; list != NULL && i < old_count; i++) {
        struct term *term = mmgc_load(x->t, &old[i]);
        const char *word = term ? mmgc_get(x->t, term, word) : NULL;
        if (word != NULL && tokens_find(tokens, word, mmgc_length(word)) == NULL)
            mmgc_store(x->t, list, &list[n++], term);
    }
    return list;                             /* what is left over at its end stays null */
}

static struct posting *new_posting(struct index *x, struct file *file, const struct token *token)
{
    struct posting *posting = mmgc_new(x->t, x->posting_type);
    if (posting != NULL) {
        posting->id = file->id;
        posting->count = token->count;
        posting->first_line = token->first_line;
        mmgc_set(x->t, posting, file, file);
    }
    return posting;
}

/* The token of a term in a list of terms, or NULL. */
static const struct token *token_of(struct index *x, const struct tokens *tokens, mmgc_ref *slot)
{
    struct term *term = mmgc_load(x->t, slot);
    const char *word = term ? mmgc_get(x->t, term, word) : NULL;
    return word ? tokens_find(tokens, word, mmgc_length(word)) : NULL;
}

/* The postings of a file are made in one go, before the tries' short-lived nodes: what dies together lies together, and a line of
 * 256 bytes is free as soon as all of it is dead. */
static mmgc_ref *list_postings(struct index *x, struct file *file, const struct tokens *tokens, mmgc_ref *terms)
{
    uint32_t length = mmgc_length(terms);
    mmgc_ref *postings = mmgc_new_array(x->t, x->refs_type, length);
    for (uint32_t i = 0; postings != NULL && i < length; i++) {
        const struct token *token = token_of(x, tokens, &terms[i]);
        struct posting *posting = token ? new_posting(x, file, token) : NULL;
        if (token != NULL && posting == NULL)
            return NULL;
        mmgc_store(x->t, postings, &postings[i], posting);
    }
    return postings;
}

int index_file(struct index *x, const char *path, const struct tokens *tokens)
{
    struct file *file = intern_file(x, path);
    mmgc_ref *terms = file ? list_terms(x, tokens, mmgc_get(x->t, file, terms)) : NULL;
    mmgc_ref *postings = terms ? list_postings(x, file, tokens, terms) : NULL;
    if (postings == NULL)
        return mmgc_thread_error(x->t);
    mmgc_set(x->t, file, terms, terms);      /* from here on whoever takes this file up again knows where its postings are */
    uint32_t length = mmgc_length(terms);
    for (uint32_t i = 0; i < length; i++) {
        struct term *term = mmgc_load(x->t, &terms[i]);
        struct posting *posting = mmgc_load(x->t, &postings[i]);
        if (term == NULL)
            break;
        int r = posting ? put_posting(x, term, posting) : remove_posting(x, term, file);
        if (r != MMGC_OK)
            return r;
    }
    __atomic_fetch_add(&x->catalog->files_indexed, 1, __ATOMIC_RELAXED);
    return MMGC_OK;
}

struct term *index_find(struct index *x, const char *word)
{
    size_t length = strlen(word);
    uint32_t hash = tokens_hash(word, length);
    mmgc_ref *buckets = mmgc_get(x->t, x->catalog, words);
    return find_term(x, mmgc_load(x->t, &buckets[hash % INDEX_BUCKETS]), word, length, hash);
}

void index_each_term(struct index *x, void (*visit)(void *, struct index *, struct term *), void *context)
{
    mmgc_ref *buckets = mmgc_get(x->t, x->catalog, words);
    for (uint32_t i = 0; i < INDEX_BUCKETS; i++) {
        for (struct term *term = mmgc_load(x->t, &buckets[i]); term != NULL; term = mmgc_get(x->t, term, next))
            visit(context, x, term);
        mmgc_poll(x->t);
    }
}

uint64_t index_count_files(struct index *x)
{
    mmgc_ref *buckets = mmgc_get(x->t, x->catalog, files);
    uint64_t count = 0;
    for (uint32_t i = 0; i < INDEX_BUCKETS; i++) {
        for (struct file *file = mmgc_load(x->t, &buckets[i]); file != NULL; file = mmgc_get(x->t, file, next))
            count++;
        mmgc_poll(x->t);
    }
    return count;
}
