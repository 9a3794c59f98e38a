# SPDX-License-Identifier: Apache-2.0
"""Live: what a test of whole programs needs: cases as TAP lines, a private daemon that dies with the test, a seed.

A case is a function that takes nothing and raises Failed (or any exception), or Skip; its name is the statement it checks.
"""
import ctypes
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('MMGC_BUILD_ROOT', ROOT / 'build'))
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    pass


class Skip(Exception):
    pass


def seeded():
    """A random.Random that MMGC_SEED replays."""
    seed = int(os.environ.get('MMGC_SEED') or random.randrange(10 ** 12))
    print(f'MMGC_SEED={seed}', file=sys.stderr)
    return random.Random(seed)


def sanitized():
    """Whether this build is one in which everything takes several times as long."""
    options = BUILD / 'meson-info' / 'intro-buildoptions.json'
    values = {o['name']: o['value'] for o in json.loads(options.read_text())} if options.is_file() else {}
    return values.get('b_sanitize', 'none') not in ('none', [])


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(*command, status=0, timeout=120, **more):
    """What it printed. Failed, with what it said, if it ends otherwise than with @status."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          errors='surrogateescape', timeout=timeout, preexec_fn=die_with_parent, **more)
    if done.returncode != status:
        raise Failed(f'{" ".join(map(str, command))}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}')
    return done.stdout


class Daemon:
    """A private mmgcd: with Daemon() as daemon. It must end well, too."""

    def __init__(self, *options, program=BUILD / 'daemon' / 'mmgcd'):
        self.options, self.program = options, program

    def __enter__(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix='mmgcd-live-'))
        self.socket = self.place / 'sock'
        self.log = open(self.place / 'log', 'w+', errors='replace')
        self.process = subprocess.Popen(
            [self.program, '--foreground', '--socket', self.socket, '--threads', '2', *self.options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=die_with_parent)
        for _ in range(400):
            if self.process.poll() is not None:
                raise Failed(f'mmgcd did not start: {self.said()}')
            if subprocess.run([BUILD / 'client' / 'ctl' / 'mmgcctl', '--socket', self.socket, 'ping'],
                              capture_output=True, check=False).returncode == 0:
                return self
            time.sleep(0.05)
        raise Failed(f'mmgcd does not answer: {self.said()}')

    def said(self):
        self.log.seek(0)
        return self.log.read()[-4000:]

    def mmgcctl(self, *words, **more):
        return run(BUILD / 'client' / 'ctl' / 'mmgcctl', '--socket', self.socket, *words, **more)

    def __exit__(self, kind, *_):
        self.process.terminate()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        said = self.said()
        self.log.close()
        shutil.rmtree(self.place, ignore_errors=True)
        broken = re.search(r'ERROR: |runtime error: |WARNING: Thread', said)
        if kind is None and (status != 0 or broken):
            raise Failed(f'mmgcd ended with status {status}: {said}')
        if kind is not None:
            print(said, file=sys.stderr)


def expect(got, wanted):
    if got != wanted:
        raise Failed(f'{got!r}, where {wanted!r} was expected')


def main(cases):
    """Runs each case, or those named on the command line; the exit status of the test."""
    cases = [case for case in cases if case.__name__ in sys.argv[1:] or len(sys.argv) == 1]
    failed = 0
    print(f'1..{len(cases)}', flush=True)
    for number, case in enumerate(cases, 1):
        line, remarks = f'ok {number} - {case.__name__}', ''
        try:
            case()
        except Skip as why:
            line += f' # SKIP {why}'
        except Failed as why:
            line, remarks = f'not {line}', str(why)
        except Exception:       # a broken case is a failed one, and the others still run
            line, remarks = f'not {line}', traceback.format_exc()
        failed += line.startswith('not')
        print(line)
        for remark in remarks.splitlines():
            print(f'# {remark}')
        sys.stdout.flush()
    return 1 if failed else 0
