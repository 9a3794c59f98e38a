/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/daemon/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shm/object.h"
#include "tests/support/runner.h"

struct memory memory;
static uint32_t bytes_type;

struct shm_grant memory_newest_run(void)
{
    uint32_t last = at_load_acquire(&memory.thread.m->mail[SHM_GRANT_LARGE].published) - 1;

    return shm_mutator_ring(memory.thread.m, SHM_GRANT_LARGE)[last % shm_ring_capacity(SHM_GRANT_LARGE)];
}

char *memory_bytes_of(struct shm_grant run)
{
    return memory.client.arena + 8 * (uint64_t)run.start;
}

static uint32_t define_bytes(struct raw *client)
{
    RAW(define, TYPE_DEFINE, type_define);

    define_body.name = (char *)"bytes";
    define_body.element_bytes = 1;
    wire_reply *reply = raw_ask(client, &define);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(TYPE_DEFINED));
    uint32_t id = reply->type_defined->id;
    wire_reply_free(reply);
    return id;
}

/* Under a plan that collects when it is asked to or full, and not in between: what a raw thread has taken and not named yet is garbage. */
static const char *with_plan(const char *options)
{
    static char text[256];

    if (options != NULL && strstr(options, "plan=") != NULL)
        return options;
    snprintf(text, sizeof(text), "plan=immix %s", options == NULL ? "" : options);
    return text;
}

void memory_open(uint64_t bytes, const char *options)
{
    memory.daemon = daemon_start("[daemon]\nthreads = 2\ntrigger_deadline = 300ms\n");
    raw_start(&memory.admin, memory.daemon, "admin");
    raw_start(&memory.client, memory.daemon, "client");
    memory.client.options = with_plan(options);
    raw_open(&memory.client, "h", bytes);
    raw_attach(&memory.thread, &memory.client, "one");
    bytes_type = define_bytes(&memory.client);
}

void memory_close(void)
{
    raw_close(&memory.client);
    raw_close(&memory.admin);
    daemon_stop(memory.daemon);
}

/* ---- what a thread does ---- */

void memory_take_all(struct raw_thread *th, enum shm_grant_class class)
{
    at_store_release(&th->m->mail[class].taken, at_load_acquire(&th->m->mail[class].published));
}

/* Garbage of the next collection: taken and never filled. */
enum mmgc_error memory_waste(struct raw_thread *th, uint64_t bytes)
{
    enum mmgc_error code = raw_grant(th, SHM_GRANT_LARGE, bytes);

    memory_take_all(th, SHM_GRANT_LARGE);
    return code;
}

void memory_name(const char *name, uint32_t ref)
{
    RAW(set, NAME_SET, name_set);

    set_body.name = (char *)name;
    set_body.ref = ref;
    ck_assert_int_eq(raw_try(&memory.client, &set), MMGC_E_OK);
}

/* Of what raw_grant() has just brought: an object with a name. */
static void fill(const char *called, uint64_t bytes)
{
    struct shm_grant run = memory_newest_run();

    *(volatile uint64_t *)memory_bytes_of(run) = object_header(bytes_type, (uint32_t)(bytes - 64));
    memory_take_all(&memory.thread, SHM_GRANT_LARGE);
    memory_name(called, run.start + 1);
}

enum mmgc_error memory_keep(const char *called, uint64_t bytes)
{
    enum mmgc_error code = raw_grant(&memory.thread, SHM_GRANT_LARGE, bytes);

    if (code == MMGC_E_OK)
        fill(called, bytes);
    return code;
}

enum mmgc_error memory_reserve(uint64_t bytes)
{
    RAW(grant, GRANT, grant);

    grant_body.thread = memory.thread.id;
    grant_body.grant_class = SHM_GRANT_BLOCKS;
    grant_body.bytes = bytes;
    grant_body.reserve = true;
    grant_body.mail_serial = ++memory.thread.mail_serial;
    raw_send(&memory.client, &grant);
    return raw_grant_wait(&memory.thread, SHM_GRANT_BLOCKS);
}

uint64_t memory_reserved_bytes(uint32_t from)
{
    uint32_t published = at_load_acquire(&memory.thread.m->mail[SHM_GRANT_BLOCKS].published);
    uint64_t bytes = 0;

    for (uint32_t i = from; i != published; i++)
        bytes += 8 * (uint64_t)shm_mutator_ring(memory.thread.m, SHM_GRANT_BLOCKS)[i % shm_ring_capacity(SHM_GRANT_BLOCKS)].granules;
    return bytes;
}

/* ---- what can be seen of the heap ---- */

struct memory_sizes memory_sizes(void)
{
    RAW(info, HEAP_INFO, heap_info);

    info_body.name = (char *)"h";
    wire_reply *reply = raw_ask(&memory.admin, &info);
    ck_assert_int_eq(reply->body_case, WIRE_REPLY(HEAP_FACTS));
    const wire_heap_facts *facts = reply->heap_facts;
    struct memory_sizes s = { facts->limit_bytes, facts->row->used_bytes, facts->committed_bytes, facts->resident_bytes,
                              facts->foreign_bytes, facts->foreign_punched_bytes };
    wire_reply_free(reply);
    return s;
}

uint64_t memory_collect(void)
{
    uint64_t number = raw_collect_begin(&memory.client, "h");

    raw_collect_wait(&memory.client, number);
    return mm_now_ns();
}

uint64_t memory_limit(void)
{
    return at_load_relaxed(&memory.client.control->limit_bytes);
}

void memory_await_limit(uint64_t least, uint64_t most)
{
    for (int tick = 0; memory_limit() < least || memory_limit() > most; tick++, usleep(1000))
        ck_assert_msg(tick < 10000, "the limit is still %llu, not %llu to %llu", (unsigned long long)memory_limit(),
                      (unsigned long long)least, (unsigned long long)most);
}

enum mmgc_error memory_resize(struct raw *client, const char *heap, uint64_t bytes)
{
    RAW(request, HEAP_RESIZE, heap_resize);

    request_body.heap = (char *)heap;
    request_body.limit_bytes = bytes;
    return raw_try(client, &request);
}
