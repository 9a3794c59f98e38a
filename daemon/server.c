/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - Server: up, signals, down.
 *   V1  down is a sequence of ends, each telling the next: the listener, the sessions (told SHUTDOWN), the heaps (their
 *       collectors finish what they do), the committer; the loop ends by itself when the last handle is closed
 *   V2  a second signal while going down changes nothing; systemd has its own patience */
#include "daemon/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/committer.h"
#include "daemon/foreign_pages.h"
#include "daemon/lease_quota.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/procfs.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/spare.h"
#include "plans/work/engine.h"
#include "shm/barrier.h"
#include "shm/urgency.h"

#define POOL_THREADS 4u       /* of libuv, unless UV_THREADPOOL_SIZE says otherwise */
#define SESSIONS_STOP_MS 200u /* for clients to read that we shut down */

/* ---- down ---- */

/* Of this thread, and of those that it makes from now on. Returns the mask before. */
static sigset_t mask_signals(void)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    return before;
}

static void stop_last(struct server *server)
{
    if (!server->stopping || !TAILQ_EMPTY(&server->sessions) || server->live_heaps > 0 ||
        server->committer == NULL)
        return;
    struct committer *committer = server->committer;
    server->committer = NULL;
    committer_close(committer);
    (void)mask_signals(); /* closed, they would end the process as it ends: a second SIGTERM changes nothing */
    uv_close((uv_handle_t *)&server->on_terminate, NULL);
    uv_close((uv_handle_t *)&server->on_interrupt, NULL);
    uv_close((uv_handle_t *)&server->on_hangup, NULL);
    uv_close((uv_handle_t *)&server->stop_timer, NULL);
    foreign_pages_end(server);
    throttle_close(server);
    lease_quota_close(server);
}

void server_session_ended(struct server *server)
{
    stop_last(server);
}

void server_heap_ended(struct server *server)
{
    server->live_heaps--;
    stop_last(server);
}

void server_report(const struct server *server)
{
    notify_status("%zu heaps", server->heaps.count);
}

static void on_stop_late(uv_timer_t *timer)
{
    struct server *server = timer->data;
    struct session *s, *next;

    for (s = TAILQ_FIRST(&server->sessions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, in_server);
        session_abort(s);
    }
}

static void server_stop(struct server *server, int number)
{
    struct session *s, *next;

    if (server->stopping)
        return;
    server->stopping = true;
    log_info("%s: shutting down", strsignal(number));
    notify_stopping();
    listener_close(server);
    for (s = TAILQ_FIRST(&server->sessions); s != NULL; s = next) {
        next = TAILQ_NEXT(s, in_server);
        session_end(s, MMGC_E_SHUTDOWN, "the daemon is shutting down");
    }
    while (server->heaps.count > 0)
        shared_heap_end(server->heaps.rows[server->heaps.count - 1]);
    uv_timer_start(&server->stop_timer, on_stop_late, SESSIONS_STOP_MS, 0);
    stop_last(server);
}

static void on_stop_signal(uv_signal_t *signal, int number)
{
    server_stop(signal->data, number);
}

/* What was read again of @fresh becomes the server's; the rest stays @fresh's. */
static void take_over(struct server *server, struct config *fresh)
{
    struct config *config = &server->config;
    struct user_section *users = config->users;
    size_t count = config->user_count;

    config->log_level = fresh->log_level;
    config->log_collections = fresh->log_collections;
    config->admin_group = fresh->admin_group;
    config->user = fresh->user;
    config->users = fresh->users;
    config->user_count = fresh->user_count;
    fresh->users = users;
    fresh->user_count = count;
}

static void on_hangup(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    struct config fresh;

    (void)number;
    if (config_reread(&fresh, &server->config)) {
        take_over(server, &fresh);
        log_set_level((enum log_level)server->config.log_level);
        quota_configure(&server->quota);
        log_info("log_level is read again, and so are log_collections, admin_group, [user] and its sections; the other options take a restart");
    }
    config_fini(&fresh);
}

/* ---- up ---- */

static unsigned worker_count(const struct config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return config->threads > 0 ? config->threads : (unsigned)MM_MIN(MM_MAX(processors, 2L), 8L);
}

/* Beside the clients there are fewer of them, as their cores are the clients': a quarter. */
static unsigned background_count(unsigned workers)
{
    return (workers + 3) / 4;
}

static int start_engines(struct server *server)
{
    struct engine_config config = { .workers = worker_count(&server->config), .first_track = TRACE_WORKERS };
    const char *why = NULL;
    int r = engine_affinity_parse(server->config.thread_affinity, &config, &why); /* again: it was good */

    if (r == 0)
        r = engine_new_with(&server->engine, &config);
    config.first_track = TRACE_WORKERS + config.workers;
    config.workers = background_count(config.workers);
    config.patient = true;
    if (r == 0)
        r = engine_new_with(&server->background, &config);
    if (r == -EINVAL)
        log_error("thread_affinity = %s: mmgcd may not run on all of these cores", server->config.thread_affinity);
    else if (r < 0)
        log_error("the collector's threads do not start: %s", strerror(-r));
    return r;
}

static void harden(void)
{
    struct rlimit files;

    (void)prctl(PR_SET_DUMPABLE, 0); /* a core would hold every client's data; and /proc/PID/fd is root's alone */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int listen_to_signals(struct server *server)
{
    int r;
    struct {
        uv_signal_t *handle;
        uv_signal_cb callback;
        int number;
    } rows[] = {
        { &server->on_terminate, on_stop_signal, SIGTERM },
        { &server->on_interrupt, on_stop_signal, SIGINT },
        { &server->on_hangup, on_hangup, SIGHUP },
    };

    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++) {
        r = uv_signal_init(&server->loop, rows[i].handle);
        if (r == 0) {
            rows[i].handle->data = server;
            r = uv_signal_start(rows[i].handle, rows[i].callback, rows[i].number);
        }
        if (r < 0) {
            log_error("no signal could be listened to: %s", uv_strerror(r));
            return r;
        }
    }
    MM_ASSERT(uv_timer_init(&server->loop, &server->stop_timer) == 0);
    server->stop_timer.data = server;
    foreign_pages_start(server);
    return 0;
}

static void *wait_for_the_others(void *gate)
{
    (void)pthread_mutex_lock(gate);
    (void)pthread_mutex_unlock(gate);
    return NULL;
}

/* libuv ends the process when one of its pool's threads does not start, at the first use of the pool. So as many of ours are tried before, at
 * once, and the pool is used when nobody is there yet who could lose anything. */
static int try_threads(void)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[POOL_THREADS];
    unsigned count = 0;
    int r = 0;

    (void)pthread_mutex_lock(&gate);
    while (count < POOL_THREADS && (r = pthread_create(&threads[count], NULL, wait_for_the_others, &gate)) == 0)
        count++;
    (void)pthread_mutex_unlock(&gate);
    while (count > 0)
        (void)pthread_join(threads[--count], NULL);
    return -r;
}

static void do_nothing(uv_work_t *work)
{
}

static void work_done(uv_work_t *work, int status)
{
    spare_free(work);
}

static int start_pool(struct server *server)
{
    uv_work_t *work = spare_alloc(sizeof(*work));
    int r = work == NULL ? -ENOMEM : try_threads();

    sigset_t before = mask_signals(); /* signals are the loop's */
    if (r == 0)
        r = uv_queue_work(&server->loop, work, do_nothing, work_done);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0) {
        spare_free(work);
        log_error("the threads that give memory back do not start: %s", strerror(-r));
    }
    return r;
}

/* The same with its pipe for signals, the first thing that it opens. */
static int try_pipe(void)
{
    int pipe[2];

    if (pipe2(pipe, O_CLOEXEC) < 0)
        return -errno;
    close(pipe[0]);
    close(pipe[1]);
    return 0;
}

static int start_loop(struct server *server)
{
    int r = try_pipe();

    if (r == 0)
        r = uv_loop_init(&server->loop);
    if (r < 0)
        log_error("the loop does not start: %s", uv_strerror(r));
    return r;
}

/* Where the daemon alone may not make it, clients would rely on it all the same (S4). */
static int try_barrier(void)
{
    int r = shm_barrier_all();

    if (r == -EPERM || r == -EACCES)
        log_error("membarrier(2) is forbidden to mmgcd, and clients rely on it: allow it in the seccomp filter");
    return r == -EPERM || r == -EACCES ? r : 0;
}

static int server_init(struct server *server)
{
    int r = start_engines(server);

    if (r == 0)
        r = try_barrier();
    if (r == 0)
        r = start_loop(server);
    if (r == 0)
        r = start_pool(server);
    if (r < 0)
        return r;
    r = committer_new(&server->committer, &server->loop);
    if (r < 0) {
        log_error("the committer process does not start: %s", strerror(-r));
        return r;
    }
    r = listen_to_signals(server); /* before anybody can know that we are here */
    if (r < 0)
        return r;
    r = throttle_init(server);
    if (r < 0) {
        log_error("no timer for requests_per_second: %s", strerror(-r));
        return r;
    }
    lease_quota_init(server);
    quota_init(&server->quota, &server->config);
    server->started_ns = mm_now_ns();
    return listener_open(server);
}

int server_run(const struct config *config, int ready_fd)
{
    struct server *server = calloc(1, sizeof(*server));

    if (server == NULL) {
        log_error("no memory to start with");
        return EXIT_FAILURE;
    }
    *server = (struct server){ .config = *config, .listen_fd = -1, .reserve_fd = -1 };
    TAILQ_INIT(&server->sessions);
    TAILQ_INIT(&server->traces);
    TAILQ_INIT(&server->watchers);
    log_set_level((enum log_level)config->log_level);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a segment over RLIMIT_FSIZE is an error of who asked for it */
    harden();
    if (!procfs_kill_us_last())
        log_debug("the kernel may kill mmgcd as any other process for want of memory: start it with OOMScoreAdjust=-900");
    server->strangers = peer_strangers_read();
    if (getrandom(&server->incarnation, sizeof(server->incarnation), 0) < 0)
        server->incarnation = mm_now_ns();
    if (server_init(server) < 0) /* the process ends: the system takes back what was made */
        return EXIT_FAILURE;
    log_info("mmgcd " MM_VERSION " listens on %s with %u collector threads",
             server->socket_is_ours ? server->config.socket : "systemd's socket",
             engine_workers(server->engine));
    if (procfs_swaps())
        log_warning("this system swaps: a collection that meets swapped pages takes as long as the disk does");
    urgency_set(URGENCY_PROMPT); /* grants, and pauses: of the threads that are started from here on, the collectors */
    notify_ready();
    server_report(server);
    if (ready_fd >= 0)
        (void)!write(ready_fd, "", 1);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    MM_ASSERT(uv_loop_close(&server->loop) == 0); /* nothing is left behind */
    registry_fini(&server->heaps);
    quota_fini(&server->quota);
    config_fini(&server->config);
    engine_unref(server->background);
    engine_unref(server->engine);
    free(server);
    return EXIT_SUCCESS;
}
