/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_HPP
#define MMGC_HPP
/* mmgc for C++17 and later: the calls of <mmgc/mmgc.h> and its kin with owners, types and exceptions. A header alone; link libmmgc-client.
 *
 *   Owners    client, heap, thread, handle, weak, soft, guard, shared, exclusive, notices, watched: each ends what it has when it goes. They
 *             are moved, not copied; what was moved from has nothing, and ending it does nothing. An owner goes before what it was made of:
 *             declare them in that order. A thread is declared by the thread it is for
 *   Brackets  scope, local_scope, hold: blocks of the program, which nest, so they are not moved either
 *   inside    Says that its thread is inside: what works on objects wants one. A scope is one; pass it on as `mmgc::inside`, by value. It is good
 *             as long as its scope; a safepoint that fails has ended that early
 *   Objects   plain structs, trivial to make, that start as all zero; their references are fields of type ref<T> and its kin, which cannot be
 *             copied, read or written but by an inside. Pointers to them are plain pointers: the same rules hold as in C
 *   Errors    mmgc::error, with the code and the sentence of it. What may well happen is no error but a result: nullptr or an empty owner, where
 *             a call says so. Destructors swallow theirs: there is nobody to tell. Compiled with -fno-exceptions a call that would
 *             throw prints the sentence and aborts, unless MMGC_FAIL(code) is defined, which may not return; who wants codes takes the
 *             C calls, and the owners adopt what they yield
 *   Cost      none over the C calls: what is inlined there is the same number of instructions here
 *   Threads   as each call in C                                                                       docs/cpp.md */
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <mmgc/guardian.h>
#include <mmgc/hold.h>
#include <mmgc/lease.h>
#include <mmgc/mmgc.h>
#include <mmgc/notice.h>
#include <mmgc/reference.h>

#if defined(__cpp_exceptions)
#include <stdexcept>
#include <string>
#elif !defined(MMGC_FAIL)
#include <cstdio>
#include <cstdlib>
#define MMGC_FAIL(code) (std::fprintf(stderr, "mmgc: %s %s\n", mmgc_strerror(code), mmgc_error_detail()), std::abort())
#endif

namespace mmgc {

/* ---- errors ------------------------------------------------------------------------------------------------------ */

#if defined(__cpp_exceptions)
class error : public std::runtime_error {
public:
    error(int code, const std::string &what) : std::runtime_error(what), code_(code) {}
    int code() const noexcept { return code_; }                 /* MMGC_E_ */

private:
    int code_;
};
#endif

[[noreturn, gnu::cold, gnu::noinline]] inline void fail(int code)
{
#if defined(__cpp_exceptions)
    std::string what(mmgc_strerror(code));
    if (*mmgc_error_detail() != '\0')
        what.append(" ").append(mmgc_error_detail());
    throw error(code, what);
#else
    MMGC_FAIL(code);
    __builtin_unreachable();
#endif
}
inline void check(int code)
{
    if (MMGC_UNLIKELY_(code != MMGC_OK))
        fail(code);
}

using std::chrono::nanoseconds;
inline constexpr nanoseconds forever = nanoseconds::max();      /* of a timeout: no end; below 0 is 0 */
inline uint64_t timeout_ns_(nanoseconds timeout) noexcept
{
    return timeout == forever ? UINT64_MAX : timeout.count() < 0 ? 0u : static_cast<uint64_t>(timeout.count());
}

/* ---- client, heap, thread ---------------------------------------------------------------------------------------- */

template <class T, void (*End)(T *)> class owner_ {             /* of what has an address */
public:
    owner_() noexcept = default;
    explicit owner_(T *raw) noexcept : raw_(raw) {}             /* adopts */
    owner_(owner_ &&from) noexcept : raw_(std::exchange(from.raw_, nullptr)) {}
    owner_ &operator=(owner_ &&from) noexcept
    {
        owner_ ended(std::move(from));
        std::swap(raw_, ended.raw_);
        return *this;
    }
    ~owner_() { End(raw_); }
    T *get() const noexcept { return raw_; }
    T *release() noexcept { return std::exchange(raw_, nullptr); }     /* it is the caller's to end */
    explicit operator bool() const noexcept { return raw_ != nullptr; }

protected:
    T *raw_ = nullptr;
};

class client : public owner_<mmgc_client, mmgc_disconnect> {
public:
    using owner_::owner_;
    client() noexcept = default;
    /* mmgc_connect(); nullptr, too, is as there. */
    explicit client(const char *socket_path, const char *name = nullptr) { check(mmgc_connect(socket_path, name, &raw_)); }
    explicit client(std::nullptr_t, const char *name = nullptr) : client(static_cast<const char *>(nullptr), name) {}
    void ping() const { check(mmgc_ping(raw_)); }
};

class heap : public owner_<mmgc_heap, mmgc_heap_close> {
public:
    using owner_::owner_;
    heap() noexcept = default;
    heap(const client &of, const char *name, const mmgc_heap_options &options = mmgc_heap_options())
    {
        check(mmgc_heap_open(of.get(), name, &options, &raw_));
    }
    struct mmgc_heap_info info() const
    {
        struct mmgc_heap_info info;
        check(mmgc_heap_info(raw_, &info));
        return info;
    }
    struct mmgc_handle_counts counts() const
    {
        struct mmgc_handle_counts counts;
        check(mmgc_handle_counts(raw_, &counts));
        return counts;
    }
};

class thread : public owner_<mmgc_thread, mmgc_detach> {
public:
    thread() noexcept = default;
    thread(mmgc_thread *raw, mmgc_heap *of) noexcept : owner_(raw), heap_(of) {}
    explicit thread(const heap &of, const mmgc_thread_options &options = mmgc_thread_options()) : heap_(of.get())
    {
        check(mmgc_attach(heap_, &options, &raw_));
    }
    mmgc_heap *heap_of() const noexcept { return heap_; }

private:
    mmgc_heap *heap_ = nullptr;
};

/* ---- fields of objects ------------------------------------------------------------------------------------------- */

template <class Raw, class T, std::size_t Kind> struct field_ { /* trivial to make, and not to be copied: that wants a write barrier */
    using target = T;
    static constexpr std::size_t kind = Kind;                   /* goes into its offset */
    field_() = default;
    field_(const field_ &) = delete;
    field_ &operator=(const field_ &) = delete;

    Raw raw;                                                    /* for the C calls */
};
template <class T> struct ref : field_<mmgc_ref, T, MMGC_STRONG(mmgc_ref, granule)> {};
template <class T> struct weak_ref : field_<mmgc_ref, T, MMGC_WEAK(mmgc_ref, granule)> {};
template <class T> struct soft_ref : field_<mmgc_soft, T, MMGC_SOFT(mmgc_soft, ref)> {};
template <class T> struct phantom_ref : field_<mmgc_ref, T, MMGC_PHANTOM(mmgc_ref, granule)> {};
template <class K, class V> struct ephemeron : field_<mmgc_ephemeron, V, MMGC_EPHEMERON(mmgc_ephemeron, key)> {
    using key = K;
};
struct queue;                                                   /* what mmgc_queue_new() makes */
struct queue_ref : field_<mmgc_ref, queue, MMGC_QUEUE(mmgc_ref, granule)> {};
template <class T> struct link_ref : field_<mmgc_ref, T, MMGC_LINK(mmgc_ref, granule)> {};

inline mmgc_ref *slot_(mmgc_ref &raw) noexcept { return &raw; }
inline mmgc_ref *slot_(mmgc_soft &raw) noexcept { return &raw.ref; }
inline const mmgc_ref *slot_(const mmgc_ref &raw) noexcept { return &raw; }
inline const mmgc_ref *slot_(const mmgc_soft &raw) noexcept { return &raw.ref; }
inline const mmgc_ref *slot_(const mmgc_ephemeron &raw) noexcept { return &raw.key; }

/* Is it null, or was it cleared? From inside. */
template <class Raw, class T, std::size_t Kind> bool is_null(const field_<Raw, T, Kind> &field) noexcept
{
    return mmgc_is_cleared(slot_(field.raw));
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

template <class T> struct type {                                /* of objects that are one T */
    mmgc_type raw = nullptr;
};
template <class E> struct array_type {                          /* of objects that are a row of E: a pointer to the first is the object's */
    mmgc_type raw = nullptr;
};

template <class F> struct fields_ {                             /* a field, or a row of them */
    static constexpr std::size_t count = 1, kind = F::kind, bytes = sizeof(F);
};
template <class F, std::size_t N> struct fields_<F[N]> {
    static constexpr std::size_t count = N, kind = F::kind, bytes = sizeof(F);
};
template <class T> union place_ {                               /* room for a T that is none */
    char none;
    T object;
    constexpr place_() noexcept : none() {}
};
template <class T> constexpr void must_be_plain_() noexcept
{
    static_assert(std::is_standard_layout_v<T>, "objects are read by other programs: they need a layout that is settled");
    static_assert(std::is_trivially_default_constructible_v<T>, "objects start as zeroes: no constructor runs");
    static_assert(std::is_trivially_destructible_v<T>, "objects are collected: no destructor runs");
    static_assert(alignof(T) <= 8, "objects are aligned to 8 bytes");
}
template <class T, class F> void put_offsets_(uint32_t *&end, F T::*field) noexcept
{
    static place_<T> place;
    const char *from = reinterpret_cast<const char *>(&place), *at = reinterpret_cast<const char *>(&(place.object.*field));
    for (std::size_t i = 0; i < fields_<F>::count; i++)
        *end++ = static_cast<uint32_t>((static_cast<std::size_t>(at - from) + i * fields_<F>::bytes) | fields_<F>::kind);
}
template <class T, class... F> std::array<uint32_t, (fields_<F>::count + ... + 1)> offsets_(F T::*...fields) noexcept
{
    std::array<uint32_t, (fields_<F>::count + ... + 1)> offsets{};     /* one more than there are: never none */
    [[maybe_unused]] uint32_t *end = offsets.data();
    (put_offsets_<T>(end, fields), ...);
    return offsets;
}
template <class T> type<T> define_(const heap &in, const char *name, const uint32_t *offsets, std::size_t count)
{
    must_be_plain_<T>();
    mmgc_type_layout layout = mmgc_type_layout();
    type<T> defined;
    layout.name = name;
    layout.fixed_bytes = static_cast<uint32_t>(sizeof(T));
    layout.refs = offsets;
    layout.ref_count = static_cast<uint32_t>(count);
    check(mmgc_type_define(in.get(), &layout, &defined.raw));
    return defined;
}
template <class E> array_type<E> define_array_(const heap &in, const char *name, const uint32_t *offsets, std::size_t count)
{
    must_be_plain_<E>();
    mmgc_type_layout layout = mmgc_type_layout();
    array_type<E> defined;
    layout.name = name;
    layout.element_bytes = static_cast<uint32_t>(sizeof(E));
    layout.element_refs = offsets;
    layout.element_ref_count = static_cast<uint32_t>(count);
    check(mmgc_type_define(in.get(), &layout, &defined.raw));
    return defined;
}

/* define<node>(heap, "node", &node::left, &node::right): all that are references, in the order they stand in it, also rows of them. Their
 * kind follows from what they are. mmgc_type_define(); define_array(): the same of arrays of E. */
template <class T, class... F> type<T> define(const heap &in, const char *name, F T::*...fields)
{
    const auto offsets = offsets_<T>(fields...);
    return define_<T>(in, name, offsets.data(), offsets.size() - 1);
}
template <class T> type<T> define(const heap &in, const char *name)
{
    return define_<T>(in, name, nullptr, 0);
}
template <class E, class... F> array_type<E> define_array(const heap &in, const char *name, F E::*...fields)
{
    const auto offsets = offsets_<E>(fields...);
    return define_array_<E>(in, name, offsets.data(), offsets.size() - 1);
}
template <class E> array_type<E> define_array(const heap &in, const char *name)
{
    return define_array_<E>(in, name, nullptr, 0);
}
/* The ready-made ones: of bytes, and of references, strong and weak, to T. */
inline array_type<char> bytes(const heap &in)
{
    array_type<char> defined;
    check(mmgc_type_bytes(in.get(), &defined.raw));
    return defined;
}
template <class T> array_type<ref<T>> refs(const heap &in)
{
    array_type<ref<T>> defined;
    check(mmgc_type_refs(in.get(), &defined.raw));
    return defined;
}
template <class T> array_type<weak_ref<T>> weak_refs(const heap &in)
{
    array_type<weak_ref<T>> defined;
    check(mmgc_type_weak_refs(in.get(), &defined.raw));
    return defined;
}
template <class E> uint32_t length(const E *array) noexcept { return mmgc_length(array); }

/* ---- inside ------------------------------------------------------------------------------------------------------ */

class inside {
public:
    inside(mmgc_thread *t, mmgc_heap *heap) noexcept : t_(t), heap_(heap) {}
    mmgc_thread *get() const noexcept { return t_; }
    mmgc_heap *heap_of() const noexcept { return heap_; }

    /* [safepoint] A new object, all zero. try_make() yields nullptr where the others throw, and last_error() says why. */
    template <class T> T *make(type<T> of) const
    {
        if (MMGC_UNLIKELY_(of.raw->bytes > room_()))
            return static_cast<T *>(make_slow_(t_, of.raw, 0));
        return static_cast<T *>(mmgc_new(t_, of.raw));
    }
    template <class E> E *make(array_type<E> of, uint32_t length) const
    {
        if (MMGC_UNLIKELY_(mmgc_size(of.raw, length) > room_()))
            return static_cast<E *>(make_slow_(t_, of.raw, length));
        return static_cast<E *>(mmgc_new_array(t_, of.raw, length));
    }
    template <class T> T *try_make(type<T> of) const noexcept { return static_cast<T *>(mmgc_new(t_, of.raw)); }
    template <class E> E *try_make(array_type<E> of, uint32_t length) const noexcept
    {
        return static_cast<E *>(mmgc_new_array(t_, of.raw, length));
    }
    template <class T> T *make_in(mmgc_space space, type<T> of) const { return made_<T>(mmgc_new_in(t_, of.raw, 0, space)); }
    template <class E> E *make_in(mmgc_space space, array_type<E> of, uint32_t length) const
    {
        return made_<E>(mmgc_new_in(t_, of.raw, length, space));
    }
    void reserve(uint64_t bytes) const { check(mmgc_reserve(t_, bytes)); }     /* [safepoint] */
    int last_error() const noexcept { return mmgc_thread_error(t_); }

    /* What @field refers to, or nullptr: get(node->left). Weak and soft ones are told that they were read; of an ephemeron it is the value, if
     * its key is @key; of phantom ones nobody learns it. */
    template <class T> T *get(const ref<T> &field) const noexcept { return static_cast<T *>(mmgc_load(t_, &field.raw)); }
    template <class T> T *get(const link_ref<T> &field) const noexcept { return static_cast<T *>(mmgc_load(t_, &field.raw)); }
    queue *get(const queue_ref &field) const noexcept { return static_cast<queue *>(mmgc_load(t_, &field.raw)); }
    template <class T> T *get(const weak_ref<T> &field) const noexcept { return static_cast<T *>(mmgc_load_weak(t_, &field.raw)); }
    template <class T> T *get(soft_ref<T> &field) const noexcept { return static_cast<T *>(mmgc_load_soft(t_, &field.raw)); }
    template <class K, class V> V *get(const ephemeron<K, V> &field, const K *key) const noexcept
    {
        return static_cast<V *>(mmgc_load_ephemeron(t_, &field.raw, key));
    }

    /* set(node, &node::left, child), and for what is in an array set(array, array[i], child): stores a reference. @object is the whole object,
     * @field one of its own. With a hold open it may not be done: last_error(), as mmgc_store() says. */
    template <class O, class F> void set(O *object, F &field, typename F::target *value) const noexcept
    {
        mmgc_store(t_, object, slot_(field.raw), value);
    }
    template <class O, class F> void set(O *object, F O::*field, typename F::target *value) const noexcept
    {
        set(object, object->*field, value);
    }
    /* An ephemeron's: the key first. */
    template <class O, class K, class V> void set(O *object, ephemeron<K, V> &field, K *key, V *value) const noexcept
    {
        mmgc_store(t_, object, &field.raw.key, key);
        mmgc_store(t_, object, &field.raw.value, value);
    }
    template <class O, class K, class V> void set(O *object, ephemeron<K, V> O::*field, K *key, V *value) const noexcept
    {
        set(object, object->*field, key, value);
    }
    /* The first store to an object just made, with the promise of mmgc_init_store(). */
    template <class O, class F> void init(O *object, F O::*field, typename F::target *value) const noexcept
    {
        mmgc_init_store(t_, slot_((object->*field).raw), value);
    }
    /* Sequentially consistent. */
    template <class O, class F> bool cas(O *object, F &field, typename F::target *expected, typename F::target *desired) const noexcept
    {
        return mmgc_compare_and_swap(t_, object, slot_(field.raw), expected, desired);
    }
    template <class O, class F> bool cas(O *object, F O::*field, typename F::target *expected, typename F::target *desired) const noexcept
    {
        return cas(object, object->*field, expected, desired);
    }
    template <class O, class T> T *exchange(O *object, ref<T> O::*field, typename ref<T>::target *value) const noexcept
    {
        return static_cast<T *>(mmgc_exchange(t_, object, &(object->*field).raw, value));
    }
    /* As mmgc_copy_refs() and mmgc_fill_refs(): @count of them, in @object. */
    template <class O, class T> void copy(O *object, ref<T> *to, const ref<T> *from, std::size_t count) const noexcept
    {
        static_assert(sizeof(ref<T>) == sizeof(mmgc_ref), "a row of ref is a row of mmgc_ref");
        mmgc_copy_refs(t_, object, &to->raw, &from->raw, count);
    }
    template <class O, class T> void fill(O *object, ref<T> *fields, typename ref<T>::target *value, std::size_t count) const noexcept
    {
        mmgc_fill_refs(t_, object, &fields->raw, value, count);
    }

    /* Named roots. The type is the caller's word. find(): nullptr if there is none of this name. */
    template <class T> T *find(const char *name) const
    {
        void *found = mmgc_name_get(t_, name);
        if (found == nullptr && mmgc_thread_error(t_) != MMGC_E_NO_NAME)
            fail(mmgc_thread_error(t_));
        return static_cast<T *>(found);
    }
    void name(const char *name, const void *object) const { check(mmgc_name_set(t_, name, object)); }
    template <class T> T *claim(const char *name, T *object) const     /* what has it then */
    {
        void *found = nullptr;
        check(mmgc_name_claim(t_, name, object, &found));
        return static_cast<T *>(found);
    }

    void poll() const                                           /* [safepoint] */
    {
        if (MMGC_UNLIKELY_((__atomic_load_n(t_->epoch, __ATOMIC_RELAXED) & 1u) != 0))
            poll_slow_(t_);
    }
    void gc() const { check(mmgc_gc(t_)); }                     /* [safepoint] */
    /* [safepoint] What @f() returns, called outside: pointers into the heap are no good in there, nor, without a root, after. */
    template <class F> auto outside(F &&f) const -> decltype(f())
    {
        struct away {
            explicit away(mmgc_thread *of) noexcept : t(of) { mmgc_leave(t); }
            ~away()
            {
                if (t != nullptr)
                    (void)mmgc_enter(t);                        /* @f threw, and that is what is told */
            }
            void end() { check(mmgc_enter(std::exchange(t, nullptr))); }
            mmgc_thread *t;
        } away_now(t_);
        if constexpr (std::is_void_v<decltype(f())>) {
            f();
            away_now.end();
        } else {
            auto result = f();
            away_now.end();
            return result;
        }
    }

    /* What a guard has given back, and its mark; nullptr: nothing now. */
    void *take_ready(uint64_t *ret_mark = nullptr) const
    {
        void *object = mmgc_guard_take(t_, ret_mark);
        if (object == nullptr)
            check(mmgc_thread_error(t_));
        return object;
    }
    queue *make_queue() const { return made_<queue>(mmgc_queue_new(t_)); }     /* [safepoint] */
    template <class T> T *take(queue *from) const noexcept { return static_cast<T *>(mmgc_queue_take(t_, from)); }     /* nullptr: none */

protected:
    mmgc_thread *t_;
    mmgc_heap *heap_;

private:
    /* What mmgc_new() and mmgc_poll() ask is asked before them, and not again: so that what may throw is a tail call, and costs the
     * others no register. */
    uint64_t room_() const noexcept { return static_cast<uint64_t>(t_->limit - t_->cursor); }
    [[gnu::cold, gnu::noinline]] static void *make_slow_(mmgc_thread *t, mmgc_type type, uint32_t length)
    {
        void *object = mmgc_new_slow_(t, type, length);
        if (object == nullptr)
            fail(mmgc_thread_error(t));
        return object;
    }
    [[gnu::cold, gnu::noinline]] static void poll_slow_(mmgc_thread *t) { check(mmgc_poll_slow_(t)); }
    template <class T> T *made_(void *object) const
    {
        if (MMGC_UNLIKELY_(object == nullptr))
            fail(mmgc_thread_error(t_));
        return static_cast<T *>(object);
    }
};

/* From its beginning to its end the thread is inside. */
class scope : public inside {
public:
    explicit scope(const thread &of) : inside(of.get(), of.heap_of()) { check(mmgc_enter(t_)); }
    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;
    ~scope() { mmgc_leave(t_); }
};

/* ---- roots ------------------------------------------------------------------------------------------------------- */

/* Local roots, for exact threads: gone with their local_scope. */
template <class T> class local {
public:
    local(inside in, mmgc_local raw) noexcept : t_(in.get()), raw_(raw) {}
    T *get() const noexcept { return static_cast<T *>(mmgc_local_get(t_, raw_)); }
    T *operator->() const noexcept { return get(); }
    void set(T *object) const noexcept { mmgc_local_set(t_, raw_, object); }

private:
    mmgc_thread *t_;
    mmgc_local raw_;
};
class local_scope {
public:
    explicit local_scope(inside in) noexcept : in_(in), raw_(mmgc_scope_open(in.get())) {}
    local_scope(const local_scope &) = delete;
    local_scope &operator=(const local_scope &) = delete;
    ~local_scope() { mmgc_scope_close(in_.get(), raw_); }
    template <class T> local<T> keep(T *object) const
    {
        const mmgc_local raw = mmgc_local_new(in_.get(), object);
        if (MMGC_UNLIKELY_(raw.slot == 0))
            fail(in_.last_error());
        return local<T>(in_, raw);
    }

private:
    inside in_;
    mmgc_scope raw_;
};

template <class Row, int (*Drop)(mmgc_heap *, Row)> class row_ { /* what is a row of its heap's table */
public:
    row_() noexcept = default;
    row_(mmgc_heap *heap, Row raw) noexcept : heap_(heap), raw_(raw) {}     /* adopts */
    row_(row_ &&from) noexcept : heap_(std::exchange(from.heap_, nullptr)), raw_(std::exchange(from.raw_, Row())) {}
    row_ &operator=(row_ &&from) noexcept
    {
        row_ dropped(std::move(from));
        std::swap(heap_, dropped.heap_);
        std::swap(raw_, dropped.raw_);
        return *this;
    }
    ~row_()
    {
        if (heap_ != nullptr)
            (void)Drop(heap_, raw_);
    }
    Row raw() const noexcept { return raw_; }
    Row release() noexcept                                      /* it is the caller's to drop */
    {
        heap_ = nullptr;
        return std::exchange(raw_, Row());
    }
    explicit operator bool() const noexcept { return heap_ != nullptr; }

protected:
    mmgc_heap *heap_ = nullptr;
    Row raw_ = Row();
};

/* The object, which lives from now on as any that the thread has a pointer to; nullptr: it is gone. weak, soft: handles that keep nothing alive. */
template <class T> class handle;
template <class T> class weak_ : public row_<mmgc_weak, mmgc_weak_drop> {
public:
    using row_::row_;
    T *get(inside in) const
    {
        void *object = *this ? mmgc_weak_get(in.get(), this->raw_) : nullptr;
        if (object == nullptr && *this && mmgc_thread_error(in.get()) != MMGC_E_CLEARED)
            fail(mmgc_thread_error(in.get()));
        return static_cast<T *>(object);
    }
    handle<T> upgrade(inside in) const;                         /* empty: it is gone */
};
template <class T> class weak : public weak_<T> {
public:
    using weak_<T>::weak_;
    weak() noexcept = default;
    weak(inside in, const T *object)
    {
        check(mmgc_weak_new(in.get(), object, &this->raw_));
        this->heap_ = in.heap_of();
    }
};
template <class T> class soft : public weak_<T> {
public:
    using weak_<T>::weak_;
    soft() noexcept = default;
    soft(inside in, const T *object)
    {
        check(mmgc_soft_new(in.get(), object, &this->raw_));
        this->heap_ = in.heap_of();
    }
};
/* A strong handle. get(): nullptr where it is empty, or has nullptr. */
template <class T> class handle : public row_<mmgc_handle, mmgc_handle_drop> {
public:
    using row_::row_;
    handle() noexcept = default;
    handle(inside in, const T *object)
    {
        check(mmgc_handle_new(in.get(), object, &raw_));
        heap_ = in.heap_of();
    }
    T *get(inside in) const noexcept { return static_cast<T *>(mmgc_handle_get(in.get(), raw_)); }
    void set(inside in, const T *object) const { check(mmgc_handle_set(in.get(), raw_, object)); }
    void name(const char *name) const { check(mmgc_handle_name(heap_, raw_, name)); }
    handle dup(inside in) const
    {
        mmgc_handle raw;
        check(mmgc_handle_dup(in.get(), raw_, &raw));
        return handle(heap_, raw);
    }
};
template <class T> handle<T> weak_<T>::upgrade(inside in) const
{
    mmgc_handle raw;
    const int code = *this ? mmgc_weak_upgrade(in.get(), this->raw_, &raw) : MMGC_E_CLEARED;
    if (code == MMGC_E_CLEARED)
        return handle<T>();
    check(code);
    return handle<T>(this->heap_, raw);
}

/* Its object is given back by inside::take_ready() when nothing else holds it, unless the guard goes before. */
class guard : public row_<mmgc_guard, mmgc_guard_drop> {
public:
    using row_::row_;
    guard() noexcept = default;
    guard(inside in, const void *object, uint64_t mark = 0)
    {
        check(mmgc_guard_new(in.get(), object, mark, &raw_));
        heap_ = in.heap_of();
    }
};

/* ---- leases ------------------------------------------------------------------------------------------------------ */

/* exclusive<T> and, of a constant T, shared<T>: the object at an address that stays, inside and outside. */
template <class T, mmgc_lease_mode Mode> class lease : public row_<mmgc_lease, mmgc_lease_release> {
public:
    lease() noexcept = default;
    /* [safepoint] Takes it, waiting at most @timeout: then MMGC_E_TIMEOUT. */
    lease(inside in, T *object, nanoseconds timeout = forever, const char *name = nullptr)
    {
        check(mmgc_lease_take(in.get(), object, Mode, name, timeout_ns_(timeout), &raw_));
        adopt_(in.heap_of());
    }
    lease(mmgc_heap *heap, mmgc_lease raw) noexcept : row_(nullptr, raw) { adopt_(heap); }
    lease(lease &&from) noexcept : row_(std::move(from)), object_(std::exchange(from.object_, nullptr)) {}
    lease &operator=(lease &&from) noexcept
    {
        row_::operator=(std::move(from));
        object_ = std::exchange(from.object_, nullptr);
        return *this;
    }
    ~lease() = default;
    /* Takes it, or is empty: another has it. */
    static lease attempt(inside in, T *object, const char *name = nullptr)
    {
        mmgc_lease raw;
        const int code = mmgc_lease_try(in.get(), object, Mode, name, &raw);
        if (code == MMGC_E_BUSY)
            return lease();
        check(code);
        return lease(in.heap_of(), raw);
    }
    T *get() const noexcept { return object_; }
    T *operator->() const noexcept { return object_; }
    T &operator*() const noexcept { return *object_; }
    bool held() const noexcept { return mmgc_lease_check(heap_, raw_) == MMGC_OK; }     /* false: empty, or revoked */
    /* [safepoint] A shared one becomes the exclusive one that this yields; if it throws it is as it was. */
    lease<std::remove_const_t<T>, MMGC_LEASE_EXCLUSIVE> upgrade(inside in, nanoseconds timeout = forever) &&
    {
        check(mmgc_lease_upgrade(in.get(), raw_, timeout_ns_(timeout)));
        return turn_<std::remove_const_t<T>, MMGC_LEASE_EXCLUSIVE>();
    }
    /* An exclusive one becomes the shared one that this yields; at no time it is neither. */
    lease<const T, MMGC_LEASE_SHARED> downgrade() &&
    {
        check(mmgc_lease_downgrade(heap_, raw_));
        return turn_<const T, MMGC_LEASE_SHARED>();
    }

private:
    void adopt_(mmgc_heap *heap) noexcept
    {
        heap_ = heap;
        object_ = static_cast<T *>(mmgc_lease_object(heap_, raw_));
    }
    template <class Other, mmgc_lease_mode To> lease<Other, To> turn_() noexcept
    {
        mmgc_heap *heap = heap_;
        object_ = nullptr;
        return lease<Other, To>(heap, release());
    }

    T *object_ = nullptr;
};
template <class T> using shared = lease<const T, MMGC_LEASE_SHARED>;
template <class T> using exclusive = lease<T, MMGC_LEASE_EXCLUSIVE>;

/* ---- holds ------------------------------------------------------------------------------------------------------- */

/* A hold that is not ended is dropped with its block: all that was made in it is gone. */
class hold {
public:
    explicit hold(inside in, const mmgc_hold_options &options = mmgc_hold_options()) : t_(in.get()) { check(mmgc_hold_begin(t_, &options, &raw_)); }
    hold(const hold &) = delete;
    hold &operator=(const hold &) = delete;
    ~hold()
    {
        if (raw_.serial != 0)
            (void)mmgc_hold_end(t_, raw_, nullptr, 0);          /* nothing is stowed: that cannot want for memory */
    }
    /* [safepoint] Ends it, and stows what @kept, variables with pointers, reach; each is then where its object is now. If it throws, all is
     * as it was and the hold is open. */
    template <class... T> void end(T *&...kept)
    {
        stow_with_(
            [this](void **objects, std::size_t count) {
                check(mmgc_hold_end(t_, raw_, objects, count));
                raw_ = mmgc_hold();
            },
            kept...);
    }
    /* [safepoint] The same, but the hold stays open. */
    template <class... T> void stow(T *&...kept)
    {
        stow_with_([this](void **objects, std::size_t count) { check(mmgc_hold_stow(t_, objects, count)); }, kept...);
    }
    uint64_t bytes() const noexcept { return mmgc_hold_bytes(t_, raw_); }

private:
    template <class F, class... T> static void stow_with_(F call, T *&...kept)
    {
        void *objects[] = {const_cast<std::remove_const_t<T> *>(kept)..., nullptr};
        call(objects, sizeof...(kept));
        [[maybe_unused]] void **next = objects;
        ((kept = static_cast<T *>(*next++)), ...);
    }

    mmgc_thread *t_;
    mmgc_hold raw_ = mmgc_hold();
};

/* ---- relocation notices ------------------------------------------------------------------------------------------ */

class notices : public owner_<mmgc_notices, mmgc_notices_close> {
public:
    using owner_::owner_;
    notices() noexcept = default;
    /* From outside. */
    explicit notices(const heap &of, const mmgc_notices_options &options = mmgc_notices_options())
    {
        check(mmgc_notices_subscribe(of.get(), &options, &raw_));
    }
    bool due() const noexcept { return mmgc_notices_due(raw_); }
    int fd() const noexcept { return mmgc_notices_fd(raw_); }
    /* Calls @follow(const mmgc_notice &, const mmgc_move *, size_t) for each notice that is due. It does not throw: it is called from C. */
    template <class F> void apply(inside in, F &&follow) const
    {
        using callable = std::remove_reference_t<F>;
        static_assert(std::is_nothrow_invocable_v<F &, const mmgc_notice &, const mmgc_move *, std::size_t>, "say noexcept");
        const mmgc_notices_callback call = [](void *context, const mmgc_notice *notice, const mmgc_move *moves, std::size_t count) {
            (*static_cast<callable *>(context))(*notice, moves, count);
        };
        check(mmgc_notices_apply(raw_, in.get(), call, const_cast<std::remove_const_t<callable> *>(&follow)));
    }
};
/* A watch on one object; it goes before its notices. */
class watched {
public:
    watched() noexcept = default;
    watched(const notices &of, inside in, const void *object)
    {
        check(mmgc_watch(of.get(), in.get(), object, &raw_));
        of_ = of.get();
    }
    watched(watched &&from) noexcept : of_(std::exchange(from.of_, nullptr)), raw_(from.raw_) {}
    watched &operator=(watched &&from) noexcept
    {
        watched ended(std::move(from));
        std::swap(of_, ended.of_);
        std::swap(raw_, ended.raw_);
        return *this;
    }
    ~watched()
    {
        if (of_ != nullptr)
            (void)mmgc_unwatch(of_, raw_);
    }
    explicit operator bool() const noexcept { return of_ != nullptr; }

private:
    mmgc_notices *of_ = nullptr;
    mmgc_watched raw_ = mmgc_watched();
};

} /* namespace mmgc */
#endif
