/* SPDX-License-Identifier: Apache-2.0 */
/* Plans whose small objects come from cells, one bump a size. */
#include "client/cells.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/units.h"
#include "tests/client/fixture.h"

static void setup_cells(void)
{
    fixture_allocator = SHM_ALLOCATOR_CELLS;
    setup();
    ck_assert_ok(mmgc_enter(t));
}

static void setup_pages(void)
{
    fixture_allocator = SHM_ALLOCATOR_PAGES;
    setup();
    ck_assert_ok(mmgc_enter(t));
}

static bool all_zero(const char *p, size_t count)
{
    return count == 0 || (p[0] == 0 && memcmp(p, p + 1, count - 1) == 0);
}

/* The class of cells whose bump has just given @object, or -1. */
static int cell_class_of(const char *object)
{
    for (uint32_t class = 0; class < SHM_CELL_CLASSES; class++)
        if (shm_mutator_bump(mutator(), SHM_GRANT_CELLS + class)->cursor == object - 8 + shm_cell_bytes(class))
            return (int)class;
    return -1;
}

static bool bumps_are_void(enum shm_grant_class class)
{
    const struct shm_bump *bump = shm_mutator_bump(mutator(), class);

    return bump->cursor == NULL && bump->limit == NULL && bump->end == NULL;
}

START_TEST(the_table_agrees_with_the_classes)
{
    for (uint32_t payload = 0; payload <= CELLS_PAYLOAD_MAX; payload++) {
        uint32_t bytes = 8 + (uint32_t)mm_align_up(payload == 0 ? 1 : payload, 8);
        uint32_t class = shm_cell_class(bytes);
        const struct cells_row *row = cells_row(payload);
        ck_assert_uint_eq(row->bytes, shm_cell_bytes(class));
        ck_assert_ptr_eq((char *)mutator() + row->bump_offset,
                         shm_mutator_bump(mutator(), SHM_GRANT_CELLS + class));
    }
}
END_TEST

START_TEST(an_object_has_a_cell_of_its_size_to_itself)
{
    static const uint32_t span_sizes[] = { 0, 4096, 100 };
    char *last[SHM_CELL_CLASSES] = { NULL };
    uint32_t length = 0;

    at_store_relaxed(&fake->span_bytes, span_sizes[_i]);
    for (int i = 0; i < 20000; i++) {
        length = (length * 5 + 7) % (i % 20 == 0 ? 16376 : 700);
        char *object = mmgc_new_array(t, bytes_type, length);
        ck_assert_ptr_nonnull(object);
        int class = cell_class_of(object);
        ck_assert_int_eq(class, (int)shm_cell_class((uint32_t)mmgc_size(bytes_type, length)));
        uint32_t cell = shm_cell_bytes((uint32_t)class);
        ck_assert(all_zero(object, cell - 8));
        if (last[class] != NULL)
            ck_assert(labs(object - last[class]) >= (long)cell);
        memset(object, 0x5a, length);
        last[class] = object;
    }
    ck_assert(bumps_are_void(SHM_GRANT_LINES)); /* or the inline path would serve the next one */
}
END_TEST

/* What the daemon believes after a kill: cells before the cursor hold an object or zeros, and the cursor is at a cell. */
START_TEST(the_cursor_is_where_a_cell_begins)
{
    uint32_t cell = shm_cell_bytes(shm_cell_class((uint32_t)mmgc_size(node_type, 0)));
    const struct shm_bump *bump =
        shm_mutator_bump(mutator(), SHM_GRANT_CELLS + shm_cell_class((uint32_t)mmgc_size(node_type, 0)));

    for (int i = 0; i < 5000; i++) {
        char *object = mmgc_new(t, node_type);
        ck_assert_ptr_nonnull(object);
        ck_assert_ptr_eq(bump->cursor, object - 8 + cell);
        ck_assert(bump->limit >= bump->cursor && bump->limit <= bump->end);
        ck_assert(all_zero(bump->cursor, (size_t)(bump->limit - bump->cursor)));
    }
}
END_TEST

START_TEST(many_sizes_together_are_no_hoard)
{
    uint64_t ahead = 0;

    for (int round = 0; round < 300; round++)
        for (uint32_t class = 0; class < SHM_CELL_CLASSES; class++)
            ck_assert_ptr_nonnull(mmgc_new_array(t, bytes_type, shm_cell_bytes(class) - 8));
    (void)usleep(20000); /* whatever was asked ahead is answered */
    for (int class = SHM_GRANT_CELLS; class < SHM_GRANT_CLASSES; class++) {
        const struct shm_mailbox *mail = &mutator()->mail[class];
        const struct shm_grant *ring = shm_mutator_ring(mutator(), class);
        for (uint32_t i = mail->taken; i != mail->published; i++)
            ahead += (uint64_t)ring[i % shm_ring_capacity(class)].granules * MM_GRANULE_BYTES;
    }
    /* a share, and a block of each size that is in use */
    ck_assert_uint_le(ahead, FAKE_ARENA_BYTES / 16 + 2 * SHM_CELL_CLASSES * (uint64_t)MM_BLOCK_BYTES);
}
END_TEST

START_TEST(what_is_reserved_is_blocks_for_any_size)
{
    static const uint32_t sizes[] = { 16384 - 8, 8, 9000, 16384 - 8, 200, 16000, 3000, 24 };
    uint64_t left = 1u << 20;

    ck_assert_ptr_nonnull(mmgc_new(t, node_type)); /* with a span of cells begun */
    ck_assert_ok(mmgc_reserve(t, left));
    (void)usleep(20000);
    at_store_release(&fake->grant_error, MMGC_E_NOMEM);
    at_store_release(&fake->control->epoch, 1); /* and nobody would answer a poll */
    for (int i = 0; mmgc_size(bytes_type, sizes[i % 8]) <= left; i++) {
        char *object = mmgc_new_array(t, bytes_type, sizes[i % 8]);
        ck_assert_ptr_nonnull(object);
        ck_assert(all_zero(object, sizes[i % 8]));
        memset(object, 1, sizes[i % 8]);
        left -= mmgc_size(bytes_type, sizes[i % 8]);
    }
    ck_assert(!bumps_are_void(SHM_GRANT_BLOCKS));
    at_store_release(&fake->control->epoch, 2);
}
END_TEST

START_TEST(a_full_heap_is_an_error_and_not_for_ever)
{
    at_store_release(&fake->grant_error, MMGC_E_NOMEM);
    ck_assert_ptr_null(mmgc_new(t, node_type));
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_NOMEM);
    ck_assert_ptr_null(mmgc_new_array(t, bytes_type, 5000));
    at_store_release(&fake->grant_error, MMGC_E_OK);
    ck_assert_ptr_nonnull(mmgc_new(t, node_type));
    ck_assert_ptr_nonnull(mmgc_new_array(t, bytes_type, 5000));
}
END_TEST

START_TEST(a_lost_daemon_ends_allocating)
{
    fake_drop_all(fake);
    (void)usleep(20000);
    while (mmgc_new(t, node_type) != NULL)
        ;
    ck_assert_int_eq(mmgc_thread_error(t), MMGC_E_DISCONNECTED);
    ck_assert_ptr_null(mmgc_new(t, node_type));
    mmgc_leave(t);
}
END_TEST

START_TEST(an_object_has_pages_to_itself)
{
    static const uint32_t lengths[] = { 0, 24, 1000, 4088, 4089, 9000, 16376 };

    for (int i = 0; i < 500; i++) {
        uint32_t length = lengths[i % 7];
        char *object = mmgc_new_array(t, bytes_type, length);
        ck_assert_ptr_nonnull(object);
        ck_assert(all_zero(object, length));
        ck_assert_uint_eq((uint64_t)(object - t->base) % MM_PAGE_BYTES, 8);
        ck_assert_int_eq(cell_class_of(object), (int)shm_page_cell_class((uint32_t)mmgc_size(bytes_type, length)));
        memset(object, 0x5a, length);
    }
}
END_TEST

static Suite *cells_suite(void)
{
    Suite *suite = suite_create("cells");
    TCase *cells = tcase_create("cells"), *pages = tcase_create("pages");

    tcase_add_checked_fixture(cells, setup_cells, teardown);
    tcase_add_test(cells, the_table_agrees_with_the_classes);
    tcase_add_loop_test(cells, an_object_has_a_cell_of_its_size_to_itself, 0, 3);
    tcase_add_test(cells, the_cursor_is_where_a_cell_begins);
    tcase_add_test(cells, many_sizes_together_are_no_hoard);
    tcase_add_test(cells, what_is_reserved_is_blocks_for_any_size);
    tcase_add_test(cells, a_full_heap_is_an_error_and_not_for_ever);
    tcase_add_test(cells, a_lost_daemon_ends_allocating);
    suite_add_tcase(suite, cells);
    tcase_add_checked_fixture(pages, setup_pages, teardown);
    tcase_add_test(pages, an_object_has_pages_to_itself);
    suite_add_tcase(suite, pages);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, cells_suite);
}
