/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tokens: the words of one file and how often each stands in it. Ordinary private memory, one thread.
 * A word is a longest run of the bytes A-Z a-z 0-9 and _, as `LC_ALL=C tr -cs 'A-Za-z0-9_' '\n'` cuts them. */
#include <stddef.h>
#include <stdint.h>

struct token {
    const char *text;                        /* not terminated; points into the file's bytes */
    uint32_t length, hash;
    uint32_t count, first_line;              /* lines from 1 */
};
struct tokens {
    struct token *slots;                     /* open addressing; text NULL: free */
    size_t capacity, used;
    uint64_t words;                          /* all, repetitions included */
    char *bytes;
    size_t byte_count, byte_capacity;
};

/* Reads @path anew into @tokens (zeroed before its first use, reused after). 0, or -errno. */
int tokens_read(struct tokens *tokens, const char *path);
/* The token with this text, or NULL. */
const struct token *tokens_find(const struct tokens *tokens, const char *text, size_t length);
uint32_t tokens_hash(const char *text, size_t length);
void tokens_fini(struct tokens *tokens);
