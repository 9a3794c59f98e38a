#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The public headers: valid C11 and C++17 for the compilers there are, with every warning on; and what the calls that are
inlined cost, instruction by instruction, and that in C++ they cost the same; and, given libmmgc-client.so, that it exports what the headers declare and no more.
A TAP test; run it alone as `tests/client/header.py [LIBRARY]`.
"""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
INCLUDES = [f'-I{ROOT}/client/include', f'-I{ROOT}/proto']
WARNINGS = '-Wall -Wextra -Wpedantic -Wconversion -Werror'.split()
DIALECTS = [('gcc', 'c11'), ('gcc', 'gnu17'), ('clang', 'c11'), ('g++', 'c++17'), ('clang++', 'c++17'), ('g++', 'c++20')]

# Each inline call is used, in both languages.
PROGRAM = r'''
#include <mmgc/lease.h>
#include <mmgc/handle.h>
#include <mmgc/mmgc.h>
#include <mmgc/notice.h>
#include <mmgc/profile.h>
struct node { mmgc_ref left, right; int64_t value; };
struct leaf { int64_t value; };
int define(struct mmgc_heap *heap, mmgc_type *type);
int use(struct mmgc_thread *t, mmgc_type type, mmgc_type array);
int define(struct mmgc_heap *heap, mmgc_type *type)
{
    return MMGC_DEFINE_TYPE(heap, node, type, left, right) + MMGC_DEFINE_LEAF(heap, leaf, type);
}
int use(struct mmgc_thread *t, mmgc_type type, mmgc_type array)
{
    struct node *n = (struct node *)mmgc_new(t, type);
    struct node *l = (struct node *)mmgc_new_array(t, array, 3);
    mmgc_set(t, n, left, l);
    if (mmgc_get(t, n, left) != l || !mmgc_cas(t, n, left, l, NULL) || mmgc_length(l) != 3)
        return MMGC_E_INVALID;
    mmgc_fill_refs(t, n, &n->left, l, 2);
    mmgc_copy_refs(t, n, &n->right, &n->left, 1);
    mmgc_keep(mmgc_exchange(t, n, &n->right, mmgc_deref(t, mmgc_ref_of(t, n))));
    return mmgc_size(array, 3) > 16 ? mmgc_poll(t) : MMGC_OK;
}
'''

# Each call of mmgc.hpp is used once: templates are looked at only then.
CPP_PROGRAM = r'''
#include <mmgc/mmgc.hpp>
struct node { mmgc::ref<node> left, right; mmgc::ref<node> kids[3]; int64_t value; };
struct entry {
    mmgc::weak_ref<node> key;
    mmgc::soft_ref<node> copy;
    mmgc::phantom_ref<node> ghost;
    mmgc::ephemeron<node, entry> pair;
    mmgc::queue_ref queue;
    mmgc::link_ref<entry> next;
};
template <class T> constexpr bool moves = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> && std::is_nothrow_destructible_v<T>;
template <class T> constexpr bool stays = !std::is_move_constructible_v<T> && !std::is_move_assignable_v<T> && std::is_nothrow_destructible_v<T>;
static_assert(moves<mmgc::client> && moves<mmgc::heap> && moves<mmgc::thread> && moves<mmgc::notices> && moves<mmgc::watched>);
static_assert(moves<mmgc::handle<node>> && moves<mmgc::weak<node>> && moves<mmgc::soft<node>> && moves<mmgc::guard>);
static_assert(moves<mmgc::shared<node>> && moves<mmgc::exclusive<node>>);
static_assert(stays<mmgc::scope> && stays<mmgc::local_scope> && stays<mmgc::hold>);
static_assert(stays<mmgc::ref<node>> && stays<node> && sizeof(mmgc::ref<node>) == 4 && sizeof(entry) == 32);
static_assert(std::is_same_v<decltype(std::declval<mmgc::shared<node>>().get()), const node *>);
template <class F, class = void> constexpr bool readable = false;
template <class F> constexpr bool readable<F, std::void_t<decltype(std::declval<mmgc::inside>().get(std::declval<F &>()))>> = true;
static_assert(readable<mmgc::ref<node>> && readable<mmgc::weak_ref<node>> && !readable<mmgc::phantom_ref<node>> && !readable<mmgc_ref>);
template <class V, class = void> constexpr bool stored = false;
template <class V> constexpr bool stored<V, std::void_t<decltype(std::declval<mmgc::inside>().set(
    std::declval<node *>(), &node::left, std::declval<V>()))>> = true;
static_assert(stored<node *> && stored<std::nullptr_t> && !stored<entry *> && !stored<void *> && !stored<const node *>);

bool fields(mmgc::inside in, node *n, entry *e);
void arrays(const mmgc::heap &heap, mmgc::inside in, node *n);
void roots(mmgc::inside in, node *n);
void leases(mmgc::inside in, node *n);
int all(const mmgc::heap &heap, mmgc::thread &thread);

bool fields(mmgc::inside in, node *n, entry *e)
{
    in.set(n, &node::left, n);
    in.set(n, n->kids[1], n);
    in.init(n, &node::right, nullptr);
    in.set(e, &entry::key, n);
    in.set(e, &entry::copy, n);
    in.set(e, &entry::ghost, n);
    in.set(e, &entry::pair, n, e);
    in.set(e, e->pair, n, e);
    in.set(e, &entry::queue, in.make_queue());
    in.set(e, &entry::next, in.take<entry>(in.get(e->queue)));
    in.fill(n, n->kids, n, 3);
    in.copy(n, n->kids, n->kids + 1, 2);
    return in.get(n->left) == n && in.get(e->key) == n && in.get(e->copy) == n && in.get(e->pair, n) == e && !mmgc::is_null(e->ghost) &&
           mmgc::is_null(e->pair) && mmgc::is_null(e->copy) && in.get(e->next) == e && in.cas(n, &node::left, n, nullptr) &&
           in.cas(n, n->kids[0], nullptr, n) && in.exchange(n, &node::left, nullptr) == n;
}
void arrays(const mmgc::heap &heap, mmgc::inside in, node *n)
{
    node *row = in.make(mmgc::define_array<node>(heap, "row", &node::left, &node::right, &node::kids), 3);
    in.set(row, row[1].left, n);
    mmgc::ref<node> *refs = in.make(mmgc::refs<node>(heap), 4);
    in.set(refs, refs[mmgc::length(refs) - 1], n);
    mmgc::weak_ref<node> *weak = in.try_make(mmgc::weak_refs<node>(heap), 4);
    in.set(weak, weak[0], in.get(refs[0]));
    *in.make_in(MMGC_SPACE_LARGE, mmgc::bytes(heap), 100000) = 1;
    *in.make(mmgc::define_array<double>(heap, "doubles"), 3) = 1.5;
    *in.make(mmgc::define<int64_t>(heap, "number")) = 1;
}
void roots(mmgc::inside in, node *n)
{
    in.name("it", n);
    n = in.claim("it", in.find<node>("it"));
    mmgc::handle<node> handle(in, n), other = handle.dup(in);
    other.set(in, other.get(in));
    other.name("it");
    mmgc::weak<node> weak(in, n);
    mmgc::soft<node> soft(in, weak.get(in));
    handle = soft.upgrade(in);
    weak = mmgc::weak<node>();
    mmgc::guard guard(in, n, 3);
    uint64_t mark;
    mmgc_keep(in.take_ready(&mark));
    mmgc::local_scope locals(in);
    mmgc::local<node> local = locals.keep(n);
    local.set(local.get());
    local->value = in.outside([] { return 4; });
    in.outside([] {});
}
void leases(mmgc::inside in, node *n)
{
    mmgc::shared<node> shared(in, n, std::chrono::seconds(1), "it");
    mmgc::exclusive<node> exclusive = std::move(shared).upgrade(in);
    exclusive->value = 1;
    shared = std::move(exclusive).downgrade();
    if (shared.held() && (*shared).value == 1)
        exclusive = mmgc::exclusive<node>::attempt(in, n);
}
int all(const mmgc::heap &heap, mmgc::thread &thread)
{
    mmgc::notices notices(heap);
    mmgc::scope in(thread);
    node *n = in.make(mmgc::define<node>(heap, "node", &node::left, &node::right, &node::kids));
    const node *also = n;
    entry *e = in.make_in(MMGC_SPACE_NONMOVING, mmgc::define<entry>(heap, "entry", &entry::key, &entry::copy, &entry::ghost, &entry::pair,
                                                                    &entry::queue, &entry::next));
    mmgc::watched watched(notices, in, n);
    in.reserve(1000);
    in.poll();
    in.gc();
    {
        mmgc::hold hold(in);
        hold.stow(n, also);
        if (hold.bytes() > 0)
            hold.end(n);
    }
    roots(in, n);
    leases(in, n);
    arrays(heap, in, n);
    int seen = fields(in, n, e);
    if (notices.due())
        notices.apply(in, [&](const mmgc_notice &, const mmgc_move *, std::size_t) noexcept { seen++; });
    return seen + notices.fd() + static_cast<int>(heap.counts().strong + heap.info().live_objects);
}
'''

# name, C, most instructions up to the return, memory of the slow path not counted
HOT = [
    ('mmgc_new', 'void *hot(struct mmgc_thread *t, mmgc_type type) { return mmgc_new(t, type); }', 12),
    ('mmgc_poll', 'int hot(struct mmgc_thread *t) { return mmgc_poll(t); }', 6),
    ('mmgc_load', 'void *hot(struct mmgc_thread *t, mmgc_ref *slot) { return mmgc_load(t, slot); }', 8),
    ('mmgc_store', 'void hot(struct mmgc_thread *t, void *o, mmgc_ref *s, void *v) { mmgc_store(t, o, s, v); }', 14),
]
# name, C, the same in C++: as many instructions up to the return. An inside is a thread and a heap, in the registers of two arguments
C = '#include <mmgc/reference.h>\n'
CPP = '#include <mmgc/mmgc.hpp>\nstruct node { mmgc::ref<node> left; mmgc::weak_ref<node> weak; };\nextern "C" '
STRUCT = 'struct node { mmgc_ref left, weak; };\n'
SAME = [
    ('make', 'void *hot(struct mmgc_thread *t, void *heap, mmgc_type type) { return mmgc_new(t, type); }',
     'node *hot(mmgc::inside in, mmgc::type<node> type) { return in.make(type); }'),
    ('make of an array', 'void *hot(struct mmgc_thread *t, void *heap, mmgc_type type, uint32_t n) { return mmgc_new_array(t, type, n); }',
     'node *hot(mmgc::inside in, mmgc::array_type<node> type, uint32_t n) { return in.make(type, n); }'),
    ('get', STRUCT + 'void *hot(struct mmgc_thread *t, void *heap, struct node *n) { return mmgc_get(t, n, left); }',
     'node *hot(mmgc::inside in, node *n) { return in.get(n->left); }'),
    ('get of a weak one', STRUCT + 'void *hot(struct mmgc_thread *t, void *heap, struct node *n) { return mmgc_load_weak(t, &n->weak); }',
     'node *hot(mmgc::inside in, node *n) { return in.get(n->weak); }'),
    ('set', STRUCT + 'void hot(struct mmgc_thread *t, void *heap, struct node *n, void *v) { mmgc_set(t, n, left, v); }',
     'void hot(mmgc::inside in, node *n, node *v) { in.set(n, &node::left, v); }'),
    ('init', STRUCT + 'void hot(struct mmgc_thread *t, void *heap, struct node *n, void *v) { mmgc_init(t, n, left, v); }',
     'void hot(mmgc::inside in, node *n, node *v) { in.init(n, &node::left, v); }'),
    ('cas', STRUCT + 'bool hot(struct mmgc_thread *t, void *heap, struct node *n, void *o, void *v) { return mmgc_cas(t, n, left, o, v); }',
     'bool hot(mmgc::inside in, node *n, node *o, node *v) { return in.cas(n, &node::left, o, v); }'),
    ('poll', 'int hot(struct mmgc_thread *t, void *heap) { return mmgc_poll(t); }', 'void hot(mmgc::inside in) { in.poll(); }'),
]
FENCES = re.compile(r'\b(lock|[ms]fence|lfence|xchg|dmb|dsb|isb)\b')


def compiles(compiler, standard, program, *flags):
    """None, or what the compiler says."""
    language = 'c++' if '++' in compiler else 'c'
    run = subprocess.run([compiler, f'-std={standard}', f'-x{language}', '-O2', '-fsyntax-only', *WARNINGS, *flags, *INCLUDES, '-'],
                         input=program, text=True, capture_output=True, check=False)
    return None if run.returncode == 0 else run.stderr


def instructions(compiler, source):
    """The function `hot`, disassembled."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'hot.o'
        language = ['-std=c++17', '-xc++'] if '++' in compiler else ['-std=gnu17', '-xc']
        subprocess.run([compiler, *language, '-O2', '-fcf-protection=none', '-c', '-o', path, *INCLUDES, '-'],
                       input=f'#include <mmgc/mmgc.h>\n{source}\n', text=True, check=True)
        text = subprocess.run(['objdump', '-d', '--no-show-raw-insn', '-M', 'intel', path],
                              text=True, capture_output=True, check=True).stdout
    return [m[2] for m in re.finditer(r'^\s*([0-9a-f]+):\t(.*)$', text, re.M)], \
           [int(m[1], 16) for m in re.finditer(r'^\s*([0-9a-f]+):\t(.*)$', text, re.M)]


def hot_path(code, addresses):
    """What runs when every likely branch is: falls through, and no call. Branches out of the way are the slow ones."""
    path = []
    at = 0
    while at < len(code):
        path.append(code[at])
        operation = code[at].split()[0]
        if operation in ('ret', 'repz'):
            return path
        if operation == 'jmp':
            target = re.search(r'jmp\s+([0-9a-f]+)\s+<hot\+', code[at])
            if target is None:
                return None     # a tail call: this was the slow path
            at = addresses.index(int(target[1], 16))
            continue
        at += 1
    return None


def costs_the_same(compiler, plus, source, same):
    """How many instructions, and None or what differs."""
    c, cpp = instructions(compiler, C + source), instructions(plus, CPP + same)
    paths = hot_path(*c), hot_path(*cpp)
    if None in paths or len(paths[1]) > len(paths[0]):
        return None, '\n'.join(['in C:', *(paths[0] or c[0]), 'in C++:', *(paths[1] or cpp[0])])
    return len(paths[1]), None


def exports(library):
    """None, or where the headers and the library differ."""
    headers = ''.join(path.read_text() for path in sorted((ROOT / 'client/include/mmgc').glob('*.h')))
    declared = set(re.findall(r'^MMGC_API [^;(]*?\b(mmgc_\w+)\(', headers, re.M))
    text = subprocess.run(['nm', '-D', '--defined-only', library], text=True, capture_output=True, check=True).stdout
    exported = {line.split()[2].split('@')[0] for line in text.splitlines() if line.split()[1] != 'A'}
    unversioned = [line for line in text.splitlines() if line.split()[1] != 'A' and '@@MMGC_' not in line]
    differ = [f'declared, not exported: {name}' for name in sorted(declared - exported)]
    differ += [f'exported, not declared: {name}' for name in sorted(exported - declared)]
    return '\n'.join(differ + unversioned) or None


def main():
    cases = []
    if len(sys.argv) > 1:
        cases.append(('the library exports what the headers declare, each with a version', exports(sys.argv[1]), None))
    for compiler, standard in DIALECTS:
        name = f'the header is {standard} for {compiler}'
        if shutil.which(compiler) is None:
            cases.append((name, None, f'no {compiler}'))
        else:
            cases.append((name, compiles(compiler, standard, PROGRAM), None))
    x86 = shutil.which('objdump') and subprocess.run(['uname', '-m'], text=True, capture_output=True, check=True).stdout.strip() == 'x86_64'
    for compiler in ('gcc', 'clang'):
        for call, source, most in HOT:
            name = f'{call} by {compiler} is at most {most} instructions without a fence'
            if shutil.which(compiler) is None or not x86:
                cases.append((name, None, 'needs objdump, x86-64 and ' + compiler))
                continue
            code, addresses = instructions(compiler, source)
            path = hot_path(code, addresses)
            listing = '\n'.join(code)
            if path is None or 'call' in ' '.join(path):
                cases.append((name, f'no way from the start to a return:\n{listing}', None))
            elif len(path) > most:
                cases.append((name, f'{len(path)} instructions:\n' + '\n'.join(path), None))
            elif FENCES.search(listing):
                cases.append((name, f'a fence:\n{listing}', None))
            else:
                cases.append((f'{name} ({len(path)})', None, None))

    for compiler, standard in ((c, s) for c in ('g++', 'clang++') for s in ('c++17', 'c++20')):
        for flags in ((), ('-fno-exceptions', '-fno-rtti')):
            name = ' '.join([f'mmgc.hpp is {standard} for {compiler}', *flags])
            missing = None if shutil.which(compiler) else f'no {compiler}'
            cases.append((name, None if missing else compiles(compiler, standard, CPP_PROGRAM, *flags), missing))
    for compiler, plus in (('gcc', 'g++'), ('clang', 'clang++')):
        for call, source, same in SAME:
            name = f'{call} by {plus} costs what it does in C'
            if shutil.which(compiler) is None or shutil.which(plus) is None or not x86:
                cases.append((name, None, f'needs objdump, x86-64, {compiler} and {plus}'))
                continue
            count, fault = costs_the_same(compiler, plus, source, same)
            cases.append((name if fault else f'{name} ({count})', fault, None))

    print(f'1..{len(cases)}')
    for number, (name, fault, skipped) in enumerate(cases, 1):
        print(f'{"not ok" if fault else "ok"} {number} - {name}' + (f' # SKIP {skipped}' if skipped else ''))
        for line in (fault or '').splitlines():
            print(f'# {line}')
    return 1 if any(fault for _, fault, _ in cases) else 0


if __name__ == '__main__':
    sys.exit(main())
