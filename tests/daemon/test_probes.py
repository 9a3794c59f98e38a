#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Probes: what docs/tracing.md lists is in the program, with these arguments, and the other way round.  Prints TAP.

Usage: test_probes.py MMGCD     It reads the notes that <sys/sdt.h> leaves in the ELF section .note.stapsdt.
"""
import os
import re
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))
import rules  # noqa: E402

ROOT = Path(os.environ.get('MMGC_SOURCE_ROOT', Path(__file__).resolve().parents[2]))
PAGE = (ROOT / 'docs' / 'tracing.md').read_text()

# What an argument's size may be, as the notes have it: negative is signed. Compilers widen what they have at hand.
SIZES = {'string': {8, -8}, 'u64': {8}, 'u32': {4}, 'int': {-4}, 'bool': {1, -1, 4, -4}}


def sections(elf):
    """{name: bytes} of a little-endian ELF of 64 bits."""
    table, = struct.unpack_from('<Q', elf, 40)
    size, count, names = struct.unpack_from('<HHH', elf, 58)
    rows = [struct.unpack_from('<IIQQQQ', elf, table + i * size) for i in range(count)]
    strings = rows[names][4]
    return {elf[strings + row[0]:elf.index(b'\0', strings + row[0])].decode(): elf[row[4]:row[4] + row[5]] for row in rows}


def notes(section):
    """(provider, probe, arguments) of each note."""
    at = 0
    while at < len(section):
        name_bytes, bytes_, kind = struct.unpack_from('<III', section, at)
        name = section[at + 12:at + 12 + name_bytes]
        start = at + 12 + (name_bytes + 3) // 4 * 4
        if (name, kind) == (b'stapsdt\0', 3):
            provider, probe, arguments = section[start + 24:start + bytes_].split(b'\0')[:3]   # after three addresses
            yield provider.decode(), probe.decode(), arguments.decode()
        at = start + (bytes_ + 3) // 4 * 4


def sizes(arguments):
    """The sizes of "8@%rax -4@16(%rsp, %rbx)"."""
    return [int(size) for size in re.findall(r'(?:^| )(-?\d+)@', arguments)]


def documented():
    """{probe: [(argument, type), ...]}"""
    rows = re.findall(r'^\| `(\w+__\w+|\w+)` \| ([\w: ,]+) \| .*\|$', PAGE[PAGE.index('\n## Probes\n'):], re.M)
    return {probe: [tuple(argument.split(': ')) for argument in arguments.split(', ')] for probe, arguments in rows}


def every_probe_is_in_both(found, listed):
    yield from (f'{probe}: not in docs/tracing.md' for probe in sorted(set(found) - set(listed)))
    yield from (f'{probe}: not in the program' for probe in sorted(set(listed) - set(found)))


def arguments_are_as_listed(found, listed):
    for probe in sorted(set(found) & set(listed)):
        for arguments in found[probe]:
            got, wanted = sizes(arguments), listed[probe]
            if len(got) != len(wanted) or any(size not in SIZES[kind] for size, (_, kind) in zip(got, wanted)):
                yield f'{probe}: has "{arguments}", should have {wanted}'


def examples_name_probes_that_exist(found, listed):
    for probe in re.findall(r'usdt:/usr/bin/mmgcd:mmgcd:(\w+)', PAGE):
        if probe not in found and probe != 'NAME':
            yield f'{probe}: in an example, and not in the program'


def arguments_of_examples_exist(found, listed):
    for probe, body in re.findall(r'mmgcd:mmgcd:(\w+) \{(.*?)\}', PAGE):
        for number in map(int, re.findall(r'\barg(\d)', body)):
            if number >= len(listed[probe]):
                yield f'{probe}: an example uses arg{number}'
        for number in map(int, re.findall(r'str\(arg(\d)\)', body)):
            if listed[probe][number][1] != 'string':
                yield f'{probe}: arg{number} of an example is no string'


def main():
    found = {}
    for provider, probe, arguments in notes(sections(Path(sys.argv[1]).read_bytes()).get('.note.stapsdt', b'')):
        if provider == 'mmgcd':
            found.setdefault(probe, []).append(arguments)
    return rules.check([(rule, found, documented()) for rule in (
        every_probe_is_in_both, arguments_are_as_listed, examples_name_probes_that_exist, arguments_of_examples_exist)])


if __name__ == '__main__':
    sys.exit(main())
