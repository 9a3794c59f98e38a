#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Layers: the rules of the tree that a compiler does not check, as a TAP test.

Run it alone with `tests/layers.py`; a broken rule names each file and line that breaks it.
"""
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / 'support'))
import rules  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent

# Who may include whom: shm <- plans <- daemon; shm, proto <- daemon; shm, proto <- client.
MAY_INCLUDE = {
    'shm': {'shm'},
    'proto': {'proto'},
    'plans': {'plans', 'shm'},
    'daemon': {'daemon', 'plans', 'shm', 'proto'},
    'client': {'client', 'shm', 'proto', 'mmgc'},
    'client/include': {'mmgc'},
    'docs/examples': {'mmgc'},
    'docs/examples/baremetal': {'plans', 'shm'},        # without the daemon: plans/ itself
    'tests': {'tests', 'shm', 'proto', 'plans', 'daemon', 'client', 'mmgc'},
}

# Libraries that belong to one folder: <header> seen only below these.
BELONGS_TO = {
    r'uv\.h': ('daemon', 'tests'),
    r'ini\.h': ('daemon', 'tests'),
    r'liburing\.h': ('daemon', 'tests'),
    r'systemd/.*': ('daemon', 'client', 'tests'),
    r'microhttpd\.h': ('client', 'tests'),
    r'curses\.h': ('client', 'tests'),
    r'protobuf-c/.*': ('proto', 'tests'),
    r'.*\.pb-c\.h': ('proto', 'tests'),
}

# Programs of their own, built without the root on the include path: "header.h" may lie beside them.
STANDALONE = ('docs/examples/', 'tests/bench/')

TOP_LEVEL = set('''
    .ci .clang-format .editorconfig .gitignore
    CHANGELOG.md CONTRIBUTING.md LICENSE README.md SECURITY.md dev meson.build
    client daemon docs plans proto shm systemd tests
'''.split())

# Folders whose headers are ours alone: #pragma once.  Public ones, in mmgc/, have a guard any compiler knows.
INSIDE = ('shm', 'proto', 'plans', 'daemon', 'tests')

SPDX = '/* SPDX-License-Identifier: Apache-2.0 */'
LOOK_AGAIN_AT, SPLIT_ABOVE, HEADER_UNDER = 600, 800, 150

# plans/ runs where there is no system allocator: memory comes from a store (plans/work/store.h), the store's own from this file.
MEMORY = re.compile(r'\b(malloc|calloc|realloc|reallocarray|free|strn?dup|v?asprintf|getline|fopen|aligned_alloc|posix_memalign|memalign|mmap|munmap'
                    r'|mremap|mprotect|madvise|s?brk|alloca)\s*\(')
MAPS_MEMORY = 'plans/work/reserve.c'

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def files_of_project(*which):
    """The files git lists for @which; in an unpacked tarball, every file outside build/."""
    git = subprocess.run(['git', '-C', str(ROOT), 'ls-files', '-z', '--cached', *which],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if git.returncode == 0 and git.stdout:
        names = git.stdout.decode().split('\0')
    else:
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob('*') if '.git' not in p.parts]
    return sorted(n for n in names if n and not n.startswith('build/') and (ROOT / n).is_file())


def layer_of(name):
    """The longest layer whose folder holds @name, or None."""
    return max((layer for layer in MAY_INCLUDE if name.startswith(layer + '/')), key=len, default=None)


def includes_of(name):
    """(line number, '<' or '"', header) for each #include in @name."""
    for number, line in enumerate((ROOT / name).read_text(errors='replace').splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def includes_follow_the_arrows(sources):
    for name in sources:
        allowed = MAY_INCLUDE.get(layer_of(name), set())
        for number, mark, header in includes_of(name):
            target = header.split('/')[0] if '/' in header else ''
            ours = target == 'mmgc' or target in MAY_INCLUDE
            if target == 'mmgc' and 'proto' in allowed and (ROOT / 'proto' / header).is_file():
                continue        # the public headers both sides share: their errors
            if ours and target not in allowed:
                yield f'{name}:{number}: {name.split("/")[0]}/ must not see {header}'
            elif mark == '"' and not ours and not name.startswith(STANDALONE):
                yield f'{name}:{number}: "{header}" is not rooted; write "folder/{header}"'


def libraries_stay_in_their_folder(sources):
    for name in sources:
        for number, _, header in includes_of(name):
            for pattern, folders in BELONGS_TO.items():
                if re.fullmatch(pattern, header) and name.split('/')[0] not in folders:
                    yield f'{name}:{number}: <{header}> belongs to {folders[0]}/'


def sources_open_with_their_licence(sources):
    for name in sources:
        if not (ROOT / name).read_text(errors='replace').startswith(SPDX + '\n'):
            yield f'{name}:1: should be {SPDX}'


def headers_guard_themselves_once(sources):
    for name in sources:
        if name.endswith('.h') and '/mmgc/' not in name and name.split('/')[0] in INSIDE:
            if '\n#pragma once\n' not in (ROOT / name).read_text(errors='replace'):
                yield f'{name}:2: should be #pragma once'


def files_are_not_too_long(sources):
    for name in sources:
        lines = (ROOT / name).read_text(errors='replace').count('\n')
        if lines > SPLIT_ABOVE:
            yield f'{name}: {lines} lines; split it by {SPLIT_ABOVE}'
        elif lines > LOOK_AGAIN_AT:
            print(f'# {name}: {lines} lines; worth a second look')
        elif name.endswith(('.h', '.hpp')) and lines > HEADER_UNDER:
            print(f'# {name}: {lines} lines; headers stay under {HEADER_UNDER}')


def plans_take_memory_from_a_store(sources):
    for name in sources:
        if name.startswith('plans/') and name != MAPS_MEMORY:
            text = re.sub(r'/\*.*?\*/', lambda comment: '\n' * comment[0].count('\n'), (ROOT / name).read_text(errors='replace'), flags=re.S)
            for number, line in enumerate(text.splitlines(), 1):
                match = MEMORY.search(line)
                if match:
                    yield f'{name}:{number}: {match[1]}(): memory comes from a store, plans/work/store.h'


def tests_are_built(files):
    for name in files:
        path = ROOT / name
        if re.fullmatch(r'tests/.*/test_\w+\.c(pp)?', name):
            build = path.parent / 'meson.build'
            words = re.findall(r"'([^']*)'", build.read_text()) if build.is_file() else []
            if not {path.name, path.stem, path.stem[len('test_'):]} & set(words):
                yield f'{name}: not named in {build.relative_to(ROOT)}, so it never runs'


def top_level_is_the_map(files):
    found = {name.split('/')[0] for name in files}
    yield from (f'{name}: not in the map of folders (README.md)' for name in sorted(found - TOP_LEVEL))
    yield from (f'{name}: in the map of folders, and missing' for name in sorted(TOP_LEVEL - found))


def main():
    committed = files_of_project()
    files = files_of_project('--others', '--exclude-standard')      # and those about to be
    sources = [n for n in files if n.endswith(('.c', '.h', '.cpp', '.hpp'))]
    checks = [
        (includes_follow_the_arrows, sources),
        (libraries_stay_in_their_folder, sources),
        (sources_open_with_their_licence, sources),
        (headers_guard_themselves_once, sources),
        (files_are_not_too_long, sources),
        (plans_take_memory_from_a_store, sources),
        (tests_are_built, files),
        (top_level_is_the_map, committed),
    ]
    return rules.check(checks)


if __name__ == '__main__':
    sys.exit(main())
