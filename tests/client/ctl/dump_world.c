/* SPDX-License-Identifier: Apache-2.0 */
/* dump_world.c - a client whose heap "trees" has each sort of object and of root that a dump can meet: dump_world PLAN [LINKS [large]].
 *   list      a named root: a row (array of references) whose first element begins a list of LINKS links, 1000 by default
 *   cache     a strong handle: an entry with a weak reference to the list's first link and a strong one to text
 *   a local   of the exact thread "worker": a table of buckets, whose elements have a key, a value and a number
 *   a word    on the stack of the ambiguous thread "walker", which stays inside: an object of type walked
 *   large     if that is asked for, another named root: a row of a few hundred thousand, whose first element is a text of megabytes, the last one the list
 * It says "ready" when that is there, and stays until its input ends. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mmgc/mmgc.h>
#include <mmgc/reference.h>

#define ROW 8
#define BUCKETS 4
#define LARGE_ROW 300000u
#define LARGE_TEXT (3u << 20)
#define TEXT "a cat sat on a mat"

struct link {
    mmgc_ref next, other;
    uint32_t value, more;
};
struct entry {
    mmgc_ref weak, text;
    uint64_t number;
    uint16_t small;
};
struct walked {
    uint64_t steps, more;
};
struct bucket {
    uint32_t hash;
    mmgc_ref key, value;
};

static struct mmgc_heap *heap;
static struct mmgc_thread *t;
static atomic_int walks; /* 1: it has its object; 2: it is to end */
static mmgc_type walked_type, link_type, entry_type, text_type, row_type, table_type;

static void ok(int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "dump_world: %d: %s\n", code, mmgc_error_detail());
    exit(EXIT_FAILURE);
}

static void *made(void *object)
{
    if (object == NULL)
        ok(mmgc_thread_error(t));
    return object;
}

static void define_types(void)
{
    static const uint32_t zero[] = { 0 }, in_bucket[] = { offsetof(struct bucket, key), offsetof(struct bucket, value) };
    struct mmgc_type_layout text = { .name = "text", .element_bytes = 1 },
                            row = { .name = "row", .element_bytes = 4, .element_refs = zero, .element_ref_count = 1 },
                            table = { .name = "table", .fixed_bytes = 8, .element_bytes = sizeof(struct bucket), .element_refs = in_bucket,
                                      .element_ref_count = 2 };

    ok(MMGC_DEFINE_TYPE(heap, link, &link_type, next, other));
    ok(mmgc_type_struct(heap, "entry", sizeof(struct entry), &entry_type, 2u, MMGC_WEAK(entry, weak), MMGC_STRONG(entry, text)));
    ok(MMGC_DEFINE_LEAF(heap, walked, &walked_type));
    ok(mmgc_type_define(heap, &text, &text_type));
    ok(mmgc_type_define(heap, &row, &row_type));
    ok(mmgc_type_define(heap, &table, &table_type));
}

static void make_list(mmgc_local first, unsigned links)
{
    for (unsigned i = 0; i < links; i++) {
        struct link *link = made(mmgc_new(t, link_type));
        link->value = links - i;
        mmgc_init(t, link, next, mmgc_local_get(t, first));
        mmgc_local_set(t, first, link);
    }
}

static void make_entry(mmgc_local first)
{
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_handle handle;
    mmgc_local text = mmgc_local_new(t, made(mmgc_new_array(t, text_type, sizeof(TEXT) - 1)));
    struct entry *entry;

    memcpy(mmgc_local_get(t, text), TEXT, sizeof(TEXT) - 1);
    entry = made(mmgc_new(t, entry_type));
    entry->number = 0x1122334455667788;
    entry->small = 0x99aa;
    mmgc_set(t, entry, weak, mmgc_local_get(t, first));
    mmgc_set(t, entry, text, mmgc_local_get(t, text));
    ok(mmgc_handle_new(t, entry, &handle));
    ok(mmgc_handle_name(heap, handle, "cache"));
    mmgc_scope_close(t, scope);
}

/* Neither fits into what a writer gathers before it writes. */
static void make_large(mmgc_local first)
{
    mmgc_scope scope = mmgc_scope_open(t);
    mmgc_local row = mmgc_local_new(t, made(mmgc_new_array(t, row_type, LARGE_ROW)));
    char *text = made(mmgc_new_array(t, text_type, LARGE_TEXT));

    memset(text, 'x', LARGE_TEXT);
    mmgc_ref *slots = mmgc_local_get(t, row);
    mmgc_store(t, slots, &slots[0], text);
    mmgc_store(t, slots, &slots[LARGE_ROW - 1], mmgc_local_get(t, first));
    ok(mmgc_name_set(t, "large", slots));
    mmgc_scope_close(t, scope);
}

/* Looks a thousand times a second whether somebody wants to stop the heap. */
static void *walk(void *none)
{
    struct mmgc_thread_options options = { .name = "walker" };
    struct mmgc_thread *walker;
    struct timespec pause = { .tv_nsec = 1000000 };

    ok(mmgc_attach(heap, &options, &walker));
    ok(mmgc_enter(walker));
    struct walked *volatile walked = mmgc_new(walker, walked_type);
    if (walked == NULL)
        ok(mmgc_thread_error(walker));
    for (atomic_store(&walks, 1); atomic_load(&walks) != 2; (void)nanosleep(&pause, NULL))
        ok(mmgc_poll(walker));
    mmgc_leave(walker);
    mmgc_detach(walker);
    return none;
}

int main(int argc, char **argv)
{
    struct mmgc_client *client;
    struct mmgc_heap_options options = { .create = true, .max_bytes = UINT64_C(1) << 30, .plan = argc > 1 ? argv[1] : NULL };
    struct mmgc_thread_options exact = { .exact = true, .name = "worker" };
    pthread_t walker;
    char byte;

    ok(mmgc_connect(NULL, "maker", &client));
    ok(mmgc_heap_open(client, "trees", &options, &heap));
    define_types();
    ok(mmgc_attach(heap, &exact, &t));
    ok(mmgc_enter(t));
    mmgc_local first = mmgc_local_new(t, NULL), row = mmgc_local_new(t, NULL), table;
    make_list(first, argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1000);
    mmgc_local_set(t, row, made(mmgc_new_array(t, row_type, ROW)));
    mmgc_store(t, mmgc_local_get(t, row), (mmgc_ref *)mmgc_local_get(t, row), mmgc_local_get(t, first));
    ok(mmgc_name_set(t, "list", mmgc_local_get(t, row)));
    make_entry(first);
    if (argc > 3)
        make_large(first);
    table = mmgc_local_new(t, made(mmgc_new_array(t, table_type, BUCKETS)));
    struct bucket *bucket = (struct bucket *)((char *)mmgc_local_get(t, table) + 8) + 1;
    mmgc_store(t, mmgc_local_get(t, table), &bucket->value, mmgc_local_get(t, row));
    mmgc_local_set(t, first, NULL);
    mmgc_local_set(t, row, NULL);
    mmgc_leave(t);
    ok(pthread_create(&walker, NULL, walk, NULL));
    while (atomic_load(&walks) == 0)
        (void)sched_yield();
    puts("ready");
    fflush(stdout);
    bool failed = read(STDIN_FILENO, &byte, 1) < 0;
    atomic_store(&walks, 2);
    (void)pthread_join(walker, NULL);
    return failed;
}
