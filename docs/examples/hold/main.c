/* SPDX-License-Identifier: Apache-2.0 */
/* hold: adds up words. Each line of standard input is a request: it is taken apart into a list of words, of which none survives but the one
 * that is longest, and that joins a list in the heap.
 *
 *     seq 1 100000 | MMGC_SOCKET=... hold
 *
 * Everything that a request makes is in a hold, so none of it is ever looked for by a collection. */
#include <mmgc/hold.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
    mmgc_ref next, text; /* text: bytes */
    uint32_t length;
};
struct program {
    struct mmgc_thread *t;
    mmgc_type word, bytes;
};

static void must(int code, const char *what)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "hold: %s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(1);
}

static void *made(struct program *p, void *object)
{
    if (object == NULL)
        must(mmgc_thread_error(p->t), "making an object");
    return object;
}

/* In the hold: objects there stay where they are, so plain pointers do. */
static struct word *word_new(struct program *p, const char *text, uint32_t length, struct word *next)
{
    char *bytes = made(p, mmgc_new_array(p->t, p->bytes, length));
    struct word *word = made(p, mmgc_new(p->t, p->word));

    memcpy(bytes, text, length);
    mmgc_init(p->t, word, text, (void *)bytes);
    mmgc_init(p->t, word, next, next);
    word->length = length;
    return word;
}

static struct word *words_of(struct program *p, char *line)
{
    struct word *words = NULL;

    for (char *at = strtok(line, " \t\n"); at != NULL; at = strtok(NULL, " \t\n"))
        words = word_new(p, at, (uint32_t)strlen(at), words);
    return words;
}

static struct word *longest_of(struct program *p, struct word *words)
{
    struct word *longest = words;

    for (struct word *word = words; word != NULL; word = mmgc_get(p->t, word, next))
        if (word->length > longest->length)
            longest = word;
    return longest;
}

/* What stays of a line, in the heap, before those of earlier ones. */
static struct word *request(struct program *p, char *line, struct word *kept_so_far)
{
    mmgc_hold hold;
    struct mmgc_hold_options options = { .budget_bytes = 16 << 20, .name = "line" };

    must(mmgc_hold_begin(p->t, &options, &hold), "beginning a hold");
    void *kept[1] = { longest_of(p, words_of(p, line)) };
    if (kept[0] != NULL)
        mmgc_set(p->t, (struct word *)kept[0], next, kept_so_far); /* from inside to the outside: nothing gets out */
    must(mmgc_hold_end(p->t, hold, kept, 1), "ending a hold");
    return kept[0] != NULL ? kept[0] : kept_so_far;
}

static void report(struct program *p, struct word *words)
{
    uint64_t count = 0, letters = 0;

    for (; words != NULL; words = mmgc_get(p->t, words, next), count++)
        letters += strnlen(mmgc_get(p->t, words, text), words->length);
    printf("%llu words of %llu letters\n", (unsigned long long)count, (unsigned long long)letters);
}

int main(void)
{
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct program p;
    struct word *kept = NULL;
    char *line = NULL;
    size_t room = 0;

    must(mmgc_connect(NULL, "hold", &client), "connecting");
    must(mmgc_heap_open(client, "hold", &(struct mmgc_heap_options){ .create = true }, &heap), "opening the heap");
    must(MMGC_DEFINE_TYPE(heap, word, &p.word, next, text), "defining a type");
    must(mmgc_type_bytes(heap, &p.bytes), "defining a type");
    must(mmgc_attach(heap, NULL, &p.t), "attaching");
    must(mmgc_enter(p.t), "entering");
    while (getline(&line, &room, stdin) >= 0)
        kept = request(&p, line, kept);
    report(&p, kept);
    free(line);
    mmgc_detach(p.t);
    mmgc_heap_close(heap);
    mmgc_disconnect(client);
    return 0;
}
