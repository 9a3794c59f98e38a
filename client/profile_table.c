/* SPDX-License-Identifier: Apache-2.0 */
/* profile_table.c - Profile table: a bucket a call stack, by hash; and one row of live samples over all heaps.
 *   B1  a bucket stays where it is until the table is cleared, after all that point to it
 *   B2  a live sample's heap is open: closing it takes the sample out first
 *   B3  rows that collections have cleared are ended when the row of samples is full and when a profile is written: as many as live, twice
 *       over, is all there ever is; never more than LIVE_MAX
 *   B4  where no row is to be had none is asked for until as many samples have come as are watched: asking is a call to the daemon, and looking who
 *       has died since takes as long as there are many */
#include "client/profile_table.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096u
#define LIVE_MAX (1u << 16)          /* at one in 512 KiB, as many as the largest heap holds */

struct bucket {
    struct bucket *next;
    uint64_t hash;
    double values[PROFILE_VALUES];           /* of those in use: what stays so for good, and what is being counted */
    double kept_objects, kept_bytes;         /* of heaps that are closed */
    uint32_t depth;
    uintptr_t stack[];
};
struct live {
    struct mmgc_heap *heap;
    struct row row;
    struct bucket *bucket;
    double weight;
    uint64_t bytes;
};

static struct bucket *buckets[BUCKETS];
static size_t bucket_count, frame_count;
static struct live *lives;
static size_t live_count, live_capacity;
static uint64_t unwatched;
static _Atomic uint64_t samples, watch_from; /* stored under the lock; no row is to be begun before there are so many: B4 */

static uint64_t hash_of(const uintptr_t *stack, uint32_t depth)
{
    uint64_t hash = depth;

    for (uint32_t i = 0; i < depth; i++)
        hash = (hash ^ stack[i]) * UINT64_C(0x9e3779b97f4a7c15) ^ hash >> 29;
    return hash ^ hash >> 32;
}

static struct bucket *bucket_of(const uintptr_t *stack, uint32_t depth)
{
    uint64_t hash = hash_of(stack, depth);
    size_t bytes = depth * sizeof(*stack);
    struct bucket **head = &buckets[hash % BUCKETS];

    for (struct bucket *b = *head; b != NULL; b = b->next)
        if (b->hash == hash && b->depth == depth && memcmp(b->stack, stack, bytes) == 0)
            return b;
    struct bucket *b = calloc(1, sizeof(*b) + bytes);
    if (b == NULL)
        return NULL;
    b->hash = hash;
    b->depth = depth;
    memcpy(b->stack, stack, bytes);
    b->next = *head;
    *head = b;
    bucket_count++;
    frame_count += depth;
    return b;
}

/* ---- what lives ---- */

static bool is_alive(const struct live *live)
{
    return row_is(live->heap, live->row, SHM_ROW_WEAK); /* a collection that clears it says so there */
}

static void end_row(const struct live *live)
{
    (void)row_end(live->heap, live->row, 1u << SHM_ROW_WEAK);
}

/* B3. */
static void sweep(void)
{
    size_t left = 0;

    for (size_t i = 0; i < live_count; i++) {
        if (is_alive(&lives[i]))
            lives[left++] = lives[i];
        else
            end_row(&lives[i]);
    }
    live_count = left;
}

static bool room_for_one(void)
{
    if (live_count < live_capacity)
        return true;
    sweep();
    if (live_count < live_capacity / 2)
        return true;
    size_t capacity = live_capacity == 0 ? 256 : 2 * live_capacity;
    struct live *more = capacity <= LIVE_MAX ? reallocarray(lives, capacity, sizeof(*lives)) : NULL;
    if (more == NULL)
        return false;
    lives = more;
    live_capacity = capacity;
    return true;
}

bool profile_table_watches(void)
{
    return at_load_relaxed(&samples) >= at_load_relaxed(&watch_from);
}

void profile_table_lacks_rows(void)
{
    sweep();
    at_store_relaxed(&watch_from, at_load_relaxed(&samples) + MM_MAX(live_count, (size_t)256)); /* B4 */
}

bool profile_table_add(const struct profile_sample *sample, bool *ret_watched)
{
    struct bucket *b = bucket_of(sample->stack, sample->depth);

    *ret_watched = false;
    if (b == NULL)
        return false;
    at_store_relaxed(&samples, at_load_relaxed(&samples) + 1);
    b->values[PROFILE_ALLOC_OBJECTS] += sample->weight;
    b->values[PROFILE_ALLOC_SPACE] += sample->weight * (double)sample->bytes;
    if (sample->row.slot != 0 && !room_for_one()) {
        profile_table_lacks_rows();
    } else if (sample->row.slot != 0) {
        lives[live_count++] = (struct live){ sample->heap, sample->row, b, sample->weight, sample->bytes };
        *ret_watched = true;
    }
    unwatched += !*ret_watched;
    return *ret_watched || sample->row.slot == 0;
}

uint64_t profile_table_samples(void)
{
    return at_load_relaxed(&samples);
}

void profile_table_leave(struct mmgc_heap *heap)
{
    size_t left = 0;

    for (size_t i = 0; i < live_count; i++) {
        struct live *live = &lives[i];
        if (live->heap != heap) {
            lives[left++] = *live;
            continue;
        }
        if (is_alive(live)) {
            live->bucket->kept_objects += live->weight;
            live->bucket->kept_bytes += live->weight * (double)live->bytes;
        }
        end_row(live);
    }
    live_count = left;
}

/* ---- all of it ---- */

static void count_in_use(void)
{
    sweep();
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct bucket *b = buckets[i]; b != NULL; b = b->next) {
            b->values[PROFILE_INUSE_OBJECTS] = b->kept_objects;
            b->values[PROFILE_INUSE_SPACE] = b->kept_bytes;
        }
    for (size_t i = 0; i < live_count; i++) {
        lives[i].bucket->values[PROFILE_INUSE_OBJECTS] += lives[i].weight;
        lives[i].bucket->values[PROFILE_INUSE_SPACE] += lives[i].weight * (double)lives[i].bytes;
    }
}

bool profile_table_copy(struct profile_copy *ret_copy)
{
    size_t row_bytes = bucket_count * sizeof(struct profile_row);
    struct profile_row *row = malloc(row_bytes + frame_count * sizeof(uintptr_t) + 1);

    if (row == NULL)
        return false;
    *ret_copy = (struct profile_copy){ row, bucket_count, at_load_relaxed(&samples), unwatched };
    uintptr_t *frames = (uintptr_t *)(void *)((char *)row + row_bytes);
    count_in_use();
    for (size_t i = 0; i < BUCKETS; i++)
        for (const struct bucket *b = buckets[i]; b != NULL; b = b->next, row++) {
            memcpy(row->values, b->values, sizeof(row->values));
            memcpy(frames, b->stack, b->depth * sizeof(*frames));
            row->stack = frames;
            row->depth = b->depth;
            frames += b->depth;
        }
    return true;
}

void profile_table_clear(bool forked)
{
    for (size_t i = 0; i < live_count && !forked; i++)
        end_row(&lives[i]);
    free(lives);
    lives = NULL;
    live_count = live_capacity = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct bucket *b = buckets[i], *next; b != NULL; b = next) {
            next = b->next;
            free(b);
        }
    memset(buckets, 0, sizeof(buckets));
    bucket_count = frame_count = 0;
    unwatched = 0;
    at_store_relaxed(&samples, 0);
    at_store_relaxed(&watch_from, 0);
}
