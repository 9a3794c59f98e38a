#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples with references and guards do what their first lines say, under plans of each kind, as a TAP test."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402

EXAMPLES = live.BUILD / 'docs' / 'examples'
PLANS = ('concurrentstickyimmix', 'marksweep', 'semispace', 'concurrentimmix', 'lxr')
FILES = 40


def expect(what, expected):
    if what != expected:
        raise live.Failed(f'{what!r}, not {expected!r}')


def cached(*options):
    with live.Daemon(*options) as daemon:
        return live.run(EXAMPLES / 'softcache' / 'softcache', daemon.socket).splitlines()


def what_is_computed_is_kept_while_its_document_lives_and_there_is_room():
    for plan in PLANS:
        expect(cached('--heap-plan', plan), [
            '32 words: 8 computed, 0 found', '32 words: 0 computed, 8 found',
            'half of the documents are gone: 4 entries taken out, 4 left, 4 notes', '24 words: 0 computed, 4 found'])


def without_room_it_is_computed_again():
    for plan in PLANS:
        expect(cached('--heap-plan', plan, '--heap-soft-ms-per-mib', '0'), [
            '32 words: 8 computed, 0 found', '32 words: 0 computed, 8 found',
            'half of the documents are gone: 8 entries taken out, 0 left, 4 notes', '24 words: 4 computed, 0 found'])


def start(daemon, *words):
    return subprocess.Popen([EXAMPLES / 'guardian' / 'guardian', *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                            env=os.environ | {'MMGC_SOCKET': str(daemon.socket)}, preexec_fn=live.die_with_parent)


def worked(plan, stop):
    """The files of a worker that is stopped by stop(worker), with its janitor, are gone in the end."""
    with tempfile.TemporaryDirectory() as place, live.Daemon('--heap-plan', plan) as daemon:
        janitor = start(daemon, 'janitor', str(FILES // 2))
        worker = start(daemon, 'work', place, str(FILES))
        expect(worker.stdout.readline(), f'made {FILES} files, removed {FILES // 2}\n')
        expect(len(os.listdir(place)), FILES // 2)
        time.sleep(0.3)
        expect(len(os.listdir(place)), FILES // 2)      # none is removed that is of use
        stop(worker)
        worker.wait(30)
        said = janitor.communicate(timeout=60)[0]
        expect(janitor.returncode, 0)
        expect(sum(int(line.split()[1]) for line in said.splitlines()), FILES // 2)
        expect(os.listdir(place), [])


def the_janitor_removes_what_a_killed_worker_left():
    for plan in PLANS:
        worked(plan, lambda worker: worker.kill())


def and_what_one_left_that_ended_well():
    worked(PLANS[0], lambda worker: worker.stdin.close())


sys.exit(live.main([what_is_computed_is_kept_while_its_document_lives_and_there_is_room, without_room_it_is_computed_again,
                    the_janitor_removes_what_a_killed_worker_left, and_what_one_left_that_ended_well]))
