#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Page: the program in docs/writing-a-plan.md.

A block of C below the comment `<!-- file: NAME -->` is a part of that file; parts of one name follow each other as on
the page. One below `<!-- from: PATH -->` is cited: it stands in that file, word for word.

    page.py extract PAGE FOLDER     writes the files
    page.py check PAGE              compares what is cited, as a TAP test
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BLOCK = re.compile(r'^(?:<!-- (file|from): (\S+) -->\n)?```c\n(.*?)^```$', re.M | re.S)


def blocks_of(page):
    """(kind, name, text) of each block of C; kind is None for one that says nothing of itself."""
    return BLOCK.findall(Path(page).read_text())


def extract(page, folder):
    files = {}
    for kind, name, text in blocks_of(page):
        if kind == 'file':
            files[name] = files.get(name, '') + ('\n' if name in files else '') + text
    for name, text in files.items():
        (Path(folder) / name).write_text(text)
    return 0


def check(page):
    blocks = blocks_of(page)
    broken = []
    print(f'1..{len(blocks)}')
    for number, (kind, name, text) in enumerate(blocks, 1):
        good = kind == 'file' or (kind == 'from' and text in (ROOT / name).read_text())
        print(f'{"ok" if good else "not ok"} {number} - {kind or "a block of no file"} {name}')
        if not good:
            broken.append(number)
            print('# ' + text.rstrip().replace('\n', '\n# '))
    return 1 if broken or not blocks else 0


if __name__ == '__main__':
    sys.exit(extract(*sys.argv[2:]) if sys.argv[1] == 'extract' else check(*sys.argv[2:]))
