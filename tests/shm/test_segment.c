/* SPDX-License-Identifier: Apache-2.0 */
/* Segments as a hostile client meets them. */
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/units.h"
#include "tests/support/runner.h"

#define NOBODY 65534

static struct shm_segment *new_segment(size_t bytes)
{
    struct shm_segment *seg = NULL;

    ck_assert_int_eq(shm_segment_new(&seg, bytes, "test"), 0);
    return seg;
}

static alignas(MM_PAGE_BYTES) char memory[4 * MM_PAGE_BYTES];

START_TEST(a_segment_may_be_memory_of_ones_own)
{
    struct shm_segment seg = { .bytes = 1 };

    ck_assert_int_eq(shm_segment_init_memory(&seg, NULL, MM_PAGE_BYTES), -EINVAL);
    ck_assert_int_eq(shm_segment_init_memory(&seg, memory, 0), -EINVAL);
    ck_assert_int_eq(shm_segment_init_memory(&seg, memory, MM_PAGE_BYTES - 1), -EINVAL);
    ck_assert_int_eq(shm_segment_init_memory(&seg, memory + 64, MM_PAGE_BYTES), -EINVAL);
    ck_assert_uint_eq(seg.bytes, 1);
    ck_assert_int_eq(shm_segment_init_memory(&seg, memory, sizeof(memory)), 0);
    ck_assert_ptr_eq(shm_segment_address(&seg), memory);
    ck_assert_uint_eq(shm_segment_bytes(&seg), sizeof(memory));
    ck_assert_int_eq(shm_segment_fd(&seg), -1);
    ck_assert_int_eq(shm_segment_reopen_read_only(&seg), -EBADF);
}
END_TEST

static struct shm_segment *new_published(size_t bytes)
{
    struct shm_segment *seg = NULL;

    ck_assert_int_eq(shm_segment_new_published(&seg, bytes, "test"), 0);
    return seg;
}

/* A memfd such as a peer might send. */
static int raw_memfd(size_t bytes, int seals)
{
    int fd = memfd_create("raw", MFD_ALLOW_SEALING | MFD_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static int adopt_error(int fd, size_t bytes, enum shm_access access)
{
    struct shm_segment *untouched = (struct shm_segment *)&fd, *seg = untouched;
    int r = shm_segment_adopt(&seg, fd, bytes, access);

    ck_assert_ptr_eq(seg, untouched);
    ck_assert_int_ne(fcntl(fd, F_GETFD), -1); /* still the caller's */
    return r;
}

/* The errno of opening our @fd anew with @flags, as uid nobody; 0 if it worked. */
static int reopen_as_nobody(int fd, int flags)
{
    char path[32];
    int status;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    pid_t child = fork();
    if (child == 0) {
        if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
            _exit(255);
        _exit(open(path, flags) < 0 ? errno : 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) != 255);
    return WEXITSTATUS(status);
}

/* Whether the mapping at @address has @flag ("dd", "dc") in its VmFlags. */
static bool has_vm_flag(const void *address, const char *flag)
{
    char line[512], word[8];
    unsigned long long start, end;
    bool inside = false, found = false;
    FILE *smaps = fopen("/proc/self/smaps", "re");

    ck_assert_ptr_nonnull(smaps);
    snprintf(word, sizeof(word), " %s", flag);
    while (fgets(line, sizeof(line), smaps) != NULL) {
        if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
            inside = start <= (uintptr_t)address && (uintptr_t)address < end;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, word) != NULL;
    }
    fclose(smaps);
    return found;
}

START_TEST(a_new_segment_is_zeroed_sparse_and_whole_pages)
{
    MM_AUTO(shm_segment) seg = new_segment(10000);
    const char *bytes = shm_segment_address(seg);
    struct stat status;

    ck_assert_uint_eq(shm_segment_bytes(seg), 12288);
    ck_assert_int_eq(fstat(shm_segment_fd(seg), &status), 0);
    ck_assert_int_eq(status.st_size, 12288);
    ck_assert_int_eq(status.st_blocks, 0);
    ck_assert(bytes[0] == 0 && memcmp(bytes, bytes + 1, 12287) == 0);
}
END_TEST

START_TEST(large_segments_are_aligned_to_chunks)
{
    static const size_t sizes[] = { MM_COMMIT_BYTES, MM_CHUNK_BYTES, 3 * MM_CHUNK_BYTES + 4096,
                                    MM_ARENA_MAX_BYTES };
    MM_AUTO(shm_segment) seg = new_segment(sizes[_i]);
    MM_AUTO(shm_segment) view = NULL;

    ck_assert_uint_eq((uintptr_t)shm_segment_address(seg) % MM_CHUNK_BYTES, 0);
    ck_assert_int_eq(shm_segment_adopt(&view, dup(shm_segment_fd(seg)), sizes[_i], SHM_READ_WRITE), 0);
    ck_assert_uint_eq((uintptr_t)shm_segment_address(view) % MM_CHUNK_BYTES, 0);
    ((volatile char *)shm_segment_address(seg))[sizes[_i] - 1] = 7; /* mapped to its end */
    ck_assert_int_eq(((volatile char *)shm_segment_address(view))[sizes[_i] - 1], 7);
}
END_TEST

START_TEST(impossible_segments_are_refused)
{
    struct shm_segment *untouched = (struct shm_segment *)&untouched, *seg = untouched;
    char label[SHM_LABEL_MAX + 2];

    memset(label, 'x', sizeof(label));
    label[SHM_LABEL_MAX + 1] = '\0';
    ck_assert_int_eq(shm_segment_new(&seg, 0, "test"), -EINVAL);
    ck_assert_int_eq(shm_segment_new(&seg, SIZE_MAX, "test"), -EINVAL);
    ck_assert_int_eq(shm_segment_new(&seg, PTRDIFF_MAX / 2, "test"), -ENOMEM);
    ck_assert_int_eq(shm_segment_new(&seg, 4096, label), -ENAMETOOLONG);
    ck_assert_ptr_eq(seg, untouched);
    label[SHM_LABEL_MAX] = '\0';
    ck_assert_int_eq(shm_segment_new(&seg, 4096, label), 0);
    ck_assert_ptr_null(shm_segment_unref(seg));
    ck_assert_ptr_null(shm_segment_unref(NULL));
}
END_TEST

START_TEST(two_mappings_at_unequal_addresses_show_the_same_bytes)
{
    MM_AUTO(shm_segment) seg = new_segment(4096);
    MM_AUTO(shm_segment) view = NULL;

    ck_assert_int_eq(shm_segment_adopt(&view, dup(shm_segment_fd(seg)), 4096, SHM_READ_WRITE), 0);
    ck_assert_ptr_ne(shm_segment_address(seg), shm_segment_address(view));
    ((volatile char *)shm_segment_address(view))[17] = 42;
    ck_assert_int_eq(((volatile char *)shm_segment_address(seg))[17], 42);
}
END_TEST

START_TEST(unref_closes_the_fd)
{
    struct shm_segment *seg = new_segment(4096);
    int fd = shm_segment_fd(seg);

    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    shm_segment_unref(seg);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

START_TEST(nobody_changes_the_size_or_the_seals)
{
    MM_AUTO(shm_segment) seg = _i == 0 ? new_segment(8192) : new_published(8192);
    int fd = shm_segment_fd(seg);

    ck_assert_int_eq(ftruncate(fd, 4096), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(ftruncate(fd, 16384), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fallocate(fd, 0, 8192, 4096), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
    ck_assert_int_eq(errno, EPERM);
}
END_TEST

START_TEST(only_the_owner_may_open_it)
{
    MM_AUTO(shm_segment) seg = new_segment(4096);
    struct stat status;

    ck_assert_int_eq(fstat(shm_segment_fd(seg), &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
}
END_TEST

static bool kernel_has_noexec_seal(void)
{
    int fd = memfd_create("probe", MFD_CLOEXEC | 0x0008u);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* As a program: by nobody. As code in a process that maps it so: Linux asks nobody's leave for that, so we see to it that we do not. */
START_TEST(nobody_can_run_a_segment)
{
    MM_AUTO(shm_segment) seg = _i == 0 ? new_segment(8192) : new_published(8192);
    char *const none[] = { NULL };
    int fd = shm_segment_fd(seg);

    ck_assert_int_eq((int)syscall(SYS_execveat, fd, "", none, none, AT_EMPTY_PATH), -1);
    ck_assert_int_eq(errno, EACCES);
    if (!kernel_has_noexec_seal())
        return;
    ck_assert_int_eq(fchmod(fd, 0700), -1);
    ck_assert_int_eq(errno, EPERM);
}
END_TEST

#define PR_SET_MDWE_ 65 /* Linux 6.3; what MemoryDenyWriteExecute= asks for where there is it */

START_TEST(a_process_that_denies_it_makes_no_code_of_a_segment)
{
    MM_AUTO(shm_segment) seg = new_segment(8192);

    if (prctl(PR_SET_MDWE_, 1, 0, 0, 0) < 0)
        return; /* an older kernel: there systemd has a filter (tests/systemd/) */
    ck_assert_int_eq(mprotect(shm_segment_address(seg), 8192, PROT_READ | PROT_EXEC), -1);
    ck_assert(mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, shm_segment_fd(seg), 0) == MAP_FAILED);
}
END_TEST

/* With the rights a memfd is born with it works: so the rights are what refused. */
START_TEST(another_uid_cannot_make_a_read_only_fd_writable)
{
    if (geteuid() != 0)
        return; /* only root can become somebody else */
    MM_AUTO(shm_segment) seg = new_segment(4096);
    int fd = shm_segment_reopen_read_only(seg);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(reopen_as_nobody(fd, O_RDWR), EACCES);
    ck_assert_int_eq(reopen_as_nobody(fd, O_RDONLY), EACCES);
    ck_assert_int_eq(fchmod(shm_segment_fd(seg), 0666), 0);
    ck_assert_int_eq(reopen_as_nobody(fd, O_RDWR), 0);
    close(fd);
}
END_TEST

START_TEST(a_reader_cannot_write_seal_or_map_writable)
{
    MM_AUTO(shm_segment) seg = new_segment(4096);
    int fd = shm_segment_reopen_read_only(seg);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    ck_assert(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    ck_assert_int_eq(errno, EBADF);
    void *view = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert(view != MAP_FAILED);
    ck_assert_int_eq(mprotect(view, 4096, PROT_READ | PROT_WRITE), -1);
    munmap(view, 4096);
    close(fd);
}
END_TEST

START_TEST(an_undumpable_daemon_reopens_its_own)
{
    MM_AUTO(shm_segment) seg = new_segment(4096);

    ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 0), 0);
    int fd = shm_segment_reopen_read_only(seg);
    ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
    ck_assert_int_ge(fd, 0);
    close(fd);
}
END_TEST

START_TEST(a_published_segment_has_one_writer_for_ever)
{
    MM_AUTO(shm_segment) seg = new_published(4096);
    MM_AUTO(shm_segment) view = NULL;
    int fd = shm_segment_fd(seg);

    ck_assert(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(adopt_error(fd, 4096, SHM_READ_WRITE), -EPERM);
    ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
    ck_assert_int_eq(errno, EPERM);

    int reader = shm_segment_reopen_read_only(seg);
    ck_assert_int_ge(reader, 0);
    ck_assert_int_eq(shm_segment_adopt(&view, reader, 4096, SHM_READ_ONLY), 0);
    ck_assert_int_eq(mprotect(shm_segment_address(view), 4096, PROT_READ | PROT_WRITE), -1);
    ((volatile char *)shm_segment_address(seg))[5] = 9; /* ours still works */
    ck_assert_int_eq(((volatile char *)shm_segment_address(view))[5], 9);
}
END_TEST

START_TEST(what_can_change_its_size_is_not_adopted)
{
    static const int seals[] = { 0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_FUTURE_WRITE };
    int fd = raw_memfd(4096, seals[_i]);

    ck_assert_int_eq(adopt_error(fd, 4096, SHM_READ_ONLY), -EBADMSG);
    close(fd);
}
END_TEST

START_TEST(another_size_is_not_adopted)
{
    static const size_t wrong[] = { 0, 1, 4096, 8191, 8193, 12288, SIZE_MAX };
    MM_AUTO(shm_segment) seg = new_segment(8192);

    ck_assert_int_eq(adopt_error(shm_segment_fd(seg), wrong[_i], SHM_READ_WRITE), -EBADMSG);
}
END_TEST

START_TEST(what_is_no_memfd_is_not_adopted)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), ends[2];
    struct stat status;

    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_int_eq(adopt_error(fd, (size_t)status.st_size, SHM_READ_ONLY), -EBADMSG);
    close(fd);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(adopt_error(ends[0], 4096, SHM_READ_ONLY), -EBADMSG);
    close(ends[0]);
    close(ends[1]);

    struct shm_segment *seg = NULL;
    ck_assert_int_eq(shm_segment_adopt(&seg, ends[0], 4096, SHM_READ_ONLY), -EBADF);
    ck_assert_ptr_null(seg);
}
END_TEST

START_TEST(a_read_only_fd_is_not_adopted_for_writing)
{
    MM_AUTO(shm_segment) seg = new_segment(4096);
    int fd = shm_segment_reopen_read_only(seg);

    ck_assert_int_eq(adopt_error(fd, 4096, SHM_READ_WRITE), -EACCES);
    close(fd);
}
END_TEST

START_TEST(no_segment_is_dumped_and_no_child_inherits_an_adopted_one)
{
    size_t bytes = _i == 0 ? 4096 : MM_COMMIT_BYTES;
    MM_AUTO(shm_segment) seg = new_segment(bytes);
    MM_AUTO(shm_segment) view = NULL;

    ck_assert_int_eq(shm_segment_adopt(&view, dup(shm_segment_fd(seg)), bytes, SHM_READ_ONLY), 0);
    ck_assert(has_vm_flag(shm_segment_address(seg), "dd"));
    ck_assert(!has_vm_flag(shm_segment_address(seg), "dc")); /* the committer process needs it */
    ck_assert(has_vm_flag(shm_segment_address(view), "dd"));
    ck_assert(has_vm_flag(shm_segment_address(view), "dc"));
}
END_TEST

static size_t address_space_bytes(void)
{
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");

    ck_assert_ptr_nonnull(statm);
    ck_assert_int_eq(fscanf(statm, "%zu", &pages), 1);
    fclose(statm);
    return pages * MM_PAGE_BYTES;
}

START_TEST(failing_leaves_no_fd_and_no_mapping_behind)
{
    MM_AUTO(shm_segment) published = new_published(MM_COMMIT_BYTES);
    struct shm_segment *seg = NULL;
    size_t bytes = address_space_bytes();
    int fd = dup(0);

    close(fd);
    for (int i = 0; i < 500; i++) {
        ck_assert_int_eq(shm_segment_new(&seg, PTRDIFF_MAX / 2, "test"), -ENOMEM);
        ck_assert_int_eq(adopt_error(shm_segment_fd(published), MM_COMMIT_BYTES, SHM_READ_WRITE),
                         -EPERM);
    }
    ck_assert_uint_lt(address_space_bytes() - bytes, 100 * MM_COMMIT_BYTES);
    ck_assert_int_eq(dup(0), fd);
    close(fd);
}
END_TEST

static Suite *make(void)
{
    Suite *suite = suite_create("segment");
    TCase *tc = tcase_create("life");

    tcase_add_test(tc, a_new_segment_is_zeroed_sparse_and_whole_pages);
    tcase_add_loop_test(tc, large_segments_are_aligned_to_chunks, 0, 4);
    tcase_add_test(tc, a_segment_may_be_memory_of_ones_own);
    tcase_add_test(tc, impossible_segments_are_refused);
    tcase_add_test(tc, two_mappings_at_unequal_addresses_show_the_same_bytes);
    tcase_add_test(tc, unref_closes_the_fd);
    tcase_add_loop_test(tc, no_segment_is_dumped_and_no_child_inherits_an_adopted_one, 0, 2);
    tcase_add_test(tc, failing_leaves_no_fd_and_no_mapping_behind);
    suite_add_tcase(suite, tc);

    tc = tcase_create("rights");
    tcase_add_loop_test(tc, nobody_changes_the_size_or_the_seals, 0, 2);
    tcase_add_loop_test(tc, nobody_can_run_a_segment, 0, 2);
    tcase_add_test(tc, a_process_that_denies_it_makes_no_code_of_a_segment);
    tcase_add_test(tc, only_the_owner_may_open_it);
    tcase_add_test(tc, another_uid_cannot_make_a_read_only_fd_writable);
    tcase_add_test(tc, a_reader_cannot_write_seal_or_map_writable);
    tcase_add_test(tc, an_undumpable_daemon_reopens_its_own);
    tcase_add_test(tc, a_published_segment_has_one_writer_for_ever);
    suite_add_tcase(suite, tc);

    tc = tcase_create("adopt");
    tcase_add_loop_test(tc, what_can_change_its_size_is_not_adopted, 0, 4);
    tcase_add_loop_test(tc, another_size_is_not_adopted, 0, 7);
    tcase_add_test(tc, what_is_no_memfd_is_not_adopted);
    tcase_add_test(tc, a_read_only_fd_is_not_adopted_for_writing);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, make);
}
