/* SPDX-License-Identifier: Apache-2.0 */
#include "client/table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "client/error.h"

enum { FD_CONTROL, FD_ARENA, FD_SESSION }; /* as heap.c has them */

/* Segments are memfds: one is itself alone. */
static bool same_segment(const struct shm_segment *a, const struct shm_segment *b)
{
    struct stat one, other;

    return fstat(shm_segment_fd(a), &one) == 0 && fstat(shm_segment_fd(b), &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static int table_map(struct mmgc_heap *table, const struct mmgc_heap *of, const wire_heap_opened *opened, struct packet_fds *fds)
{
    if (fds->count <= FD_SESSION || opened->control_bytes < sizeof(struct shm_control) || opened->session_bytes < sizeof(struct shm_session))
        return error_set(MMGC_E_PROTOCOL, "the daemon sent %zu segments", fds->count);
    int r = heap_adopt(&table->control_segment, fds, FD_CONTROL, opened->control_bytes, SHM_READ_ONLY);
    if (r == MMGC_OK)
        r = heap_adopt(&table->session_segment, fds, FD_SESSION, opened->session_bytes, SHM_READ_WRITE);
    if (r != MMGC_OK)
        return r;
    table->control = shm_segment_address(table->control_segment);
    table->session = shm_segment_address(table->session_segment);
    if (at_load_acquire(&table->session->magic) != SHM_SESSION_MAGIC)
        return error_set(MMGC_E_PROTOCOL, "a segment lacks its magic number");
    if (table->session->version != SHM_SESSION_VERSION || table->session->features != 0)
        return error_set(MMGC_E_VERSION, "the heap's layout is of another release");
    if (!same_segment(table->control_segment, of->control_segment))
        return error_set(MMGC_E_HEAP_GONE, "another heap is called '%s' now", of->name);
    return MMGC_OK;
}

static int call_open(struct mmgc_heap *table, const struct mmgc_heap *of)
{
    wire_heap_open open = wire_heap_open_init();
    wire_request request = wire_request_init();
    struct packet_fds fds;
    wire_reply *reply;

    open.name = of->name;
    open.read_only = true;
    request.body_case = WIRE_REQUEST(HEAP_OPEN);
    request.heap_open = &open;
    int r = connection_call(&table->connection, &request, NULL, WIRE_REPLY(HEAP_OPENED), &reply, &fds);
    if (r != MMGC_OK)
        return r;
    r = table_map(table, of, reply->heap_opened, &fds);
    packet_fds_close(&fds);
    wire_reply_free(reply);
    return r;
}

int table_open(const struct mmgc_heap *of, struct mmgc_heap **ret_table)
{
    struct mmgc_heap *table = heap_blank(of->path, of->label, of->name);

    if (table == NULL)
        return error_system("malloc", -ENOMEM);
    table->read_only = true;
    int r = connection_open(&table->connection, table->path, table->label);
    if (r == MMGC_OK) {
        r = call_open(table, of);
        if (r != MMGC_OK)
            connection_close(&table->connection);
    }
    if (r != MMGC_OK) {
        heap_free(table);
        return r;
    }
    heap_enlist(table);
    *ret_table = table;
    return MMGC_OK;
}
