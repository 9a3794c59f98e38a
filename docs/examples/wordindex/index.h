/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Index: one inverted index that many processes build at once in a shared heap, with no lock.
 *
 *   catalog --words--> array of chains of term   --postings--> trie: file id -> posting --file--> file
 *           --files--> array of chains of file   --terms-----> array of the terms it has postings in
 *
 *   Chains grow at their head by compare-and-swap and never shrink. A term's postings are an immutable trie, replaced by
 *   compare-and-swap; so re-indexing a file makes the old postings and the old paths garbage.
 *   Killed   An indexer may die anywhere: each step leaves a whole index. file.terms names every term that may hold a posting
 *            of the file BEFORE that posting is made, so whoever indexes the file again also removes what is out of date.
 *   Threads  One struct index a thread; the thread is inside the heap for every call.                              */
#include <stdint.h>

#include <mmgc/mmgc.h>

#include "tokens.h"
#include "trie.h"

struct catalog {
    mmgc_ref words, files;                   /* arrays of references, INDEX_BUCKETS long */
    uint32_t next_file_id;                   /* atomic */
    uint32_t reserved;
    uint64_t files_indexed;                  /* atomic: how often a file was indexed, for the progress line */
};
struct term {
    mmgc_ref next, word, postings;           /* chain; bytes; trie of posting */
    uint32_t hash;
};
struct file {
    mmgc_ref next, path, terms;              /* chain; bytes; array of term */
    uint32_t hash;
    uint32_t id;                             /* the key in tries */
};
struct posting {
    uint32_t id;                             /* the file's (struct trie_leaf) */
    uint32_t count, first_line;
    mmgc_ref file;
};

#define INDEX_BUCKETS (1u << 17)

struct index {
    struct mmgc_thread *t;
    struct catalog *catalog;
    mmgc_type catalog_type, term_type, file_type, posting_type, node_type, refs_type, bytes_type;
};

/* Finds the heap's index, or makes it. @index must lie on the stack of the thread: it holds a root. */
int index_open(struct index *index, struct mmgc_heap *heap, struct mmgc_thread *t);
/* Indexes the file at @path, whose words are @tokens; as often as one likes. */
int index_file(struct index *index, const char *path, const struct tokens *tokens);
/* The term of a word, or NULL. */
struct term *index_find(struct index *index, const char *word);
/* Every term. */
void index_each_term(struct index *index, void (*visit)(void *context, struct index *index, struct term *term), void *context);
uint64_t index_count_files(struct index *index);
