/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_CPP_ERROR_HPP
#define MMGC_CPP_ERROR_HPP
/* What went wrong, as an exception, or without them as the end. Part of <mmgc/mmgc.hpp>. */
#include <chrono>
#include <cstdint>

#include <mmgc/mmgc.h>

#if defined(__cpp_exceptions)
#include <stdexcept>
#include <string>
#elif !defined(MMGC_FAIL)
#include <cstdio>
#include <cstdlib>
#define MMGC_FAIL(code) (std::fprintf(stderr, "mmgc: %s %s\n", mmgc_strerror(code), mmgc_error_detail()), std::abort())
#endif

namespace mmgc {

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

} /* namespace mmgc */
#endif
