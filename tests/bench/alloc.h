/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Alloc: objects are made, written once and forgotten; what one costs.
 *   One text  every allocator of C and C++ runs these very lines, and peers/Alloc.java the same; the includer says before it includes this:
 *       struct alloc_24, alloc_64      two references and numbers: 24 and 64 bytes in all, with a collector's header if there is one
 *       alloc_ctx                      what the allocator needs with each call; by value
 *       alloc_new_24(c), _64(c)        one of them, or NULL
 *       alloc_new_bytes(c, bytes)      an object of @bytes in all, a multiple of 8, or NULL
 *       alloc_head(object, bytes)      writes its first word, where the allocator has not done so
 *       alloc_body(object)             the first byte behind it, of one of bytes
 *       alloc_keep(c, slot, object)    it is in the ring from here on, and nobody will look at what was there
 *       alloc_kept(c, slot)            what is
 *       alloc_begin(c), alloc_end(c)   around all work on objects
 *       alloc_others_ns(c)             the processor time of other processes that work for it
 *   Ring      the newest ALLOC_RING objects: so that no compiler can leave them out, and malloc has something to free
 *   Sizes     mixed ones: sizes.h */
#include "bench.h"
#include "sizes.h"

enum { ALLOC_RING = 4096 };
enum alloc_kind { ALLOC_24, ALLOC_64, ALLOC_MIXED };

struct alloc_run {
    enum alloc_kind kind;
    uint64_t warm, objects; /* made before anything is timed; made and timed */
};

static __attribute__((noreturn)) void alloc_die(const char *why)
{
    fprintf(stderr, "alloc: %s\n", why);
    exit(2);
}

static void alloc_make_24(alloc_ctx c, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct alloc_24 *object = (struct alloc_24 *)bench_some(alloc_new_24(c));
        alloc_head(object, sizeof *object);
        object->number = (int64_t)i;
        alloc_keep(c, i % ALLOC_RING, object);
    }
}

static void alloc_make_64(alloc_ctx c, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct alloc_64 *object = (struct alloc_64 *)bench_some(alloc_new_64(c));
        alloc_head(object, sizeof *object);
        object->number = (int64_t)i;
        alloc_keep(c, i % ALLOC_RING, object);
    }
}

static void alloc_make_mixed(alloc_ctx c, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint32_t bytes = sizes[i % SIZES];
        void *object = bench_some(alloc_new_bytes(c, bytes));
        alloc_head(object, bytes);
        *alloc_body(object) = (unsigned char)i;
        alloc_keep(c, i % ALLOC_RING, object);
    }
}

static void alloc_make(alloc_ctx c, enum alloc_kind kind, uint64_t count)
{
    switch (kind) {
    case ALLOC_24: alloc_make_24(c, count); break;
    case ALLOC_64: alloc_make_64(c, count); break;
    case ALLOC_MIXED: alloc_make_mixed(c, count); break;
    }
}

/* The newest objects are what was written into them. @count of them were made, a multiple of ALLOC_RING. */
static void alloc_check(alloc_ctx c, enum alloc_kind kind, uint64_t count)
{
    (void)c;
    for (uint64_t slot = 0; slot < ALLOC_RING; slot++) {
        const void *object = alloc_kept(c, slot);
        uint64_t made = count - ALLOC_RING + slot;
        uint64_t found = object == NULL     ? ~made
                         : kind == ALLOC_24 ? (uint64_t)((const struct alloc_24 *)object)->number
                         : kind == ALLOC_64 ? (uint64_t)((const struct alloc_64 *)object)->number
                                            : *alloc_body(object);
        if (found != (kind == ALLOC_MIXED ? made & 255 : made))
            alloc_die("an object is not what was written into it");
    }
}

/* Makes what is to be made, and says what it took. */
static void alloc_measure(alloc_ctx c, const struct alloc_run *run)
{
    alloc_begin(c);
    alloc_make(c, run->kind, run->warm);
    alloc_end(c);
    bench_ready();
    alloc_begin(c);
    uint64_t others_ns = alloc_others_ns(c), own_ns = bench_cpu_ns(), wall_ns = bench_now_ns();
    alloc_make(c, run->kind, run->objects);
    wall_ns = bench_now_ns() - wall_ns;
    own_ns = bench_cpu_ns() - own_ns;
    others_ns = alloc_others_ns(c) - others_ns;
    alloc_check(c, run->kind, run->objects);
    alloc_end(c);
    bench_result("ns_per_object", (double)wall_ns / (double)run->objects);
    bench_result("cpu_ns_per_object", (double)(own_ns + others_ns) / (double)run->objects);
    bench_result("own_cpu_ns_per_object", (double)own_ns / (double)run->objects);
}

static struct alloc_run alloc_run(char **argv)
{
    static const char *const kinds[] = { "24", "64", "mixed" };
    struct alloc_run run = { ALLOC_24, strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10) };
    int kind = 0;
    while (kind < 3 && strcmp(argv[0], kinds[kind]) != 0)
        kind++;
    if (kind == 3 || run.objects == 0 || run.objects % ALLOC_RING != 0)
        alloc_die("KIND is 24, 64 or mixed, and OBJECTS a multiple of 4096");
    run.kind = (enum alloc_kind)kind;
    sizes_draw();
    return run;
}
