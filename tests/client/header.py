#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The public headers: valid C11 and C++17 for the compilers there are, with every warning on; and what the calls that are
inlined cost, instruction by instruction; and, given libmmgc-client.so, that it exports what the headers declare and no more.
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

# name, C, most instructions up to the return, memory of the slow path not counted
HOT = [
    ('mmgc_new', 'void *hot(struct mmgc_thread *t, mmgc_type type) { return mmgc_new(t, type); }', 12),
    ('mmgc_poll', 'int hot(struct mmgc_thread *t) { return mmgc_poll(t); }', 6),
    ('mmgc_load', 'void *hot(struct mmgc_thread *t, mmgc_ref *slot) { return mmgc_load(t, slot); }', 8),
    ('mmgc_store', 'void hot(struct mmgc_thread *t, void *o, mmgc_ref *s, void *v) { mmgc_store(t, o, s, v); }', 14),
]
FENCES = re.compile(r'\b(lock|[ms]fence|lfence|xchg|dmb|dsb|isb)\b')


def compiles(compiler, standard, program):
    """None, or what the compiler says."""
    language = 'c++' if '++' in compiler else 'c'
    run = subprocess.run([compiler, f'-std={standard}', f'-x{language}', '-O2', '-fsyntax-only', *WARNINGS, *INCLUDES, '-'],
                         input=program, text=True, capture_output=True, check=False)
    return None if run.returncode == 0 else run.stderr


def instructions(compiler, source):
    """The function `hot`, disassembled."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'hot.o'
        subprocess.run([compiler, '-std=gnu17', '-O2', '-fcf-protection=none', '-xc', '-c', '-o', path, *INCLUDES, '-'],
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

    print(f'1..{len(cases)}')
    for number, (name, fault, skipped) in enumerate(cases, 1):
        print(f'{"not ok" if fault else "ok"} {number} - {name}' + (f' # SKIP {skipped}' if skipped else ''))
        for line in (fault or '').splitlines():
            print(f'# {line}')
    return 1 if any(fault for _, fault, _ in cases) else 0


if __name__ == '__main__':
    sys.exit(main())
