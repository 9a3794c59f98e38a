/* SPDX-License-Identifier: Apache-2.0 */
/* The layout every process agrees on. Three sources must say the same: the structs, docs/heap-layout.md,
 * and, for what would break a running client, the numbers written out here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/control.h"
#include "shm/lease.h"
#include "shm/mutator.h"
#include "shm/move.h"
#include "shm/object.h"
#include "shm/session.h"
#include "shm/snapshot.h"
#include "shm/units.h"
#include "tests/support/runner.h"

#define ANY SIZE_MAX /* a flexible array has no size */

struct field {
    const char *section, *name; /* a heading of the page, a name in its table */
    size_t offset, bytes;
};

#define FIELD(section, type, name) \
    { \
        section, #name, offsetof(struct type, name), sizeof(((struct type *)0)->name) \
    }
#define END(section, type) \
    { \
        section, "end", sizeof(struct type), ANY \
    }

static const struct field fields[] = {
    FIELD("Type", shm_type_row, fixed_bytes),
    FIELD("Type", shm_type_row, element_bytes),
    FIELD("Type", shm_type_row, ref_count),
    FIELD("Type", shm_type_row, element_ref_count),
    FIELD("Type", shm_type_row, name),
    END("Type", shm_type_row),
    FIELD("Control", shm_control, magic),
    FIELD("Control", shm_control, version),
    FIELD("Control", shm_control, features),
    FIELD("Control", shm_control, incarnation),
    FIELD("Control", shm_control, arena_bytes),
    FIELD("Control", shm_control, barrier),
    FIELD("Control", shm_control, small_max_bytes),
    FIELD("Control", shm_control, plan),
    FIELD("Control", shm_control, epoch),
    FIELD("Control", shm_control, barrier_active),
    FIELD("Control", shm_control, keeps),
    FIELD("Control", shm_control, collections),
    FIELD("Control", shm_control, abandoned_stops),
    FIELD("Control", shm_control, live_bytes),
    FIELD("Control", shm_control, granted_bytes),
    FIELD("Control", shm_control, last_pause_ns),
    FIELD("Control", shm_control, total_pause_ns),
    FIELD("Control", shm_control, limit_bytes),
    FIELD("Control", shm_control, type_count),
    FIELD("Control", shm_control, corrupt),
    FIELD("Control", shm_control, live_objects),
    FIELD("Control", shm_control, allocator),
    FIELD("Control", shm_control, page_map_offset),
    FIELD("Control", shm_control, types),
    END("Control", shm_control),
    FIELD("Session", shm_session, magic),
    FIELD("Session", shm_session, version),
    FIELD("Session", shm_session, features),
    FIELD("Session", shm_session, row_limit),
    FIELD("Session", shm_session, lease_holder),
    FIELD("Session", shm_session, may_lease),
    FIELD("Session", shm_session, lease_limit),
    FIELD("Session", shm_session, go),
    FIELD("Session", shm_session, lease_go),
    FIELD("Session", shm_session, row_high),
    FIELD("Session", shm_session, notices),
    FIELD("Session", shm_session, row_words),
    FIELD("Session", shm_session, row_tags),
    FIELD("Session", shm_session, row_notes),
    END("Session", shm_session),
    FIELD("Leases", shm_lease_bucket, waiters),
    FIELD("Leases", shm_lease_bucket, extent),
    FIELD("Leases", shm_lease_bucket, entries),
    END("Leases", shm_lease_bucket),
    FIELD("Mutator", shm_mutator, lines),
    FIELD("Mutator", shm_mutator, epoch),
    FIELD("Mutator", shm_mutator, base),
    FIELD("Mutator", shm_mutator, client),
    FIELD("Mutator", shm_mutator, log_lines),
    FIELD("Mutator", shm_mutator, state),
    FIELD("Mutator", shm_mutator, root_count),
    FIELD("Mutator", shm_mutator, local_count),
    FIELD("Mutator", shm_mutator, held),
    FIELD("Mutator", shm_mutator, magic),
    FIELD("Mutator", shm_mutator, version),
    FIELD("Mutator", shm_mutator, features),
    FIELD("Mutator", shm_mutator, id),
    FIELD("Mutator", shm_mutator, root_capacity),
    FIELD("Mutator", shm_mutator, mail),
    FIELD("Mutator", shm_mutator, bumps),
    FIELD("Mutator", shm_mutator, log),
    FIELD("Mutator", shm_mutator, rings),
    FIELD("Mutator", shm_mutator, hold_rows),
    FIELD("Mutator", shm_mutator, locals),
    FIELD("Mutator", shm_mutator, log_ring),
    { "Mutator", "roots", offsetof(struct shm_mutator, roots), ANY },
    FIELD("Bump", shm_bump, cursor),
    FIELD("Bump", shm_bump, limit),
    FIELD("Bump", shm_bump, end),
    END("Bump", shm_bump),
    FIELD("Grant", shm_grant, start),
    FIELD("Grant", shm_grant, granules),
    FIELD("Grant", shm_grant, flags),
    FIELD("Grant", shm_grant, reserved),
    END("Grant", shm_grant),
    FIELD("Mailbox", shm_mailbox, published),
    FIELD("Mailbox", shm_mailbox, taken),
    FIELD("Mailbox", shm_mailbox, answered),
    FIELD("Mailbox", shm_mailbox, error),
    END("Mailbox", shm_mailbox),
    FIELD("Log entry", shm_log_entry, object),
    FIELD("Log entry", shm_log_entry, offset),
    FIELD("Log entry", shm_log_entry, old),
    END("Log entry", shm_log_entry),
    FIELD("Log ring", shm_log, pushed),
    FIELD("Log ring", shm_log, tentative),
    FIELD("Log ring", shm_log, lost),
    FIELD("Log ring", shm_log, drained),
    FIELD("Log ring", shm_log, retracted),
    END("Log ring", shm_log),
    FIELD("Moves", shm_move, from),
    FIELD("Moves", shm_move, to),
    FIELD("Moves", shm_move, granules),
    FIELD("Snapshot", shm_snapshot, magic),
    FIELD("Snapshot", shm_snapshot, version),
    FIELD("Snapshot", shm_snapshot, flags),
    FIELD("Snapshot", shm_snapshot, arena_bytes),
    FIELD("Snapshot", shm_snapshot, limit_bytes),
    FIELD("Snapshot", shm_snapshot, incarnation),
    FIELD("Snapshot", shm_snapshot, taken_ns),
    FIELD("Snapshot", shm_snapshot, collections),
    FIELD("Snapshot", shm_snapshot, live_bytes),
    FIELD("Snapshot", shm_snapshot, live_objects),
    FIELD("Snapshot", shm_snapshot, granule_bytes),
    FIELD("Snapshot", shm_snapshot, line_bytes),
    FIELD("Snapshot", shm_snapshot, page_bytes),
    FIELD("Snapshot", shm_snapshot, block_bytes),
    FIELD("Snapshot", shm_snapshot, plan),
    FIELD("Snapshot", shm_snapshot, heap),
    FIELD("Snapshot", shm_snapshot, sections),
    END("Snapshot", shm_snapshot),
    FIELD("Snapshot block", shm_snapshot_block, block),
    FIELD("Snapshot block", shm_snapshot_block, slot),
    FIELD("Snapshot block", shm_snapshot_block, shape),
    FIELD("Snapshot block", shm_snapshot_block, space),
    FIELD("Snapshot block", shm_snapshot_block, flags),
    FIELD("Snapshot block", shm_snapshot_block, free_pages),
    FIELD("Snapshot block", shm_snapshot_block, cell_granules),
    FIELD("Snapshot block", shm_snapshot_block, reserved),
    FIELD("Snapshot block", shm_snapshot_block, live_lines),
    FIELD("Snapshot block", shm_snapshot_block, granted_lines),
    END("Snapshot block", shm_snapshot_block),
    FIELD("Snapshot owner", shm_snapshot_owner, kind),
    FIELD("Snapshot owner", shm_snapshot_owner, thread),
    FIELD("Snapshot owner", shm_snapshot_owner, session),
    FIELD("Snapshot owner", shm_snapshot_owner, pid),
    FIELD("Snapshot owner", shm_snapshot_owner, uid),
    FIELD("Snapshot owner", shm_snapshot_owner, tid),
    FIELD("Snapshot owner", shm_snapshot_owner, name),
    END("Snapshot owner", shm_snapshot_owner),
    FIELD("Snapshot root", shm_snapshot_root, owner),
    FIELD("Snapshot root", shm_snapshot_root, kind),
    FIELD("Snapshot root", shm_snapshot_root, row),
    FIELD("Snapshot root", shm_snapshot_root, word),
    FIELD("Snapshot root", shm_snapshot_root, object),
    FIELD("Snapshot root", shm_snapshot_root, name),
    END("Snapshot root", shm_snapshot_root),
};

static FILE *open_page(void)
{
    const char *root = getenv("MMGC_SOURCE_ROOT");
    char path[512];

    if (root == NULL)
        return NULL; /* run by hand, outside meson: the other tests still say something */
    snprintf(path, sizeof(path), "%s/docs/heap-layout.md", root);
    FILE *page = fopen(path, "re");
    ck_assert_msg(page != NULL, "%s is missing", path);
    return page;
}

/* Reads "| 64 | 4 | `epoch` | ..." or "| 80 | | end | ...". */
static bool read_row(const char *line, struct field *ret_row, char *ret_name, size_t size)
{
    char bytes[32], format[64];
    unsigned long long offset;

    snprintf(format, sizeof(format), "| %%llu |%%31[ 0-9]| %%%zu[`a-z_] |", size - 1);
    if (sscanf(line, format, &offset, bytes, ret_name) != 3)
        return false;
    bool quoted = ret_name[0] == '`';
    memmove(ret_name, ret_name + quoted, strlen(ret_name + quoted) + 1);
    ret_name[strcspn(ret_name, "` ")] = '\0';
    ret_row->offset = offset;
    ret_row->bytes = strspn(bytes, " ") == strlen(bytes) ? ANY : strtoull(bytes, NULL, 10);
    return quoted || strcmp(ret_name, "end") == 0;
}

/* Fields are told apart from the end row by their place: a bump has a field "end" too. */
static const struct field *find_field(const char *section, const char *name, size_t bytes)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(fields); i++)
        if (strcmp(fields[i].section, section) == 0 && strcmp(fields[i].name, name) == 0 &&
            (fields[i].bytes == ANY) == (bytes == ANY))
            return &fields[i];
    return NULL;
}

START_TEST(the_page_says_what_the_structs_are)
{
    char line[1024], section[64] = "", name[64];
    size_t rows = 0;
    FILE *page = open_page();

    while (page != NULL && fgets(line, sizeof(line), page) != NULL) {
        struct field row = { 0 };
        if (line[0] == '#')
            sscanf(line, "#%*[#] %63[^\n]", section);
        if (!read_row(line, &row, name, sizeof(name)))
            continue;
        const struct field *field = find_field(section, name, row.bytes);
        ck_assert_msg(field != NULL, "%s.%s is on the page only", section, name);
        ck_assert_msg(field->offset == row.offset, "%s.%s is at %zu, the page says %zu", section,
                      name, field->offset, row.offset);
        ck_assert_msg(field->bytes == row.bytes, "%s.%s has %zu bytes, the page says %zu", section,
                      name, field->bytes, row.bytes);
        rows++;
    }
    if (page != NULL) {
        fclose(page);
        ck_assert_uint_eq(rows, MM_ARRAY_LEN(fields)); /* less: a field is missing on the page */
    }
}
END_TEST

START_TEST(fields_follow_each_other_without_overlap)
{
    for (size_t i = 1; i < MM_ARRAY_LEN(fields); i++)
        if (strcmp(fields[i].section, fields[i - 1].section) == 0)
            ck_assert_msg(fields[i - 1].offset + fields[i - 1].bytes <= fields[i].offset,
                          "%s.%s overlaps %s", fields[i].section, fields[i - 1].name, fields[i].name);
}
END_TEST

START_TEST(units_are_what_the_page_says)
{
    ck_assert_uint_eq(MM_GRANULE_BYTES, 8);
    ck_assert_uint_eq(MM_LINE_BYTES, 256);
    ck_assert_uint_eq(MM_PAGE_BYTES, 4096);
    ck_assert_uint_eq(MM_BLOCK_BYTES, 32768);
    ck_assert_uint_eq(MM_COMMIT_BYTES, 2097152);
    ck_assert_uint_eq(MM_CHUNK_BYTES, 4194304);
    ck_assert_uint_eq(MM_ARENA_MAX_BYTES, UINT64_C(34359738368));
    ck_assert_uint_eq(MM_ARENA_MAX_BYTES / MM_GRANULE_BYTES, UINT64_C(1) << 32);
    ck_assert_uint_eq(MM_SMALL_MAX_BYTES, 16384);
    ck_assert_uint_eq(MM_OBJECT_MIN_BYTES, 16);
    ck_assert_uint_eq(OBJECT_HEADER_BYTES, MM_GRANULE_BYTES);
}
END_TEST

/* A number that a client was compiled with: changing one is a new version. */
START_TEST(constants_are_those_of_their_version)
{
    ck_assert_uint_eq(SHM_CONTROL_VERSION, 4);
    ck_assert_uint_eq(SHM_SESSION_VERSION, 3);
    ck_assert_uint_eq(SHM_MUTATOR_VERSION, 5);
    ck_assert_uint_eq(SHM_SNAPSHOT_VERSION, 1);
    ck_assert_uint_eq(SHM_SNAPSHOT_LARGE, 5);
    ck_assert_uint_eq(SHM_SNAPSHOT_BYTES, 8);
    for (unsigned kind = SHM_ROW_STRONG; kind < SHM_ROW_KINDS; kind++) /* a snapshot's numbers of rows stay, whatever becomes of these */
        ck_assert_str_eq(shm_row_kind_name((enum shm_row_kind)kind), ((const char *[]){ "", "strong", "weak", "soft", "shared", "exclusive", "revoked", "guarded", "ready", "watched" })[kind]);
    ck_assert_uint_eq(SHM_CONTROL_FEATURES, 0);
    ck_assert_uint_eq(SHM_BARRIER_NONE, 0);
    ck_assert_uint_eq(SHM_BARRIER_LINES, 1);
    ck_assert_uint_eq(SHM_BARRIER_FIELDS, 2);
    ck_assert_uint_eq(SHM_LOG_CAPACITY, 65536);
    ck_assert_uint_eq(shm_log_bits_offset(MM_ARENA_MAX_BYTES), UINT64_C(128) << 20);
    ck_assert_uint_eq(shm_log_bytes(MM_ARENA_MAX_BYTES), UINT64_C(640) << 20);
    ck_assert_uint_eq(SHM_OUT, 0);
    ck_assert_uint_eq(SHM_IN, 1);
    ck_assert_uint_eq(SHM_PARKED, 2);
    ck_assert_uint_eq(SHM_GRANT_LINES, 0);
    ck_assert_uint_eq(SHM_GRANT_BLOCKS, 1);
    ck_assert_uint_eq(SHM_GRANT_LARGE, 2);
    ck_assert_uint_eq(SHM_GRANT_ZEROED, 1);
    ck_assert_uint_eq(SHM_ROOTS_OVERFLOW, UINT64_C(4294967295));
    ck_assert_uint_eq(SHM_TYPES_MAX, 16384);
    ck_assert_uint_eq(SHM_TYPE_NAME_MAX, 63);
    ck_assert_uint_eq(SHM_TYPE_REFS_MAX, 256);
    ck_assert_uint_eq(SHM_TYPE_FIXED_MAX, 16u << 20);
    ck_assert_uint_eq(SHM_TYPE_ELEMENT_MAX, 1u << 20);
}
END_TEST

START_TEST(magics_read_as_words_in_memory)
{
    static const struct {
        uint64_t magic;
        const char *text;
    } magics[] = {
        { SHM_CONTROL_MAGIC, "mmgcctrl" },
        { SHM_SESSION_MAGIC, "mmgcsess" },
        { SHM_MUTATOR_MAGIC, "mmgcmutt" },
    };

    for (size_t i = 0; i < MM_ARRAY_LEN(magics); i++)
        ck_assert_mem_eq(&magics[i].magic, magics[i].text, 8);
}
END_TEST

/* Words polled by many, or written by one side and read by the other, share no line with the rest. */
START_TEST(busy_words_have_their_own_cache_line)
{
    ck_assert_uint_eq(offsetof(struct shm_control, epoch) % MM_CACHE_LINE, 0);
    ck_assert_uint_ge(offsetof(struct shm_control, collections),
                      offsetof(struct shm_control, epoch) + MM_CACHE_LINE);
    ck_assert_uint_eq(offsetof(struct shm_session, go) % MM_CACHE_LINE, 0);
    ck_assert_uint_ge(offsetof(struct shm_session, row_high),
                      offsetof(struct shm_session, go) + MM_CACHE_LINE);
    /* the fast path is one line */
    ck_assert_uint_le(offsetof(struct shm_mutator, log_lines) + 8, MM_CACHE_LINE);
    ck_assert_uint_eq(offsetof(struct shm_mutator, state) % MM_CACHE_LINE, 0);
    ck_assert_uint_eq(offsetof(struct shm_mutator, log) % MM_CACHE_LINE, 0);
}
END_TEST

START_TEST(shared_words_are_lock_free)
{
    ck_assert(__atomic_always_lock_free(sizeof(_Atomic uint32_t), 0));
    ck_assert(__atomic_always_lock_free(sizeof(_Atomic uint64_t), 0));
    ck_assert_uint_eq(sizeof(_Atomic uint32_t), 4);
    ck_assert_uint_eq(sizeof(_Atomic uint64_t), 8);
    ck_assert_uint_eq(sizeof(char *), 8);
}
END_TEST

START_TEST(a_mutator_segment_holds_all_its_roots)
{
    ck_assert_uint_eq(shm_mutator_bytes(0), 1785856);
    ck_assert_uint_eq(shm_mutator_bytes(1), 1785856 + 4096);
    ck_assert_uint_eq(shm_mutator_bytes(1024), 1785856 + 4096);
    ck_assert_uint_eq(shm_mutator_bytes(1025), 1785856 + 8192);
    ck_assert_uint_eq(shm_mutator_bytes(UINT32_MAX), 1785856 + (UINT64_C(1) << 34));
}
END_TEST

START_TEST(each_grant_class_has_its_own_ring)
{
    struct shm_mutator *m = aligned_alloc(alignof(struct shm_mutator), sizeof(*m)); /* as mapped: at a page */
    char *at = (char *)m;

    ck_assert_ptr_eq(shm_mutator_ring(m, SHM_GRANT_LINES), at + 4096);
    ck_assert_ptr_eq(shm_mutator_ring(m, SHM_GRANT_BLOCKS), at + 69632);
    ck_assert_ptr_eq(shm_mutator_ring(m, SHM_GRANT_LARGE), at + 86016);
    const struct shm_grant *next = m->rings;
    for (unsigned i = 0; i < SHM_GRANT_CLASSES; i++) { /* else indexes jump where counters wrap */
        uint32_t capacity = shm_ring_capacity((enum shm_grant_class)i);
        ck_assert_uint_eq(capacity & (capacity - 1), 0);
        ck_assert_ptr_eq(shm_mutator_ring(m, (enum shm_grant_class)i), next);
        next += capacity;
    }
    ck_assert_ptr_eq(next, m->rings + MM_ARRAY_LEN(m->rings));
    free(m);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("layout");
    TCase *tc = tcase_create("layout");

    tcase_add_test(tc, the_page_says_what_the_structs_are);
    tcase_add_test(tc, fields_follow_each_other_without_overlap);
    tcase_add_test(tc, units_are_what_the_page_says);
    tcase_add_test(tc, constants_are_those_of_their_version);
    tcase_add_test(tc, magics_read_as_words_in_memory);
    tcase_add_test(tc, busy_words_have_their_own_cache_line);
    tcase_add_test(tc, shared_words_are_lock_free);
    tcase_add_test(tc, a_mutator_segment_holds_all_its_roots);
    tcase_add_test(tc, each_grant_class_has_its_own_ring);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
