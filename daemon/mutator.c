/* SPDX-License-Identifier: Apache-2.0 */
/* mutator.c - Mutator: an attached thread's life, and the reading of its hostile words.
 *   M1  a word of the segment is loaded once, by one relaxed or acquire atomic, and used from the copy (S13)
 *   M2  what sizes anything here (root_capacity, published) is our own copy, never the segment's
 *   M3  the record is made at the first grant: attaching and detaching need no lock
 *   M4  roots that are only claimed are not read: each page of them would be allocated, and charged to us (soundness S12) */
#include "daemon/mutator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/grants.h"
#include "daemon/log.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "plans/work/probe.h"
#include "shm/commit.h"
#include "shm/futex.h"
#include "shm/units.h"

#define STACK_BYTES_MIN (UINT64_C(64) << 10)
#define STACK_BYTES_MAX (UINT64_C(1) << 30) /* the root area is half as large, and sparse */
#define FEW_ROOTS 16384u                    /* 64 KiB: whether those were written is not asked */

/* Nobody else has it yet. */
static void publish(struct shm_mutator *words, uint32_t id, uint32_t root_capacity)
{
    words->version = SHM_MUTATOR_VERSION;
    words->features = 0;
    words->id = id;
    words->root_capacity = root_capacity;
    at_store_release(&words->magic, SHM_MUTATOR_MAGIC); /* pairs with the client's acquire */
}

int mutator_new(struct mutator **ret_mutator, struct session *session, const wire_attach *attach, struct charges *charges)
{
    uint64_t stack = MM_MAX(attach->stack_bytes, STACK_BYTES_MIN);
    char label[64];

    if (stack > STACK_BYTES_MAX)
        return -EINVAL;
    struct mutator *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return -ENOMEM;
    m->root_capacity = attach->exact ? 0 : (uint32_t)(stack / sizeof(uint64_t));
    snprintf(label, sizeof(label), "mmgc-thread-%llu", (unsigned long long)session->id);
    int r = shm_segment_new(&m->segment, shm_mutator_bytes(m->root_capacity), label);
    if (r < 0) {
        free(m);
        return r;
    }
    m->refs = 1;
    m->charges = *charges;
    *charges = (struct charges){ 0 };
    m->id = ++session->next_thread;
    m->exact = attach->exact;
    m->tid = attach->tid;
    snprintf(m->name, sizeof(m->name), "%s", attach->name);
    m->thread_fd = -1;
    m->words = shm_segment_address(m->segment);
    m->session = session_ref(session);
    m->since_task = session->heap->collector.begun;
    for (size_t i = 0; i < SHM_GRANT_CLASSES; i++)
        m->wait[i] = (struct grant_wait){ .mutator = m, .class = (enum shm_grant_class)i };
    publish(shm_segment_address(m->segment), m->id, m->root_capacity);
    TAILQ_INSERT_TAIL(&session->mutators, m, in_session);
    session->mutator_count++;
    TAILQ_INSERT_TAIL(&session->heap->mutators, m, in_heap);
    session->heap->mutator_count++;
    MM_PROBE(mutator__attach, session->heap->name, session->id, m->id, session->peer.pid);
    *ret_mutator = m;
    return 0;
}

struct mutator *mutator_ref(struct mutator *m)
{
    m->refs++;
    return m;
}

struct mutator *mutator_unref(struct mutator *m)
{
    if (m == NULL || --m->refs > 0)
        return NULL;
    MM_ASSERT(m->record == NULL && !m->watched);
    shm_segment_unref(m->segment);
    charges_fini(&m->charges);
    session_unref(m->session);
    free(m);
    return NULL;
}

/* ---- a thread that vanishes without a word ---- */

static void on_unwatched(uv_handle_t *handle)
{
    struct mutator *m = handle->data;

    close(m->thread_fd);
    m->thread_fd = -1;
    m->watched = false;
    mutator_unref(m);
}

static void on_thread_end(uv_poll_t *poll, int status, int events)
{
    struct mutator *m = poll->data;
    struct shared_heap *h = m->session->heap;

    (void)status;
    (void)events;
    uv_poll_stop(poll);
    if (at_load_relaxed(&m->dead))
        return;
    log_debug("thread %u of session %llu ended without detaching", m->id,
              (unsigned long long)m->session->id);
    mutator_retire(m);
    shared_heap_pump(h);
}

/* Only a pidfd is polled: a stranger's file could make poll block. Its name in /proc cannot be forged by a file. */
static bool is_pidfd(int fd)
{
    char path[32], name[32] = "";

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (readlink(path, name, sizeof(name) - 1) < 0)
        return false;
    return strcmp(name, "anon_inode:[pidfd]") == 0 || strncmp(name, "pidfd:[", 7) == 0;
}

int mutator_watch(struct mutator *m, int thread_fd)
{
    if (!is_pidfd(thread_fd))
        return -EBADF;
    int r = uv_poll_init(&m->session->server->loop, &m->thread_poll, thread_fd);
    if (r < 0)
        return r;
    m->thread_poll.data = mutator_ref(m);
    m->thread_fd = thread_fd;
    m->watched = true;
    (void)uv_poll_start(&m->thread_poll, UV_READABLE, on_thread_end);
    return 0;
}

void mutator_retire(struct mutator *m)
{
    struct session *session = m->session;
    struct shared_heap *h = session->heap;

    MM_PROBE(mutator__detach, h->name, session->id, m->id, session->peer.pid);
    at_store_release(&m->dead, true);
    futex_wake_all(&m->words->state); /* a stop that waits for it looks again */
    grants_forget(h, m);
    TAILQ_REMOVE(&session->mutators, m, in_session);
    session->mutator_count--;
    charges_give_back(&m->charges, QUOTA_THREADS, 1);
    TAILQ_REMOVE(&h->mutators, m, in_heap);
    h->mutator_count--;
    if (m->watched)
        uv_close((uv_handle_t *)&m->thread_poll, on_unwatched);
    TAILQ_INSERT_TAIL(&h->seals, m, in_seals); /* the session's reference goes with it */
}

/* ---- its words ---- */

/* Where a client's pointer lies in the arena, in granules; 0 if it lies elsewhere. */
static uint32_t place(char *const MM_NODEREF *pointer, uintptr_t base, uint64_t arena_bytes)
{
    uint64_t offset = (uintptr_t)__atomic_load_n(pointer, __ATOMIC_RELAXED) - base;

    return offset > arena_bytes ? 0 : (uint32_t)(offset >> MM_GRANULE_LOG);
}

static void view_bump(const struct shm_bump MM_NODEREF *bump, uintptr_t base, uint64_t arena_bytes,
                      uint32_t *ret_cursor, uint32_t *ret_limit)
{
    *ret_cursor = place(&bump->cursor, base, arena_bytes);
    *ret_limit = place(&bump->limit, base, arena_bytes);
}

/* Of LINES while the thread has a hold open: where it was parked (shm/mutator.h). */
static const struct shm_bump MM_NODEREF *bump_of(struct shm_mutator MM_NODEREF *words, enum shm_grant_class class, uint64_t held)
{
    bool parked = class == SHM_GRANT_LINES && held != 0;

    return parked ? &words->bumps[SHM_GRANT_LINES] : shm_mutator_bump(words, class);
}

void mutator_view(const struct mutator *m, uint64_t arena_bytes, struct heap_mutator_view *ret_view)
{
    struct shm_mutator MM_NODEREF *words = m->words;
    uintptr_t base = (uintptr_t)__atomic_load_n(&words->base, __ATOMIC_RELAXED);

    ret_view->hold_rows = words->hold_rows; /* read where they are needed, each once (M1) */
    ret_view->held = at_load_acquire(&words->held);
    for (uint64_t rest = heap_mutator_classes(m->record); rest != 0; rest &= rest - 1) {
        unsigned class = (unsigned)__builtin_ctzll(rest);
        ret_view->taken[class] = at_load_acquire(&words->mail[class].taken);
        if (shm_class_bumps(class))
            view_bump(bump_of(words, class, ret_view->held), base, arena_bytes, &ret_view->cursor[class],
                      &ret_view->limit[class]);
    }
}

/* By them the entry that a thread has died over is judged; NULL: its entries count once they are pushed, and no others. */
static const _Atomic uint64_t *log_bits(const struct shared_heap *heap)
{
    char *log = shm_segment_address(heap->log_segment);

    return heap->control->barrier != SHM_BARRIER_FIELDS ? NULL : (void *)(log + shm_log_bits_offset(heap->max_bytes));
}

static void drain(struct mutator *m, struct shared_heap *heap,
                  void (*of_the_living)(struct drain *d, struct shm_mutator MM_NODEREF *words, struct heap *heap))
{
    if (heap->log_segment == NULL)
        return;
    if (m->session->read_only && heap_keeps_found(heap->heap)) /* who only reads has nothing else to tell */
        drain_keeps_locked(&m->drain, m->words, heap->heap);
    else if (m->session->read_only)
        return;
    else if (at_load_acquire(&m->dead))
        drain_last_locked(&m->drain, m->words, heap->heap, log_bits(heap), heap->max_bytes >> MM_GRANULE_LOG);
    else
        of_the_living(&m->drain, m->words, heap->heap);
}

void mutator_drain_locked(struct mutator *m, struct shared_heap *heap)
{
    drain(m, heap, drain_locked);
}

void mutator_drain_running_locked(struct mutator *m, struct shared_heap *heap)
{
    drain(m, heap, heap_plan_ends_beside(heap->heap) ? drain_running_locked : drain_locked);
}

uint32_t mutator_locals_racy(const struct mutator *m)
{
    uint32_t count = at_load_acquire(&m->words->local_count);

    return MM_MIN(count, SHM_LOCALS_MAX);
}

/* M4. Who has so many has written them one after another. */
static uint32_t written_roots(const struct mutator *m, uint32_t count)
{
    size_t offset = offsetof(struct shm_mutator, roots), bytes = (size_t)count * sizeof(uint32_t);

    if (count <= FEW_ROOTS)
        return count;
    return (uint32_t)(shm_written_bytes(shm_segment_fd(m->segment), offset, bytes) / sizeof(uint32_t));
}

bool mutator_roots(const struct mutator *m, struct heap_roots ret_rows[2])
{
    uint32_t roots = m->exact ? 0 : at_load_acquire(&m->words->root_count);

    ret_rows[0] = (struct heap_roots){
        .kind = HEAP_ROOTS_AMBIGUOUS,
        .words = (_Atomic uint32_t *)m->words->roots,
        .count = written_roots(m, MM_MIN(roots, m->root_capacity)),
    };
    ret_rows[1] = (struct heap_roots){
        .kind = HEAP_ROOTS_EXACT,
        .words = m->words->locals,
        .count = mutator_locals_racy(m),
    };
    return roots != SHM_ROOTS_OVERFLOW;
}

enum shm_state mutator_state(const struct mutator *m)
{
    uint32_t state = at_load_acquire(&m->words->state);

    return state == SHM_IN ? SHM_IN : state == SHM_PARKED ? SHM_PARKED : SHM_OUT;
}
