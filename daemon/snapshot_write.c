/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot_write.c - Snapshot: the daemon's part of one: the header, who holds what, and what everything is called.
 *   W1  words, tags and names of clients are read twice, to be counted and to be written, and may differ: what is written is bounded by the count,
 *       and each is written as it was read then
 *   W2  the header comes last, its magic word last of all      */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "daemon/snapshots.h"
#include "plans/heap/snapshot.h"

struct writer {
    struct shared_heap *heap;
    const struct collector_task *task;
    const struct heap_stop *stop;
    char *base;
    struct shm_snapshot_range sections[SHM_SNAPSHOT_SECTIONS];       /* of OWNERS, ROOTS and STRINGS; those two may be larger than what is used */
    uint64_t roots, strings;                  /* written */
    uint32_t *name_of_slot;                   /* [names.high] where the named roots' names are */
    off_t note_from, note_end;                /* of the session being read: a stretch of its notes that was ever written */
    size_t note_row;                          /* the row of roots that they are of */
};

/* ---- names that clients give their rows ---- */

/* Reading what nobody has written would make a page of it, and most rows have no name. */
static bool is_written(struct writer *w, size_t row, uint32_t index, const struct session *s)
{
    off_t at = (off_t)(offsetof(struct shm_session, row_notes) + index * sizeof(struct shm_row_note));
    int fd = shm_segment_fd(s->segment);

    if (w->note_row != row + 1 || at < w->note_from) {
        w->note_row = row + 1;
        w->note_from = w->note_end = 0;
    }
    if (at >= w->note_end) {
        w->note_from = lseek(fd, at, SEEK_DATA);
        if (w->note_from < 0) /* none from here on */
            w->note_from = (off_t)sizeof(struct shm_session);
        w->note_end = lseek(fd, w->note_from, SEEK_HOLE);
        w->note_end = w->note_end < 0 ? (off_t)sizeof(struct shm_session) : w->note_end;
    }
    return at >= w->note_from;
}

/* What the client calls its row; "": nothing. Any bytes: its reader judges them. */
static void read_note(struct writer *w, size_t row, uint32_t index, char ret_name[SHM_ROW_NAME_MAX + 1])
{
    uint32_t owner = w->task->row_owners[row];
    const struct session *s = w->task->sessions[owner - snapshot_session_owner(0)];
    const struct shm_row_note MM_NODEREF *note = &s->words->row_notes[index];

    memset(ret_name, 0, SHM_ROW_NAME_MAX + 1);
    if (!is_written(w, row, index, s))
        return;
    for (size_t i = 0; i < SHM_ROW_NAME_MAX; i++)
        if ((ret_name[i] = __atomic_load_n(&note->name[i], __ATOMIC_RELAXED)) == '\0')
            return;
}

static bool is_session(const struct writer *w, size_t row)
{
    uint32_t owner = w->task->row_owners[row];

    return owner >= snapshot_session_owner(0) && owner < snapshot_thread_owner(w->task, 0);
}

/* ---- how much there will be ---- */

static void count_row(struct writer *w, size_t row)
{
    const struct heap_roots *roots = &w->stop->roots[row];
    struct range { uint64_t *roots, *strings; } to = { &w->sections[SHM_SNAPSHOT_ROOTS].count, &w->sections[SHM_SNAPSHOT_STRINGS].count };
    char name[SHM_ROW_NAME_MAX + 1];

    for (uint32_t i = 0; i < roots->count; i++) {
        if (at_load_relaxed(&roots->words[i]) == 0)
            continue;
        ++*to.roots;
        if (is_session(w, row)) {
            read_note(w, row, i, name);
            *to.strings += name[0] == '\0' ? 0 : strlen(name) + 1;
        } else if (w->task->row_owners[row] == SNAPSHOT_OWNER_ESTATE && w->heap->estate.heirs[i] != NULL) {
            *to.strings += strlen(w->heap->estate.heirs[i]) + 1;
        }
    }
}

/* Where the sections of the daemon's lie; how many bytes that makes. */
static uint64_t choose_sections(struct writer *w)
{
    const struct names *names = &w->heap->names;
    uint64_t at = MM_PAGE_BYTES;

    w->sections[SHM_SNAPSHOT_OWNERS] = (struct shm_snapshot_range){ at, 2 + w->task->session_count + w->task->mutator_count };
    at += w->sections[SHM_SNAPSHOT_OWNERS].count * sizeof(struct shm_snapshot_owner);
    w->sections[SHM_SNAPSHOT_STRINGS].count = 1 + (w->task->session_count + w->task->mutator_count) * (WIRE_LABEL_MAX + 1);
    for (size_t i = 0; i < names->count; i++)
        w->sections[SHM_SNAPSHOT_STRINGS].count += strlen(names->rows[i].name) + 1;
    for (size_t row = 0; row < w->stop->root_count; row++)
        count_row(w, row);
    w->sections[SHM_SNAPSHOT_ROOTS].offset = at;
    at += w->sections[SHM_SNAPSHOT_ROOTS].count * sizeof(struct shm_snapshot_root);
    w->sections[SHM_SNAPSHOT_STRINGS].offset = at;
    return mm_align_up(at + w->sections[SHM_SNAPSHOT_STRINGS].count, 8);
}

/* ---- writing ---- */

static uint32_t write_string(struct writer *w, const char *string)
{
    const struct shm_snapshot_range *strings = &w->sections[SHM_SNAPSHOT_STRINGS];
    uint64_t bytes = strlen(string) + 1, at = w->strings;

    if (bytes == 1 || bytes > strings->count - at || at > UINT32_MAX) /* W1 */
        return 0;
    memcpy(w->base + strings->offset + at, string, bytes);
    w->strings += bytes;
    return (uint32_t)at;
}

static void write_owner(struct writer *w, uint32_t owner, const struct session *s, const struct mutator *m)
{
    struct shm_snapshot_owner *rows = (void *)(w->base + w->sections[SHM_SNAPSHOT_OWNERS].offset);

    rows[owner] = (struct shm_snapshot_owner){
        .kind = m == NULL ? SHM_SNAPSHOT_SESSION : SHM_SNAPSHOT_THREAD,
        .thread = m == NULL ? 0 : m->id,
        .session = s->id,
        .pid = (uint32_t)s->peer.pid,
        .uid = (uint32_t)s->peer.uid,
        .tid = m == NULL ? 0 : m->tid,
        .name = write_string(w, m == NULL ? s->name : m->name),
    };
}

static void write_owners(struct writer *w)
{
    struct shm_snapshot_owner *rows = (void *)(w->base + w->sections[SHM_SNAPSHOT_OWNERS].offset);

    rows[SNAPSHOT_OWNER_NAMES] = (struct shm_snapshot_owner){ .kind = SHM_SNAPSHOT_NAMES };
    rows[SNAPSHOT_OWNER_ESTATE] = (struct shm_snapshot_owner){ .kind = SHM_SNAPSHOT_ESTATE };
    for (size_t i = 0; i < w->task->session_count; i++)
        write_owner(w, snapshot_session_owner(i), w->task->sessions[i], NULL);
    for (size_t i = 0; i < w->task->mutator_count; i++)
        write_owner(w, snapshot_thread_owner(w->task, i), w->task->mutators[i]->session, w->task->mutators[i]);
}

static void write_names(struct writer *w)
{
    const struct names *names = &w->heap->names;

    for (size_t i = 0; i < names->count; i++)
        if (names->rows[i].slot < names->high)
            w->name_of_slot[names->rows[i].slot] = write_string(w, names->rows[i].name);
}

static uint32_t kind_of(const struct heap_roots *roots, uint32_t index, uint32_t owner)
{
    if (roots->kind == HEAP_ROOTS_AMBIGUOUS)
        return SHM_SNAPSHOT_STACK;
    if (roots->kind != HEAP_ROOTS_TABLE)
        return owner == SNAPSHOT_OWNER_NAMES ? SHM_SNAPSHOT_NAMED : SHM_SNAPSHOT_LOCAL;
    enum shm_row_kind kind = shm_row_kind(at_load_relaxed(&roots->tags[index]));
    return kind == SHM_ROW_FREE ? SHM_SNAPSHOT_STRONG : (uint32_t)kind; /* given up this moment */
}

static uint32_t name_of(struct writer *w, size_t row, uint32_t index, uint32_t owner)
{
    char name[SHM_ROW_NAME_MAX + 1];

    if (owner == SNAPSHOT_OWNER_NAMES)
        return w->name_of_slot[index];
    if (owner == SNAPSHOT_OWNER_ESTATE)
        return w->heap->estate.heirs[index] == NULL ? 0 : write_string(w, w->heap->estate.heirs[index]);
    if (!is_session(w, row))
        return 0;
    read_note(w, row, index, name);
    return write_string(w, name);
}

static void write_root(void *context, size_t row, uint32_t index, uint32_t word, uint32_t object)
{
    struct writer *w = context;
    struct shm_snapshot_root *rows = (void *)(w->base + w->sections[SHM_SNAPSHOT_ROOTS].offset);
    uint32_t owner = w->task->row_owners[row];

    if (w->roots == w->sections[SHM_SNAPSHOT_ROOTS].count) /* W1 */
        return;
    rows[w->roots++] = (struct shm_snapshot_root){
        .owner = owner,
        .kind = kind_of(&w->stop->roots[row], index, owner),
        .row = index,
        .word = word,
        .object = object,
        .name = name_of(w, row, index, owner),
    };
}

static void write_header(struct writer *w, const struct heap_snapshot *s)
{
    const struct shm_control *control = w->heap->control;
    struct shm_snapshot *to = (void *)w->base;
    struct timespec now;
    struct shm_snapshot header = {
        .version = SHM_SNAPSHOT_VERSION,
        .flags = at_load_relaxed(&control->corrupt) != 0 ? SHM_SNAPSHOT_QUARANTINED : 0,
        .arena_bytes = w->heap->max_bytes,
        .limit_bytes = at_load_relaxed(&control->limit_bytes),
        .incarnation = control->incarnation,
        .collections = at_load_relaxed(&control->collections),
        .live_bytes = at_load_relaxed(&control->live_bytes),
        .live_objects = at_load_relaxed(&control->live_objects),
        .granule_bytes = MM_GRANULE_BYTES,
        .line_bytes = MM_LINE_BYTES,
        .page_bytes = MM_PAGE_BYTES,
        .block_bytes = MM_BLOCK_BYTES,
    };

    (void)clock_gettime(CLOCK_REALTIME, &now);
    header.taken_ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    memcpy(header.plan, control->plan, sizeof(header.plan));
    memcpy(header.heap, w->heap->name, strlen(w->heap->name));
    memcpy(header.sections, s->sections, sizeof(header.sections));
    header.sections[SHM_SNAPSHOT_OWNERS] = w->sections[SHM_SNAPSHOT_OWNERS];
    header.sections[SHM_SNAPSHOT_ROOTS] = (struct shm_snapshot_range){ w->sections[SHM_SNAPSHOT_ROOTS].offset, w->roots };
    header.sections[SHM_SNAPSHOT_STRINGS] = (struct shm_snapshot_range){ w->sections[SHM_SNAPSHOT_STRINGS].offset, w->strings };
    *to = header;
    to->magic = SHM_SNAPSHOT_MAGIC; /* W2 */
}

int snapshot_take_stw(struct shared_heap *h, const struct collector_task *task, const struct heap_stop *stop, struct snapshot *s)
{
    struct snapshot_memory *memory = snapshot_memory(s);
    struct writer w = { .heap = h, .task = task, .stop = stop, .base = memory->address };
    struct heap_snapshot copy = { .base = memory->address, .capacity = memory->bytes, .root = write_root, .context = &w };

    copy.begin = choose_sections(&w);
    if (copy.begin > memory->bytes) {
        memory->needed = copy.begin + heap_snapshot_bytes(h->heap);
        return 0;
    }
    w.name_of_slot = calloc((size_t)h->names.high + 1, sizeof(w.name_of_slot[0]));
    if (w.name_of_slot == NULL)
        return -ENOMEM;
    w.base[w.sections[SHM_SNAPSHOT_STRINGS].offset] = '\0';
    w.strings = 1;
    write_owners(&w);
    write_names(&w);
    int r = heap_snapshot_stw(h->heap, h->server->engine, stop, &copy);
    memory->needed = copy.needed;
    if (r == 0)
        write_header(&w, &copy);
    free(w.name_of_slot);
    return r == -ENOSPC ? 0 : r;
}

uint64_t snapshot_bytes_locked(const struct shared_heap *h)
{
    const struct session *s;
    uint64_t rows = h->names.count + h->estate.high, names = 0;

    TAILQ_FOREACH(s, &h->sessions, in_heap)
    rows += session_rows_racy(s);
    for (size_t i = 0; i < h->names.count; i++)
        names += strlen(h->names.rows[i].name) + 1;
    return heap_snapshot_bytes(h->heap) + MM_PAGE_BYTES + rows * sizeof(struct shm_snapshot_root) + names +
           (h->session_count + h->mutator_count) * (sizeof(struct shm_snapshot_owner) + WIRE_LABEL_MAX + 1);
}
