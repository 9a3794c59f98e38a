#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The example hold says what awk says of the same lines: the longest word of each, however many lines there are."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402

HOLD = live.BUILD / 'docs' / 'examples' / 'hold' / 'hold'
LINES = 2000 if live.sanitized() else 20000

rng = live.seeded()


def lines():
    for _ in range(LINES):
        yield ' '.join('x' * rng.choice((1, 2, 3, 8, 40, 300)) for _ in range(rng.choice((0, 1, 2, 10, 60))))


def said_of(text, plan):
    with live.Daemon('--heap-plan', plan) as daemon:
        run = subprocess.run([HOLD], input=text, capture_output=True, text=True, timeout=120, env=os.environ | {'MMGC_SOCKET': str(daemon.socket)})
    if run.returncode != 0:
        raise live.Failed(run.stderr)
    return run.stdout


def the_longest_word_of_each_line_is_kept():
    text = '\n'.join(lines()) + '\n'
    longest = [max(len(word) for word in line.split()) for line in text.splitlines() if line.split()]
    expected = f'{len(longest)} words of {sum(longest)} letters\n'
    for plan in ('concurrentstickyimmix', 'marksweep', 'lxr'):
        said = said_of(text, plan)
        if said != expected:
            raise live.Failed(f'{plan}: {said!r}, not {expected!r}')


sys.exit(live.main([the_longest_word_of_each_line_is_kept]))
