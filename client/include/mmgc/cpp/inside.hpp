/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_CPP_INSIDE_HPP
#define MMGC_CPP_INSIDE_HPP
/* What a thread that is inside does: makes objects, reads and stores references, finds named roots. Part of <mmgc/mmgc.hpp>. */
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <mmgc/guardian.h>
#include <mmgc/reference.h>

#include <mmgc/cpp/type.hpp>

namespace mmgc {

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

} /* namespace mmgc */
#endif
