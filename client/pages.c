/* SPDX-License-Identifier: Apache-2.0 */
/* pages.c - Pages: from one set of closed pages to the next, in as few system calls as it has runs.
 *   P1  all that is closed in this process is in mine, whatever fails
 *   P2  epoch is stored (release) when nothing is closed that the map has open; who reads its own there (acquire) may go on
 *   P3  opening first, then closing: never are more runs closed than twice runs_max */
#include "client/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/units.h"

#define EPOCH_NONE 1u             /* odd: nobody goes on in it */
#define MAP_COUNT_DEFAULT 65530u  /* Linux's */
#define RUNS_PART 8u              /* of the system's limit: a run splits what is around it in two, and P3 doubles that */

struct pages {
    struct pages_config config; /* [const] */
    uint64_t words;             /* [const] in each of the bitmaps */
    pthread_mutex_t lock;
    _Atomic uint32_t epoch;
    _Atomic uint64_t closed, left_open; /* [lock stores] */
    uint64_t *mine;                     /* [lock] */
    uint64_t *want, *change;            /* [lock] scratch */
};

struct run { /* pages [start, end) */
    uint64_t start, end;
};

/* ---- bits -------------------------------------------------------------------------------------------------------- */

/* The first page at or after @at whose bit is @value; the end of the bitmap if there is none. */
static uint64_t find(const uint64_t *bits, uint64_t words, uint64_t at, bool value)
{
    for (uint64_t word = at / 64; word < words; word++) {
        uint64_t found = value ? bits[word] : ~bits[word];
        if (word == at / 64)
            found &= ~UINT64_C(0) << at % 64;
        if (found != 0)
            return word * 64 + (uint64_t)__builtin_ctzll(found);
    }
    return words * 64;
}

/* The next run of set bits at or after @at. */
static bool next_run(const uint64_t *bits, uint64_t words, uint64_t at, struct run *ret)
{
    ret->start = find(bits, words, at, true);
    ret->end = find(bits, words, ret->start, false);
    return ret->start < words * 64;
}

static void clear_from(uint64_t *bits, uint64_t words, uint64_t at)
{
    if (at >= words * 64)
        return;
    bits[at / 64] &= ~(~UINT64_C(0) << at % 64);
    memset(&bits[at / 64 + 1], 0, (words - at / 64 - 1) * sizeof(*bits));
}

static uint64_t count(const uint64_t *bits, uint64_t words)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < words; i++)
        sum += (uint64_t)__builtin_popcountll(bits[i]);
    return sum;
}

/* ---- catching up ------------------------------------------------------------------------------------------------- */

static int open_protection(const struct pages *p)
{
    return p->config.read_only ? PROT_READ : PROT_READ | PROT_WRITE;
}

static int protect(const struct pages *p, struct run run, int protection)
{
    char *start = p->config.base + run.start * MM_PAGE_BYTES;

    return mprotect(start, (run.end - run.start) * MM_PAGE_BYTES, protection) == 0 ? 0 : -errno;
}

/* Opens what is closed and not wanted. If that would take more mappings than there are, all of it: which takes fewer. */
static int open_some(struct pages *p)
{
    struct run all = { 0, p->config.pages }, run = { 0, 0 };
    int r = 0;

    for (uint64_t i = 0; i < p->words; i++)
        p->change[i] = p->mine[i] & ~p->want[i];
    while (r == 0 && next_run(p->change, p->words, run.end, &run))
        r = protect(p, run, open_protection(p));
    if (r == 0) {
        for (uint64_t i = 0; i < p->words; i++)
            p->mine[i] &= p->want[i];
        return 0;
    }
    r = protect(p, all, open_protection(p));
    if (r == 0)
        memset(p->mine, 0, p->words * sizeof(*p->mine));
    return r;
}

/* Closes what is wanted and open; what cannot be closed stays open, with all that lies above. Of the run that failed a part may
 * be closed (P1). */
static void close_some(struct pages *p)
{
    struct run run = { 0, 0 };

    for (uint64_t i = 0; i < p->words; i++)
        p->change[i] = p->want[i] & ~p->mine[i];
    while (next_run(p->change, p->words, run.end, &run))
        if (protect(p, run, PROT_NONE) < 0) {
            clear_from(p->change, p->words, run.end);
            break;
        }
    for (uint64_t i = 0; i < p->words; i++)
        p->mine[i] |= p->change[i];
}

/* What the map says, as far as it is to be had in runs_max runs. */
static void choose(struct pages *p)
{
    struct run run = { 0, 0 };

    for (uint64_t i = 0; i < p->words; i++)
        p->want[i] = at_load_relaxed(&p->config.map[i]);
    at_store_relaxed(&p->closed, count(p->want, p->words));
    for (uint64_t runs = 0; runs < p->config.runs_max; runs++)
        if (!next_run(p->want, p->words, run.end, &run))
            return;
    if (next_run(p->want, p->words, run.end, &run))
        clear_from(p->want, p->words, run.start);
}

static int catch_up_locked(struct pages *p)
{
    choose(p);
    int r = open_some(p);
    if (r < 0)
        return r;
    close_some(p);
    at_store_relaxed(&p->left_open, at_load_relaxed(&p->closed) - count(p->mine, p->words));
    return 0;
}

int pages_catch_up(struct pages *p, uint32_t epoch)
{
    int r = 0;

    if (at_load_acquire(&p->epoch) == epoch) /* P2 */
        return 0;
    (void)pthread_mutex_lock(&p->lock);
    if (at_load_relaxed(&p->epoch) != epoch)
        r = catch_up_locked(p);
    if (r == 0)
        at_store_release(&p->epoch, epoch);
    (void)pthread_mutex_unlock(&p->lock);
    return r;
}

struct pages_counts pages_counts(const struct pages *p)
{
    return (struct pages_counts){ at_load_relaxed(&p->closed), at_load_relaxed(&p->left_open) };
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static uint64_t map_count_limit(void)
{
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    char text[32] = "";
    ssize_t bytes = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        (void)close(fd);
    uint64_t limit = bytes > 0 ? strtoull(text, NULL, 10) : 0;
    return limit > 0 ? limit : MAP_COUNT_DEFAULT;
}

int pages_new(struct pages **ret_pages, const struct pages_config *config)
{
    struct pages *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return -ENOMEM;
    p->config = *config;
    if (p->config.runs_max == 0)
        p->config.runs_max = map_count_limit() / RUNS_PART;
    p->words = config->pages / 64;
    p->mine = calloc(p->words, sizeof(*p->mine));
    p->want = calloc(p->words, sizeof(*p->want));
    p->change = calloc(p->words, sizeof(*p->change));
    at_store_relaxed(&p->epoch, EPOCH_NONE);
    (void)pthread_mutex_init(&p->lock, NULL);
    if (p->mine == NULL || p->want == NULL || p->change == NULL) {
        (void)pages_free(p);
        return -ENOMEM;
    }
    *ret_pages = p;
    return 0;
}

struct pages *pages_free(struct pages *p)
{
    if (p == NULL)
        return NULL;
    (void)pthread_mutex_destroy(&p->lock);
    free(p->mine);
    free(p->want);
    free(p->change);
    free(p);
    return NULL;
}
