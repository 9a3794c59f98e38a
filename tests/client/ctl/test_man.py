#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages, as a TAP test: they are mdoc, and leave out nothing that the programs and the header have."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'support'))
import rules  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
MAN = ROOT / 'docs' / 'man'
BUILD = Path(os.environ.get('MMGC_BUILD_ROOT', ROOT / 'build'))
PAGES = ('mmgc.3', 'mmgc-protocol.7', 'mmgcctl.1', 'mmgcd.8')


def text_of(page):
    return (MAN / page).read_text()


def headers():
    return ''.join(path.read_text() for path in sorted((ROOT / 'client' / 'include' / 'mmgc').glob('*.h')))


def shown(page):
    """@page as a reader meets it, without line breaks within paragraphs."""
    run = subprocess.run([tool('mandoc'), '-Tascii', '-Owidth=900', str(MAN / page)],
                         capture_output=True, text=True, check=True)
    return re.sub('.\b', '', run.stdout)               # bold is a character struck twice


def tool(name):
    found = shutil.which(name)
    if found is None:
        raise rules.Skip(f'no {name} here')
    return found


def output(program, *arguments):
    path = BUILD / program
    if not path.is_file():
        raise rules.Skip(f'{program} is not built')
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=True, timeout=60).stdout


def says(page, text, word):
    """@word stands in @text by itself, not within another."""
    if not re.search(rf'(?<![\w-]){re.escape(word)}(?![\w-])', text):
        yield f'{page} does not say {word}'


def pages_are_mdoc():
    for page in PAGES:
        lint = subprocess.run([tool('mandoc'), '-Tlint', '-Wwarning', str(MAN / page)], capture_output=True, text=True)
        yield from (lint.stdout + lint.stderr).splitlines()


def every_page_is_installed():
    build = text_of('meson.build')
    yield from (f'docs/man/meson.build lacks {page}' for page in PAGES if f"'{page}'" not in build)
    yield from (f'{found.name} is no page known here' for found in MAN.glob('*.[1-9]') if found.name not in PAGES)


def mmgcctl_names_its_commands_and_options():
    page = shown('mmgcctl.1')
    for command in json.loads(output('client/ctl/mmgcctl', 'help', '--json'))['commands']:
        yield from says('mmgcctl.1', page, re.sub(r'[A-Z]{4,}|(?<==)N(?=])', lambda word: word[0].lower(), command['synopsis']))
    for option in re.findall(r'--[a-z][a-z-]+|(?<=  )-[a-zA-Z](?=,)', output('client/ctl/mmgcctl', '--help')):
        yield from says('mmgcctl.1', page, option)


def mmgcctl_names_its_keys():
    page = shown('mmgcctl.1')
    sources = ''.join(path.read_text() for path in (ROOT / 'client' / 'ctl').glob('*.c'))
    keys = set(re.findall(r'document_(?:text|count|flag|real|array)\(\w+, "(\w+)"', sources))
    keys -= {'time'}                                   # of a table that info makes for people
    for key in sorted(keys):
        yield from says('mmgcctl.1', page, key)


def mmgcd_names_its_options():
    page = shown('mmgcd.8')
    for option in re.findall(r'(?<=[ ,])--[a-z][a-z-]+', output('daemon/mmgcd', '--help')):
        yield from says('mmgcd.8', page, option)


def mmgcd_names_its_keys_and_their_defaults():
    page = shown('mmgcd.8')
    for line in output('daemon/mmgcd', '--list-options').splitlines():
        name, default, _ = line.split('\t')
        section, key = name.split('.')
        part = page[page.find(f'Section {section}'):]
        if not re.search(rf'^ *{key} = .*\bdefault {re.escape(default)}[;)]', part, re.M) and \
           not re.search(rf'^ *{key} = .*\(default {re.escape(default)}\)', part, re.M):
            yield f'mmgcd.8 does not say that {key} of section {section} is {default} by default'


def mmgc_has_an_entry_for_every_call():
    header = headers()
    calls = set(re.findall(r'^MMGC_API [^;(]*?(\w+)\(', header, re.M))
    calls |= {name for name in re.findall(r'^static inline [^;(]*?(\w+)\(', header, re.M) if not name.endswith('_')}
    calls |= set(re.findall(r'^#define (mmgc_\w+|MMGC_DEFINE_\w+)\(', header, re.M))
    page = text_of('mmgc.3')
    for call in sorted(calls):
        if not re.search(rf'^\.It .*\bFn {call}\b', page, re.M) and not (call.endswith('_') and f'Fn {call}' in page):
            yield f'mmgc.3 has no entry for {call}'
    for entry in re.findall(r'\bFn (\w+)', page):
        if entry not in calls:
            yield f'mmgc.3 speaks of {entry}, which the headers do not have'


def mmgc_marks_the_safepoints_of_the_header():
    header = headers()
    marked = set(re.findall(r'/\* \[safepoint\](?:[^*]|\*(?!/))*\*/\s*(?:static inline|MMGC_API)[^;(]*?(\w+)\(', header))
    entries = re.split(r'^\.It ', text_of('mmgc.3'), flags=re.M)[1:]
    for entry in entries:
        name = re.search(r'\bFn (\w+)', entry.split('\n')[0])
        if name and ('\n.Sy Safepoint .' in entry) != (name[1] in marked):
            yield f'mmgc.3 and the headers disagree on whether {name[1]} is a safepoint'


def errors_exist():
    names = set(re.findall(r'^ *X\((\w+),', (ROOT / 'proto' / 'mmgc' / 'error.h').read_text(), re.M))
    for page in PAGES:
        for name in re.findall(r'MMGC_E_(\w+)', text_of(page)):
            if name and name not in names:
                yield f'{page}: there is no MMGC_E_{name}'


RULES = (pages_are_mdoc, every_page_is_installed, mmgcctl_names_its_commands_and_options, mmgcctl_names_its_keys,
         mmgcd_names_its_options, mmgcd_names_its_keys_and_their_defaults, mmgc_has_an_entry_for_every_call,
         mmgc_marks_the_safepoints_of_the_header, errors_exist)


if __name__ == '__main__':
    sys.exit(rules.check([(rule,) for rule in RULES]))
