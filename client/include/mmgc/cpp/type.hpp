/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_CPP_TYPE_HPP
#define MMGC_CPP_TYPE_HPP
/* Fields of objects, by kind, and types made of them: offsets and kinds follow from the members. Part of <mmgc/mmgc.hpp>. */
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <mmgc/reference.h>

#include <mmgc/cpp/access.hpp>

namespace mmgc {

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

} /* namespace mmgc */
#endif
