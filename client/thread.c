/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c - Thread: attaching and detaching, by call, at thread exit, at heap close.
 *   T1  a record is in its heap's list and in its owner's (the system thread that attached it) until it is detached
 *   T2  whoever clears `owner` under the registry's lock detaches it: a thread's exit and mmgc_heap_close() may meet here.
 *       The record leaves the heap's list last, and closing waits for that. */
#include "client/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/hold.h"
#include "client/row.h"
#include "client/stack.h"
#include "client/write_barrier.h"

#ifndef PIDFD_THREAD /* Linux 6.9 */
#define PIDFD_THREAD O_EXCL
#endif

struct thread_owner {       /* one system thread: the value of owner_key */
    struct thread *threads; /* [lock: fork] */
    unsigned generation;
};

static pthread_once_t owner_once = PTHREAD_ONCE_INIT;
static pthread_key_t owner_key;
static int owner_key_error;
static bool owner_key_made;

int thread_explain_not_in(const struct mmgc_thread *t)
{
    if (t == NULL)
        return error_set(MMGC_E_INVALID, "the thread is NULL");
    if (thread_of(t)->generation != fork_generation)
        return error_set(MMGC_E_FORKED, NULL);
    int broken = at_load_relaxed(&thread_of(t)->heap->connection.broken);
    /* broken: it could not enter either, and may have been thrown out */
    return error_set(broken != MMGC_OK ? broken : MMGC_E_NOT_IN, NULL);
}

void *thread_fail(struct thread *th, int code)
{
    th->error = code;
    return NULL;
}

int mmgc_thread_error(const struct mmgc_thread *t)
{
    return t == NULL ? MMGC_E_INVALID : thread_of(t)->error;
}

void thread_lose_bump(struct thread *th)
{
    struct shm_bump nothing = { NULL, NULL, NULL };

    th->m->lines = nothing; /* the session is over: nobody parses these spans by our words any more */
    for (unsigned i = 0; i < SHM_GRANT_CLASSES; i++)
        th->m->bumps[i] = nothing;
    for (int i = 0; i < SHM_GRANT_CLASSES; i++)
        th->slabs[i].current = false;
    hold_forget(th);
}

/* ---- detaching ------------------------------------------------------------------------------------------------- */

static void owner_unlink_locked(struct thread *th)
{
    struct thread **link = &th->owner->threads;

    while (*link != th)
        link = &(*link)->owner_next;
    *link = th->owner_next;
    th->owner = NULL; /* T2 */
}

static void heap_unlink(struct thread *th)
{
    fork_lock();
    struct thread **link = &th->heap->threads;
    while (*link != th)
        link = &(*link)->next;
    *link = th->next;
    shm_segment_unref(th->segment); /* in the same piece: a child puts a page where a listed segment was */
    (void)pthread_cond_broadcast(&th->heap->threads_changed);
    fork_unlock();
}

static void thread_free(struct thread *th)
{
    free(th->stacks);
    free(th->profiler);
    hold_free(th);
    free(th);
}

/* The caller has cleared th->owner. */
static void thread_detach(struct thread *th)
{
    wire_detach detach = wire_detach_init();
    wire_request request = wire_request_init();

    mmgc_leave(thread_public(th));
    row_thread_ends(th);
    detach.thread = th->id;
    request.body_case = WIRE_REQUEST(DETACH);
    request.detach = &detach;
    (void)connection_call(&th->heap->connection, &request, NULL, WIRE_REPLY(DONE), NULL, NULL);
    heap_unlink(th);
    thread_free(th);
}

void mmgc_detach(struct mmgc_thread *t)
{
    if (t == NULL || thread_of(t)->generation != fork_generation)
        return;
    struct thread *th = thread_of(t);
    fork_lock();
    bool ours = th->owner != NULL;
    if (ours)
        owner_unlink_locked(th);
    fork_unlock();
    if (ours)
        thread_detach(th);
}

void thread_detach_all(struct mmgc_heap *heap)
{
    fork_lock();
    while (heap->threads != NULL) {
        struct thread *th = heap->threads;
        while (th != NULL && th->owner == NULL)
            th = th->next;
        if (th == NULL) { /* all that are left are being detached by others */
            fork_wait(&heap->threads_changed);
            continue;
        }
        owner_unlink_locked(th);
        fork_unlock();
        thread_detach(th);
        fork_lock();
    }
    fork_unlock();
}

static void on_thread_exit(void *value)
{
    struct thread_owner *owner = value;

    if (owner->generation != fork_generation)
        return; /* the parent's; nothing of it is ours */
    fork_lock();
    while (owner->threads != NULL) {
        struct thread *th = owner->threads;
        owner_unlink_locked(th);
        fork_unlock();
        thread_detach(th);
        fork_lock();
    }
    fork_unlock();
    free(owner);
}

/* ---- attaching ------------------------------------------------------------------------------------------------- */

static void make_owner_key(void)
{
    owner_key_error = pthread_key_create(&owner_key, on_thread_exit);
    owner_key_made = owner_key_error == 0;
}

/* A library that has us inside may be unloaded before threads end that have been attached: nothing of us is called then. A heap that is still
 * open learns of their ends by their pidfds. */
static __attribute__((destructor)) void forget_owner_key(void)
{
    if (owner_key_made)
        (void)pthread_key_delete(owner_key);
    owner_key_made = false;
}

/* The calling thread's owner record, made at its first attachment. */
static int owner_get(struct thread_owner **ret_owner)
{
    (void)pthread_once(&owner_once, make_owner_key);
    if (owner_key_error != 0)
        return error_system("pthread_key_create", -owner_key_error);
    struct thread_owner *owner = pthread_getspecific(owner_key);
    if (owner == NULL || owner->generation != fork_generation) {
        owner = calloc(1, sizeof(*owner));
        if (owner == NULL || pthread_setspecific(owner_key, owner) != 0) {
            free(owner);
            return error_system("malloc", -ENOMEM);
        }
        owner->generation = fork_generation;
    }
    *ret_owner = owner;
    return MMGC_OK;
}

static bool owner_has(struct thread_owner *owner, const struct mmgc_heap *heap)
{
    struct thread *th;

    fork_lock();
    for (th = owner->threads; th != NULL && th->heap != heap; th = th->owner_next)
        ;
    fork_unlock();
    return th != NULL;
}

bool thread_of_caller_is_in(const struct mmgc_heap *heap)
{
    struct thread_owner *owner = NULL;
    bool in = false;

    if (owner_get(&owner) != MMGC_OK)
        return false;
    fork_lock();
    for (const struct thread *th = owner->threads; th != NULL && !in; th = th->owner_next)
        in = th->heap == heap && thread_is_in(th);
    fork_unlock();
    return in;
}

/* Maps what came and makes it ours. */
static int thread_map(struct thread *th, const wire_attached *attached, struct packet_fds *fds)
{
    if (fds->count != 1 || attached->mutator_bytes < shm_mutator_bytes(0))
        return error_set(MMGC_E_PROTOCOL, "the daemon sent no mutator segment");
    int r = shm_segment_adopt(&th->segment, fds->fd[0], attached->mutator_bytes, SHM_READ_WRITE);
    if (r < 0)
        return error_system("mapping the mutator segment", r);
    fds->fd[0] = -1;
    struct shm_mutator *m = shm_segment_address(th->segment);
    if (at_load_acquire(&m->magic) != SHM_MUTATOR_MAGIC || m->version != SHM_MUTATOR_VERSION ||
        m->features != 0 || shm_mutator_bytes(m->root_capacity) > attached->mutator_bytes)
        return error_set(MMGC_E_VERSION, "the mutator segment's layout is of another release");
    m->epoch = &th->heap->control->epoch;
    m->base = th->heap->base;
    m->client = th;
    th->m = m;
    write_barrier_follow(th);
    th->id = attached->thread;
    return MMGC_OK;
}

static int thread_call_attach(struct thread *th, const char *name)
{
    wire_attach attach = wire_attach_init();
    wire_request request = wire_request_init();
    struct packet_fds send = { .count = 0 }, fds;
    wire_reply *reply;
    pid_t tid = (pid_t)syscall(SYS_gettid);
    int pidfd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);

    if (pidfd >= 0) /* so that a thread that ends raw, by syscall(SYS_exit), is noticed */
        send = (struct packet_fds){ .fd = { pidfd }, .count = 1 };
    attach.stack_bytes = (uint64_t)(th->stacks[0].top - th->stacks[0].low);
    attach.exact = th->exact;
    attach.name = (char *)name;
    attach.tid = (uint32_t)tid;
    request.body_case = WIRE_REQUEST(ATTACH);
    request.attach = &attach;
    int r = connection_call(&th->heap->connection, &request, &send, WIRE_REPLY(ATTACHED), &reply, &fds);
    packet_fds_close(&send);
    if (r != MMGC_OK)
        return r;
    r = thread_map(th, reply->attached, &fds);
    packet_fds_close(&fds);
    wire_reply_free(reply);
    return r;
}

static int thread_init(struct thread *th, const struct mmgc_thread_options *options)
{
    char name[WIRE_LABEL_MAX + 1] = "";

    th->generation = fork_generation;
    th->fence = th->heap->fence;
    th->exact = options->exact;
    th->local_top = 1;
    int r = stack_init(th, options->stack_low, options->stack_bytes);
    if (r != MMGC_OK)
        return r;
    if (options->name != NULL)
        (void)strncpy(name, options->name, WIRE_LABEL_MAX);
    else
        (void)pthread_getname_np(pthread_self(), name, sizeof(name));
    if (!wire_name_valid(name, WIRE_LABEL_MAX))
        name[0] = '\0'; /* it is only for people */
    return thread_call_attach(th, name);
}

static int attach(struct mmgc_heap *heap, const struct mmgc_thread_options *options,
                  struct thread_owner *owner, struct mmgc_thread **ret_thread)
{
    struct thread *th = calloc(1, sizeof(*th));

    if (th == NULL)
        return error_system("malloc", -ENOMEM);
    th->heap = heap;
    int r = thread_init(th, options);
    if (r != MMGC_OK) {
        shm_segment_unref(th->segment);
        thread_free(th);
        return r;
    }
    fork_lock();
    th->owner = owner;
    th->owner_next = owner->threads;
    owner->threads = th;
    th->next = heap->threads;
    heap->threads = th;
    fork_unlock();
    *ret_thread = thread_public(th);
    return MMGC_OK;
}

int mmgc_attach(struct mmgc_heap *heap, const struct mmgc_thread_options *options,
                struct mmgc_thread **ret_thread)
{
    static const struct mmgc_thread_options defaults;
    struct thread_owner *owner = NULL;
    int r = heap_check(heap);

    if (r != MMGC_OK)
        return r;
    if (ret_thread == NULL)
        return error_set(MMGC_E_INVALID, "ret_thread is NULL");
    r = owner_get(&owner);
    if (r != MMGC_OK)
        return r;
    if (owner_has(owner, heap))
        return error_set(MMGC_E_INVALID, "this thread is attached to this heap already");
    return attach(heap, options != NULL ? options : &defaults, owner, ret_thread);
}
