/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_CPP_HOLD_HPP
#define MMGC_CPP_HOLD_HPP
/* Holds. Part of <mmgc/mmgc.hpp>. */
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <mmgc/hold.h>

#include <mmgc/cpp/inside.hpp>

namespace mmgc {

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

} /* namespace mmgc */
#endif
