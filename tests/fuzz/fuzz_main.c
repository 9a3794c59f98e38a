/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_main.c - A fuzz target without libFuzzer: good inputs, damaged by chance, a fixed number of times.
 *   fuzz_NAME                 MMGC_FUZZ_RUNS inputs (200000) from MMGC_SEED (1); the seed of a failure replays it
 *   fuzz_NAME --corpus DIR    writes the good inputs there, for libFuzzer to start from */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/proto/sample.h"

#define INPUT_MAX 8192u

static unsigned long long number_of(const char *name, unsigned long long otherwise)
{
    const char *value = getenv(name);

    return value == NULL || value[0] == '\0' ? otherwise : strtoull(value, NULL, 0);
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

int main(int argc, char **argv)
{
    uint8_t bytes[INPUT_MAX];
    unsigned long long runs = number_of("MMGC_FUZZ_RUNS", 200000);
    uint64_t seed = number_of("MMGC_SEED", 1);
    size_t good = 0;

    if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
        return write_corpus(argv[2]);
    printf("1..1\n# MMGC_SEED=%llu MMGC_FUZZ_RUNS=%llu\n", (unsigned long long)seed, runs);
    (void)fflush(stdout);
    for (size_t count; (count = fuzz_good_input(good, bytes, INPUT_MAX)) > 0; good++)
        try_input(bytes, count);
    for (unsigned long long i = 0; i < runs; i++) {
        size_t count = fuzz_good_input((size_t)(sample_random(&seed) % good), bytes, INPUT_MAX);
        try_input(bytes, sample_mutate(bytes, count, INPUT_MAX, &seed));
    }
    printf("ok 1 - %llu damaged inputs did no harm\n", runs);
    return 0;
}
