/* SPDX-License-Identifier: Apache-2.0 */
/* notice.c - Notice: a subscription's notices, one after the other, each taken when its last row was.
 *   O1  due <=> the session's `notices`, which the daemon raises before a resume, is not what was taken. It never falls, and with DROPPED it
 *       is never equal: who missed anything cannot seem to be up to date
 *   O2  what is due is on its way: the daemon sends it when the stop is over, whoever is IN; waiting for it is not waiting for a thread
 *   O3  rows are read from a sheet that nobody can write any more, or were copied from the message: they do not change */
#include <mmgc/notice.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/error.h"
#include "client/fork.h"
#include "client/heap.h"
#include "client/hold.h"
#include "client/row.h"
#include "client/table.h"
#include "client/thread.h"
#include "shm/move.h"
#include "shm/sheet.h"

#define DUE_NS UINT64_C(10000000000) /* what is due comes within this, or the daemon is in trouble */
#define NS_PER_MS UINT64_C(1000000)
#define WAIT_MAX_MS 86400000u
#define INLINE_MAX 512u /* rows that a packet could hold */
#define WATCH_KINDS (1u << SHM_ROW_WATCHED)

static_assert(sizeof(struct mmgc_move) == sizeof(struct shm_move), "rows are passed as they are");
static_assert(offsetof(struct mmgc_move, to) == offsetof(struct shm_move, to), "rows are passed as they are");
static_assert(offsetof(struct mmgc_move, granules) == offsetof(struct shm_move, granules), "rows are passed as they are");

struct mmgc_notices {
    const struct mmgc_heap *heap;            /* [const] whose objects it is about; to be compared, since it may be closed */
    struct mmgc_heap *table;                 /* [const] its own session */
    bool all;                                /* [const] */
    pthread_mutex_t lock;                    /* of what follows */
    _Atomic uint64_t taken;                  /* number of the newest notice that was; also read without the lock */
    struct mmgc_notice now;                  /* number 0: none has been begun */
    uint64_t count, at;                      /* its rows, and those that were given out */
    const struct mmgc_move *rows;
    struct mmgc_move own[INLINE_MAX];        /* they, if they came in the message */
    struct shm_sheet sheet;                  /* else */
};

/* ---- beginning and end ---- */

static int call_open(struct mmgc_notices *n, uint64_t deadline_ns)
{
    wire_notices_open open = wire_notices_open_init();
    wire_request request = wire_request_init();

    open.all = n->all;
    open.deadline_ns = deadline_ns;
    request.body_case = WIRE_REQUEST(NOTICES_OPEN);
    request.notices_open = &open;
    return connection_call(&n->table->connection, &request, NULL, WIRE_REPLY(DONE), NULL, NULL);
}

int mmgc_notices_subscribe(struct mmgc_heap *heap, const struct mmgc_notices_options *options, struct mmgc_notices **ret_notices)
{
    int r = heap_check(heap);

    if (r != MMGC_OK)
        return r;
    if (ret_notices == NULL)
        return error_set(MMGC_E_INVALID, "ret_notices is NULL");
    if (thread_of_caller_is_in(heap))
        return error_set(MMGC_E_IS_IN, NULL);
    struct mmgc_notices *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return error_system("malloc", -ENOMEM);
    n->heap = heap;
    n->all = options != NULL && options->all;
    n->sheet = (struct shm_sheet)SHM_SHEET_NONE;
    (void)pthread_mutex_init(&n->lock, NULL);
    r = table_open(heap, &n->table);
    if (r == MMGC_OK)
        r = call_open(n, options != NULL ? options->deadline_ns : 0);
    if (r != MMGC_OK) {
        mmgc_notices_close(n);
        return r;
    }
    *ret_notices = n;
    return MMGC_OK;
}

void mmgc_notices_close(struct mmgc_notices *n)
{
    if (n == NULL || (n->table != NULL && n->table->generation != fork_generation))
        return;
    mmgc_heap_close(n->table);
    shm_sheet_close(&n->sheet);
    (void)pthread_mutex_destroy(&n->lock);
    free(n);
}

int mmgc_notices_fd(const struct mmgc_notices *n)
{
    return n->table->connection.sock;
}

bool mmgc_notices_due(const struct mmgc_notices *n)
{
    return n->table->generation != fork_generation || at_load_acquire(&n->table->session->notices) != at_load_relaxed(&n->taken); /* O1 */
}

/* ---- receiving ---- */

static int in_doubt(struct mmgc_notices *n)
{
    return error_set(connection_break(&n->table->connection, MMGC_E_PROTOCOL), "a notice is in doubt");
}

/* Its rows; the fd stays the caller's. */
static int read_rows(struct mmgc_notices *n, const wire_notice *notice, const struct packet_fds *fds)
{
    n->rows = n->own;
    if (notice->n_moves == 0 && notice->count != 0) {
        if (fds->count != 1 || notice->count > UINT32_MAX ||
            shm_sheet_read(&n->sheet, fds->fd[0], notice->count * sizeof(struct shm_move)) < 0)
            return in_doubt(n);
        n->rows = n->sheet.address; /* O3 */
    } else if (notice->count > INLINE_MAX || notice->n_moves != 3 * notice->count) {
        return in_doubt(n);
    } else if (notice->count != 0) {
        memcpy(n->own, notice->moves, notice->count * sizeof(n->own[0]));
    }
    return MMGC_OK;
}

static int begin(struct mmgc_notices *n, const wire_reply *reply, const struct packet_fds *fds)
{
    const wire_notice *notice = reply->notice;

    if (reply->body_case != WIRE_REPLY(NOTICE) || notice->number != at_load_relaxed(&n->taken) + 1)
        return in_doubt(n);
    int r = read_rows(n, notice, fds);
    if (r != MMGC_OK)
        return r;
    n->now = (struct mmgc_notice){ .number = notice->number, .collection = notice->collection, .incomplete = notice->incomplete };
    n->count = notice->count;
    n->at = 0;
    return MMGC_OK;
}

/* The daemon has ended it, and may have left a word of why, behind notices that are worth nothing now. */
static int dropped(struct mmgc_notices *n)
{
    for (;;) {
        struct packet_fds fds = { .count = 0 };
        wire_reply *reply;
        int r = connection_event(&n->table->connection, 0, &reply, &fds);
        packet_fds_close(&fds);
        wire_reply_free(reply);
        if (r != MMGC_OK)
            return r != MMGC_E_TIMEOUT && r != MMGC_E_DISCONNECTED ? r : error_set(MMGC_E_NO_NOTICES, NULL);
    }
}

static int receive(struct mmgc_notices *n, bool due, uint64_t timeout_ns)
{
    uint64_t wait_ns = due ? DUE_NS : timeout_ns, wait_ms = wait_ns / NS_PER_MS + (wait_ns % NS_PER_MS != 0);
    struct packet_fds fds = { .count = 0 };
    wire_reply *reply;
    int r = connection_event(&n->table->connection, (int)MM_MIN(wait_ms, (uint64_t)WAIT_MAX_MS), &reply, &fds);

    if (r == MMGC_OK)
        r = begin(n, reply, &fds);
    else if (r == MMGC_E_TIMEOUT && !due)
        r = MMGC_OK;
    packet_fds_close(&fds);
    wire_reply_free(reply);
    return r;
}

/* Sees to it that one has been begun, if there is one. Looks at the socket also where nothing is due and nobody waits: who polls the fd and finds
 * it readable because the daemon has gone must hear of that. */
static int advance_locked(struct mmgc_notices *n, uint64_t timeout_ns)
{
    uint64_t decided = at_load_acquire(&n->table->session->notices);
    bool due = decided != at_load_relaxed(&n->taken);

    if ((decided & SHM_NOTICES_DROPPED) != 0)
        return dropped(n);
    if (n->now.number != 0)
        return MMGC_OK;
    return receive(n, due, timeout_ns);
}

/* Its rows have been given out: the daemon need not remember it. If it cannot be told, the next call says so. */
static void finish_locked(struct mmgc_notices *n)
{
    wire_notices_taken taken = wire_notices_taken_init();
    wire_request request = wire_request_init();
    uint32_t serial;

    taken.number = n->now.number;
    request.body_case = WIRE_REQUEST(NOTICES_TAKEN);
    request.notices_taken = &taken;
    (void)connection_post(&n->table->connection, &request, &serial);
    at_store_relaxed(&n->taken, n->now.number);
    shm_sheet_close(&n->sheet);
    n->now = (struct mmgc_notice){ 0 };
}

/* ---- taking ---- */

static int check(struct mmgc_notices *n, struct mmgc_thread *t)
{
    if (n == NULL)
        return error_set(MMGC_E_INVALID, "the subscription is NULL");
    int r = fork_check(n->table->generation);
    if (r == MMGC_OK && t != NULL)
        r = thread_check_in(t);
    if (r == MMGC_OK && t != NULL && thread_of(t)->heap != n->heap)
        r = error_set(MMGC_E_INVALID, "the thread is attached to another heap");
    return r;
}

int mmgc_notices_next(struct mmgc_notices *n, struct mmgc_thread *t, uint64_t timeout_ns, struct mmgc_move *moves, size_t capacity,
                      size_t *ret_count, struct mmgc_notice *ret_notice)
{
    int r = check(n, t);

    if (r != MMGC_OK)
        return r;
    if (moves == NULL || capacity == 0 || ret_count == NULL || ret_notice == NULL)
        return error_set(MMGC_E_INVALID, "there is no room for an answer");
    *ret_count = 0;
    *ret_notice = (struct mmgc_notice){ 0 };
    (void)pthread_mutex_lock(&n->lock);
    r = advance_locked(n, t == NULL ? timeout_ns : 0);
    if (r == MMGC_OK && n->now.number != 0) {
        uint64_t count = MM_MIN(n->count - n->at, (uint64_t)capacity);
        memcpy(moves, n->rows + n->at, count * sizeof(*moves));
        n->at += count;
        n->now.last = n->at == n->count;
        *ret_count = count;
        *ret_notice = n->now;
        if (n->now.last)
            finish_locked(n);
    }
    (void)pthread_mutex_unlock(&n->lock);
    return r;
}

int mmgc_notices_apply(struct mmgc_notices *n, struct mmgc_thread *t, mmgc_notices_callback apply, void *context)
{
    int r = check(n, t);

    if (r != MMGC_OK)
        return r;
    if (apply == NULL)
        return error_set(MMGC_E_INVALID, "the callback is NULL");
    (void)pthread_mutex_lock(&n->lock);
    while ((r = advance_locked(n, 0)) == MMGC_OK && n->now.number != 0) {
        n->now.last = true;
        apply(context, &n->now, n->rows + n->at, n->count - n->at);
        finish_locked(n);
    }
    (void)pthread_mutex_unlock(&n->lock);
    return r;
}

/* ---- watching ---- */

int mmgc_watch(struct mmgc_notices *n, struct mmgc_thread *t, const void *object, mmgc_watched *ret_watched)
{
    struct row row;
    int r = t == NULL ? error_set(MMGC_E_INVALID, "the thread is NULL") : check(n, t);

    if (r != MMGC_OK)
        return r;
    if (hold_owns(thread_of(t), object))
        return hold_refuse(thread_of(t), object);
    if (object == NULL || ret_watched == NULL || n->all)
        return error_set(MMGC_E_INVALID, n->all ? "the subscription is to all objects" : "object or ret_watched is NULL");
    r = row_begin_in(n->table, SHM_ROW_WATCHED, mmgc_ref_of(t, object).granule, NULL, &row);
    if (r == MMGC_OK)
        *ret_watched = (mmgc_watched){ row.slot, row.serial };
    return r;
}

int mmgc_unwatch(struct mmgc_notices *n, mmgc_watched watched)
{
    int r = check(n, NULL);

    return r == MMGC_OK ? row_end(n->table, (struct row){ watched.slot, watched.serial }, WATCH_KINDS) : r;
}
