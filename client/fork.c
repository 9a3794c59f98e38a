/* SPDX-License-Identifier: Apache-2.0 */
/* fork.c - Fork: the child keeps its memory and loses its place.
 *   F1  the child's copies of our fds are closed at once: a socket left open there would look like a living client
 *   F2  where a thread's segment was, the child gets a page of its own that answers the inline calls: an empty bump and an
 *       odd epoch send mmgc_new() and mmgc_poll() to their slow paths, which see the generation
 *   F3  records made before the fork are never freed in the child: a few hundred bytes each, once */
#include "client/fork.h"

#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/client.h"
#include "client/heap.h"
#include "client/profile.h"
#include "client/thread.h"
#include "client/write_barrier.h"

unsigned fork_generation = 1;

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static const _Atomic uint32_t epoch_of_the_void = 1;

void fork_lock(void)
{
    (void)pthread_mutex_lock(&registry_mutex);
}

void fork_unlock(void)
{
    (void)pthread_mutex_unlock(&registry_mutex);
}

void fork_wait(pthread_cond_t *changed)
{
    (void)pthread_cond_wait(changed, &registry_mutex);
}

static void stand_in(struct thread *th) /* F2 */
{
    struct shm_mutator *m =
        mmap(th->m, sizeof(*m), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    if (m != th->m)
        return; /* the program will fault where it uses what it must not */
    m->epoch = &epoch_of_the_void;
    m->base = th->heap->base;
    m->client = th;
    th->hold_depth = 0; /* they are the parent's */
    write_barrier_rest(th);
}

static void close_segment(const struct shm_segment *segment)
{
    if (segment != NULL)
        (void)close(shm_segment_fd(segment));
}

static void in_child(void)
{
    fork_generation++;
    for (struct mmgc_client *client = client_list; client != NULL; client = client->next)
        (void)close(client->connection.sock); /* F1 */
    for (struct mmgc_heap *heap = heap_list; heap != NULL; heap = heap->next) {
        (void)close(heap->connection.sock);
        close_segment(heap->control_segment);
        close_segment(heap->arena_segment);
        close_segment(heap->session_segment);
        close_segment(heap->log_segment);
        close_segment(heap->lease_segment);
        for (struct thread *th = heap->threads; th != NULL; th = th->next) {
            (void)close(shm_segment_fd(th->segment));
            stand_in(th);
        }
    }
    client_list = NULL;
    heap_list = NULL; /* F3 */
    profile_in_child();
    fork_unlock();
}

static void before(void)
{
    fork_lock();
    profile_lock();
}

static void in_parent(void)
{
    profile_unlock();
    fork_unlock();
}

static void watch(void)
{
    (void)pthread_atfork(before, in_parent, in_child);
}

void fork_watch(void)
{
    (void)pthread_once(&fork_once, watch);
}
