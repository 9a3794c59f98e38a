/* SPDX-License-Identifier: Apache-2.0 */
#include "query.h"

#include <inttypes.h>
#include <stdio.h>

#include "index.h"
#include "say.h"

#define TOP 3

struct tally {                               /* of one word */
    struct mmgc_thread *t;
    uint64_t files, occurrences;
    struct posting *top[TOP];                /* most occurrences first; on the stack, so they stay */
};

static void tally_posting(void *context, struct trie_leaf *leaf)
{
    struct tally *tally = context;
    struct posting *posting = (struct posting *)leaf;
    tally->files++;
    tally->occurrences += posting->count;
    for (size_t i = 0; i < TOP; i++)
        if (tally->top[i] == NULL || posting->count > tally->top[i]->count) {
            struct posting *moved = tally->top[i];
            tally->top[i] = posting;
            posting = moved;
            if (posting == NULL)
                break;
        }
}

static void say_word(struct index *x, const char *word)
{
    struct term *term = index_find(x, word);
    struct tally tally = {.t = x->t};
    if (term != NULL)
        trie_each(x->t, mmgc_get(x->t, term, postings), tally_posting, &tally);
    printf("%s: %" PRIu64 " times in %" PRIu64 " files\n", word, tally.occurrences, tally.files);
    for (size_t i = 0; i < TOP && tally.top[i] != NULL; i++) {
        struct file *file = mmgc_get(x->t, tally.top[i], file);
        const char *path = file ? mmgc_get(x->t, file, path) : NULL;
        if (path == NULL)
            continue;
        printf("    %6" PRIu32 "  %.*s:%" PRIu32 "\n", tally.top[i]->count, (int)mmgc_length(path), path, tally.top[i]->first_line);
    }
}

static int inside(struct access *a, struct index *x)
{
    int r = mmgc_enter(a->t);
    if (r != MMGC_OK)
        return fail_mmgc("going inside the heap", r);
    r = index_open(x, a->heap, a->t);
    if (r == MMGC_OK)
        return 0;
    mmgc_leave(a->t);
    return fail_mmgc("opening the index", r);
}

int query_words(const struct place *place, const char *const *words, size_t count)
{
    struct access a;
    struct index x;
    if (access_open(&a, place, "wordindex query") != 0)
        return 1;
    int r = inside(&a, &x);
    if (r == 0) {
        for (size_t i = 0; i < count; i++)
            say_word(&x, words[i]);
        mmgc_leave(a.t);
    }
    access_close(&a);
    return r;
}

static void dump_term(void *context, struct index *x, struct term *term)
{
    (void)context;
    struct tally tally = {.t = x->t};
    const char *word = mmgc_get(x->t, term, word);
    trie_each(x->t, mmgc_get(x->t, term, postings), tally_posting, &tally);
    if (tally.files > 0)
        printf("%" PRIu64 " %" PRIu64 " %.*s\n", tally.occurrences, tally.files, (int)mmgc_length(word), word);
}

int query_dump(const struct place *place)
{
    struct access a;
    struct index x;
    if (access_open(&a, place, "wordindex dump") != 0)
        return 1;
    int r = inside(&a, &x);
    if (r == 0) {
        index_each_term(&x, dump_term, NULL);
        mmgc_leave(a.t);
    }
    access_close(&a);
    return r;
}

static void add_term(void *context, struct index *x, struct term *term)
{
    struct totals *totals = context;
    struct tally tally = {.t = x->t};
    trie_each(x->t, mmgc_get(x->t, term, postings), tally_posting, &tally);
    totals->words += tally.files > 0;
    totals->postings += tally.files;
    totals->occurrences += tally.occurrences;
}

int query_totals(struct access *a, struct totals *ret_totals)
{
    struct index x;
    *ret_totals = (struct totals){0};
    int r = inside(a, &x);
    if (r != 0)
        return r;
    index_each_term(&x, add_term, ret_totals);
    ret_totals->files = index_count_files(&x);
    mmgc_leave(a->t);
    return 0;
}
