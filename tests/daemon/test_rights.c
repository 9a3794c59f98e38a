/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/daemon/raw.h"
#include "tests/support/runner.h"

#define HEAP_BYTES (UINT64_C(4) << 20)
#define NOGROUP 65534 /* what a group appears as that this user namespace does not know */

static struct daemon *d;

static void set_up(void)
{
    d = daemon_start("[daemon]\nthreads = 2\nadmin_group = 4000\n");
}

static void tear_down(void)
{
    if (d != NULL)
        daemon_stop(d);
    d = NULL;
}

/* ---- who may ask what -------------------------------------------------------------------------------------------- */

enum right { NOTHING, READS, WRITES, RULES };

static const struct raw_user owner = { .uid = 1001, .gid = 2000 };
static const struct {
    const char *what;
    struct raw_user user;
    const char *mode; /* of a heap of user 1001 and group 2000 */
    enum right right;
} people[] = {
    { "a stranger",                           { .uid = 1002, .gid = 2002 },                                        "mode=0660", NOTHING },
    { "a stranger, where others may read",    { .uid = 1002, .gid = 2002 },                                        "mode=0604", READS },
    { "a stranger, where others may write",   { .uid = 1002, .gid = 2002 },                                        "mode=0606", WRITES },
    { "one of the group",                     { .uid = 1002, .gid = 2000 },                                        "mode=0640", READS },
    { "one of the group, where it may write", { .uid = 1002, .gid = 2000 },                                        "mode=0660", WRITES },
    { "one of the group, where others may",   { .uid = 1002, .gid = 2000 },                                        "mode=0606", NOTHING },
    { "one of the group among others",        { .uid = 1002, .gid = 2002, .groups = { 7, 2000 }, .group_count = 2 }, "mode=0640", READS },
    { "the same, where it may write",         { .uid = 1002, .gid = 2002, .groups = { 2000, 7 }, .group_count = 2 }, "mode=0660", WRITES },
    { "an administrator by its group",        { .uid = 1002, .gid = 4000 },                                        "mode=0600", RULES },
    { "an administrator by one of them",      { .uid = 1002, .gid = 2002, .groups = { 4000 }, .group_count = 1 },  "mode=0600", RULES },
    { "root",                                 { .uid = 0, .gid = 0 },                                              "mode=0600", RULES },
    { "the owner, whatever the mode",         { .uid = 1001, .gid = 2002 },                                        "mode=0000", RULES },
};

/* Sends each request that names a heap, and returns whether it was DENIED. */
typedef enum mmgc_error ask(struct raw *c);

#define ASK(name, KIND, kind, field)           \
    static enum mmgc_error name(struct raw *c) \
    {                                          \
        RAW(request, KIND, kind);              \
        request_body.field = (char *)"h";      \
        return raw_try(c, &request);           \
    }
ASK(ask_info, HEAP_INFO, heap_info, name)
ASK(ask_collect, COLLECT, collect, heap)
ASK(ask_verify, VERIFY, verify, heap)
ASK(ask_histogram, HISTOGRAM, histogram, heap)
ASK(ask_snapshot, SNAPSHOT, snapshot, heap)
ASK(ask_clients, CLIENTS, clients, heap)
ASK(ask_roots, ROOTS, roots, heap)
ASK(ask_handles, HANDLES, handles, heap)
ASK(ask_stats, STATS, stats, heap)
ASK(ask_blocks, BLOCKS, blocks, heap)
ASK(ask_delegate, DELEGATE, delegate, heap)
ASK(ask_decide, DECIDE, decide, heap)
ASK(ask_trace, TRACE_BEGIN, trace_begin, heap)
ASK(ask_watch, WATCH, watch, heap)
ASK(ask_revoke, LEASE_REVOKE, lease_revoke, heap)
ASK(ask_destroy, HEAP_DESTROY, heap_destroy, name) /* without force, of a heap that has a client */

static enum mmgc_error ask_resize(struct raw *c)
{
    RAW(request, HEAP_RESIZE, heap_resize);

    request_body.heap = (char *)"h";
    request_body.limit_bytes = HEAP_BYTES;
    return raw_try(c, &request);
}

static enum mmgc_error open_as(struct raw *c, bool read_only)
{
    RAW(request, HEAP_OPEN, heap_open);

    request_body.name = (char *)"h";
    request_body.read_only = read_only;
    return raw_try(c, &request);
}

static enum mmgc_error ask_to_read(struct raw *c)
{
    return open_as(c, true);
}

static enum mmgc_error ask_to_write(struct raw *c)
{
    return open_as(c, false);
}

static const struct {
    const char *what;
    ask *ask;
    enum right needs;
} requests[] = {
    { "HeapInfo", ask_info, READS },           { "Collect", ask_collect, READS },
    { "Verify", ask_verify, READS },           { "Histogram", ask_histogram, READS },
    { "Snapshot", ask_snapshot, READS },       { "Clients", ask_clients, READS },         { "Roots", ask_roots, READS },
    { "Handles", ask_handles, READS },         { "HeapResize", ask_resize, RULES },
    { "Stats", ask_stats, READS },             { "Blocks", ask_blocks, READS },
    { "Delegate", ask_delegate, RULES },       { "Decide", ask_decide, RULES },
    { "TraceBegin", ask_trace, READS },        { "Watch", ask_watch, RULES },
    { "LeaseRevoke", ask_revoke, RULES },      { "HeapDestroy", ask_destroy, RULES },
    { "HeapOpen to read", ask_to_read, READS }, { "HeapOpen to write", ask_to_write, WRITES },
};

static size_t heaps_listed(struct raw *c)
{
    RAW(request, HEAP_LIST, heap_list);

    wire_reply *reply = raw_ask(c, &request);
    size_t rows = reply->heap_rows->n_rows;
    wire_reply_free(reply);
    return rows;
}

START_TEST(every_request_that_names_a_heap_respects_its_owner_group_and_mode)
{
    struct raw maker = { 0 }, c;

    if (!raw_is_root())
        return;
    raw_start_as(&maker, d, "maker", &owner);
    maker.options = people[_i].mode;
    raw_open(&maker, "h", HEAP_BYTES);
    for (size_t i = 0; i < MM_ARRAY_LEN(requests); i++) {
        raw_start_as(&c, d, "asker", &people[_i].user);
        bool denied = requests[i].ask(&c) == MMGC_E_DENIED;
        ck_assert_msg(denied == (people[_i].right < requests[i].needs), "%s: %s %s", people[_i].what, requests[i].what,
                      denied ? "is denied" : "is not denied");
        raw_close(&c);
    }
    raw_start_as(&c, d, "asker", &people[_i].user);
    ck_assert_uint_eq(heaps_listed(&c), people[_i].right >= READS ? 1 : 0);
    raw_close(&c);
    raw_close(&maker);
}
END_TEST

START_TEST(a_group_that_this_user_namespace_does_not_know_gives_no_rights)
{
    struct raw maker = { 0 }, c;

    if (!raw_is_root())
        return;
    raw_start_as(&maker, d, "maker", &(struct raw_user){ .uid = 1001, .gid = NOGROUP });
    maker.options = "mode=0660";
    raw_open(&maker, "h", HEAP_BYTES);
    raw_start_as(&c, d, "asker", &(struct raw_user){ .uid = 1002, .gid = NOGROUP });
    ck_assert_int_eq(ask_to_read(&c), MMGC_E_DENIED); /* its group could be any other that is not known either */
    raw_close(&c);
    raw_close(&maker);
}
END_TEST

START_TEST(an_administrator_sees_every_client_and_ordinary_users_their_own)
{
    struct raw one, two, admin;
    RAW(clients, CLIENTS, clients);

    if (!raw_is_root())
        return;
    ck_assert(daemon_log_has(d, "session 1 ends")); /* the connection that waited for the start */
    raw_start_as(&one, d, "one", &owner);
    raw_start_as(&two, d, "two", &(struct raw_user){ .uid = 1002, .gid = 2000 });
    raw_start_as(&admin, d, "admin", &(struct raw_user){ .uid = 1003, .gid = 2000, .groups = { 4000 }, .group_count = 1 });
    struct raw *all[] = { &one, &two, &admin };
    for (int i = 0; i < 3; i++) {
        wire_reply *reply = raw_ask(all[i], &clients);
        ck_assert_uint_eq(reply->client_rows->n_rows, i == 2 ? 3 : 1);
        wire_reply_free(reply);
    }
    for (int i = 0; i < 3; i++)
        raw_close(all[i]);
}
END_TEST

/* ---- who only reads ---------------------------------------------------------------------------------------------- */

/* Whether anybody but the daemon could write through it. */
static bool is_writable(int fd)
{
    void *address = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (address != MAP_FAILED)
        munmap(address, 4096);
    return address != MAP_FAILED;
}

static int reopen_as(int fd, uid_t uid)
{
    char path[32];
    int again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ck_assert_int_eq(seteuid(uid), 0);
    again = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(seteuid(0), 0);
    if (again >= 0)
        close(again);
    return again;
}

START_TEST(who_opens_read_only_gets_no_memory_of_others_that_it_could_write)
{
    struct raw maker = { 0 }, c;
    struct packet_fds fds;
    RAW(open_heap, HEAP_OPEN, heap_open);

    raw_start(&maker, d, "maker");
    maker.options = "mode=0644";
    raw_open(&maker, "h", HEAP_BYTES);
    bool root = raw_is_root();
    if (root)
        raw_start_as(&c, d, "reader", &(struct raw_user){ .uid = 1002, .gid = 2002 });
    else
        raw_start(&c, d, "reader");
    open_heap_body.name = (char *)"h";
    open_heap_body.read_only = true;
    raw_send(&c, &open_heap);
    wire_reply *reply = raw_receive(&c, &fds);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HEAP_OPENED));
    ck_assert_uint_eq(fds.count, 3); /* no log, no leases */
    ck_assert_uint_eq(reply->heap_opened->log_bytes + reply->heap_opened->lease_bytes, 0);
    for (int i = 0; i < 2; i++) { /* control and arena */
        ck_assert_int_eq(fcntl(fds.fd[i], F_GETFL) & O_ACCMODE, O_RDONLY);
        ck_assert(!is_writable(fds.fd[i]));
        if (root)
            ck_assert_int_lt(reopen_as(fds.fd[i], 1002), 0); /* mode 0600, of the daemon's user */
    }
    ck_assert(is_writable(fds.fd[2])); /* its own session */
    packet_fds_close(&fds);
    wire_reply_free(reply);
    RAW(set, NAME_SET, name_set);
    set_body.name = (char *)"root";
    set_body.ref = 4096;
    ck_assert_int_eq(raw_try(&c, &set), MMGC_E_READ_ONLY);
    raw_close(&c);
    raw_close(&maker);
}
END_TEST

/* ---- containers -------------------------------------------------------------------------------------------------- */

START_TEST(a_stranger_to_the_user_namespace_is_told_why_and_the_log_has_it)
{
    struct raw c;

    if (!raw_is_root())
        return;
    raw_connect_as(&c, d, &(struct raw_user){ .uid = 65534, .gid = 1 });
    ck_assert_int_eq(raw_last_word(&c), MMGC_E_DENIED);
    ck_assert_ptr_nonnull(strstr(c.detail, "not of this user namespace"));
    ck_assert(daemon_log_has(d, "not known in the daemon's user namespace"));
    raw_close(&c);
}
END_TEST

static bool row_has_pid(struct raw *c, uint32_t pid)
{
    RAW(clients, CLIENTS, clients);
    wire_reply *reply = raw_ask(c, &clients);
    bool found = false;

    for (size_t i = 0; i < reply->client_rows->n_rows; i++)
        found = found || (reply->client_rows->rows[i]->session == c->session && reply->client_rows->rows[i]->pid == pid);
    wire_reply_free(reply);
    return found;
}

/* The daemon is in a pid namespace of its own, where we have no number; we are known by pidfd. */
START_TEST(a_process_of_another_pid_namespace_is_served_and_its_end_is_seen)
{
    struct raw c;
    RAW(clients, CLIENTS, clients);
    int answer[2];
    char ready;

    if (!raw_is_root())
        return;
    daemon_stop(d);
    d = NULL;
    ck_assert_int_eq(unshare(CLONE_NEWPID), 0);
    d = daemon_start(NULL); /* the first process of it */
    int back = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    raw_start(&c, d, "outside");
    ck_assert(row_has_pid(&c, 0));
    raw_open(&c, "h", HEAP_BYTES);
    raw_collect_wait(&c, raw_collect_begin(&c, ""));
    if (back < 0 || setns(back, CLONE_NEWPID) < 0) { /* children are ours again, or there can be none that dies */
        fprintf(stderr, "# a second process outside is left out\n");
    } else {
        ck_assert_int_eq(pipe(answer), 0);
        pid_t child = fork();
        if (child == 0) {
            struct raw dying;
            raw_start(&dying, d, "dying");
            (void)!write(answer[1], "x", 1);
            for (;;)
                pause();
        }
        ck_assert_int_eq(read(answer[0], &ready, 1), 1);
        size_t clients_seen = 2;
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        for (int tick = 0; clients_seen > 1 && tick < 1000; tick++, usleep(2000)) {
            wire_reply *reply = raw_ask(&c, &clients);
            clients_seen = reply->client_rows->n_rows;
            wire_reply_free(reply);
        }
        ck_assert_uint_eq(clients_seen, 1);
        close(answer[0]);
        close(answer[1]);
    }
    if (back >= 0)
        close(back);
    raw_close(&c);
}
END_TEST

/* ---- the socket's directory -------------------------------------------------------------------------------------- */

static char base[64], socket_path[128], said_path[96];

/* Starts one with its socket at @tail of a new directory, under a narrow umask; what it says goes to a file. */
static pid_t start_at(const char *tail)
{
    snprintf(socket_path, sizeof(socket_path), "%s/%s", base, tail);
    snprintf(said_path, sizeof(said_path), "%s/said", base);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        umask(077);
        int said = open(said_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        (void)dup2(said, STDERR_FILENO);
        (void)unsetenv("JOURNAL_STREAM");
        execl(daemon_program(), "mmgcd", "--foreground", "--threads", "2", "--socket", socket_path, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static bool has_said(const char *words)
{
    char text[4096] = "";
    FILE *file = fopen(said_path, "re");

    if (file != NULL) {
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
    }
    return strstr(text, words) != NULL;
}

static bool await_answer(void)
{
    for (int tick = 0; tick < 5000; tick++, usleep(2000)) {
        int sock = packet_connect(socket_path);
        if (sock >= 0) {
            close(sock);
            return true;
        }
    }
    return false;
}

static int end_of(pid_t pid)
{
    int status = 0;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void make_base(void)
{
    snprintf(base, sizeof(base), "/tmp/mmgcd-rights-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
}

static void remove_base(void)
{
    char command[160];

    snprintf(command, sizeof(command), "rm -rf '%s'", base);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(the_directory_of_the_socket_is_made_so_that_others_can_only_come_in)
{
    char directory[96];
    struct stat st;

    pid_t pid = start_at("run/sock");
    ck_assert(await_answer());
    snprintf(directory, sizeof(directory), "%s/run", base);
    ck_assert_int_eq(stat(directory, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0755);
    ck_assert_int_eq(stat(socket_path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0666);
    kill(pid, SIGTERM);
    ck_assert_int_eq(end_of(pid), 0);
    ck_assert(!has_said("may write to"));
}
END_TEST

START_TEST(a_directory_that_everybody_may_write_to_is_refused)
{
    ck_assert_int_eq(chmod(base, 0777), 0);
    ck_assert_int_eq(end_of(start_at("sock")), 1);
    ck_assert(has_said("everybody may write to"));
    ck_assert_int_lt(access(socket_path, F_OK), 0);
}
END_TEST

START_TEST(a_sticky_one_is_as_good_as_tmp_and_a_groups_is_warned_about)
{
    static const mode_t modes[] = { 01777, 0775 };

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(chmod(base, modes[i]), 0);
        pid_t pid = start_at("sock");
        ck_assert(await_answer());
        kill(pid, SIGTERM);
        ck_assert_int_eq(end_of(pid), 0);
        ck_assert_int_eq(has_said("may write to"), i == 1);
    }
}
END_TEST

static Suite *rights_suite(void)
{
    Suite *suite = suite_create("rights");
    TCase *rights = tcase_create("rights"), *directory = tcase_create("directory");

    tcase_add_checked_fixture(rights, set_up, tear_down);
    tcase_set_timeout(rights, 60);
    tcase_add_loop_test(rights, every_request_that_names_a_heap_respects_its_owner_group_and_mode, 0, MM_ARRAY_LEN(people));
    tcase_add_test(rights, a_group_that_this_user_namespace_does_not_know_gives_no_rights);
    tcase_add_test(rights, an_administrator_sees_every_client_and_ordinary_users_their_own);
    tcase_add_test(rights, who_opens_read_only_gets_no_memory_of_others_that_it_could_write);
    tcase_add_test(rights, a_stranger_to_the_user_namespace_is_told_why_and_the_log_has_it);
    tcase_add_test(rights, a_process_of_another_pid_namespace_is_served_and_its_end_is_seen);
    suite_add_tcase(suite, rights);
    tcase_add_checked_fixture(directory, make_base, remove_base);
    tcase_set_timeout(directory, 60);
    tcase_add_test(directory, the_directory_of_the_socket_is_made_so_that_others_can_only_come_in);
    tcase_add_test(directory, a_directory_that_everybody_may_write_to_is_refused);
    tcase_add_test(directory, a_sticky_one_is_as_good_as_tmp_and_a_groups_is_warned_about);
    suite_add_tcase(suite, directory);
    return suite;
}

int main(int argc, char **argv)
{
    return runner_main(argc, argv, rights_suite);
}
