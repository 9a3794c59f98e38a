#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pages: what refers to a page of the documents, or to a section of one, finds it; and the plans' page has all plans. A TAP test."""
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / 'support'))
import rules  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ('*.c', '*.h', '*.cpp', '*.hpp', '*.py', '*.md', '*.sh', '*meson.build', 'dev')

HEADING = re.compile(r'^#+ +(.*?) *$', re.M)
CITED = re.compile(r'\b((?:docs/[\w-]+|README|CONTRIBUTING|CHANGELOG)\.md)(?:#([\w-]+))?')
LINK = re.compile(r'\]\((?!https?:)([^)#\s]*)(?:#([\w-]+))?\)')
CODE = re.compile(r'^```.*?^```|`[^`\n]*`', re.M | re.S)


def files_of_project():
    git = subprocess.run(['git', '-C', str(ROOT), 'ls-files', '-z', '--cached', '--others', '--exclude-standard', *SOURCES],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if git.returncode == 0 and git.stdout:
        names = git.stdout.decode().split('\0')
    else:
        names = [str(p.relative_to(ROOT)) for kind in SOURCES for p in ROOT.rglob(kind)]
    return sorted(n for n in set(names) if n and not n.startswith('build/') and (ROOT / n).is_file())


def sections_of(page):
    """The names that GitHub gives to the headings of @page."""
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.M | re.S)
    return {re.sub(r'[^\w -]', '', title.lower()).replace(' ', '-') for title in HEADING.findall(text)}


def lead_to(name, text, pattern, folder):
    """The references of @pattern in @text, from @folder, that lead nowhere."""
    for match in pattern.finditer(text):
        target = folder / match[1] if match[1] else ROOT / name
        number = text.count('\n', 0, match.start()) + 1
        if not target.exists():
            yield f'{name}:{number}: there is no {match[1]}'
        elif match[2] and match[2] not in sections_of(target):
            yield f'{name}:{number}: {match[1]} has no section #{match[2]}'


def cited_sections_exist(names):
    for name in names:
        yield from lead_to(name, (ROOT / name).read_text(errors='replace'), CITED, ROOT)


def links_lead_somewhere(names):
    for name in (n for n in names if n.endswith('.md')):
        text = CODE.sub(lambda m: re.sub(r'[^\n]', ' ', m[0]), (ROOT / name).read_text())
        yield from lead_to(name, text, LINK, (ROOT / name).parent)


def every_plan_has_its_section(names):
    page = ROOT / 'docs/plans.md'
    sections = sections_of(page)
    for name in names:
        if re.fullmatch(r'plans/\w+\.c', name):
            yield from (f'{name}: {page.relative_to(ROOT)} has no section #{plan}'
                        for plan in re.findall(r'^\s+\.name = "(\w+)"', (ROOT / name).read_text(), re.M)
                        if plan not in sections)


def main():
    names = files_of_project()
    return rules.check([(rule, names) for rule in (cited_sections_exist, links_lead_somewhere, every_plan_has_its_section)])


if __name__ == '__main__':
    sys.exit(main())
