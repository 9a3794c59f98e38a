/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: the daemon fills memory that somebody sent it, whatever that is, and whatever becomes of it meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/snapshot.h"
#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(16) << 20)
#define ROUNDS 200

static struct daemon *d;
static struct raw maker, asker;
static struct raw_thread t;
static char *cells;

static void setup(void)
{
    uint32_t refs[] = { 0 };

    d = daemon_start(NULL);
    raw_start(&maker, d, "maker");
    raw_open(&maker, "h", HEAP_BYTES);
    uint32_t type = raw_type(&maker, "cell", 8, 1, refs);
    raw_attach(&t, &maker, "one");
    ck_assert_int_eq(raw_grant(&t, SHM_GRANT_LINES, 32768), MMGC_E_OK);
    raw_enter(&t);
    cells = raw_make_cells(&t, type, 3);
    raw_leave(&t);
    raw_start(&asker, d, "asker");
}

static void teardown(void)
{
    raw_close(&asker);
    raw_close(&maker);
    daemon_stop(d);
}

/* One Snapshot of heap h with @fd beside it; -1: without. The caller frees. NULL: the kernel lets no fd pass. */
static wire_reply *ask(int fd)
{
    RAW(request, SNAPSHOT, snapshot);
    struct packet_fds fds = { .fd = { fd }, .count = fd >= 0 }, none;
    wire_reply *reply = NULL;

    request_body.heap = (char *)"h";
    request.serial = ++asker.serial;
    int r = wire_send_request(asker.sock, &request, &fds);
    if (r == -EPERM)
        return NULL;
    ck_assert_int_eq(r, 0);
    while (reply == NULL || reply->serial != request.serial) {
        wire_reply_free(reply);
        reply = raw_receive(&asker, &none);
        ck_assert_msg(reply != NULL, "the daemon closed instead of answering");
    }
    return reply;
}

static uint64_t needed(void)
{
    wire_reply *reply = ask(-1);

    ck_assert_int_eq(reply->body_case, WIRE_REPLY(SNAPSHOT_TAKEN));
    ck_assert(!reply->snapshot_taken->taken);
    uint64_t bytes = reply->snapshot_taken->needed_bytes;
    wire_reply_free(reply);
    return bytes;
}

static int memory(uint64_t bytes, int seals)
{
    int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
    ck_assert_int_eq(posix_fallocate(fd, 0, (off_t)bytes), 0);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static int good_memory(uint64_t bytes)
{
    return memory(bytes, F_SEAL_SHRINK | F_SEAL_GROW);
}

/* It is refused with a sentence that has @part in it, and the daemon goes on. Closes @fd. */
static void assert_refused(int fd, const char *part)
{
    (void)needed();
    wire_reply *reply = ask(fd);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(ERROR));
    ck_assert_int_eq(reply->error->code, MMGC_E_INVALID);
    ck_assert_msg(strstr(reply->error->detail, part) != NULL, "'%s' has no '%s'", reply->error->detail, part);
    wire_reply_free(reply);
    close(fd);
    ck_assert_int_eq(raw_ping(&asker), MMGC_E_OK);
}

START_TEST(good_memory_is_filled)
{
    uint64_t bytes = needed();
    int fd = good_memory(bytes);
    wire_reply *reply = ask(fd);

    ck_assert_int_eq(reply->body_case, WIRE_REPLY(SNAPSHOT_TAKEN));
    ck_assert(reply->snapshot_taken->taken);
    ck_assert_uint_le(reply->snapshot_taken->needed_bytes, bytes);
    ck_assert_uint_gt(reply->snapshot_taken->pause_ns, 0);
    const struct shm_snapshot *s = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(s, MAP_FAILED);
    ck_assert_uint_eq(s->magic, SHM_SNAPSHOT_MAGIC);
    ck_assert_str_eq(s->heap, "h");
    ck_assert_uint_eq(s->sections[SHM_SNAPSHOT_TYPES].count, 1);
    uint64_t objects = 0;
    const uint64_t *bits = (const void *)((const char *)s + s->sections[SHM_SNAPSHOT_OBJECTS].offset);
    for (uint64_t i = 0; i < s->sections[SHM_SNAPSHOT_OBJECTS].count * (SHM_SNAPSHOT_BITS / 8); i++)
        objects += (uint64_t)__builtin_popcountll(bits[i]);
    ck_assert_uint_eq(objects, 3);
    wire_reply_free(reply);
    munmap((void *)s, bytes);
    close(fd);
}
END_TEST

START_TEST(what_was_sent_can_neither_be_punched_nor_grown_any_more)
{
    uint64_t bytes = needed();
    int fd = good_memory(bytes);

    wire_reply_free(ask(fd));
    ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(ftruncate(fd, 0), -1);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes * 2), -1);
    ck_assert_ptr_eq(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    close(fd);
}
END_TEST

START_TEST(too_little_memory_is_told_how_much_it_takes)
{
    uint64_t bytes = needed();

    for (uint64_t little = 4096; little <= 32768; little += 4096) {
        (void)needed();
        int fd = good_memory(little);
        wire_reply *reply = ask(fd);
        ck_assert_int_eq(reply->body_case, WIRE_REPLY(SNAPSHOT_TAKEN));
        ck_assert(!reply->snapshot_taken->taken);
        ck_assert_uint_gt(reply->snapshot_taken->needed_bytes, little);
        ck_assert_uint_le(reply->snapshot_taken->needed_bytes, 2 * bytes);
        wire_reply_free(reply);
        close(fd);
    }
}
END_TEST

START_TEST(what_is_no_sealed_memfd_is_refused)
{
    uint64_t bytes = needed();
    char path[256];
    int pipes[2];

    assert_refused(open("/dev/null", O_RDWR | O_CLOEXEC), "no memfd");
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    assert_refused(pipes[0], "no memfd");
    close(pipes[1]);
    snprintf(path, sizeof(path), "%s/file", daemon_directory(d));
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
    assert_refused(fd, "no memfd");
    unlink(path);
    assert_refused(dup(asker.sock), "no memfd");
    assert_refused(memory(bytes, 0), "no memfd");
    assert_refused(memory(bytes, F_SEAL_SHRINK), "no memfd");
    assert_refused(memory(bytes, F_SEAL_GROW), "no memfd");
}
END_TEST

START_TEST(what_the_daemon_cannot_seal_or_write_is_refused)
{
    uint64_t bytes = needed();
    char path[64];

    assert_refused(memory(bytes, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), "F_SEAL_SEAL");
    assert_refused(memory(bytes, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), "mapped for writing");
    assert_refused(memory(bytes, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE), "mapped for writing");
    int fd = good_memory(bytes);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(reader, 0);
    close(fd);
    assert_refused(reader, "mapped for writing");
}
END_TEST

START_TEST(memory_that_is_not_all_there_is_refused)
{
    uint64_t bytes = needed();
    int sparse = memfd_create("sparse", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    ck_assert_int_eq(ftruncate(sparse, (off_t)bytes), 0);
    ck_assert_int_eq(fcntl(sparse, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_refused(sparse, "pages are missing");
    int punched = good_memory(bytes);
    ck_assert_int_eq(fallocate(punched, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096), 0);
    assert_refused(punched, "pages are missing");
    assert_refused(memory(4096 + 100, F_SEAL_SHRINK | F_SEAL_GROW), "multiple of pages");
    int empty = memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_eq(fcntl(empty, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_refused(empty, "multiple of pages");
    int huge = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (huge < 0)
        return; /* this kernel has none */
    ck_assert_int_eq(ftruncate(huge, 1 << 30), 0);
    ck_assert_int_eq(fcntl(huge, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_refused(huge, "huge pages");
}
END_TEST

/* ---- meanwhile ---- */

static _Atomic int punched_fd;
static _Atomic bool over;

static void *punch(void *unused)
{
    (void)unused;
    while (!atomic_load(&over)) {
        int fd = atomic_load(&punched_fd);
        if (fd >= 0)
            (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 1 << 20);
    }
    return NULL;
}

/* Either it came before the seal, and pages are missing, or after it, and there is none. */
START_TEST(a_hole_at_any_moment_is_refused_or_not_made)
{
    pthread_t puncher;
    unsigned missing = 0;

    atomic_store(&punched_fd, -1);
    ck_assert_int_eq(pthread_create(&puncher, NULL, punch, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        int fd = good_memory(needed());
        atomic_store(&punched_fd, fd);
        wire_reply *reply = ask(fd);
        bool taken = reply->body_case == WIRE_REPLY(SNAPSHOT_TAKEN) && reply->snapshot_taken->taken;
        ck_assert(taken || (reply->body_case == WIRE_REPLY(ERROR) && strstr(reply->error->detail, "pages are missing") != NULL));
        missing += !taken;
        wire_reply_free(reply);
        atomic_store(&punched_fd, -1);
        close(fd); /* the puncher may still have the number: it is ours alone, and of memory like this one */
    }
    atomic_store(&over, true);
    pthread_join(puncher, NULL);
    fprintf(stderr, "# %u of %d had holes\n", missing, ROUNDS);
    ck_assert_int_eq(raw_ping(&maker), MMGC_E_OK);
}
END_TEST

START_TEST(a_client_that_vanishes_leaves_nothing_behind)
{
    int before = daemon_fd_count(d);

    for (int i = 0; i < 20; i++) {
        RAW(request, SNAPSHOT, snapshot);
        raw_close(&asker);
        raw_start(&asker, d, "asker");
        struct packet_fds fds = { .fd = { good_memory(needed()) }, .count = 1 };
        request_body.heap = (char *)"h";
        request.serial = ++asker.serial;
        ck_assert_int_eq(wire_send_request(asker.sock, &request, &fds), 0);
        close(fds.fd[0]);
    }
    raw_close(&asker);
    raw_start(&asker, d, "asker");
    ck_assert_int_eq(raw_ping(&asker), MMGC_E_OK);
    if (before > 0)
        ck_assert(daemon_await_fds(d, before));
}
END_TEST

START_TEST(who_has_not_asked_how_large_it_must_be_sends_nothing)
{
    struct raw stranger;
    RAW(request, SNAPSHOT, snapshot);
    int fd = good_memory(65536);
    struct packet_fds fds = { .fd = { fd }, .count = 1 };

    raw_start(&stranger, d, "stranger");
    request_body.heap = (char *)"h";
    request.serial = ++stranger.serial;
    int r = wire_send_request(stranger.sock, &request, &fds);
    ck_assert_msg(r == -EPERM || packet_pass_fds(stranger.sock, true) == -ENOPROTOOPT, "it was let pass: %d", r);
    close(fd);
    raw_close(&stranger);
}
END_TEST

START_TEST(a_quarantined_heap_is_copied_only_for_who_insists)
{
    RAW(verify, VERIFY, verify);
    RAW(histogram, HISTOGRAM, histogram);
    RAW(request, SNAPSHOT, snapshot);

    *(uint64_t *)(void *)(cells - 8) = 77; /* a type that is none */
    wire_reply *verdict = raw_ask(&maker, &verify);
    ck_assert(!verdict->verdict->clean);
    wire_reply_free(verdict);
    request_body.heap = (char *)"h";
    ck_assert_int_eq(raw_try(&asker, &request), MMGC_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(asker.detail, "--anyway"));
    histogram_body.heap = (char *)"h";
    ck_assert_int_eq(raw_try(&asker, &histogram), MMGC_E_CORRUPT); /* whose counts nobody would vouch for */
    request_body.anyway = true;
    ck_assert_int_eq(raw_try(&asker, &request), MMGC_E_OK);
}
END_TEST

static Suite *snapshots_suite(void)
{
    Suite *suite = suite_create("snapshots");
    TCase *tc = tcase_create("snapshots");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, good_memory_is_filled);
    tcase_add_test(tc, what_was_sent_can_neither_be_punched_nor_grown_any_more);
    tcase_add_test(tc, too_little_memory_is_told_how_much_it_takes);
    tcase_add_test(tc, what_is_no_sealed_memfd_is_refused);
    tcase_add_test(tc, what_the_daemon_cannot_seal_or_write_is_refused);
    tcase_add_test(tc, memory_that_is_not_all_there_is_refused);
    tcase_add_test(tc, a_hole_at_any_moment_is_refused_or_not_made);
    tcase_add_test(tc, a_client_that_vanishes_leaves_nothing_behind);
    tcase_add_test(tc, who_has_not_asked_how_large_it_must_be_sends_nothing);
    tcase_add_test(tc, a_quarantined_heap_is_copied_only_for_who_insists);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, snapshots_suite);
}
