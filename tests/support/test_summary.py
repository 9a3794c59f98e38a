#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Summary counts what it should: a suite that broke off must never look green.  Prints TAP."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SUMMARY = Path(__file__).resolve().parent.parent / 'summary.py'

# What is true, the runs meson logged as (result, TAP), the closing line, the exit status.
CASES = [
    ('cases are counted, not programs',
     [('OK', 'ok 1 - a\nok 2 - b\n1..2\n'), ('OK', '1..1\nok 1 - c\n')], '3 passed, 0 failed, 0 skipped', 0),
    ('a failed case fails the whole',
     [('ERROR', 'ok 1 - a\nnot ok 2 - b\n1..2\n')], '1 passed, 1 failed, 0 skipped', 1),
    ('a program that broke off has failed once',
     [('OK', 'ok 1 - a\n1..1\n'), ('TIMEOUT', 'ok 1 - b\n'), ('ERROR', '')], '2 passed, 2 failed, 0 skipped', 1),
    ('skipped cases and skipped programs are told apart from passed ones',
     [('OK', 'ok 1 - a\nok 2 - b # SKIP no clang\n1..2\n'), ('SKIP', '1..0 # SKIP no systemd\n')],
     '1 passed, 0 failed, 2 skipped', 0),
    ('a run of nothing is no success',
     [], '0 passed, 0 failed, 0 skipped', 1),
]


def summary_of(runs):
    """The closing line and exit status for these runs."""
    with tempfile.NamedTemporaryFile('w', suffix='.json') as log:
        for result, tap in runs:
            log.write(json.dumps({'name': 'x', 'stdout': tap, 'result': result, 'returncode': 0}) + '\n')
        log.flush()
        done = subprocess.run([sys.executable, SUMMARY, log.name], stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.splitlines()[-1], done.returncode


print(f'1..{len(CASES)}')
failed = False
for number, (what, runs, *expected) in enumerate(CASES, 1):
    got = list(summary_of(runs))
    print(f'{"ok" if got == expected else "not ok"} {number} - {what}')
    if got != expected:
        print(f'# got {got}, not {expected}')
        failed = True
sys.exit(failed)
