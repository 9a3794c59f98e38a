/* SPDX-License-Identifier: Apache-2.0 */
#include "indexer.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"
#include "say.h"

/* ---- which files ------------------------------------------------------------------------------------------------- */

struct paths {
    char **at;
    size_t count, capacity;
    uint64_t bytes;                          /* of the files */
};
static struct paths *walking;                /* nftw() has no context argument; one thread walks */

static bool keep(const char *path)
{
    char **grown = walking->at;
    if (walking->count == walking->capacity) {
        walking->capacity = walking->capacity ? walking->capacity * 2 : 1024;
        grown = realloc(walking->at, walking->capacity * sizeof(*grown));
    }
    if (grown == NULL)
        return false;
    walking->at = grown;
    return (walking->at[walking->count++] = strdup(path)) != NULL;
}

static int on_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    const char *name = path + where->base;
    bool hidden = where->level > 0 && name[0] == '.', built = where->level > 0 && strcmp(name, "build") == 0;
    if (kind == FTW_D)
        return hidden || built ? FTW_SKIP_SUBTREE : FTW_CONTINUE;
    if (kind != FTW_F || hidden || !S_ISREG(st->st_mode))
        return FTW_CONTINUE;
    walking->bytes += (uint64_t)st->st_size;
    return keep(path) ? FTW_CONTINUE : FTW_STOP;
}

static int walk(struct paths *paths, const char *const *dirs, size_t count)
{
    *paths = (struct paths){0};
    walking = paths;
    for (size_t i = 0; i < count; i++)
        if (nftw(dirs[i], on_entry, 32, FTW_PHYS | FTW_ACTIONRETVAL) != 0)
            return fail("cannot walk %s: %s", dirs[i], strerror(errno));
    return 0;
}

static void paths_fini(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->at[i]);
    free(paths->at);
}

/* By name, not by position: the share of an indexer stays the same when files come and go. */
static bool is_mine(const char *path, const struct indexer_options *o)
{
    return tokens_hash(path, strlen(path)) % o->shares == o->share;
}

/* ---- the work ---------------------------------------------------------------------------------------------------- */

static int index_one(struct index *x, struct tokens *tokens, const char *path)
{
    int r = tokens_read(tokens, path);       /* outside: reading files must not hold up a collection */
    if (r < 0) {
        fprintf(stderr, "wordindex: skipping %s: %s\n", path, strerror(-r));
        return 0;
    }
    r = mmgc_enter(x->t);
    if (r != MMGC_OK)
        return fail_mmgc("going inside the heap", r);
    x->catalog = mmgc_name_get(x->t, "wordindex");
    r = x->catalog ? index_file(x, path, tokens) : mmgc_thread_error(x->t);
    mmgc_leave(x->t);
    return r == MMGC_OK ? 0 : fail_mmgc(path, r);
}

static int run(struct mmgc_heap *heap, struct mmgc_thread *t, const struct indexer_options *o, const struct paths *paths)
{
    struct index x;
    int r = mmgc_enter(t);
    if (r != MMGC_OK)
        return fail_mmgc("going inside the heap", r);
    r = index_open(&x, heap, t);
    mmgc_leave(t);
    if (r != MMGC_OK)
        return fail_mmgc("opening the index", r);
    struct tokens tokens = {0};
    for (unsigned pass = 0; pass < o->passes && r == 0; pass++)
        for (size_t i = 0; i < paths->count && r == 0; i++)
            if (is_mine(paths->at[i], o))
                r = index_one(&x, &tokens, paths->at[i]);
    tokens_fini(&tokens);
    return r;
}

int indexer_run(const struct place *place, const struct indexer_options *o, const char *const *dirs, size_t dir_count)
{
    struct access a;
    struct paths paths;
    int r = walk(&paths, dirs, dir_count);
    if (r == 0 && (r = access_open(&a, place, "wordindex indexer")) == 0) {
        r = run(a.heap, a.t, o, &paths);
        access_close(&a);
    }
    paths_fini(&paths);
    return r;
}

void indexer_measure(const char *const *dirs, size_t dir_count, uint64_t *ret_files, uint64_t *ret_bytes)
{
    struct paths paths;
    (void)walk(&paths, dirs, dir_count);
    *ret_files = paths.count;
    *ret_bytes = paths.bytes;
    paths_fini(&paths);
}
