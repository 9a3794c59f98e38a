/* SPDX-License-Identifier: Apache-2.0 */
/* baremetal - a garbage-collected heap in a static array: no mmgcd, no malloc, no thread; what a kernel, a device or a plugin has.
 *   A cache of readings: a table of chains, the newest reading first, each chain cut after four. What is cut off is nobody's business: the heap
 *   finds it when it has nothing left to grant. A plain array says at the end what must be in the cache.
 *   Usage     baremetal [PLAN]      one whose objects are bumped into lines, and that has no write barrier: immix, semispace, markcompact, compressor
 *   Built in the tree, as plans/ is no public interface: it may change with any version.        docs/architecture.md#bare-metal */
#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "shm/control.h"
#include "shm/units.h"

#define HEAP_BYTES (4u << 20)
#define REGION_BYTES (12u << 20)
#define CHAINS 1024u
#define CHAIN_MAX 4u
#define READINGS 2000000u

struct reading {                                     /* in the heap */
    uint32_t next;                                   /* a reference */
    uint32_t key;
    uint64_t value;
};

static alignas(MM_PAGE_BYTES) char region[REGION_BYTES];         /* all the memory there is */
static struct bare bare;
static struct client client;
static uint32_t reading_type, table_type;
static uint64_t expected[CHAINS][CHAIN_MAX];         /* values, newest first */

enum { ROOT_TABLE };

static bool define_types(void)
{
    static const uint32_t first[] = { 0 };
    const struct shm_type_layout reading = { "reading", sizeof(struct reading), 0, 1, 0, first, NULL },
                                 table = { "table", 0, sizeof(uint32_t), 0, 1, NULL, first };

    return heap_type_define(bare.heap, &reading, &reading_type) == 0 && heap_type_define(bare.heap, &table, &table_type) == 0;
}

static uint32_t *table(void)                         /* good until something may collect */
{
    return client_at(&client, client.roots[ROOT_TABLE]);
}

static struct reading *reading_at(uint32_t reference)
{
    return client_at(&client, reference);
}

static bool remember(uint32_t key, uint64_t value)
{
    uint32_t chain = key % CHAINS, made = client_new(&client, reading_type, 0);

    if (made == 0)
        return false;
    *reading_at(made) = (struct reading){ .next = table()[chain], .key = key, .value = value };
    table()[chain] = made;
    struct reading *last = reading_at(made);
    for (uint32_t i = 1; i < CHAIN_MAX && last->next != 0; i++)
        last = reading_at(last->next);
    last->next = 0;                                  /* the fifth, if there was one */
    memmove(&expected[chain][1], &expected[chain][0], (CHAIN_MAX - 1) * sizeof(uint64_t));
    expected[chain][0] = value;
    return true;
}

static bool is_as_expected(void)
{
    for (uint32_t chain = 0; chain < CHAINS; chain++) {
        uint32_t at = table()[chain];
        for (uint32_t i = 0; i < CHAIN_MAX; i++, at = reading_at(at)->next)
            if (at == 0 || reading_at(at)->value != expected[chain][i] || reading_at(at)->key % CHAINS != chain)
                return false;
        if (at != 0)
            return false;
    }
    return true;
}

static bool take_readings(void)
{
    uint32_t key = 1;

    for (uint64_t i = 1; i <= READINGS; i++) {
        key = key * 1664525u + 1013904223u;
        if (!remember(key >> 8, i))
            return false;
    }
    return true;
}

static int run(void)
{
    client.roots[ROOT_TABLE] = client_new(&client, table_type, CHAINS);
    if (client.roots[ROOT_TABLE] == 0 || !take_readings() || !client_collect(&client)) {
        puts("no room");
        return 1;
    }
    struct store_usage store = store_usage(bare.store);
    printf("readings: %u, in a heap of %u KiB\n", READINGS, HEAP_BYTES / 1024);
    printf("collections: %llu, objects moved: %llu\n", (unsigned long long)client.collections, (unsigned long long)client.moved);
    printf("cache: %s\n", is_as_expected() ? "as expected" : "WRONG");
    printf("heap: %s\n", client_is_sound(&client) ? "sound" : "BROKEN");
    printf("store: %zu KiB at most, of %zu\n", store.high / 1024, store.capacity / 1024);
    return is_as_expected() && client_is_sound(&client) ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *plan = argc > 1 ? argv[1] : "semispace";
    struct bare_config config = { .heap = { .plan = plan, .max_bytes = HEAP_BYTES },
                                  .use = { .mutators = 1, .types = 2, .root_rows = 1, .root_words = CLIENT_ROOTS },
                                  .packet_bytes = 512u << 10 };
    printf("region: %zu KiB needed, of %u\n", bare_region_bytes(&config) / 1024, REGION_BYTES / 1024);
    int r = bare_open(&bare, &config, region, sizeof(region));

    if (r < 0 || !define_types() || !client_open(&client, &bare)) {
        printf("no heap: %s\n", r == -ENOMEM || r == 0 ? "the region is too small" : "what was asked for makes no sense");
        return 1;
    }
    bool suits = heap_plan_allocator(bare.heap) == SHM_ALLOCATOR_BUMP && heap_plan_barrier(bare.heap) == SHM_BARRIER_NONE && heap_plan_collects(bare.heap);
    int status = 1;
    if (suits)
        status = run();
    else
        printf("%s: this client has only what a plan without barrier and cells needs\n", plan);
    client_close(&client);
    bare_close(&bare);                               /* the region is free for something else */
    return status;
}
