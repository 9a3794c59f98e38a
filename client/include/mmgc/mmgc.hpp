/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MMGC_HPP
#define MMGC_HPP
/* mmgc for C++17 and later: the calls of <mmgc/mmgc.h> and its kin with owners, types and exceptions. Headers alone: this one has all; link libmmgc-client.
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
#include <mmgc/cpp/access.hpp>
#include <mmgc/cpp/error.hpp>
#include <mmgc/cpp/hold.hpp>
#include <mmgc/cpp/inside.hpp>
#include <mmgc/cpp/lease.hpp>
#include <mmgc/cpp/notice.hpp>
#include <mmgc/cpp/root.hpp>
#include <mmgc/cpp/type.hpp>

#endif
