/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_CPP_NOTICE_HPP
#define MMGC_CPP_NOTICE_HPP
/* Relocation notices. Part of <mmgc/mmgc.hpp>. */
#include <cstddef>
#include <type_traits>
#include <utility>

#include <mmgc/notice.h>

#include <mmgc/cpp/inside.hpp>

namespace mmgc {

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
