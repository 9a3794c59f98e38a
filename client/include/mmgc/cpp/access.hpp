/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_CPP_ACCESS_HPP
#define MMGC_CPP_ACCESS_HPP
/* The way to a heap: client, heap, thread. Part of <mmgc/mmgc.hpp>. */
#include <cstddef>
#include <utility>

#include <mmgc/mmgc.h>

#include <mmgc/cpp/error.hpp>

namespace mmgc {

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

} /* namespace mmgc */
#endif
