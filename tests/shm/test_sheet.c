/* SPDX-License-Identifier: Apache-2.0 */
#include "shm/sheet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/runner.h"

#define ROOM 100000u

static struct shm_sheet written(void)
{
    struct shm_sheet sheet;

    ck_assert_int_eq(shm_sheet_new(&sheet, ROOM, "sheet"), 0);
    memset(sheet.address, 7, 5000);
    return sheet;
}

START_TEST(a_sealed_sheet_is_read_and_never_changes)
{
    struct shm_sheet sheet = written(), read;
    char path[64];

    ck_assert_int_eq(shm_sheet_seal(&sheet, 5000), 0);
    ck_assert_ptr_null(sheet.address);
    ck_assert_int_eq(shm_sheet_read(&read, sheet.fd, 5000), 0);
    for (size_t i = 0; i < 5000; i++)
        ck_assert_int_eq(((const char *)read.address)[i], 7);
    ck_assert_int_lt(pwrite(sheet.fd, "x", 1, 0), 0);
    ck_assert_int_lt(ftruncate(sheet.fd, 0), 0);
    ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, sheet.fd, 0), MAP_FAILED);
    ck_assert_int_lt(fcntl(sheet.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", sheet.fd);
    int again = open(path, O_RDWR | O_CLOEXEC); /* root may; it may not write either */
    ck_assert(again < 0 || pwrite(again, "x", 1, 0) < 0);
    if (again >= 0)
        close(again);
    shm_sheet_close(&read);
    shm_sheet_close(&sheet);
    ck_assert_int_eq(sheet.fd, -1);
}
END_TEST

START_TEST(what_is_no_sheet_is_not_read)
{
    struct shm_sheet sheet = written(), read = SHM_SHEET_NONE;

    ck_assert_int_eq(shm_sheet_read(&read, sheet.fd, ROOM), -EBADMSG); /* not sealed */
    ck_assert_int_eq(shm_sheet_seal(&sheet, 4096), 0);
    ck_assert_int_eq(shm_sheet_read(&read, sheet.fd, 4095), -EBADMSG);
    ck_assert_int_eq(shm_sheet_read(&read, sheet.fd, 8192), -EBADMSG);
    ck_assert_int_eq(shm_sheet_read(&read, sheet.fd, 0), -EBADMSG);
    ck_assert_int_eq(shm_sheet_read(&read, STDIN_FILENO, 4096), -EBADMSG);
    ck_assert_int_eq(shm_sheet_read(&read, -1, 4096), -EBADF);
    ck_assert_ptr_null(read.address);
    shm_sheet_close(&sheet);
}
END_TEST

START_TEST(a_sheet_does_not_grow)
{
    struct shm_sheet sheet = written(), none = SHM_SHEET_NONE;

    ck_assert_int_eq(shm_sheet_seal(&sheet, ROOM + 1), -EINVAL);
    shm_sheet_close(&sheet);
    ck_assert_int_eq(shm_sheet_new(&none, 0, "sheet"), -EINVAL);
    ck_assert_int_eq(none.fd, -1);
    shm_sheet_close(&none);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("sheet");
    TCase *tc = tcase_create("sheet");

    tcase_add_test(tc, a_sealed_sheet_is_read_and_never_changes);
    tcase_add_test(tc, what_is_no_sheet_is_not_read);
    tcase_add_test(tc, a_sheet_does_not_grow);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
