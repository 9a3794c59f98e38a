/* SPDX-License-Identifier: Apache-2.0 */
/* A cache on mmgcd: several processes get and put in one heap, without a server and without a lock.
 * Usage: the top of cache.h; WHERE is the daemon's SOCKET,HEAP_MIB
 *
 *   Table    an array of references, each to a row or null; the hash of a key says which
 *   Row      up to 16 entries in the order in which they came, a tag of each hash beside them: one comparison finds the few that may
 *            be it. A row never changes: who puts makes a new one, and one compare-and-swap shows it. So a get sees one state
 *            of the row whatever others do, nothing is found twice, and nobody who is killed leaves a lock behind
 *   Entry    the key and the value's bytes; never changes
 *   Room     bytes of all entries, headers included, are counted together. Who puts when that is at the capacity takes out of its row
 *            the oldest entry that was not asked for since it was last looked at (a second chance, as in CLOCK)
 *   Freeing  nobody's: what no row shows any more is garbage, as soon as nobody reads it                                   */
#include <mmgc/mmgc.h>

#include "cache_phases.h"

enum { WAYS = 16, MEAN_WAYS = 10, MEAN_BYTES = 2210, COUNT_AT_ONCE = 1 << 16 };

struct cache_row {
    uint8_t tags[WAYS];
    uint32_t asked;                          /* a bit an entry, set by who gets it: the one thing that changes; a lost bit is harmless */
    uint32_t count;
    mmgc_ref ways[WAYS];
};
struct cache_entry {
    uint64_t key;
    char value[];
};
struct cache_root {
    mmgc_ref table;
    int64_t held_bytes;                      /* of all processes, each of which keeps back less than COUNT_AT_ONCE */
};
struct cache {
    struct mmgc_client *client;
    struct mmgc_heap *heap;
    struct mmgc_thread *t;
    mmgc_type row, entry, root_type, refs;
    struct cache_root *root;                 /* while inside: main()'s stack, where this struct lies, holds it */
    mmgc_ref *table;
    uint32_t rows;
    int64_t capacity_bytes, counted_bytes;   /* counted here and not yet in the root */
};

static void check(const char *what, int code)
{
    if (code == MMGC_OK)
        return;
    fprintf(stderr, "%s: %s %s\n", what, mmgc_strerror(code), mmgc_error_detail());
    exit(code == MMGC_E_NOMEM ? BENCH_NO_ROOM : 2);
}

static void *checked(struct cache *c, void *object)
{
    if (!object)
        check("new", mmgc_thread_error(c->t));
    return object;
}

/* ---- looking ---- */

static mmgc_ref *slot_of(struct cache *c, uint64_t key)
{
    return &c->table[((key >> 32) * c->rows) >> 32];
}

/* A bit for each of the row's entries that has this tag. */
static uint32_t tagged(const struct cache_row *row, uint8_t tag)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < WAYS; i++)
        bits |= (uint32_t)(row->tags[i] == tag) << i;
    return bits & ((1u << row->count) - 1);
}

/* The entry of @key, and where in the row it is; NULL: it has none. */
static struct cache_entry *find(struct cache *c, const struct cache_row *row, uint64_t key, uint32_t *ret_way)
{
    for (uint32_t bits = tagged(row, (uint8_t)key); bits != 0; bits &= bits - 1) {
        uint32_t way = (uint32_t)__builtin_ctz(bits);
        struct cache_entry *entry = mmgc_load(c->t, &row->ways[way]);
        *ret_way = way;
        if (entry->key == key)
            return entry;
    }
    return NULL;
}

static void set_asked(struct cache_row *row, uint32_t way)
{
    uint32_t asked = __atomic_load_n(&row->asked, __ATOMIC_RELAXED);
    if ((asked >> way & 1) == 0)             /* asked first: a row that all processes read stays in all their caches */
        __atomic_store_n(&row->asked, asked | 1u << way, __ATOMIC_RELAXED);
}

static uint32_t cache_get(struct cache *c, uint64_t key, char *into)
{
    uint32_t way, bytes = 0;
    mmgc_poll(c->t);
    struct cache_row *row = mmgc_load(c->t, slot_of(c, key));
    struct cache_entry *entry = row ? find(c, row, key, &way) : NULL;
    if (entry) {
        bytes = mmgc_length(entry);
        memcpy(into, entry->value, bytes);
        set_asked(row, way);
    }
    return bytes;
}

/* ---- replacing; a row is changed only before it is shown ---- */

static int64_t bytes_of(struct cache *c, const struct cache_entry *entry)
{
    return (int64_t)mmgc_size(c->entry, mmgc_length(entry));
}

static void take_out(struct cache *c, struct cache_row *row, uint32_t way)
{
    uint32_t behind = --row->count - way, below = (1u << way) - 1;
    memmove(row->tags + way, row->tags + way + 1, behind);
    mmgc_copy_refs(c->t, row, row->ways + way, row->ways + way + 1, behind);
    mmgc_store(c->t, row, &row->ways[row->count], NULL);
    row->asked = (row->asked & below) | (row->asked >> 1 & ~below);
}

static void append(struct cache *c, struct cache_row *row, struct cache_entry *entry, bool asked)
{
    row->tags[row->count] = (uint8_t)entry->key;
    mmgc_store(c->t, row, &row->ways[row->count], entry);
    row->asked |= (uint32_t)asked << row->count;
    row->count++;
}

/* Takes the oldest entry out that was not asked for; those before it lose that and become the youngest. Returns its bytes. */
static int64_t evict(struct cache *c, struct cache_row *row)
{
    struct cache_entry *oldest;
    for (;;) {
        bool asked = row->asked & 1;
        oldest = mmgc_load(c->t, &row->ways[0]);
        take_out(c, row, 0);
        if (!asked)
            return bytes_of(c, oldest);
        append(c, row, oldest, false);
    }
}

static void copy_row(struct cache *c, struct cache_row *to, const struct cache_row *from)
{
    memcpy(to->tags, from->tags, sizeof to->tags);
    to->asked = __atomic_load_n(&from->asked, __ATOMIC_RELAXED) & ((1u << from->count) - 1);
    to->count = from->count;
    mmgc_copy_refs(c->t, to, to->ways, from->ways, WAYS);
}

/* Puts @entry into @row, which is not shown yet, in the place of an older value or of who has to go. Returns how much more it holds. */
static int64_t put_into(struct cache *c, struct cache_row *row, struct cache_entry *entry)
{
    uint32_t way;
    int64_t more = bytes_of(c, entry);
    int64_t room = c->capacity_bytes - c->counted_bytes - __atomic_load_n(&c->root->held_bytes, __ATOMIC_RELAXED);
    struct cache_entry *old = find(c, row, entry->key, &way);
    if (old) {
        mmgc_store(c->t, row, &row->ways[way], entry);
        row->asked |= 1u << way;
        return more - bytes_of(c, old);
    }
    while (row->count == WAYS || (row->count > 0 && more > room))
        more -= evict(c, row);
    append(c, row, entry, false);
    return more;
}

static void count(struct cache *c, int64_t more)
{
    c->counted_bytes += more;
    if (c->counted_bytes < COUNT_AT_ONCE && c->counted_bytes > -COUNT_AT_ONCE)
        return;
    __atomic_fetch_add(&c->root->held_bytes, c->counted_bytes, __ATOMIC_RELAXED);
    c->counted_bytes = 0;
}

static void cache_put(struct cache *c, uint64_t key, const char *value, uint32_t bytes)
{
    struct cache_entry *entry = checked(c, mmgc_new_array(c->t, c->entry, bytes));
    entry->key = key;
    memcpy(entry->value, value, bytes);
    struct cache_row *fresh = checked(c, mmgc_new(c->t, c->row)), *old;
    mmgc_ref *slot = slot_of(c, key);
    int64_t more;
    do {
        old = mmgc_load(c->t, slot);
        if (old)
            copy_row(c, fresh, old);
        more = put_into(c, fresh, entry);
    } while (!mmgc_compare_and_swap(c->t, c->table, slot, old, fresh));
    count(c, more);
}

/* ---- opening ---- */

static void open_heap(struct cache *c, const struct cache_run *run)
{
    char sock[256];
    unsigned mib;
    if (sscanf(run->where, "%255[^,],%u", sock, &mib) != 2)
        cache_fail("WHERE is SOCKET,HEAP_MIB");
    struct mmgc_heap_options options = { .create = true, .max_bytes = (uint64_t)mib << 20 };
    check("connect", mmgc_connect(sock, "cache", &c->client));
    check("open", mmgc_heap_open(c->client, "cache", &options, &c->heap));
    check("attach", mmgc_attach(c->heap, NULL, &c->t));
    check("type", MMGC_DEFINE_TYPE(c->heap, cache_root, &c->root_type, table));
    check("type", mmgc_type_refs(c->heap, &c->refs));
    struct mmgc_type_layout entry = { .name = "cache_entry", .fixed_bytes = sizeof(struct cache_entry), .element_bytes = 1 };
    check("type", mmgc_type_define(c->heap, &entry, &c->entry));
    uint32_t ways[WAYS];
    for (uint32_t i = 0; i < WAYS; i++)
        ways[i] = (uint32_t)(offsetof(struct cache_row, ways) + i * sizeof(mmgc_ref));
    struct mmgc_type_layout row = { .name = "cache_row", .fixed_bytes = sizeof(struct cache_row), .refs = ways, .ref_count = WAYS };
    check("type", mmgc_type_define(c->heap, &row, &c->row));
}

/* Of all who come at once one's table stays, the others become garbage. */
static void open_table(struct cache *c, uint64_t capacity_bytes)
{
    void *root;
    c->capacity_bytes = (int64_t)capacity_bytes;
    c->rows = (uint32_t)(capacity_bytes / MEAN_BYTES / MEAN_WAYS + 1);
    struct cache_root *fresh = checked(c, mmgc_new(c->t, c->root_type));
    mmgc_set(c->t, fresh, table, checked(c, mmgc_new_array(c->t, c->refs, c->rows)));
    check("claim", mmgc_name_claim(c->t, "cache", fresh, &root));
    c->root = root;
    c->table = mmgc_get(c->t, c->root, table);
}

int main(int argc, char **argv)
{
    struct cache_run run = cache_run_of(argc, argv);
    struct cache c = { 0 };
    open_heap(&c, &run);
    check("enter", mmgc_enter(c.t));
    open_table(&c, run.capacity_bytes);
    cache_fill(&run, &c);
    mmgc_leave(c.t);
    uint64_t begin_ns = bench_ready();
    bench_sleep_until(begin_ns);

    check("enter", mmgc_enter(c.t));
    c.root = mmgc_name_get(c.t, "cache");    /* it may have moved */
    c.table = mmgc_get(c.t, c.root, table);
    cache_measure(&run, &c, begin_ns);
    cache_check_all(&run, &c);
    mmgc_leave(c.t);
    mmgc_detach(c.t);
    mmgc_heap_close(c.heap);
    mmgc_disconnect(c.client);
    return 0;
}
