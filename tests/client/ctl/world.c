/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/ctl/world.h"

#include <string.h>

#include "shm/base.h"

#define MIB (UINT64_C(1) << 20)
#define HEAPS_A_PAGE 2

static const char *const heap_names[WORLD_HEAPS] = { "arbor", "birch", WORLD_HOSTILE_HEAP, "fir",
                                                     "trees" };

static wire_heap_row heap_row(const struct world *world, size_t i)
{
    wire_heap_row row = wire_heap_row_init();

    row.name = (char *)heap_names[i];
    row.plan = (char *)"immix";
    row.max_bytes = 256 * MIB;
    row.used_bytes = (10 - 2 * world->collects) * MIB;
    row.live_bytes = 3 * MIB / 2;
    row.sessions = 2;
    row.threads = (uint32_t)i;
    row.collections = 41;
    row.corrupt = world->corrupt;
    if (world->collects > 0 && !world->stalls && world->looks > world->looks_until_done)
        row.collections = 42;
    return row;
}

static bool answer_list(int sock, const wire_request *request, const struct world *world)
{
    wire_heap_row rows[HEAPS_A_PAGE], *pointers[HEAPS_A_PAGE];
    wire_heap_rows page = wire_heap_rows_init();
    wire_reply reply = wire_reply_init();

    for (size_t i = 0; i < WORLD_HEAPS; i++) {
        if (strcmp(heap_names[i], request->heap_list->after) <= 0)
            continue;
        page.more = page.n_rows == HEAPS_A_PAGE;
        if (page.more)
            break;
        rows[page.n_rows] = heap_row(world, i);
        pointers[page.n_rows] = &rows[page.n_rows];
        page.n_rows++;
    }
    page.rows = pointers;
    reply.body_case = WIRE_REPLY(HEAP_ROWS);
    reply.heap_rows = &page;
    return fake_reply(sock, request, &reply);
}

/* Of @count pauses: quantiles that go up from @ns by as much each. */
static wire_pause_row pause_row(const char *kind, uint64_t count, uint64_t ns)
{
    wire_pause_row row = wire_pause_row_init();

    row.kind = (char *)kind;
    row.count = count;
    row.total_ns = count * ns;
    row.min_ns = ns / 2;
    row.p50_ns = ns;
    row.p90_ns = 2 * ns;
    row.p99_ns = 3 * ns;
    row.p99_9_ns = 4 * ns;
    row.p99_99_ns = 5 * ns;
    row.max_ns = 6 * ns;
    return row;
}

static void fill_generational(wire_heap_facts *facts)
{
    facts->concurrent_ns = UINT64_C(2500000000);
    facts->fallbacks = 3;
    facts->barrier_slow_paths = 123456;
    facts->barrier_losses = 2;
    facts->young_new_bytes = 800 * MIB;
    facts->promoted_bytes = 40 * MIB;
    facts->last_young_new_bytes = 16 * MIB;
    facts->last_promoted_bytes = 4 * MIB;
}

static bool answer_info(int sock, const wire_request *request, struct world *world)
{
    uint64_t stops[] = { 30000, 10000, 20000 }, pauses[] = { 3000000, 1000000, 2000000, 9000000 };
    wire_space_row space = wire_space_row_init(), *spaces[] = { &space };
    wire_packet_row packet = wire_packet_row_init(), *packets[] = { &packet };
    wire_option_row option = wire_option_row_init(), *options[] = { &option };
    wire_pause_row full = pause_row("full", 2, 2000000), young = pause_row("young", 39, 100000);
    wire_pause_row all_pauses = pause_row("all", 41, 150000), all_stops = pause_row("all", 41, 10000);
    wire_pause_row *kinds[] = { &full, &young };
    wire_heap_facts facts = wire_heap_facts_init();
    wire_reply reply = wire_reply_init();

    world->looks += world->collects;
    wire_heap_row row = heap_row(world, WORLD_HEAPS - 1);
    space.name = (char *)"immix";
    space.used_bytes = 2 * MIB;
    space.blocks = 64;
    space.live_bytes = MIB;
    option.key = (char *)"gc_trigger";
    option.value = (char *)"dynamic:16M,1G";
    packet.name = (char *)"SCAN_ROOTS";
    packet.count = 4;
    packet.total_ns = 4000;
    packet.min_ns = 500;
    packet.max_ns = 2000;
    facts.row = &row;
    facts.limit_bytes = 128 * MIB;
    facts.committed_bytes = 16 * MIB;
    facts.resident_bytes = 12 * MIB;
    facts.granted_bytes = 900 * MIB;
    facts.metadata_bytes = 4 * MIB;
    facts.live_objects = 12345;
    facts.types = 7;
    facts.names = 3;
    facts.handles = 11;
    facts.abandoned_stops = world->stalls && world->collects > 0 ? 6 : 5;
    facts.last_pause_ns = 9000000;
    facts.max_pause_ns = 12000000;
    facts.total_pause_ns = 99000000;
    facts.last_stop_ns = 20000;
    facts.max_stop_ns = 800000;
    facts.pages = (char *)"4 KiB: shmem_enabled is never";
    facts.workers = 2;
    facts.spaces = spaces;
    facts.n_spaces = 1;
    facts.options = options;
    facts.n_options = 1;
    facts.emergency_collections = 4;
    facts.packets = packets;
    facts.n_packets = 1;
    facts.recent_stop_ns = stops;
    facts.n_recent_stop_ns = MM_ARRAY_LEN(stops);
    facts.recent_pause_ns = pauses;
    facts.n_recent_pause_ns = MM_ARRAY_LEN(pauses);
    facts.pauses = kinds;
    facts.n_pauses = world->generational ? 2 : 1;
    facts.all_pauses = &all_pauses;
    facts.all_stops = &all_stops;
    if (world->generational)
        fill_generational(&facts);
    reply.body_case = WIRE_REPLY(HEAP_FACTS);
    reply.heap_facts = &facts;
    return fake_reply(sock, request, &reply);
}

/* Types 1 to 4, one a page: more objects the later, more bytes the earlier. */
static bool answer_histogram(int sock, const wire_request *request, struct world *world)
{
    static const char *const names[] = { "node", "leaf", "array", "big" };
    wire_histogram_row row = wire_histogram_row_init(), *rows[] = { &row };
    wire_histogram_rows page = wire_histogram_rows_init();
    wire_reply reply = wire_reply_init();
    uint32_t type = request->histogram->after_type + 1;

    world->last_after_type = request->histogram->after_type;
    row.type = type;
    row.name = (char *)names[(type - 1) % 4];
    row.objects = 10 * type;
    row.bytes = (5 - type) * 1024;
    page.rows = rows;
    page.n_rows = 1;
    page.more = type < 4;
    reply.body_case = WIRE_REPLY(HISTOGRAM_ROWS);
    reply.histogram_rows = &page;
    return fake_reply(sock, request, &reply);
}

/* Sessions 5 and 6, one a page; a thread of 6 is late. With a heap named, 6 alone. */
static bool answer_clients(int sock, const wire_request *request)
{
    wire_thread_row threads[2] = { wire_thread_row_init(), wire_thread_row_init() },
                    *rows[] = { &threads[0], &threads[1] };
    wire_client_row client = wire_client_row_init(), *clients[] = { &client };
    wire_client_rows page = wire_client_rows_init();
    wire_reply reply = wire_reply_init();
    bool second = request->clients->after_session == 5 || request->clients->heap[0] != '\0';

    threads[0].thread = 1;
    threads[0].name = (char *)"main";
    threads[0].tid = 4711;
    threads[0].state = (char *)"out";
    threads[1] = threads[0];
    threads[1].thread = 2;
    threads[1].name = (char *)"worker\r";
    threads[1].tid = 4712;
    threads[1].state = (char *)"in";
    threads[1].granted_bytes = 3 * MIB;
    threads[1].late_stops = 2;
    threads[1].max_stop_ns = UINT64_C(1200000000);
    client.session = second ? 6 : 5;
    client.name = (char *)(second ? "indexer" : "web");
    client.pid = 4700;
    client.uid = 0;
    client.heap = (char *)(second ? "trees" : "");
    client.connected_ms = 125000;
    client.handles = 3;
    client.leases = second;
    client.notices = (char *)(second ? "all" : "");
    client.notices_due = second ? 2 : 0;
    client.threads = rows;
    client.n_threads = second ? 2 : 0;
    page.rows = clients;
    page.n_rows = 1;
    page.more = !second;
    reply.body_case = WIRE_REPLY(CLIENT_ROWS);
    reply.client_rows = &page;
    return fake_reply(sock, request, &reply);
}

/* What a table's rows are like: a handle of session 5, then an empty page, then leases of 6, one of which is waited for. */
static wire_handle_row table_row(bool lease, bool second)
{
    wire_handle_row row = wire_handle_row_init();

    row.session = lease ? 6 : 5;
    row.client = (char *)(lease ? "indexer" : "web");
    row.pid = 4700;
    row.heap = (char *)"trees";
    row.slot = second ? 9 : 7;
    row.kind = (char *)(lease ? "exclusive" : second ? "soft" : "strong");
    row.name = (char *)"adding\033";
    row.ref = 512;
    row.type = (char *)"node";
    row.bytes = 24;
    row.age_ms = 7000;
    row.held = !lease || !second;
    row.waiters = lease ? 2 : 0;
    return row;
}

static bool answer_handles(int sock, const wire_request *request, struct world *world)
{
    const wire_handles *asked = request->handles;
    bool second = asked->after_session == 5 && asked->after_slot == 8;
    wire_handle_row row = table_row(false, second), *rows[] = { &row };
    wire_handle_rows page = wire_handle_rows_init();
    wire_reply reply = wire_reply_init();

    world->last_session = asked->session;
    page.rows = rows;
    page.n_rows = asked->after_slot != 7; /* after the first comes one without rows */
    page.more = !second;
    page.last_session = 5;
    page.last_slot = second ? 9 : asked->after_slot == 7 ? 8 : 7;
    reply.body_case = WIRE_REPLY(HANDLE_ROWS);
    reply.handle_rows = &page;
    if (world->circles)
        page.last_slot = 7, page.more = true;
    return fake_reply(sock, request, &reply);
}

static bool answer_leases(int sock, const wire_request *request, struct world *world)
{
    bool second = request->handles->after_slot != 0;
    wire_handle_row row = table_row(true, second), *rows[] = { &row };
    wire_handle_rows page = wire_handle_rows_init();
    wire_reply reply = wire_reply_init();

    world->last_session = request->handles->session;
    page.rows = rows;
    page.n_rows = 1;
    page.more = !second;
    page.last_session = 6;
    page.last_slot = row.slot;
    reply.body_case = WIRE_REPLY(HANDLE_ROWS);
    reply.handle_rows = &page;
    return fake_reply(sock, request, &reply);
}

/* Root, whom nothing bounds, and 4242, who has as many heaps as it may: one a page. */
static bool answer_users(int sock, const wire_request *request, const struct world *world)
{
    bool second = request->users->from_uid > 0;
    wire_user_row row = wire_user_row_init(), *rows[] = { &row };
    wire_user_rows page = wire_user_rows_init();
    wire_reply reply = wire_reply_init();

    row.uid = second && !world->circles ? 4242 : 0;
    row.section = (char *)"user";
    row.heaps = 2;
    row.bytes = 6 << 20;
    row.sessions = 3;
    row.files = 17;
    row.refused = second ? 5 : 0;
    row.trusted = !second;
    row.max_heaps = second ? 2 : UINT64_MAX;
    row.max_bytes = second ? 64 << 20 : UINT64_MAX;
    row.max_sessions = row.max_threads = row.max_handles = row.max_leases = row.max_types = second ? 100 : UINT64_MAX;
    row.requests_per_second = row.connections_per_second = second ? 1000 : UINT64_MAX;
    page.rows = rows;
    page.n_rows = 1;
    page.more = !second || world->circles;
    page.files = 60;
    page.max_files = 1024;
    reply.body_case = WIRE_REPLY(USER_ROWS);
    reply.user_rows = &page;
    return fake_reply(sock, request, &reply);
}

static bool answer_revoke(int sock, const wire_request *request, struct world *world)
{
    const wire_lease_revoke *revoke = request->lease_revoke;

    if (revoke->session != 6 || revoke->slot != 7)
        return fake_error(sock, request, MMGC_E_DROPPED, "no lease");
    world->revoked++;
    return fake_done(sock, request);
}

static bool answer_evict(int sock, const wire_request *request, struct world *world)
{
    wire_evicted evicted = wire_evicted_init();
    wire_reply reply = wire_reply_init();

    if (request->evict->session != 6)
        return fake_error(sock, request, MMGC_E_INVALID, "no such client");
    world->evicted++;
    evicted.name = (char *)"web";
    evicted.pid = 4711;
    evicted.connections = 2;
    reply.body_case = WIRE_REPLY(EVICTED);
    reply.evicted = &evicted;
    return fake_reply(sock, request, &reply);
}

/* Names "aa" and a hostile one, one a page. */
static bool answer_roots(int sock, const wire_request *request)
{
    wire_root_row row = wire_root_row_init(), *rows[] = { &row };
    wire_root_rows page = wire_root_rows_init();
    wire_reply reply = wire_reply_init();
    bool second = request->roots->after_name[0] != '\0';

    row.name = (char *)(second ? WORLD_HOSTILE_ROOT : "aa");
    row.ref = 512;
    row.type = (char *)"node";
    row.bytes = 24;
    page.rows = rows;
    page.n_rows = 1;
    page.more = !second;
    page.handles = 11;
    page.local_slots = 4;
    reply.body_case = WIRE_REPLY(ROOT_ROWS);
    reply.root_rows = &page;
    return fake_reply(sock, request, &reply);
}

static bool answer_collect(int sock, const wire_request *request, struct world *world)
{
    wire_collect_started started = wire_collect_started_init();
    wire_reply reply = wire_reply_init();

    world->collects++;
    started.number = world->ignores ? 41 : 42;
    started.ignored = world->ignores;
    reply.body_case = WIRE_REPLY(COLLECT_STARTED);
    reply.collect_started = &started;
    return fake_reply(sock, request, &reply);
}

static bool answer_verify(int sock, const wire_request *request, const struct world *world)
{
    wire_fault_row row = wire_fault_row_init(), *rows[] = { &row };
    wire_quarantine quarantine = wire_quarantine_init();
    wire_verdict verdict = wire_verdict_init();
    wire_reply reply = wire_reply_init();

    row.fault = (char *)"a reference outside\nthe arena";
    row.object = 16;
    row.ref = 4096;
    row.header = UINT64_C(0xfedcba9876543210);
    row.type = (char *)"node";
    verdict.clean = !world->faulty;
    verdict.objects = 100;
    verdict.references = 250;
    verdict.reachable_objects = 60;
    verdict.reachable_bytes = 6144;
    if (world->faulty) {
        verdict.faults = 3;
        verdict.rows = rows;
        verdict.n_rows = 1;
        verdict.quarantine = &quarantine;
        quarantine.why = (char *)"a second\ntrace";
        quarantine.age_ms = 7000;
        quarantine.collections = 12;
        quarantine.writers = (char *)"web (pid 7)";
        quarantine.rows = rows;
        quarantine.n_rows = 1;
    }
    reply.body_case = WIRE_REPLY(VERDICT);
    reply.verdict = &verdict;
    return fake_reply(sock, request, &reply);
}

/* What @request names; NULL if it names nothing. */
static const char *heap_of(const wire_request *request)
{
    switch (request->body_case) {
    case WIRE_REQUEST(HEAP_INFO): return request->heap_info->name;
    case WIRE_REQUEST(HISTOGRAM): return request->histogram->heap;
    case WIRE_REQUEST(ROOTS): return request->roots->heap;
    case WIRE_REQUEST(COLLECT): return request->collect->heap;
    case WIRE_REQUEST(VERIFY): return request->verify->heap;
    case WIRE_REQUEST(HEAP_DESTROY): return request->heap_destroy->name;
    case WIRE_REQUEST(LEASE_REVOKE): return request->lease_revoke->heap;
    default: return NULL;
    }
}

bool world_answer(int sock, const wire_request *request, void *context)
{
    struct world *world = context;
    const char *heap = heap_of(request);

    if (heap != NULL && strcmp(heap, "trees") != 0)
        return fake_error(sock, request, MMGC_E_NO_HEAP, heap);
    switch (request->body_case) {
    case WIRE_REQUEST(HELLO): return fake_welcome(sock, request);
    case WIRE_REQUEST(HEAP_LIST): return answer_list(sock, request, world);
    case WIRE_REQUEST(HEAP_INFO): return answer_info(sock, request, world);
    case WIRE_REQUEST(HISTOGRAM): return answer_histogram(sock, request, world);
    case WIRE_REQUEST(CLIENTS): return answer_clients(sock, request);
    case WIRE_REQUEST(ROOTS): return answer_roots(sock, request);
    case WIRE_REQUEST(COLLECT): return answer_collect(sock, request, world);
    case WIRE_REQUEST(VERIFY): return answer_verify(sock, request, world);
    case WIRE_REQUEST(HANDLES):
        return request->handles->leases ? answer_leases(sock, request, world) : answer_handles(sock, request, world);
    case WIRE_REQUEST(LEASE_REVOKE): return answer_revoke(sock, request, world);
    case WIRE_REQUEST(EVICT): return answer_evict(sock, request, world);
    case WIRE_REQUEST(USERS): return answer_users(sock, request, world);
    case WIRE_REQUEST(PING): return fake_done(sock, request);
    case WIRE_REQUEST(HEAP_DESTROY):
        if (world->busy && !request->heap_destroy->force)
            return fake_error(sock, request, MMGC_E_HEAP_BUSY, "2 clients");
        world->destroyed++;
        return fake_done(sock, request);
    default: return fake_error(sock, request, MMGC_E_ORDER, "");
    }
}
