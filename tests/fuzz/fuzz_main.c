/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_main.c - A fuzz target without libFuzzer: what has been found before, then good inputs damaged by chance, a fixed number of times.
 *   fuzz_NAME [--runs N]      each file of tests/fuzz/corpus/NAME, then MMGC_FUZZ_RUNS inputs (N, or 200000) from MMGC_SEED (1); the seed of
 *                             a failure replays it
 *   fuzz_NAME FILE...         these files alone: what a fuzzer left behind
 *   fuzz_NAME --corpus DIR    writes the good inputs there, for libFuzzer to start from */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/proto/sample.h"

#define INPUT_MAX 8192u
#define FILES_MAX 4096u

static char *files[FILES_MAX];
static size_t file_count;

static unsigned long long number_of(const char *text, unsigned long long otherwise)
{
    return text == NULL || text[0] == '\0' ? otherwise : strtoull(text, NULL, 0);
}

static int write_corpus(const char *dir)
{
    uint8_t bytes[INPUT_MAX];
    size_t count;

    for (size_t i = 0; (count = fuzz_good_input(i, bytes, sizeof(bytes))) > 0; i++) {
        char path[4096];
        (void)snprintf(path, sizeof(path), "%s/good-%02zu", dir, i);
        FILE *file = fopen(path, "we");
        if (file == NULL || fwrite(bytes, 1, count, file) != count || fclose(file) != 0) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

/* A copy of its own size, so that a sanitizer sees a read past its end. */
static void try_input(const uint8_t *bytes, size_t count)
{
    uint8_t *copy = malloc(count + (count == 0));

    if (copy == NULL)
        abort();
    memcpy(copy, bytes, count);
    (void)LLVMFuzzerTestOneInput(copy, count);
    free(copy);
}

/* ---- what has been found before ----------------------------------------------------------------------------------- */

static size_t read_file(const char *path, uint8_t *bytes, size_t capacity)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        perror(path);
        exit(1);
    }
    size_t count = fread(bytes, 1, capacity, file);
    (void)fclose(file);
    return count;
}

static int replay(char *const *paths, size_t count)
{
    static uint8_t bytes[1 << 20];

    for (size_t i = 0; i < count; i++) {
        printf("# %s\n", paths[i]);
        (void)fflush(stdout);
        try_input(bytes, read_file(paths[i], bytes, sizeof(bytes)));
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Of the target whose name is in @program: .../fuzz_NAME. */
static void find_corpus(const char *program)
{
    const char *root = getenv("MMGC_SOURCE_ROOT"), *name = strstr(program, "fuzz_");
    char dir[2048];
    struct dirent *entry;

    for (const char *more; name != NULL && (more = strstr(name + 1, "fuzz_")) != NULL;)
        name = more;
    (void)snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", root == NULL ? "." : root,
                   name == NULL ? "" : name + strlen("fuzz_"));
    DIR *all = opendir(dir);
    while (all != NULL && file_count < FILES_MAX && (entry = readdir(all)) != NULL) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        if ((files[file_count++] = strdup(path)) == NULL)
            abort();
    }
    if (all != NULL)
        (void)closedir(all);
    qsort(files, file_count, sizeof(files[0]), by_name);
}

/* ---- good ones, damaged ------------------------------------------------------------------------------------------- */

/* The @i-th of the good inputs, then of the corpus. */
static size_t seed_input(size_t i, size_t good, uint8_t *bytes)
{
    return i < good ? fuzz_good_input(i, bytes, INPUT_MAX)
                    : read_file(files[i - good], bytes, INPUT_MAX);
}

static void try_damaged(unsigned long long runs, uint64_t seed)
{
    uint8_t bytes[INPUT_MAX];
    size_t good = 0;

    for (size_t count; (count = fuzz_good_input(good, bytes, INPUT_MAX)) > 0; good++)
        try_input(bytes, count);
    for (unsigned long long i = 0; i < runs; i++) {
        size_t count = seed_input((size_t)(sample_random(&seed) % (good + file_count)), good, bytes);
        try_input(bytes, sample_mutate(bytes, count, INPUT_MAX, &seed));
    }
}

int main(int argc, char **argv)
{
    bool says_runs = argc == 3 && strcmp(argv[1], "--runs") == 0;
    unsigned long long runs =
        number_of(getenv("MMGC_FUZZ_RUNS"), says_runs ? number_of(argv[2], 0) : 200000);
    uint64_t seed = number_of(getenv("MMGC_SEED"), 1);

    if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
        return write_corpus(argv[2]);
    if (argc > 1 && !says_runs)
        return replay(argv + 1, (size_t)argc - 1);
    find_corpus(argv[0]);
    printf("1..2\n# MMGC_SEED=%llu MMGC_FUZZ_RUNS=%llu\n", (unsigned long long)seed, runs);
    (void)replay(files, file_count);
    printf("ok 1 - %zu inputs of the corpus did no harm\n", file_count);
    (void)fflush(stdout);
    try_damaged(runs, seed);
    printf("ok 2 - %llu damaged inputs did no harm\n", runs);
    for (size_t i = 0; i < file_count; i++)
        free(files[i]);
    return 0;
}
