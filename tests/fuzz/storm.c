/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/storm.h"

#include <stdbool.h>

#include "shm/base.h"
#include "shm/units.h"
#include "tests/support/wild.h"

#if defined(__clang__)
#define UNSEEN __attribute__((no_sanitize("coverage"))) /* what looks is not looked at */
#else
#define UNSEEN
#endif

#define GRANULES (UINT32_C(4) << 20 >> MM_GRANULE_LOG) /* about as many as an arena has here */

static struct {
    char *begin, *end;
} areas[STORM_AREAS_MAX];
static uint32_t area_count;

static struct {
    uint64_t state;
    uint32_t gap, until, left, written; /* left 0: no storm */
} storm;

void storm_areas_clear(void)
{
    area_count = 0;
}

void storm_area_add(void *at, size_t bytes)
{
    MM_ASSERT(area_count < STORM_AREAS_MAX && bytes >= 8);
    areas[area_count].begin = at;
    areas[area_count++].end = (char *)at + bytes;
}

UNSEEN static void store(char *at, uint64_t word)
{
    at_store_relaxed((_Atomic uint64_t *)(void *)at, word);
}

UNSEEN static char *any_place(uint32_t area, uint64_t *state)
{
    return areas[area].begin +
           8 * (size_t)wild_below(state, (uint64_t)(areas[area].end - areas[area].begin) / 8);
}

void storm_scribble(uint32_t area, uint64_t seed, uint32_t count)
{
    uint64_t state = seed | 1;

    for (uint32_t i = 0; i < count; i++)
        store(any_place(area % area_count, &state), wild_word(&state, GRANULES));
}

void storm_begin(uint64_t seed, uint32_t gap, uint32_t writes)
{
    storm.state = seed | 1;
    storm.gap = gap;
    storm.until = 1 + wild_below(&storm.state, gap);
    storm.written = 0;
    storm.left = area_count == 0 ? 0 : writes;
}

uint32_t storm_end(void)
{
    storm.left = 0;
    return storm.written;
}

/* The word at @at, or half of it, or one nearby, in the area from @begin to @end. */
UNSEEN static void strike_near(char *at, char *begin, char *end)
{
    char *word = begin + ((at - begin) & ~(ptrdiff_t)7);
    ptrdiff_t away = ((ptrdiff_t)wild_below(&storm.state, 9) - 4) * 8;
    uint64_t with = wild_word(&storm.state, GRANULES);

    if (wild_below(&storm.state, 3) == 0 && word + away >= begin && word + away < end)
        word += away;
    if (wild_below(&storm.state, 3) == 0)
        at_store_relaxed((_Atomic uint32_t *)(void *)(word + (at - begin) % 8 / 4 * 4), (uint32_t)with);
    else
        store(word, with);
}

UNSEEN static bool is_time(void)
{
    if (storm.left == 0 || --storm.until > 0)
        return false;
    storm.until = 1 + wild_below(&storm.state, 2 * (uint64_t)storm.gap);
    storm.left--;
    storm.written++;
    return true;
}

UNSEEN static void strike_anywhere(void)
{
    uint32_t area = wild_below(&storm.state, 2) == 0 ? 0 : wild_below(&storm.state, area_count);

    store(any_place(area, &storm.state), wild_word(&storm.state, GRANULES));
}

uint64_t __real_mm_now_ns(void);
uint64_t __wrap_mm_now_ns(void);
uint64_t __wrap_mm_now_ns(void)
{
    if (is_time())
        strike_anywhere();
    return __real_mm_now_ns();
}

/* ---- clang's -fsanitize-coverage=trace-loads ------------------------------------------------------------------------ */

UNSEEN static inline void look(const void *at)
{
    if (storm.left == 0)
        return;
    for (uint32_t i = 0; i < area_count; i++) {
        if ((const char *)at < areas[i].begin || (const char *)at >= areas[i].end)
            continue;
        if (!is_time())
            return;
        if (wild_below(&storm.state, 8) == 0)
            strike_anywhere();
        else
            strike_near((char *)(uintptr_t)at, areas[i].begin, areas[i].end);
        return;
    }
}

#define LOADS(X) X(1, uint8_t) X(2, uint16_t) X(4, uint32_t) X(8, uint64_t) X(16, char)
#define LOAD(bytes, type) \
    UNSEEN void __sanitizer_cov_load##bytes(const type *at); \
    UNSEEN void __sanitizer_cov_load##bytes(const type *at) \
    { \
        look(at); \
    }
LOADS(LOAD)
