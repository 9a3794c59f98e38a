#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Binaries: what the linker was asked for is in the programs and in the library (SECURITY.md), as readelf sees them.  Prints TAP.

Usage: binaries.py [--canary] [--fortified] FILE...    The options: the build has asked the compiler for that, too.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / 'support'))
import live  # noqa: E402

OPTIONS = [word for word in sys.argv[1:] if word.startswith('--')]


def readelf(path, *options):
    return live.run('readelf', '-W', *options, path, env=os.environ | {'LC_ALL': 'C'})


def segment(path, name):
    """The flags of a program header, or None."""
    match = re.search(rf'^\s*{name}\s+(?:0x[0-9a-f]+\s+){{5}}([RWE ]+?)\s+0x', readelf(path, '-l'), re.M)
    return match and match[1].replace(' ', '')


def dynamic(path, tag):
    """The values of a dynamic tag."""
    return ' '.join(re.findall(rf'\({tag}\)\s+(.*)$', readelf(path, '-d'), re.M))


def imports(path):
    return set(re.findall(r'\sUND\s+(\w+)', readelf(path, '--dyn-syms')))


def its_relocations_are_read_only_after_start(path):
    yield segment(path, 'GNU_RELRO') == 'R', 'no GNU_RELRO segment'
    yield 'NOW' in (dynamic(path, 'FLAGS') + dynamic(path, 'FLAGS_1')).split(), 'symbols are bound lazily: no BIND_NOW'


def it_runs_at_any_address(path):
    yield re.search(r'Type:\s+DYN', readelf(path, '-h')), 'it is not position-independent'
    yield '.so' in path.name or 'PIE' in dynamic(path, 'FLAGS_1').split(), 'it is no PIE'


def no_stack_is_executable(path):
    yield segment(path, 'GNU_STACK') == 'RW', f'GNU_STACK is {segment(path, "GNU_STACK")}'


def no_memory_is_both_code_and_writable(path):
    loads = re.findall(r'^\s*LOAD\s+(?:0x[0-9a-f]+\s+){5}([RWE ]+?)\s+0x', readelf(path, '-l'), re.M)
    yield loads, 'it has no LOAD segment'
    yield not any('W' in flags and 'E' in flags for flags in loads), f'segments are {loads}'


def its_code_needs_no_relocation(path):
    yield not re.search(r'\(TEXTREL\)', readelf(path, '-d')) and 'TEXTREL' not in dynamic(path, 'FLAGS'), 'TEXTREL'


def functions_with_arrays_check_their_stack(path):
    if '--canary' not in OPTIONS:
        raise live.Skip('this compiler has no -fstack-protector-strong')
    yield '__stack_chk_fail' in imports(path), 'nothing calls __stack_chk_fail'


def copies_are_checked(path):
    if '--fortified' not in OPTIONS:
        raise live.Skip('this build has no _FORTIFY_SOURCE')
    yield any(re.fullmatch(r'__\w+_chk', name) for name in imports(path) - {'__stack_chk_fail'}), 'nothing calls a checked copy'


CHECKS = [its_relocations_are_read_only_after_start, it_runs_at_any_address, no_stack_is_executable, no_memory_is_both_code_and_writable,
          its_code_needs_no_relocation, functions_with_arrays_check_their_stack, copies_are_checked]


def case(check, path):
    def run():
        for holds, otherwise in check(path):
            if not holds:
                raise live.Failed(otherwise)
    run.__name__ = f'{path.name}: {check.__name__}'
    return run


def main():
    paths = [pathlib.Path(name) for name in sys.argv[1:] if name not in OPTIONS]
    sys.argv[1:] = []
    if shutil.which('readelf') is None:
        print('1..0 # SKIP readelf is not installed')
        return 0
    return live.main([case(check, path) for path in paths for check in CHECKS])


if __name__ == '__main__':
    sys.exit(main())
