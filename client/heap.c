/* SPDX-License-Identifier: Apache-2.0 */
/* heap.c - Heap: opening maps three to five segments, closing gives everything back.
 *   The fds come as control (read-only), arena, session, and log and leases if there are any; each is checked for its seals and its size
 *   before it is mapped, so that nobody can shrink it under us. What the control segment says then is the daemon's word and trusted. */
#include "client/heap.h"

#include <errno.h>
#include <mmgc/mmgc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client/client.h"
#include "client/error.h"
#include "client/fork.h"
#include "client/layout.h"
#include "client/leak.h"
#include "client/profile.h"
#include "client/row.h"
#include "client/thread.h"
#include "shm/units.h"

enum { FD_CONTROL, FD_ARENA, FD_SESSION, FD_LOG };

struct mmgc_heap *heap_list;
static _Atomic uint64_t heaps_opened;

int heap_check(struct mmgc_heap *heap)
{
    if (heap == NULL)
        return error_set(MMGC_E_INVALID, "heap is NULL");
    if (heap->generation != fork_generation)
        return error_set(MMGC_E_FORKED, NULL);
    int r = at_load_relaxed(&heap->connection.broken);
    return r == MMGC_OK ? MMGC_OK : error_set(r, NULL);
}

int heap_adopt(struct shm_segment **ret_seg, struct packet_fds *fds, int which, uint64_t bytes,
               enum shm_access access)
{
    int r = shm_segment_adopt(ret_seg, fds->fd[which], bytes, access);

    if (r == -EBADMSG)
        return error_set(MMGC_E_PROTOCOL, "segment %d is not sealed or not of the size said", which);
    if (r < 0)
        return error_system("mapping a segment", r);
    fds->fd[which] = -1;
    return MMGC_OK;
}

static int heap_map(struct mmgc_heap *heap, const wire_heap_opened *opened, struct packet_fds *fds)
{
    size_t expected = FD_LOG + (opened->log_bytes > 0) + (opened->lease_bytes > 0);

    if (fds->count != expected || opened->control_bytes < sizeof(struct shm_control) ||
        opened->session_bytes < sizeof(struct shm_session))
        return error_set(MMGC_E_PROTOCOL, "the daemon sent %zu of %zu segments", fds->count, expected);
    int r = heap_adopt(&heap->control_segment, fds, FD_CONTROL, opened->control_bytes, SHM_READ_ONLY);
    if (r == MMGC_OK)
        r = heap_adopt(&heap->arena_segment, fds, FD_ARENA, opened->arena_bytes,
                       heap->read_only ? SHM_READ_ONLY : SHM_READ_WRITE);
    if (r == MMGC_OK)
        r = heap_adopt(&heap->session_segment, fds, FD_SESSION, opened->session_bytes, SHM_READ_WRITE);
    if (r != MMGC_OK)
        return r;
    heap->control = shm_segment_address(heap->control_segment);
    heap->session = shm_segment_address(heap->session_segment);
    heap->base = shm_segment_address(heap->arena_segment);
    if (at_load_acquire(&heap->control->magic) != SHM_CONTROL_MAGIC ||
        at_load_acquire(&heap->session->magic) != SHM_SESSION_MAGIC)
        return error_set(MMGC_E_PROTOCOL, "a segment lacks its magic number");
    if (heap->control->version != SHM_CONTROL_VERSION || heap->session->version != SHM_SESSION_VERSION ||
        (heap->control->features & ~SHM_CONTROL_FEATURES) != 0 || heap->session->features != 0 ||
        heap->control->barrier > SHM_BARRIER_FIELDS)
        return error_set(MMGC_E_VERSION, "the heap's layout is of another release");
    if (heap->control->arena_bytes != opened->arena_bytes)
        return error_set(MMGC_E_PROTOCOL, "the heap's size is in doubt");
    return MMGC_OK;
}

/* The log of the write barrier. Every plan that has one shows it to all who may store. */
static int heap_map_log(struct mmgc_heap *heap, uint64_t log_bytes, struct packet_fds *fds)
{
    bool expected = heap->control->barrier != SHM_BARRIER_NONE && !heap->read_only;

    if (log_bytes < (expected ? shm_log_bytes(heap->control->arena_bytes) : 0))
        return error_set(MMGC_E_PROTOCOL, "the write barrier's log is in doubt");
    if (!expected)
        return MMGC_OK;
    int r = heap_adopt(&heap->log_segment, fds, FD_LOG, log_bytes, SHM_READ_WRITE);
    if (r != MMGC_OK)
        return r;
    char *log = shm_segment_address(heap->log_segment);
    heap->log_lines = (_Atomic uint8_t *)(void *)log;
    heap->log_bits = (_Atomic uint64_t *)(void *)(log + shm_log_bits_offset(heap->control->arena_bytes));
    return MMGC_OK;
}

/* The table of leases, which all who may write have. */
static int heap_map_leases(struct mmgc_heap *heap, const wire_heap_opened *opened, struct packet_fds *fds)
{
    if (opened->lease_bytes < (heap->read_only ? 0 : sizeof(struct shm_leases)))
        return error_set(MMGC_E_PROTOCOL, "the table of leases is in doubt");
    if (heap->read_only)
        return MMGC_OK;
    int r = heap_adopt(&heap->lease_segment, fds, FD_LOG + (opened->log_bytes > 0), opened->lease_bytes, SHM_READ_WRITE);
    if (r == MMGC_OK)
        heap->leases = shm_segment_address(heap->lease_segment);
    return r;
}

size_t heap_lines(const struct mmgc_heap *heap)
{
    return mm_align_up(heap->control->arena_bytes / MM_LINE_BYTES, MM_PAGE_BYTES);
}

/* Nobody writes here, so each page is the system's one page of zeroes: 4 KiB of a cache at the most, however large the heap. A huge
 * page would be 2 MiB of it. */
static int heap_map_quiet(struct mmgc_heap *heap)
{
    size_t bytes = heap_lines(heap);
    char *lines = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (lines == MAP_FAILED)
        return error_system("mapping zeroes", -errno);
    (void)madvise(lines, bytes, MADV_NOHUGEPAGE);
    heap->quiet_lines = lines;
    return MMGC_OK;
}

/* The map of closed pages, if there is one; it lies behind the types. */
static int heap_map_pages(struct mmgc_heap *heap, uint64_t control_bytes)
{
    uint32_t offset = heap->control->page_map_offset;
    struct pages_config config = {
        .base = heap->base,
        .pages = heap->control->arena_bytes / MM_PAGE_BYTES,
        .map = (const _Atomic uint64_t *)((const char *)heap->control + offset),
        .read_only = heap->read_only,
    };

    if (offset == 0)
        return MMGC_OK;
    if (offset % sizeof(uint64_t) != 0 || offset + config.pages / 8 > control_bytes)
        return error_set(MMGC_E_PROTOCOL, "the map of closed pages is in doubt");
    int r = pages_new(&heap->pages, &config);
    return r < 0 ? error_system("malloc", r) : MMGC_OK;
}

static int heap_call_open(struct mmgc_heap *heap, const char *name,
                          const struct mmgc_heap_options *options)
{
    wire_heap_open open = wire_heap_open_init();
    wire_request request = wire_request_init();
    struct packet_fds fds;
    wire_reply *reply;

    open.name = (char *)name;
    open.create = options->create;
    open.exclusive = options->exclusive;
    open.read_only = options->read_only;
    open.max_bytes = options->max_bytes;
    open.limit_bytes = options->limit_bytes;
    if (options->plan != NULL)
        open.plan = (char *)options->plan;
    if (options->options != NULL)
        open.options = (char *)options->options;
    request.body_case = WIRE_REQUEST(HEAP_OPEN);
    request.heap_open = &open;
    int r = connection_call(&heap->connection, &request, NULL, WIRE_REPLY(HEAP_OPENED), &reply, &fds);
    if (r != MMGC_OK)
        return r;
    r = heap_map(heap, reply->heap_opened, &fds);
    if (r == MMGC_OK)
        r = heap_map_log(heap, reply->heap_opened->log_bytes, &fds);
    if (r == MMGC_OK)
        r = heap_map_leases(heap, reply->heap_opened, &fds);
    if (r == MMGC_OK)
        r = heap_map_quiet(heap);
    if (r == MMGC_OK)
        r = heap_map_pages(heap, reply->heap_opened->control_bytes);
    packet_fds_close(&fds);
    wire_reply_free(reply);
    return r;
}

void heap_free(struct mmgc_heap *heap)
{
    if (heap->quiet_lines != NULL)
        (void)munmap((void *)(uintptr_t)heap->quiet_lines, heap_lines(heap));
    if (heap->held_lines != NULL)
        (void)munmap((void *)(uintptr_t)heap->held_lines, heap_lines(heap));
    shm_segment_unref(heap->control_segment);
    shm_segment_unref(heap->arena_segment);
    shm_segment_unref(heap->session_segment);
    shm_segment_unref(heap->log_segment);
    shm_segment_unref(heap->lease_segment);
    pages_free(heap->pages);
    type_free_all(heap);
    layout_free_all(heap);
    row_free_all(heap);
    (void)pthread_mutex_destroy(&heap->lock);
    (void)pthread_cond_destroy(&heap->threads_changed);
    free(heap->path);
    free(heap->label);
    free(heap->name);
    free(heap);
}

struct mmgc_heap *heap_blank(const char *path, const char *label, const char *name)
{
    struct mmgc_heap *heap = calloc(1, sizeof(*heap));

    if (heap == NULL)
        return NULL;
    heap->generation = fork_generation;
    heap->number = at_add_relaxed(&heaps_opened, 1) + 1;
    (void)pthread_mutex_init(&heap->lock, NULL);
    (void)pthread_cond_init(&heap->threads_changed, NULL);
    heap->path = strdup(path);
    heap->label = strdup(label);
    heap->name = strdup(name);
    if (heap->path != NULL && heap->label != NULL && heap->name != NULL)
        return heap;
    heap_free(heap);
    return NULL;
}

void heap_enlist(struct mmgc_heap *heap)
{
    fork_lock();
    heap->next = heap_list;
    heap_list = heap;
    fork_unlock();
}

static int heap_open(struct mmgc_client *client, const char *name,
                     const struct mmgc_heap_options *options, struct mmgc_heap *heap)
{
    heap->read_only = options->read_only;
    heap->report_leaks = options->report_leaks || leak_wanted();
    heap->fence = client->fence;
    int r = connection_open(&heap->connection, client->path, client->name);
    if (r != MMGC_OK)
        return r;
    r = heap_call_open(heap, name, options);
    if (r != MMGC_OK)
        connection_close(&heap->connection);
    return r;
}

int mmgc_heap_open(struct mmgc_client *client, const char *name,
                   const struct mmgc_heap_options *options, struct mmgc_heap **ret_heap)
{
    static const struct mmgc_heap_options defaults;

    if (client == NULL || name == NULL || ret_heap == NULL)
        return error_set(MMGC_E_INVALID, "client, name or ret_heap is NULL");
    int r = fork_check(client->connection.generation);
    if (r != MMGC_OK)
        return r;
    if (!wire_name_valid(name, WIRE_NAME_MAX))
        return error_set(MMGC_E_NAME_TOO_LONG, NULL);
    struct mmgc_heap *heap = heap_blank(client->path, client->name, name);
    if (heap == NULL)
        return error_system("malloc", -ENOMEM);
    r = heap_open(client, name, options != NULL ? options : &defaults, heap);
    if (r != MMGC_OK) {
        heap_free(heap);
        return r;
    }
    heap_enlist(heap);
    *ret_heap = heap;
    return MMGC_OK;
}

void mmgc_heap_close(struct mmgc_heap *heap)
{
    if (heap == NULL || heap->generation != fork_generation)
        return;
    thread_detach_all(heap);
    profile_heap_closes(heap);
    if (heap->report_leaks)
        leak_report(heap);
    fork_lock();
    struct mmgc_heap **link = &heap_list;
    while (*link != NULL && *link != heap)
        link = &(*link)->next;
    if (*link == heap)
        *link = heap->next;
    connection_close(&heap->connection); /* the daemon drops rows and grants with the session */
    fork_unlock();
    heap_free(heap);
}

int mmgc_heap_info(const struct mmgc_heap *heap, struct mmgc_heap_info *ret_info)
{
    if (heap == NULL || ret_info == NULL)
        return error_set(MMGC_E_INVALID, "heap or ret_info is NULL");
    int r = fork_check(heap->generation);
    if (r != MMGC_OK)
        return r;
    const struct shm_control *control = heap->control;
    *ret_info = (struct mmgc_heap_info){
        .max_bytes = control->arena_bytes,
        .limit_bytes = at_load_relaxed(&control->limit_bytes),
        .granted_bytes = at_load_relaxed(&control->granted_bytes),
        .live_bytes = at_load_relaxed(&control->live_bytes),
        .live_objects = at_load_relaxed(&control->live_objects),
        .collections = at_load_relaxed(&control->collections),
        .abandoned_stops = at_load_relaxed(&control->abandoned_stops),
        .last_pause_ns = at_load_relaxed(&control->last_pause_ns),
        .total_pause_ns = at_load_relaxed(&control->total_pause_ns),
    };
    if (heap->pages != NULL) {
        struct pages_counts pages = pages_counts(heap->pages);
        ret_info->closed_bytes = pages.closed * MM_PAGE_BYTES;
        ret_info->left_open_bytes = pages.left_open * MM_PAGE_BYTES;
    }
    static_assert(sizeof(ret_info->plan) == sizeof(control->plan), "a plan's name fits");
    memcpy(ret_info->plan, control->plan, sizeof(ret_info->plan));
    ret_info->plan[sizeof(ret_info->plan) - 1] = '\0';
    return MMGC_OK;
}
