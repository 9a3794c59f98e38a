/* SPDX-License-Identifier: Apache-2.0 */
/* notices.c - Notices: what a stop has to tell, to whom.
 *   N1  a subscription is in the snapshot of every stop that begins after its NoticesOpen was answered: until that is so the answer
 *       waits (subscription.c). So nothing that its session watches is moved without it
 *   N2  the session's `notices` is raised before the epoch is even again (release): who is IN after it (acquire) sees its number.
 *       What stands there is for the client alone; the count that the daemon goes by is told
 *   N3  of a row that its client gives up meanwhile nothing is told. It frees the tag before it clears the word: so a word that is 0
 *       by that was read before a tag that is free
 *   N4  a session that ends gets DROPPED into its `notices` before it is dead (release; subscription_of() acquires): a stop that leaves it
 *       out comes after that, so its client, which sees the stop, sees that it was left out
 *   N5  without room for the rows, in memory or by notice_limit, a notice says that it is incomplete, and nothing fails */
#include "daemon/notices.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/collector.h"
#include "daemon/session.h"
#include "daemon/server.h"
#include "daemon/shared_heap.h"
#include "plans/work/probe.h"
#include "shm/commit.h"

#define HEADROOM_LEFT_BYTES (UINT64_C(64) << 20) /* for everybody else */

/* ---- maps ---- */

static bool has_headroom(uint64_t bytes)
{
    uint64_t headroom;

    return shm_commit_headroom(&headroom) == 0 && headroom > HEADROOM_LEFT_BYTES && headroom - HEADROOM_LEFT_BYTES > bytes;
}

static uint64_t row_bytes(uint64_t count)
{
    return count * sizeof(struct shm_move);
}

static struct shm_move *map_room(const struct shared_heap *h, struct notice_map *map, uint64_t count)
{
    uint64_t bytes = row_bytes(count);

    if (count <= NOTICE_INLINE_MAX)
        return map->rows;
    if (bytes > h->server->config.notice_limit_bytes || !has_headroom(bytes) || shm_sheet_new(&map->sheet, bytes, "mmgc-notice") < 0)
        return NULL;
    return map->sheet.address;
}

static void map_clear(struct notice_map *map)
{
    shm_sheet_close(&map->sheet);
    map->count = 0;
    map->incomplete = false;
}

static void map_lose(struct notice_map *map)
{
    map_clear(map);
    map->incomplete = true;
}

/* @count rows of those that there was room for have been written. */
static void map_settle(struct notice_map *map, uint64_t count)
{
    bool in_sheet = map->sheet.fd >= 0;

    map->count = count;
    if (in_sheet && count <= NOTICE_INLINE_MAX) {
        memcpy(map->rows, map->sheet.address, row_bytes(count));
        shm_sheet_close(&map->sheet);
    } else if (in_sheet && shm_sheet_seal(&map->sheet, row_bytes(count)) < 0) {
        map_lose(map);
    }
}

void notices_init(struct notices *n)
{
    *n = (struct notices){ .map.sheet = SHM_SHEET_NONE };
}

void notices_fini(struct notices *n)
{
    map_clear(&n->map);
}

/* ---- before the collection ---- */

static struct shm_move *room_for_all(void *context, uint64_t count)
{
    struct shared_heap *h = context;

    return map_room(h, &h->notices.map, count);
}

static bool is_watched(uint32_t tag)
{
    return shm_row_kind(tag) == SHM_ROW_WATCHED && (tag & SHM_ROW_CLEARED) == 0;
}

/* Copies what its table watches. */
static void note_watched(const struct session *s, struct subscription *sub)
{
    struct heap_roots table;

    session_roots(s, &table);
    sub->watched_count = 0;
    sub->watched = malloc(((size_t)table.count + 1) * sizeof(*sub->watched));
    sub->lost = sub->watched == NULL;
    for (uint32_t i = 1; !sub->lost && i < table.count; i++) {
        uint32_t tag = at_load_acquire(&table.tags[i]), word = at_load_relaxed(&table.words[i]);
        if (is_watched(tag) && word != 0)
            sub->watched[sub->watched_count++] = (struct watched){ i, tag, word };
    }
}

/* NULL: it wants to know nothing. */
static struct subscription *subscription_of(struct session *s)
{
    return at_load_acquire(&s->dead) ? NULL : at_load_acquire(&s->subscription);
}

void notices_begin_stw(struct shared_heap *h, struct collector_task *task, struct heap_stop *stop)
{
    for (size_t i = 0; i < task->session_count; i++) {
        struct session *s = task->sessions[i];
        struct subscription *sub = subscription_of(s);
        if (sub == NULL)
            continue;
        if (!sub->all) {
            note_watched(s, sub);
        } else if (stop->moves == NULL) {
            h->notices.moves = (struct heap_moves){ .room = room_for_all, .context = h };
            stop->moves = &h->notices.moves;
        }
    }
}

/* ---- after it ---- */

static void settle_all(struct notices *n)
{
    uint64_t count = at_load_relaxed(&n->moves.count);

    if (count > n->moves.capacity)
        map_lose(&n->map);
    else
        map_settle(&n->map, count);
}

/* False: nothing has come of it that is to be told. */
static bool compare_row(const struct shared_heap *h, const struct heap_roots *table, const struct watched *w, struct shm_move *ret)
{
    uint32_t word = at_load_acquire(&table->words[w->slot]); /* N3 */
    uint32_t tag = at_load_acquire(&table->tags[w->slot]);
    bool died = word == 0 || (tag & SHM_ROW_CLEARED) != 0;

    if (shm_row_kind(tag) != SHM_ROW_WATCHED || shm_row_serial(tag) != shm_row_serial(w->tag) || (!died && word == w->word))
        return false;
    *ret = (struct shm_move){ w->word, died ? 0 : word, died ? 0 : heap_object_granules(h->heap, word) };
    return true;
}

static uint64_t count_changed(const struct shared_heap *h, const struct heap_roots *table, const struct subscription *sub)
{
    struct shm_move row;
    uint64_t count = 0;

    for (size_t i = 0; i < sub->watched_count; i++)
        count += compare_row(h, table, &sub->watched[i], &row);
    return count;
}

static void settle_watched(const struct shared_heap *h, const struct session *s, struct subscription *sub)
{
    struct heap_roots table;
    uint64_t most, count = 0;

    session_roots(s, &table);
    most = count_changed(h, &table, sub);
    struct shm_move *rows = map_room(h, &sub->map, most);
    if (rows == NULL || sub->lost) {
        map_lose(&sub->map);
        return;
    }
    for (size_t i = 0; i < sub->watched_count && count < most; i++) /* some may have been given up since */
        count += compare_row(h, &table, &sub->watched[i], &rows[count]);
    map_settle(&sub->map, count);
}

static void forget_watched(struct subscription *sub)
{
    free(sub->watched);
    sub->watched = NULL;
    sub->watched_count = 0;
    sub->lost = false;
}

static void tell(const struct shared_heap *h, struct session *s, struct subscription *sub, bool ended)
{
    const struct notice_map *map = sub->all ? &h->notices.map : &sub->map;

    if (map->count == 0 && !map->incomplete)
        return;
    sub->due = true;
    sub->collection = at_load_relaxed(&h->control->collections) + !ended;
    sub->told++;
    (void)atomic_fetch_add_explicit(&s->words->notices, 1, memory_order_release); /* N2 */
}

void notices_end_stw(struct shared_heap *h, struct collector_task *task)
{
    bool done = task->error == 0;

    if (done && h->notices.moves.context != NULL)
        settle_all(&h->notices);
    else
        map_clear(&h->notices.map);
    h->notices.moves = (struct heap_moves){ 0 };
    for (size_t i = 0; i < task->session_count; i++) {
        struct subscription *sub = subscription_of(task->sessions[i]);
        if (sub == NULL)
            continue;
        if (done && !sub->all)
            settle_watched(h, task->sessions[i], sub);
        forget_watched(sub);
        if (done)
            tell(h, task->sessions[i], sub, task->ended);
    }
}

/* ---- and when clients run again ---- */

static void fill_rows(wire_notice *notice, const struct notice_map *map, uint32_t *words)
{
    memcpy(words, map->rows, row_bytes(map->count)); /* three words a row, as there */
    notice->moves = words;
    notice->n_moves = 3 * map->count;
}

/* It has left so much untaken that it is told no more. */
static bool is_too_slow(const struct session *s, const struct subscription *sub, uint64_t bytes)
{
    return sub->count == NOTICES_WAITING_MAX || sub->waiting_bytes + bytes > s->server->config.notice_limit_bytes;
}

static void send_one(struct session *s, struct subscription *sub, const struct notice_map *map)
{
    struct packet_fds fds = { .fd = { map->sheet.fd }, .count = map->sheet.fd >= 0 };
    uint32_t words[3 * NOTICE_INLINE_MAX];
    wire_notice notice = wire_notice_init();
    wire_reply reply = wire_reply_init();

    if (is_too_slow(s, sub, row_bytes(map->count))) {
        session_end(s, MMGC_E_NO_NOTICES, "%u notices, %llu bytes, were not taken", sub->count, (unsigned long long)sub->waiting_bytes);
        return;
    }
    notice.number = sub->told;
    notice.collection = sub->collection;
    notice.incomplete = map->incomplete;
    notice.count = map->count;
    if (fds.count == 0)
        fill_rows(&notice, map, words);
    reply.body_case = WIRE_REPLY(NOTICE);
    reply.notice = &notice;
    subscription_sent(s, sub, row_bytes(map->count));
    MM_PROBE(notice, s->heap->name, s->id, sub->told, map->count);
    session_send(s, &reply, &fds);
}

void notices_send(struct shared_heap *h, struct collector_task *task)
{
    for (size_t i = 0; i < task->session_count; i++) {
        struct session *s = task->sessions[i];
        struct subscription *sub = at_load_relaxed(&s->subscription);
        if (sub == NULL)
            continue;
        if (sub->due && s->stage < SESSION_CLOSING)
            send_one(s, sub, sub->all ? &h->notices.map : &sub->map);
        sub->due = false;
        map_clear(&sub->map);
    }
    map_clear(&h->notices.map);
}
