#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Summary: counts single test cases in what `meson test` logged, and closes with one line of totals.

Above it, each failed case with its reason, which `meson test` leaves in its log.

usage: summary.py build/meson-logs/testlog.json; exits 1 if a case failed or none ran.
"""
import json
import re
import sys

CASE = re.compile(r'^(not )?ok\b[^#]*(?:#\s*(skip|todo)\b)?', re.IGNORECASE)
SKIP_ALL = re.compile(r'^1\.\.0\b')


def count_cases(tap):
    """(passed, failed, skipped) by the TAP lines one executable printed."""
    passed = failed = skipped = 0
    for line in tap.splitlines():
        match = CASE.match(line)
        if match and (match[2] or '').lower() == 'skip':
            skipped += 1
        elif match and (match[2] or match[1] is None):
            passed += 1
        elif match:
            failed += 1
        elif SKIP_ALL.match(line):
            skipped += 1
    return passed, failed, skipped


def count_run(run):
    """The same for one logged run; an executable that broke off counts as one failed case at least."""
    passed, failed, skipped = count_cases(run.get('stdout') or '')
    good = run['result'] in ('OK', 'SKIP', 'EXPECTEDFAIL')
    if not good and failed == 0:
        failed = 1
    elif run['result'] == 'SKIP' and passed + failed + skipped == 0:
        skipped = 1
    return passed, failed, skipped


def reasons(run):
    """The failed cases of one run as it told them, with the remarks that follow each."""
    lines = (run.get('stdout') or '').splitlines()
    remarks = False
    for line in lines:
        failed = line.startswith('not ok') and not re.search(r'#\s*(skip|todo)\b', line, re.IGNORECASE)
        remarks = failed or (remarks and line.startswith('#'))
        if remarks:
            yield line
    if not any(line.startswith('not ok') for line in lines):
        yield f"it broke off after {len(lines)} lines: {run['result']}, exit status {run['returncode']}"


def main(path):
    try:
        with open(path, encoding='utf-8') as log:
            runs = [json.loads(line) for line in log if line.strip()]
    except FileNotFoundError:
        runs = []
    counts = [count_run(run) for run in runs]
    passed, failed, skipped = (sum(column) for column in zip(*counts)) if counts else (0, 0, 0)

    for run, (_, run_failed, _) in zip(runs, counts):
        if run_failed:
            print(f"\n{run['name']}")
            print(''.join(f'    {line}\n' for line in reasons(run)), end='')
    if any(count[1] for count in counts):
        print()
    if passed + failed == 0:
        print('no test ran: is the suite spelled right?')
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed or passed == 0 else 0


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
