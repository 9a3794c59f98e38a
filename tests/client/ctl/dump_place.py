# SPDX-License-Identifier: Apache-2.0
"""World: a heap that has everything, made by dump_world.c in a daemon of its own, for tests of what mmgcctl says about such."""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))
import live  # noqa: E402

LINKS = 1000


def plans():
    said = subprocess.run([live.BUILD / 'daemon' / 'mmgcd', '--check-config', '--heap-plan', '?'], capture_output=True, text=True, check=False)
    return re.search('it can be one of: (.*)', said.stderr)[1].split()


@contextlib.contextmanager
def client_of(daemon, plan, links, *more):
    client = subprocess.Popen([live.BUILD / 'tests' / 'client' / 'ctl' / 'dump_world', plan, str(links), *more], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, env=os.environ | {'MMGC_SOCKET': str(daemon.socket)},
                              preexec_fn=live.die_with_parent)
    live.expect(client.stdout.readline(), 'ready\n')
    yield
    client.stdin.close()
    live.expect(client.wait(60), 0)


@contextlib.contextmanager
def world(plan='immix', links=LINKS, *more):
    """A daemon whose heap "trees" dump_world.c has filled; (what runs mmgcctl, an empty folder)."""
    with live.Daemon() as daemon, client_of(daemon, plan, links, *more):
        yield daemon.mmgcctl, daemon.place


@contextlib.contextmanager
def growing_world(plan='immix'):
    """The same, and a call that lets another client add as much again, and go: its named list stays, all else is garbage."""
    with live.Daemon() as daemon, client_of(daemon, plan, LINKS):
        def grow():
            with client_of(daemon, plan, LINKS):
                pass
        yield daemon.mmgcctl, daemon.place, grow


def types_of(mmgcctl):
    document = json.loads(mmgcctl('histogram', 'trees', '--json'))
    return {row['name']: {'objects': row['objects'], 'bytes': row['bytes']} for row in document['types']}
