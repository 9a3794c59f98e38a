/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_CPP_LEASE_HPP
#define MMGC_CPP_LEASE_HPP
/* Leases. Part of <mmgc/mmgc.hpp>. */
#include <type_traits>
#include <utility>

#include <mmgc/lease.h>

#include <mmgc/cpp/root.hpp>

namespace mmgc {

/* exclusive<T> and, of a constant T, shared<T>: the object at an address that stays, inside and outside. */
template <class T, mmgc_lease_mode Mode> class lease : public row_<mmgc_lease, mmgc_lease_release> {
public:
    lease() noexcept = default;
    /* [safepoint] Takes it, waiting at most @timeout: then MMGC_E_TIMEOUT; with one of 0 MMGC_E_BUSY. */
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

} /* namespace mmgc */
#endif
