# SPDX-License-Identifier: Apache-2.0
"""World: a daemon with heaps that have something to say to each command of mmgcctl, made by example_world.c, for tests of examples and documents."""
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))
import live  # noqa: E402

PROGRAM = live.BUILD / 'tests' / 'client' / 'ctl' / 'example_world'
CTL = live.BUILD / 'client' / 'ctl'
HEAPS = (('trees', 'app'), ('trees', 'stuck'), ('cache', 'app', 'gc_trigger=delegated limit=4M'), ('old', 'app'))


class World:
    """with World(*options of the daemon) as world: heaps trees, of clients app and stuck, cache, whose trigger is delegated, and old."""

    def __init__(self, *options):
        self.daemon = live.Daemon(*options)
        self.clients = []

    def __enter__(self):
        self.daemon.__enter__()
        self.place = self.daemon.place
        self.env = os.environ | {'MMGC_SOCKET': str(self.daemon.socket), 'XDG_STATE_HOME': str(self.place / 'state'), 'LC_ALL': 'C.UTF-8',
                                 'PATH': f'{CTL}:{os.environ["PATH"]}'}
        for words in HEAPS:
            self.clients.append(self.start(*words))
        return self

    def start(self, *words, **environment):
        client = subprocess.Popen([PROGRAM, *words], env=self.env | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  preexec_fn=live.die_with_parent)
        live.expect(client.stdout.readline(), 'ready\n')
        return client

    def profile(self, path):
        """A profile of a client that has come and gone."""
        client = self.start('trees', 'profiled', MMGC_PROFILE=f'{path},interval=64')
        client.communicate('')

    def json(self, *words):
        return json.loads(self.daemon.mmgcctl(*words, '--json', cwd=self.place, env=self.env))

    def session(self, name):
        return next(row['session'] for row in self.json('clients', 'trees')['clients'] if row['name'] == name)

    def sh(self, script, status=0):
        return live.run('sh', '-ec', script, status=status, cwd=self.place, env=self.env)

    def __exit__(self, *error):
        for client in self.clients:
            client.communicate()                # those of a heap that is gone, or evicted, have ended somehow
        self.daemon.__exit__(*error)


def commands():
    return [row['name'] for row in json.loads(live.run(CTL / 'mmgcctl', 'help', '--json'))['commands']]
