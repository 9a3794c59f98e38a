#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The example in C++ counts the words of several processes, as a TAP test."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402

WORDS = live.BUILD / 'docs' / 'examples' / 'cpp' / 'words'


def one_after_the_other():
    with live.Daemon() as daemon:
        first = live.run(WORDS, daemon.socket, 'the', 'cat', 'The')
        second = live.run(WORDS, daemon.socket, 'a', 'CAT', 'sat')
        live.expect(first + second, 'cat 1\nthe 2\n' + 'a 1\ncat 2\nsat 1\nthe 2\n')


def many_at_once():
    with live.Daemon() as daemon:
        texts = ['one', 'two', 'two', 'three'] * 100
        runs = [subprocess.Popen([WORDS, daemon.socket, *texts], stdout=subprocess.DEVNULL) for _ in range(4)]
        failed = sum(run.wait(timeout=60) != 0 for run in runs)
        live.expect(live.run(WORDS, daemon.socket) + f'{failed} failed', 'one 400\nthree 400\ntwo 800\n0 failed')


if __name__ == '__main__':
    sys.exit(live.main([one_after_the_other, many_at_once]))
