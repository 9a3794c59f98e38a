/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - Store: the region is a row of blocks without gaps, each used or free, and what lies behind a block's head is its piece.
 *   T1  a block's `before` is the size of the one in front of it, 0: there is none; so both neighbours are found from its head
 *   T2  no two free blocks are neighbours: who frees one joins it with those beside it
 *   T3  a free block is on the list of its class, and the class's bit is set if its list is not empty. All blocks of a class are larger
 *       than all of the classes below
 *   T4  a block begins 16 bytes in front of a cache line, and is whole lines long: so its piece begins on a line, and the last 16 bytes
 *       of that line's last neighbour are the next head
 *   T5  sparse: only what lies below `open` may be touched; each head does, and the two links of a free block behind it
 *   T6  under AddressSanitizer nobody may touch what lies behind what was asked for, nor what is free, but for heads and links
 *   What is joined keeps its head's bytes, marked free, until somebody writes over them: so a piece freed twice is mostly found out. */
#include "plans/work/store.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "plans/work/reserve.h"
#include "shm/units.h"

#define USED ((size_t)1)             /* in `bytes`, which is a multiple of lines */
#define HEAD offsetof(struct block, next)
#define STEPS 16u                    /* classes to a power of two */
#define STEPS_LOG 4u
#define CLASSES 512u                 /* units below 2^35: 2 TiB */
#define BYTES_MAX (UINT64_C(1) << 40)
static_assert(BYTES_MAX / MM_CACHE_LINE < UINT64_C(1) << 35, "CLASSES");
#define OPEN_BYTES (UINT64_C(256) << 10) /* at a time: a system call, and nothing else */

struct block {
    size_t before, bytes;
    struct block *next, **link;      /* of a free one: its list */
};

struct store {
    pthread_mutex_t lock;
    char *first, *end;               /* [const] of the blocks */
    char *open;                      /* [lock] T5; the end, unless sparse */
    char *reserved;                  /* [const] the region, if it is the system's */
    size_t region_bytes;             /* [const] */
    struct store_usage usage;        /* [lock] */
    uint64_t any;                    /* [lock] a bit for each word of the next that is not 0 */
    uint64_t filled[CLASSES / 64];   /* [lock] a bit a class: T3 */
    struct block *lists[CLASSES];    /* [lock] */
};
static_assert(HEAD == 16, "T4");
static_assert(sizeof(struct store) + 4 * MM_CACHE_LINE < STORE_BYTES_MIN, "STORE_BYTES_MIN");

/* ---- T6 ---- */

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define FORBIDDEN_MOST STORE_LARGE_BYTES /* of what is free: its shadow is committed */
static void permit(const void *at, size_t bytes)
{
    __asan_unpoison_memory_region(at, bytes);
}
static void forbid(const void *at, size_t bytes)
{
    __asan_poison_memory_region(at, MM_MIN(bytes, FORBIDDEN_MOST));
}
#else
static void permit(const void *at, size_t bytes)
{
    (void)at, (void)bytes;
}
static void forbid(const void *at, size_t bytes)
{
    (void)at, (void)bytes;
}
#endif

/* ---- blocks ---- */

static size_t block_bytes(const struct block *b)
{
    return b->bytes & ~USED;
}

static bool is_used(const struct block *b)
{
    return (b->bytes & USED) != 0;
}

static struct block *block_after(const struct store *s, const struct block *b) /* NULL: it is the last */
{
    char *at = (char *)b + block_bytes(b);

    return at < s->end ? (struct block *)(void *)at : NULL;
}

static struct block *block_before(const struct block *b) /* NULL: it is the first */
{
    return b->before == 0 ? NULL : (struct block *)(void *)((char *)b - b->before);
}

/* The block that @piece lies in, which must be in use. */
static struct block *block_of(const struct store *s, void *piece)
{
    struct block *b = (struct block *)(void *)((char *)piece - HEAD);

    MM_ASSERT((uintptr_t)piece % MM_CACHE_LINE == 0 && (char *)b >= s->first && (char *)piece < s->end);
    MM_ASSERT(is_used(b) && block_bytes(b) <= (size_t)(s->end - (char *)b)); /* else it was freed before, or is no piece */
    return b;
}

static size_t payload_bytes(const struct block *b)
{
    return block_bytes(b) - HEAD;
}

static void set_bytes(struct store *s, struct block *b, size_t bytes, size_t used)
{
    b->bytes = bytes | used;
    struct block *after = block_after(s, b);
    if (after != NULL)
        after->before = bytes;
}

/* ---- lists ---- */

static unsigned class_of(size_t bytes)
{
    size_t units = bytes / MM_CACHE_LINE;
    unsigned level = 63 - (unsigned)__builtin_clzll(units);

    return units < STEPS ? (unsigned)units : (level - STEPS_LOG + 1) * STEPS + (unsigned)(units >> (level - STEPS_LOG)) % STEPS;
}

static void list_add(struct store *s, struct block *b)
{
    unsigned class = class_of(b->bytes);

    b->next = s->lists[class];
    b->link = &s->lists[class];
    if (b->next != NULL)
        b->next->link = &b->next;
    s->lists[class] = b;
    s->filled[class / 64] |= UINT64_C(1) << class % 64;
    s->any |= UINT64_C(1) << class / 64;
}

static void list_remove(struct store *s, struct block *b)
{
    unsigned class = class_of(b->bytes);

    *b->link = b->next;
    if (b->next != NULL)
        b->next->link = b->link;
    if (s->lists[class] == NULL)
        s->filled[class / 64] &= ~(UINT64_C(1) << class % 64);
    if (s->filled[class / 64] == 0)
        s->any &= ~(UINT64_C(1) << class / 64);
}

/* The lowest class from @class on that has a block; CLASSES: none. */
static unsigned next_filled(const struct store *s, unsigned class)
{
    uint64_t word = class < CLASSES ? s->filled[class / 64] >> class % 64 << class % 64 : 0;
    uint64_t words = s->any >> class / 64 >> 1 << class / 64 << 1;

    if (word != 0)
        return class / 64 * 64 + (unsigned)__builtin_ctzll(word);
    if (words == 0)
        return CLASSES;
    unsigned at = (unsigned)__builtin_ctzll(words);
    return at * 64 + (unsigned)__builtin_ctzll(s->filled[at]);
}

static struct block *find_locked(struct store *s, size_t bytes)
{
    unsigned class = class_of(bytes);
    struct block *b = s->lists[class];

    if (b != NULL && b->bytes >= bytes) /* what is freed and taken in one size comes back so */
        return b;
    class = next_filled(s, class + 1);
    return class == CLASSES ? NULL : s->lists[class];
}

/* ---- taking and freeing ---- */

static bool open_to(struct store *s, const char *to)
{
    size_t more = to > s->open ? mm_align_up((size_t)(to - s->open), OPEN_BYTES) : 0;

    more = MM_MIN(more, (size_t)(s->end - s->open));
    if (more > 0 && !reserve_open(s->open, more))
        return false;
    s->open += more;
    return true;
}

/* @b, which is on no list, is in use with @bytes of it; the rest is free. Its head is open. */
static void settle_locked(struct store *s, struct block *b, size_t bytes)
{
    size_t rest = block_bytes(b) - bytes;

    if (rest > 0)
        permit((char *)b + bytes, sizeof(*b));
    set_bytes(s, b, bytes, USED);
    if (rest == 0)
        return;
    struct block *behind = block_after(s, b);
    set_bytes(s, behind, rest, 0);
    list_add(s, behind);
}

static bool open_for(struct store *s, const struct block *b, size_t bytes)
{
    return open_to(s, MM_MIN((const char *)b + bytes + sizeof(*b), (const char *)s->end));
}

static void note_used(struct store *s, size_t more)
{
    s->usage.used += more;
    s->usage.high = MM_MAX(s->usage.high, s->usage.used);
}

static void *take_locked(struct store *s, size_t bytes)
{
    struct block *b = find_locked(s, bytes);

    if (b == NULL || !open_for(s, b, bytes)) {
        s->usage.refused++;
        return NULL;
    }
    list_remove(s, b);
    settle_locked(s, b, bytes);
    note_used(s, bytes);
    s->usage.pieces++;
    return (char *)b + HEAD;
}

static struct block *join_locked(struct store *s, struct block *b)
{
    struct block *before = block_before(b), *after = block_after(s, b);

    if (after != NULL && !is_used(after)) {
        list_remove(s, after);
        set_bytes(s, b, b->bytes + after->bytes, 0);
    }
    if (before != NULL && !is_used(before)) {
        list_remove(s, before);
        set_bytes(s, before, before->bytes + b->bytes, 0);
        b = before;
    }
    return b;
}

static void free_locked(struct store *s, struct block *b)
{
    struct block *after = block_after(s, b);

    MM_ASSERT(is_used(b) && (after == NULL || after->before == block_bytes(b))); /* nobody wrote beyond the piece's end */
    b->bytes &= ~USED;
    s->usage.used -= b->bytes;
    s->usage.pieces--;
    list_add(s, join_locked(s, b));
}

/* Its whole pages: false if there is no system, or it would not. */
static bool discard(struct store *s, char *at, size_t bytes)
{
    char *from = (char *)mm_align_up((uintptr_t)at, MM_PAGE_BYTES), *end = (char *)mm_align_down((uintptr_t)at + bytes, MM_PAGE_BYTES);

    return s->reserved != NULL && from < end && reserve_discard(from, (size_t)(end - from));
}

/* ---- the calls ---- */

size_t store_piece_bytes(size_t bytes)
{
    return bytes > BYTES_MAX - MM_CACHE_LINE ? BYTES_MAX : mm_align_up(bytes + HEAD, MM_CACHE_LINE); /* more than any region has */
}

/* Of @piece so much was asked for. */
static void hand_out(const struct store *s, void *piece, size_t bytes)
{
    permit(piece, bytes);
    forbid((char *)piece + bytes, payload_bytes(block_of(s, piece)) - bytes);
}

void *store_alloc(struct store *s, size_t bytes)
{
    pthread_mutex_lock(&s->lock);
    void *piece = take_locked(s, store_piece_bytes(bytes));
    pthread_mutex_unlock(&s->lock);
    if (piece != NULL)
        hand_out(s, piece, bytes);
    return piece;
}

void *store_alloc_zeroed(struct store *s, size_t bytes)
{
    char *piece = store_alloc(s, bytes);

    if (piece == NULL)
        return NULL;
    if (bytes < STORE_LARGE_BYTES || !discard(s, piece, bytes))
        return memset(piece, 0, bytes);
    char *pages = (char *)mm_align_up((uintptr_t)piece, MM_PAGE_BYTES), *end = piece + bytes;
    char *last = (char *)mm_align_down((uintptr_t)end, MM_PAGE_BYTES);
    memset(piece, 0, (size_t)(pages - piece));
    memset(last, 0, (size_t)(end - last));
    return piece;
}

static bool resize_in_place_locked(struct store *s, struct block *b, size_t bytes)
{
    struct block *after = block_after(s, b);
    size_t has = block_bytes(b);

    if (has >= bytes)
        return true;
    if (after == NULL || is_used(after) || has + after->bytes < bytes || !open_for(s, b, bytes))
        return false;
    list_remove(s, after);
    b->bytes = has + after->bytes;
    settle_locked(s, b, bytes);
    note_used(s, bytes - has);
    return true;
}

void *store_resize(struct store *s, void *piece, size_t bytes)
{
    if (piece == NULL)
        return store_alloc(s, bytes);
    struct block *b = block_of(s, piece);
    pthread_mutex_lock(&s->lock);
    bool here = resize_in_place_locked(s, b, store_piece_bytes(bytes));
    pthread_mutex_unlock(&s->lock);
    if (here) {
        hand_out(s, piece, bytes);
        return piece;
    }
    void *moved = store_alloc(s, bytes);
    if (moved == NULL)
        return NULL;
    permit(piece, payload_bytes(b));
    memcpy(moved, piece, payload_bytes(b));
    store_free(s, piece);
    return moved;
}

void store_free(struct store *s, void *piece)
{
    if (piece == NULL)
        return;
    struct block *b = block_of(s, piece);
    if (payload_bytes(b) >= STORE_GIVE_BACK_BYTES)
        (void)discard(s, piece, payload_bytes(b)); /* it is still ours */
    permit(piece, sizeof(*b) - HEAD);
    forbid((char *)piece + (sizeof(*b) - HEAD), payload_bytes(b) - (sizeof(*b) - HEAD));
    pthread_mutex_lock(&s->lock);
    free_locked(s, b);
    pthread_mutex_unlock(&s->lock);
}

struct store_usage store_usage(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    struct store_usage usage = s->usage;
    pthread_mutex_unlock(&s->lock);
    return usage;
}

bool store_is_sparse(const struct store *s)
{
    return s->reserved != NULL;
}

/* ---- life ---- */

/* @open: up to where the region may be touched. */
static struct store *make(char *region, size_t bytes, char *open)
{
    struct store *s = (struct store *)(void *)mm_align_up((uintptr_t)region, MM_CACHE_LINE);
    char *first = (char *)mm_align_up((uintptr_t)(s + 1) + HEAD, MM_CACHE_LINE) - HEAD;
    size_t room = mm_align_down((size_t)(region + bytes - first), MM_CACHE_LINE);

    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->first = first;
    s->end = first + room;
    s->open = MM_MIN(open, s->end);
    s->region_bytes = bytes;
    struct block *b = (struct block *)(void *)first;
    *b = (struct block){ .bytes = room };
    list_add(s, b);
    s->usage.capacity = room;
    return s;
}

int store_new_in(struct store **ret, void *region, size_t bytes)
{
    if (bytes < STORE_BYTES_MIN || bytes >= BYTES_MAX)
        return -EINVAL;
    *ret = make(region, bytes, (char *)region + bytes);
    return 0;
}

int store_new(struct store **ret, size_t bytes)
{
    bytes = mm_align_up(bytes, OPEN_BYTES);
    if (bytes == 0 || bytes >= BYTES_MAX)
        return -EINVAL;
    char *region = reserve_map(bytes);
    if (region == NULL)
        return -ENOMEM;
    if (!reserve_open(region, OPEN_BYTES)) {
        reserve_unmap(region, bytes);
        return -ENOMEM;
    }
    struct store *s = make(region, bytes, region + OPEN_BYTES);
    s->reserved = region;
    *ret = s;
    return 0;
}

struct store *store_unref(struct store *s)
{
    if (s == NULL)
        return NULL;
    MM_ASSERT(s->usage.pieces == 0);
    permit(s->first, (size_t)(s->open - s->first));
    pthread_mutex_destroy(&s->lock);
    if (s->reserved != NULL)
        reserve_unmap(s->reserved, s->region_bytes);
    return NULL;
}
