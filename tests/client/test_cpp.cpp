/* SPDX-License-Identifier: Apache-2.0 */
/* mmgc.hpp as a program meets it, under every plan: the library and the real daemon. That it compiles, and what it costs: header.py. */
#include <mmgc/mmgc.hpp>

#include <cstring>
#include <dirent.h>
#include <memory>
#include <optional>
#include <string>

extern "C" {
#include "tests/client/plan_names.h"
#include "tests/support/daemon.h"
#include "tests/support/runner.h"
}

namespace {

using namespace std::chrono_literals;

struct node {
    mmgc::ref<node> left, right;
    int64_t value;
    mmgc::ref<node> kids[3];
};
struct entry {
    int64_t value;
    mmgc::weak_ref<node> weak;
    mmgc::phantom_ref<node> phantom;
    mmgc::ephemeron<node, node> pair;
    mmgc::queue_ref queue;
    mmgc::link_ref<entry> next;
};
struct plain { /* as a C program has it */
    mmgc_ref left, right;
    int64_t value;
    mmgc_ref kids[3];
};

struct world { /* each goes before what it was made of */
    world(int of, bool exact) : plan(of), client(daemon_socket(mmgcd), "test")
    {
        mmgc_heap_options options = mmgc_heap_options();
        mmgc_thread_options thread_options = mmgc_thread_options();
        options.create = true;
        options.max_bytes = UINT64_C(16) << 20;
        options.plan = plan_name_of(of);
        options.options = "sanity=on";
        thread_options.exact = exact;
        heap = mmgc::heap(client, "heap", options);
        thread = mmgc::thread(heap, thread_options);
        node_type = mmgc::define<node>(heap, "node", &node::left, &node::right, &node::kids);
        entry_type = mmgc::define<entry>(heap, "entry", &entry::weak, &entry::phantom, &entry::pair, &entry::queue, &entry::next);
    }
    bool collect(mmgc::inside in) const /* [safepoint] false: there is no such thing */
    {
        try {
            in.gc();
        } catch (const mmgc::error &e) {
            ck_assert_int_eq(e.code(), MMGC_E_UNSUPPORTED);
            ck_assert(!plan_collects(plan));
            return false;
        }
        return true;
    }
    node *make(mmgc::inside in, int64_t value) const
    {
        node *n = in.make(node_type);
        n->value = value;
        return n;
    }

    static struct daemon *mmgcd;
    int plan;
    mmgc::client client;
    mmgc::heap heap;
    mmgc::thread thread;
    mmgc::type<node> node_type;
    mmgc::type<entry> entry_type;
};
struct daemon *world::mmgcd;

void setup()
{
    world::mmgcd = daemon_start(nullptr);
}

void teardown()
{
    daemon_stop(world::mmgcd);
}

int fd_count()
{
    std::unique_ptr<DIR, int (*)(DIR *)> dir(opendir("/proc/self/fd"), closedir);
    int count = 0;

    ck_assert(dir != nullptr);
    while (readdir(dir.get()) != nullptr)
        count++;
    return count;
}

void nothing_is_left(const mmgc::heap &heap)
{
    const struct mmgc_handle_counts none = {}, counts = heap.counts();

    ck_assert_mem_eq(&counts, &none, sizeof(counts));
}

/* What @call throws; MMGC_OK: nothing. */
template <class F> int code_of(F call)
{
    try {
        call();
    } catch (const mmgc::error &e) {
        return e.code();
    }
    return MMGC_OK;
}

/* ---- owners ------------------------------------------------------------------------------------------------------ */

START_TEST(all_that_is_taken_is_given_back_at_the_end_of_its_block)
{
    const int fds = fd_count();
    for (int round = 0; round < 3; round++) {
        world w(_i, false);
        mmgc::notices notices(w.heap);
        {
            mmgc::scope in(w.thread);
            node *n = w.make(in, 1), *m = w.make(in, 2);
            mmgc::handle<node> strong(in, n), second = strong.dup(in);
            mmgc::weak<node> weak(in, n);
            mmgc::soft<node> soft(in, n);
            mmgc::guard guard(in, n, 7);
            mmgc::shared<node> shared(in, n), again(in, n);
            mmgc::exclusive<node> exclusive(in, m);
            mmgc::watched watched(notices, in, n);
            const struct mmgc_handle_counts counts = w.heap.counts();
            ck_assert_uint_eq(counts.strong, 2);
            ck_assert_uint_eq(counts.weak, 1);
            ck_assert_uint_eq(counts.soft, 1);
            ck_assert_uint_eq(counts.guarded, 1);
            ck_assert_uint_eq(counts.shared, 2);
            ck_assert_uint_eq(counts.exclusive, 1);
        }
        nothing_is_left(w.heap);
        ck_assert_int_gt(fd_count(), fds);
    }
    ck_assert_int_eq(fd_count(), fds);
}
END_TEST

template <class Owner> void moves(Owner &owner)
{
    Owner other(std::move(owner));
    ck_assert(!owner && other);
    Owner third;
    ck_assert(!third);
    third = std::move(other);
    ck_assert(!other && third);
    Owner &same = third;
    third = std::move(same); /* onto itself */
    ck_assert(third);
    other = Owner();
    owner = std::move(third); /* an owner that has been moved from may have something again */
    ck_assert(owner && !third);
}

START_TEST(what_was_moved_from_has_nothing)
{
    world w(_i, false);
    mmgc::notices notices(w.heap);
    {
        mmgc::scope in(w.thread);
        node *n = w.make(in, 1), *m = w.make(in, 2);
        mmgc::handle<node> strong(in, n);
        mmgc::weak<node> weak(in, n);
        mmgc::soft<node> soft(in, n);
        mmgc::guard guard(in, n);
        mmgc::shared<node> shared(in, n);
        mmgc::exclusive<node> exclusive(in, m);
        mmgc::watched watched(notices, in, n);
        moves(strong);
        moves(weak);
        moves(soft);
        moves(guard);
        moves(shared);
        moves(exclusive);
        moves(watched);
        ck_assert_ptr_eq(strong.get(in), n);
        ck_assert_ptr_eq(weak.get(in), n);
        ck_assert_ptr_eq(shared.get(), n);
        ck_assert(exclusive.held());

        mmgc::handle<node> strong2(std::move(strong));
        mmgc::weak<node> weak2(std::move(weak));
        mmgc::exclusive<node> exclusive2(std::move(exclusive));
        ck_assert_ptr_null(strong.get(in));
        ck_assert_ptr_null(weak.get(in));
        ck_assert(!weak.upgrade(in));
        ck_assert_ptr_null(exclusive.get());
        ck_assert(!exclusive.held() && exclusive2.held());
        ck_assert_uint_eq(w.heap.counts().strong, 1);
        ck_assert_uint_eq(w.heap.counts().weak, 1);
    }
    nothing_is_left(w.heap);
    moves(notices);
    moves(w.thread);
    moves(w.heap);
    moves(w.client);
    w.client.ping();
}
END_TEST

START_TEST(an_assignment_ends_what_was_there)
{
    world w(_i, false);
    mmgc::scope in(w.thread);
    node *n = w.make(in, 1), *m = w.make(in, 2);
    mmgc::handle<node> handle(in, n);
    mmgc::exclusive<node> lease(in, n);

    handle = mmgc::handle<node>(in, m);
    lease = mmgc::exclusive<node>(in, m);
    ck_assert_uint_eq(w.heap.counts().strong, 1);
    ck_assert_uint_eq(w.heap.counts().exclusive, 1);
    ck_assert_ptr_eq(handle.get(in), m);
    ck_assert_ptr_eq(lease.get(), m);
    ck_assert(mmgc::exclusive<node>::attempt(in, n));
}
END_TEST

START_TEST(owners_adopt_what_c_calls_yield_and_release_it)
{
    world w(_i, false);
    mmgc_client *raw;

    ck_assert_int_eq(mmgc_connect(daemon_socket(world::mmgcd), "raw", &raw), MMGC_OK);
    mmgc::client client(raw);
    ck_assert_ptr_eq(client.get(), raw);
    ck_assert_ptr_eq(client.release(), raw);
    ck_assert(!client);
    mmgc_disconnect(raw);

    mmgc::scope in(w.thread);
    mmgc_handle row;
    ck_assert_int_eq(mmgc_handle_new(in.get(), w.make(in, 5), &row), MMGC_OK);
    {
        mmgc::handle<node> handle(in.heap_of(), row);
        ck_assert_int_eq(handle.get(in)->value, 5);
        row = handle.release();
    }
    ck_assert_int_eq(mmgc_handle_drop(in.heap_of(), row), MMGC_OK);
}
END_TEST

/* ---- exceptions -------------------------------------------------------------------------------------------------- */

struct stopped {};

START_TEST(an_exception_ends_holds_and_leases_on_its_way)
{
    world w(_i / 2, _i % 2 == 1);
    mmgc::scope in(w.thread);
    mmgc::handle<node> kept(in, w.make(in, 1));

    for (int round = 0; round < 100; round++) {
        try {
            mmgc::exclusive<node> lease(in, kept.get(in), 5s, "throws");
            mmgc::hold outer(in);
            for (int i = 0; i < 1000; i++)
                (void)w.make(in, i);
            mmgc::hold inner(in);
            node *n = w.make(in, 2);
            mmgc::local_scope locals(in);
            mmgc::local<node> local = locals.keep(n);
            lease->value += local->value - 1;
            ck_assert_uint_gt(outer.bytes(), 0);
            throw stopped();
        } catch (const stopped &) {
        }
        ck_assert_uint_eq(w.heap.counts().exclusive, 0);
        ck_assert(mmgc::exclusive<node>::attempt(in, kept.get(in)));
    }
    ck_assert_int_eq(kept.get(in)->value, 101);
    const mmgc_hold_options options = mmgc_hold_options();
    mmgc_hold first;
    ck_assert_int_eq(mmgc_hold_begin(in.get(), &options, &first), MMGC_OK);
    ck_assert_uint_eq(first.depth, 1); /* none is open */
    ck_assert_int_eq(mmgc_hold_end(in.get(), first, nullptr, 0), MMGC_OK);
}
END_TEST

START_TEST(an_exception_ends_the_scope_and_all_else)
{
    const int fds = fd_count();
    try {
        world w(_i, false);
        mmgc::scope in(w.thread);
        mmgc::hold hold(in);
        (void)w.make(in, 1);
        throw stopped();
    } catch (const stopped &) {
    }
    ck_assert_int_eq(fd_count(), fds);
    world w(_i, false); /* a thread attaches once: the one before is detached */
    {
        mmgc::scope in(w.thread);
        ck_assert_int_eq(code_of([&] { mmgc::scope twice(w.thread); }), MMGC_E_IS_IN);
        ck_assert_int_eq(w.make(in, 3)->value, 3); /* the one that did not begin has not ended this */
    }
    ck_assert_int_eq(code_of([&] { mmgc::handle<node>(mmgc::inside(w.thread.get(), w.heap.get()), nullptr); }), MMGC_E_NOT_IN);
}
END_TEST

START_TEST(who_throws_outside_is_inside_again_where_it_is_caught)
{
    world w(_i, true);
    mmgc::scope in(w.thread);
    mmgc::handle<node> kept(in, w.make(in, 4));
    bool caught = false;

    try {
        in.outside([&] {
            ck_assert_int_eq(mmgc_poll_slow_(in.get()), MMGC_E_NOT_IN);
            throw stopped();
        });
    } catch (const stopped &) {
        caught = true;
        ck_assert_int_eq(kept.get(in)->value, 4);
    }
    ck_assert(caught);
    ck_assert_int_eq(in.outside([] { return 42; }), 42);
    ck_assert_int_eq(kept.get(in)->value, 4);
}
END_TEST

START_TEST(errors_have_their_code_and_say_what_it_means)
{
    world w(_i, false);
    mmgc::scope in(w.thread);
    std::string what;

    try {
        mmgc::heap missing(w.client, "no such heap");
    } catch (const std::exception &e) {
        what = e.what();
    }
    ck_assert_msg(what.find(mmgc_strerror(MMGC_E_NO_HEAP)) == 0, "%s", what.c_str());
    ck_assert_int_eq(code_of([] { mmgc::client("/nowhere/at/all"); }), MMGC_E_NO_DAEMON);
    ck_assert_int_eq(code_of([&] { (void)mmgc::define<int64_t>(w.heap, "node"); }), MMGC_E_TYPE_CLASH);
    ck_assert_ptr_null(in.find<node>("nothing has this name"));
    node *n = w.make(in, 1);
    mmgc::exclusive<node> lease(in, n);
    ck_assert(!mmgc::exclusive<node>::attempt(in, n));
    ck_assert(!mmgc::shared<node>::attempt(in, n));
    ck_assert_int_eq(code_of([&] { mmgc::shared<node>(in, n, 1ms); }), MMGC_E_TIMEOUT);
    ck_assert_int_eq(code_of([&] { mmgc::shared<node>(in, n, -1ns); }), MMGC_E_BUSY);
    ck_assert_int_eq(code_of([&] { mmgc::handle<int>(in, reinterpret_cast<int *>(&what)); }), MMGC_E_NO_OBJECT);
    ck_assert_uint_eq(w.heap.counts().shared, 0);
}
END_TEST

START_TEST(a_full_heap_throws_or_yields_nothing_as_one_asks)
{
    world w(_i, false);
    mmgc::scope in(w.thread);
    const auto refs = mmgc::refs<node>(w.heap);
    mmgc::handle<mmgc::ref<node>> kept[20];
    int code = MMGC_OK, made = 0;

    for (; made < 20 && code == MMGC_OK; made++) /* 1 MiB each, of 16 */
        code = code_of([&] { kept[made] = mmgc::handle<mmgc::ref<node>>(in, in.make(refs, 1u << 18)); });
    ck_assert_int_eq(code, MMGC_E_NOMEM);
    ck_assert_int_gt(made, 4);
    ck_assert_ptr_null(in.try_make(refs, 1u << 18));
    ck_assert_int_eq(in.last_error(), MMGC_E_NOMEM);
}
END_TEST

/* ---- objects ----------------------------------------------------------------------------------------------------- */

START_TEST(a_type_is_the_one_that_c_programs_define)
{
    world w(_i, false);
    mmgc_type plain, again;

    ck_assert_int_eq(mmgc_type_struct(w.heap.get(), "node", sizeof(struct plain), &plain, 5u, offsetof(struct plain, left), offsetof(struct plain, right),
                                      offsetof(struct plain, kids[0]), offsetof(struct plain, kids[1]), offsetof(struct plain, kids[2])), MMGC_OK);
    ck_assert_ptr_eq(plain, w.node_type.raw);
    ck_assert_int_eq(mmgc_type_struct(w.heap.get(), "entry", sizeof(entry), &again, 5u, offsetof(entry, weak) | size_t(1) << 24,
                                      offsetof(entry, phantom) | size_t(3) << 24, offsetof(entry, pair) | size_t(4) << 24,
                                      offsetof(entry, queue) | size_t(5) << 24, offsetof(entry, next) | size_t(6) << 24), MMGC_OK);
    ck_assert_ptr_eq(again, w.entry_type.raw);
}
END_TEST

/* A complete tree of @depth, each made before what refers to it. The collector sees the pointers on the stack. */
node *tree_new(const world &w, mmgc::inside in, int depth)
{
    node *left = depth > 0 ? tree_new(w, in, depth - 1) : nullptr;
    node *n = w.make(in, depth);

    in.set(n, &node::left, left);
    in.set(n, n->kids[2], left);
    in.set(n, &node::right, depth > 0 ? tree_new(w, in, depth - 1) : nullptr);
    return n;
}

int tree_size(mmgc::inside in, const node *n)
{
    if (n == nullptr)
        return 0;
    ck_assert_ptr_eq(in.get(n->kids[2]), in.get(n->left));
    ck_assert_ptr_null(in.get(n->kids[0]));
    return 1 + tree_size(in, in.get(n->left)) + tree_size(in, in.get(n->right));
}

START_TEST(what_typed_references_reach_survives)
{
    world w(_i, false);
    mmgc::scope in(w.thread);
    node *root = tree_new(w, in, 8);

    for (int round = 0; round < 3; round++) {
        (void)w.collect(in);
        ck_assert_int_eq(tree_size(in, root), 511);
    }
}
END_TEST

START_TEST(rows_of_references_hold_and_let_go)
{
    world w(_i, true);
    mmgc::scope in(w.thread);
    mmgc::local_scope locals(in);
    auto row = locals.keep(in.make(mmgc::refs<node>(w.heap), 8));
    auto weak = locals.keep(in.make(mmgc::weak_refs<node>(w.heap), 8));

    ck_assert_uint_eq(mmgc::length(row.get()), 8);
    for (int i = 0; i < 8; i++) {
        const auto n = locals.keep(w.make(in, i));
        in.set(row.get(), row.get()[i], i % 2 == 0 ? n.get() : nullptr);
        in.set(weak.get(), weak.get()[i], n.get());
    }
    node *n = in.make(w.node_type);
    ck_assert_ptr_null(in.exchange(n, &node::left, in.get(row.get()[0])));
    ck_assert_ptr_eq(in.exchange(n, &node::left, nullptr), in.get(row.get()[0]));
    ck_assert(in.cas(row.get(), row.get()[1], nullptr, in.get(row.get()[0])));
    ck_assert(!in.cas(row.get(), row.get()[1], nullptr, in.get(row.get()[2])));
    for (int i = 0; i < 8; i += 2)
        ck_assert_int_eq(in.get(row.get()[i])->value, i);
    in.fill(row.get(), row.get() + 4, in.get(row.get()[2]), 4);
    in.copy(row.get(), row.get(), row.get() + 4, 4);
    (void)w.collect(in);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(in.get(row.get()[i])->value, 2);
}
END_TEST

/* ---- what keeps nothing alive ------------------------------------------------------------------------------------ */

/* An entry about a node that nothing else has, when this returns. */
void entry_fill(const world &w, mmgc::inside in, mmgc::local<entry> e, mmgc::weak<node> &weak)
{
    mmgc::local_scope locals(in);
    const auto n = locals.keep(w.make(in, 7)), data = locals.keep(w.make(in, 8));
    const auto queue = locals.keep(in.make_queue());

    in.set(e.get(), &entry::weak, n.get());
    in.set(e.get(), &entry::phantom, n.get());
    in.set(e.get(), &entry::pair, n.get(), data.get());
    in.set(e.get(), &entry::queue, queue.get());
    weak = mmgc::weak<node>(in, n.get());
    (void)w.collect(in);
    ck_assert_ptr_eq(in.get(e->weak), n.get());
    ck_assert_ptr_eq(weak.get(in), n.get());
    ck_assert_ptr_eq(in.get(e->pair, n.get()), data.get());
    ck_assert_ptr_null(in.get(e->pair, data.get()));
    ck_assert_int_eq(data->value, 8);
    ck_assert_int_eq(weak.upgrade(in).get(in)->value, 7);
    ck_assert_uint_eq(w.heap.counts().strong, 0); /* what upgrade() gave is gone again */
    ck_assert(!mmgc::is_null(e->phantom));
}

START_TEST(weak_ones_are_cleared_and_announced)
{
    world w(_i, true);
    mmgc::scope in(w.thread);
    mmgc::local_scope locals(in);
    const auto e = locals.keep(in.make(w.entry_type));
    mmgc::weak<node> weak;

    entry_fill(w, in, e, weak);
    const auto queue = locals.keep(in.get(e->queue));
    if (!w.collect(in))
        return;
    ck_assert_ptr_null(in.get(e->weak));
    ck_assert_ptr_null(weak.get(in));
    ck_assert(weak && !weak.upgrade(in));
    ck_assert(mmgc::is_null(e->weak) && mmgc::is_null(e->phantom) && mmgc::is_null(e->pair));
    entry *first = in.take<entry>(queue.get());
    ck_assert_ptr_eq(first, e.get());
    ck_assert_ptr_null(in.get(first->next));
    ck_assert_ptr_null(in.take<entry>(queue.get()));
}
END_TEST

START_TEST(a_guard_gives_its_object_back_unless_it_goes_before)
{
    world w(_i, true);
    mmgc::scope in(w.thread);
    mmgc::guard guard(in, w.make(in, 21), 42);
    uint64_t mark = 0;

    {
        mmgc::guard gone(in, w.make(in, 22), 43);
    }
    ck_assert_ptr_null(in.take_ready(&mark));
    if (!w.collect(in))
        return;
    const node *n = static_cast<node *>(in.take_ready(&mark));
    ck_assert_ptr_nonnull(n);
    ck_assert_int_eq(n->value, 21);
    ck_assert_uint_eq(mark, 42);
    ck_assert_ptr_null(in.take_ready(&mark));
}
END_TEST

START_TEST(handles_keep_their_objects_and_are_told_of_moves)
{
    world w(_i, true);
    mmgc::scope in(w.thread);
    mmgc::handle<node> handles[50];
    const mmgc::handle<node> nothing(in, nullptr);

    for (int i = 0; i < 50; i++) {
        handles[i] = mmgc::handle<node>(in, w.make(in, i));
        handles[i].name("one of fifty");
    }
    (void)w.collect(in);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(handles[i].get(in)->value, i);
    handles[3].set(in, handles[4].get(in));
    ck_assert_int_eq(handles[3].get(in)->value, 4);
    ck_assert(nothing);
    ck_assert_ptr_null(nothing.get(in));
}
END_TEST

START_TEST(who_watches_hears_of_the_end)
{
    world w(_i, true);
    mmgc::notices notices(w.heap);
    mmgc::scope in(w.thread);
    mmgc::watched watched(notices, in, w.make(in, 1));
    int died = 0;

    {
        mmgc::watched gone(notices, in, w.make(in, 2)); /* nobody hears of this one */
    }
    if (!w.collect(in))
        return;
    ck_assert(notices.due());
    notices.apply(in, [&](const mmgc_notice &, const mmgc_move *moves, std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; i++)
            died += moves[i].to.granule == 0;
    });
    ck_assert_int_eq(died, 1);
    ck_assert(!notices.due());
}
END_TEST

/* ---- leases and holds -------------------------------------------------------------------------------------------- */

START_TEST(a_lease_turns_from_one_kind_to_the_other)
{
    world w(_i, true);
    mmgc::scope in(w.thread);
    mmgc::exclusive<node> exclusive(in, w.make(in, 1), mmgc::forever, "mine");
    node *at = exclusive.get();

    in.outside([&] { at->value = 2; }); /* its address stays, also out there */
    (void)w.collect(in);
    ck_assert_ptr_eq(exclusive.get(), at);
    mmgc::shared<node> shared = std::move(exclusive).downgrade();
    ck_assert(!exclusive && shared.held());
    ck_assert_ptr_null(exclusive.get());
    ck_assert_int_eq(shared->value, 2);
    {
        mmgc::shared<node> second(in, at);
        ck_assert_int_eq(code_of([&] { (void)std::move(shared).upgrade(in, 1ms); }), MMGC_E_TIMEOUT);
        ck_assert(shared.held()); /* as it was */
        ck_assert_ptr_eq(shared.get(), at);
    }
    exclusive = std::move(shared).upgrade(in);
    ck_assert(exclusive.held() && !shared);
    const struct mmgc_handle_counts counts = w.heap.counts();
    ck_assert_uint_eq(counts.exclusive, 1);
    ck_assert_uint_eq(counts.shared, 0);
}
END_TEST

START_TEST(a_hold_stows_what_it_is_told_to_keep_and_drops_the_rest)
{
    world w(_i, false);
    mmgc::scope in(w.thread);
    node *kept = nullptr, *other = nullptr;

    {
        mmgc::hold hold(in);
        for (int i = 0; i < 5000; i++)
            (void)w.make(in, i);
        kept = w.make(in, 1);
        const node *made = kept;
        other = w.make(in, 2);
        in.set(kept, &node::left, other);
        hold.stow(other);
        in.set(kept, &node::right, other);
        ck_assert_uint_gt(hold.bytes(), 5000 * sizeof(node));
        hold.end(kept, other);
        ck_assert_ptr_ne(kept, made);
        ck_assert_uint_eq(hold.bytes(), 0);
        ck_assert_int_eq(code_of([&] { hold.end(); }), MMGC_E_UNBALANCED);
    }
    ck_assert_ptr_eq(in.get(kept->left), other);
    ck_assert_ptr_eq(in.get(kept->right), other);
    (void)w.collect(in);
    ck_assert_int_eq(kept->value, 1);
    ck_assert_int_eq(in.get(kept->left)->value, 2);
}
END_TEST

START_TEST(an_end_that_fails_leaves_the_hold_open)
{
    world w(_i, false);
    mmgc::scope in(w.thread);
    mmgc::hold outer(in);
    std::optional<mmgc::hold> inner(std::in_place, in);
    node *n = w.make(in, 1), *was = n;

    ck_assert_int_eq(code_of([&] { outer.end(n); }), MMGC_E_UNBALANCED);
    ck_assert_ptr_eq(n, was);
    inner.reset();
    n = w.make(in, 2);
    outer.end(n);
    ck_assert_int_eq(n->value, 2);
}
END_TEST

Suite *suite_new()
{
    Suite *suite = suite_create("cpp");
    const int plans = plan_count();
    TCase *owners = tcase_create("owners"), *exceptions = tcase_create("exceptions"), *objects = tcase_create("objects"),
          *cleared = tcase_create("cleared"), *leases = tcase_create("leases");

    for (TCase *tcase : {owners, exceptions, objects, cleared, leases}) {
        tcase_add_checked_fixture(tcase, setup, teardown);
        suite_add_tcase(suite, tcase);
    }
    tcase_add_loop_test(owners, all_that_is_taken_is_given_back_at_the_end_of_its_block, 0, plans);
    tcase_add_loop_test(owners, what_was_moved_from_has_nothing, 0, plans);
    tcase_add_loop_test(owners, an_assignment_ends_what_was_there, 0, plans);
    tcase_add_loop_test(owners, owners_adopt_what_c_calls_yield_and_release_it, 0, plans);
    tcase_add_loop_test(exceptions, an_exception_ends_holds_and_leases_on_its_way, 0, 2 * plans);
    tcase_add_loop_test(exceptions, an_exception_ends_the_scope_and_all_else, 0, plans);
    tcase_add_loop_test(exceptions, who_throws_outside_is_inside_again_where_it_is_caught, 0, plans);
    tcase_add_loop_test(exceptions, errors_have_their_code_and_say_what_it_means, 0, plans);
    tcase_add_loop_test(exceptions, a_full_heap_throws_or_yields_nothing_as_one_asks, 0, plans);
    tcase_add_loop_test(objects, a_type_is_the_one_that_c_programs_define, 0, plans);
    tcase_add_loop_test(objects, what_typed_references_reach_survives, 0, plans);
    tcase_add_loop_test(objects, rows_of_references_hold_and_let_go, 0, plans);
    tcase_add_loop_test(cleared, weak_ones_are_cleared_and_announced, 0, plans);
    tcase_add_loop_test(cleared, a_guard_gives_its_object_back_unless_it_goes_before, 0, plans);
    tcase_add_loop_test(cleared, handles_keep_their_objects_and_are_told_of_moves, 0, plans);
    tcase_add_loop_test(cleared, who_watches_hears_of_the_end, 0, plans);
    tcase_add_loop_test(leases, a_lease_turns_from_one_kind_to_the_other, 0, plans);
    tcase_add_loop_test(leases, a_hold_stows_what_it_is_told_to_keep_and_drops_the_rest, 0, plans);
    tcase_add_loop_test(leases, an_end_that_fails_leaves_the_hold_open, 0, plans);
    return suite;
}

} /* namespace */

int main(int argc, char **argv)
{
    return runner_main(argc, argv, suite_new);
}
