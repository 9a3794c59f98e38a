# SPDX-License-Identifier: Apache-2.0
"""Watched: a private daemon and heaps that live, for the tests of what looks at them again and again."""
import importlib
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))
import live  # noqa: E402

MMGCCTL = live.BUILD / 'client' / 'ctl' / 'mmgcctl'
BUSY = live.BUILD / 'tests' / 'client' / 'ctl' / 'busy'


def debian_module(name):
    """A module that the system's packages bring, whichever python3 this is. Skip, if they do not."""
    places = '/usr/lib/python3/dist-packages'
    if places not in sys.path:
        sys.path.append(places)         # last: what this python has of its own goes first
    try:
        return importlib.import_module(name)
    except ImportError:
        raise live.Skip(f'there is no Python module {name}: ./dev deps') from None


class Busy:
    """Heaps busy-000, busy-001 ...: with Busy(daemon, 3, 50): the first allocates 50 MiB a second."""

    def __init__(self, daemon, heaps=1, mib_a_second=0, plan='stickyimmix'):
        self.command = [BUSY, str(heaps), str(mib_a_second)]
        self.environment = os.environ | {'MMGC_SOCKET': str(daemon.socket), 'PLAN': plan}

    def __enter__(self):
        self.process = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, preexec_fn=live.die_with_parent)
        if self.process.stdout.readline() != 'ready\n':
            raise live.Failed(f'busy did not get ready: status {self.process.wait(20)}')
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        status = self.process.wait(60)
        self.process.stdout.close()
        if kind is None and status != 0:
            raise live.Failed(f'busy ended with status {status}')


def until(what, condition, seconds=20):
    """What @condition returns as soon as that is true. Failed, after @seconds."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise live.Failed(f'in {seconds} s never: {what}')
        time.sleep(0.02)
    return result
