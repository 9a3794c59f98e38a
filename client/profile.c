/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c - Profile: beginning, ending, writing, by call and by MMGC_PROFILE. */
#include "client/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mmgc/profile.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "client/error.h"
#include "client/fork.h"
#include "client/profile_build.h"
#include "client/profile_draw.h"
#include "client/profile_stack.h"
#include "client/profile_table.h"

#define FILE_MAX 4096u

_Atomic uint32_t profile_run;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* [lock: profile], all of it. */
static struct {
    uint32_t runs;                           /* profiles there were */
    uint64_t interval, seed;                 /* of the last; the seed of the next thread */
    uint64_t begun_ns, ended_ns;
    uint64_t written;                        /* samples it had when it was last written for MMGC_PROFILE */
    bool looked;                             /* for MMGC_PROFILE */
    char file[FILE_MAX];                     /* "": it is not to be written by itself */
} last;

void profile_lock(void)
{
    (void)pthread_mutex_lock(&mutex);
}

void profile_unlock(void)
{
    (void)pthread_mutex_unlock(&mutex);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

bool profile_config(struct profile_config *ret_config)
{
    profile_lock();
    *ret_config = (struct profile_config){ at_load_relaxed(&profile_run), last.interval, profile_random(&last.seed) };
    profile_unlock();
    return ret_config->run != 0;
}

void profile_heap_closes(struct mmgc_heap *heap)
{
    profile_lock();
    profile_table_leave(heap);
    profile_unlock();
}

/* ---- beginning and ending ---- */

static int start(const struct mmgc_profile_options *options)
{
    uint64_t seed = options->seed;

    profile_stack_prepare();
    if (seed == 0 && getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
        seed = mm_now_ns();
    profile_lock();
    bool free = at_load_relaxed(&profile_run) == 0;
    if (free) {
        profile_table_clear(false);
        last.interval = options->interval_bytes != 0 ? options->interval_bytes : PROFILE_INTERVAL_DEFAULT;
        last.seed = seed;
        last.begun_ns = now_ns();
        last.ended_ns = last.written = 0;
        last.runs += last.runs == UINT32_MAX ? 2 : 1;
        at_store_relaxed(&profile_run, last.runs);
    }
    profile_unlock();
    return free ? MMGC_OK : error_set(MMGC_E_INVALID, "a profile is being taken already");
}

int mmgc_profile_start(const struct mmgc_profile_options *options)
{
    static const struct mmgc_profile_options defaults;

    options = options != NULL ? options : &defaults;
    if (options->interval_bytes > INT64_MAX)
        return error_set(MMGC_E_INVALID, "an interval of %" PRIu64 " bytes", options->interval_bytes);
    fork_watch();
    return start(options);
}

int mmgc_profile_stop(void)
{
    profile_lock();
    bool taken = at_load_relaxed(&profile_run) != 0;
    at_store_relaxed(&profile_run, 0);
    if (taken)
        last.ended_ns = now_ns();
    profile_unlock();
    return taken ? MMGC_OK : error_set(MMGC_E_INVALID, "no profile is being taken");
}

void profile_in_child(void)
{
    at_store_relaxed(&profile_run, 0);
    profile_table_clear(true);
    last.runs = 0;
    last.looked = false;
    last.file[0] = '\0';
    profile_unlock();
}

/* ---- writing ---- */

static int write_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_system("writing a profile", -errno);
        bytes += n;
        count -= (size_t)n;
    }
    return MMGC_OK;
}

/* What the lock is not needed for takes the longest, and threads that are inside may be waiting for it. */
static int copy(struct profile_copy *ret_copy, struct profile_facts *ret_facts)
{
    profile_lock();
    bool any = last.runs != 0, done = any && profile_table_copy(ret_copy);
    *ret_facts = (struct profile_facts){ last.interval, last.begun_ns, last.ended_ns != 0 ? last.ended_ns : now_ns(), profile_stack_way() };
    profile_unlock();
    if (!any)
        return error_set(MMGC_E_INVALID, "there was no profile in this process");
    return done ? MMGC_OK : error_system("malloc", -ENOMEM);
}

int mmgc_profile_write_fd(int fd)
{
    struct profile_copy rows;
    struct profile_facts facts;
    size_t count = 0;
    int r = copy(&rows, &facts);

    if (r != MMGC_OK)
        return r;
    pprof_profile *profile = profile_build(&rows, &facts);
    uint8_t *bytes = profile != NULL ? pprof_pack(profile, &count) : NULL;
    pprof_free(profile);
    free(rows.rows);
    r = bytes != NULL ? write_all(fd, bytes, count) : error_system("malloc", -ENOMEM);
    free(bytes);
    return r;
}

int mmgc_profile_write(const char *path)
{
    if (path == NULL)
        return error_set(MMGC_E_INVALID, "path is NULL");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_system(path, -errno);
    int r = mmgc_profile_write_fd(fd);
    if (close(fd) < 0 && r == MMGC_OK)
        r = error_system(path, -errno);
    return r;
}

/* ---- MMGC_PROFILE=FILE[,interval=BYTES] ---- */

/* Of @text, whose name ends at @end, with %p replaced; in a child without a %p the process's number comes behind it. */
static void name_file(const char *text, const char *end, char file[FILE_MAX])
{
    size_t at = 0;
    bool numbered = false;

    for (; text < end && at < FILE_MAX - 1; text++) {
        if (text[0] != '%' || text + 1 == end || text[1] != 'p') {
            file[at++] = *text;
            continue;
        }
        at += (size_t)snprintf(file + at, FILE_MAX - at, "%d", (int)getpid());
        numbered = true;
        text++;
    }
    at = MM_MIN(at, (size_t)FILE_MAX - 1);
    file[at] = '\0';
    if (!numbered && fork_generation > 1)
        (void)snprintf(file + at, FILE_MAX - at, ".%d", (int)getpid());
}

static void complain(const char *about)
{
    (void)fprintf(stderr, "mmgc: MMGC_PROFILE: %s%s%s\n", about, *about != '\0' ? ": " : "", mmgc_error_detail());
}

/* @text is what stands in the environment. */
static void start_for(const char *text)
{
    struct mmgc_profile_options options = { 0 };
    const char *end = strstr(text, ",interval=");
    char file[FILE_MAX], *rest = "";

    if (end != NULL)
        options.interval_bytes = strtoull(end + strlen(",interval="), &rest, 10);
    if (*rest != '\0' || (end != NULL && options.interval_bytes == 0)) {
        (void)error_set(MMGC_E_INVALID, "FILE[,interval=BYTES], not '%s'", text);
        complain("");
        return;
    }
    name_file(text, end != NULL ? end : text + strlen(text), file);
    if (start(&options) != MMGC_OK)
        return; /* the program takes one itself */
    profile_lock();
    memcpy(last.file, file, sizeof(file));
    profile_unlock();
}

void profile_client_comes(void)
{
    profile_lock();
    bool looked = last.looked;
    last.looked = true;
    profile_unlock();
    const char *text = looked ? NULL : secure_getenv("MMGC_PROFILE");
    if (text != NULL && text[0] != '\0')
        start_for(text);
}

/* If it has more than when it was last written. */
static void write_for_environment(void)
{
    char file[FILE_MAX];

    profile_lock();
    memcpy(file, last.file, sizeof(file));
    bool news = file[0] != '\0' && profile_table_samples() + 1 > last.written;
    last.written = profile_table_samples() + 1; /* one without samples is written, too: once */
    profile_unlock();
    if (news && mmgc_profile_write(file) != MMGC_OK)
        complain(file);
}

void profile_clients_gone(void)
{
    write_for_environment();
}

/* Of a thread that is inside, nobody is asked: its heap is open, and the table is whole. */
static __attribute__((destructor)) void at_exit(void)
{
    write_for_environment();
}
