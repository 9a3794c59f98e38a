/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_word_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* FNV-1a, finished by a multiplication so that short words spread over the high bits, too. */
uint32_t tokens_hash(const char *text, size_t length)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)text[i]) * 16777619u;
    return (h ^ h >> 15) * 0x85ebca6bu;
}

static int read_whole(struct tokens *t, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r = 0;
    if (fd < 0)
        return -errno;
    for (t->byte_count = 0;;) {
        if (t->byte_count == t->byte_capacity) {
            size_t capacity = t->byte_capacity ? t->byte_capacity * 2 : 1u << 16;
            char *bytes = realloc(t->bytes, capacity);
            if (bytes == NULL) {
                r = -ENOMEM;
                break;
            }
            t->bytes = bytes;
            t->byte_capacity = capacity;
        }
        ssize_t n = read(fd, t->bytes + t->byte_count, t->byte_capacity - t->byte_count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            r = n < 0 ? -errno : 0;
            break;
        }
        t->byte_count += (size_t)n;
    }
    close(fd);
    return r;
}

static struct token *find_slot(const struct tokens *t, const char *text, size_t length, uint32_t hash)
{
    for (size_t i = hash & (t->capacity - 1);; i = (i + 1) & (t->capacity - 1)) {
        struct token *slot = &t->slots[i];
        if (slot->text == NULL || (slot->hash == hash && slot->length == length && memcmp(slot->text, text, length) == 0))
            return slot;
    }
}

static int grow(struct tokens *t)
{
    struct tokens larger = *t;
    larger.capacity = t->capacity ? t->capacity * 2 : 1024;
    larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
    if (larger.slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->slots[i].text != NULL)
            *find_slot(&larger, t->slots[i].text, t->slots[i].length, t->slots[i].hash) = t->slots[i];
    free(t->slots);
    *t = larger;
    return 0;
}

static int add(struct tokens *t, const char *text, size_t length, uint32_t line)
{
    if (t->used * 2 >= t->capacity && grow(t) < 0)
        return -ENOMEM;
    uint32_t hash = tokens_hash(text, length);
    struct token *slot = find_slot(t, text, length, hash);
    if (slot->text == NULL) {
        *slot = (struct token){.text = text, .length = (uint32_t)length, .hash = hash, .first_line = line};
        t->used++;
    }
    slot->count++;
    t->words++;
    return 0;
}

int tokens_read(struct tokens *t, const char *path)
{
    int r = read_whole(t, path);
    if (r < 0)
        return r;
    if (t->capacity > 0)
        memset(t->slots, 0, t->capacity * sizeof(*t->slots));
    t->used = 0;
    t->words = 0;
    uint32_t line = 1;
    for (size_t i = 0; i < t->byte_count;) {
        size_t start = i;
        while (i < t->byte_count && is_word_byte((unsigned char)t->bytes[i]))
            i++;
        if (i > start && (r = add(t, t->bytes + start, i - start, line)) < 0)
            return r;
        if (i < t->byte_count && t->bytes[i++] == '\n')
            line++;
    }
    return 0;
}

const struct token *tokens_find(const struct tokens *t, const char *text, size_t length)
{
    if (t->capacity == 0)
        return NULL;
    const struct token *slot = find_slot(t, text, length, tokens_hash(text, length));
    return slot->text != NULL ? slot : NULL;
}

void tokens_fini(struct tokens *t)
{
    free(t->slots);
    free(t->bytes);
    *t = (struct tokens){0};
}
