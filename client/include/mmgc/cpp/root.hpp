/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_CPP_ROOT_HPP
#define MMGC_CPP_ROOT_HPP
/* What keeps objects, or waits for their end: local roots, handles, guards. Part of <mmgc/mmgc.hpp>. */
#include <cstdint>
#include <utility>

#include <mmgc/guardian.h>
#include <mmgc/handle.h>

#include <mmgc/cpp/inside.hpp>

namespace mmgc {

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

} /* namespace mmgc */
#endif
