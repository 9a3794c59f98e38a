#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mmgc_gdb.py shows what is there: in a client at a breakpoint, in a daemon that is idle, and in one that collects. Usage: test_gdb.py DEBUGGEE"""
import contextlib
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import live  # noqa: E402

DEBUGGEE = sys.argv.pop(1)
SCRIPT = pathlib.Path(__file__).with_name('mmgc_gdb.py')
FORBIDDEN = ('ptrace: Operation not permitted', 'Could not attach to process', 'ptrace: Inappropriate')


def gdb_command(*options, commands):
    if shutil.which('gdb') is None:
        raise live.Skip('no gdb here')
    if live.sanitized():
        raise live.Skip('a sanitizer and gdb are slow together')
    words = [word for text in ['set pagination off', 'set debuginfod enabled off', f'source {SCRIPT}', *commands] for word in ('-ex', text)]
    attach, arguments = (options, ()) if options[0] == '-p' else ((), options)
    return ['gdb', '-nx', '-batch', *attach, *words, *arguments]


def gdb(*options, commands):
    done = subprocess.run([str(word) for word in gdb_command(*options, commands=commands)], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, check=False)
    forbidden = [word for word in FORBIDDEN if word in done.stderr]
    if forbidden:
        raise live.Skip(forbidden[0])
    if 'Traceback' in done.stderr or 'Error' in done.stderr or done.returncode != 0:
        raise live.Failed(done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout


def has(said, *patterns):
    for pattern in patterns:
        if not re.search(pattern, said, re.M):
            raise live.Failed(f'nothing like {pattern} in\n{said[-4000:]}')


@contextlib.contextmanager
def debuggee(daemon):
    """(the process, the granule of its node), waiting for a line."""
    process = subprocess.Popen([DEBUGGEE, daemon.socket], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               preexec_fn=live.die_with_parent)
    try:
        yield process, int(process.stdout.readline().split()[1])
    finally:
        process.stdin.close()
        if process.wait(30) != 0:
            raise live.Failed(f'the client ended with {process.returncode}')
        process.stdout.close()


def a_client_shows_what_references_lead_to():
    with live.Daemon() as daemon:
        said = gdb('--args', DEBUGGEE, daemon.socket, commands=[
            'break stop_here', 'run', 'print ref', 'print node->left', 'print node->right', 'mmgc heaps', 'mmgc sessions', 'mmgc object ref',
            'mmgc object node', 'mmgc object node->left trees', 'kill'])
    has(said, r'^\$1 = \d+ -> node, 24 bytes at 0x', r'^\$2 = \d+ -> .+\[5\], 16 bytes at 0x', r'^\$3 = null$',
        r'^trees: \w+, epoch \d+, \d+ collections, .* 2 types', r'^trees: thread 1, IN, \d+ roots, 0 locals, bump 0x')
    found = re.findall(r'^granule (\d+) of trees: node, 24 bytes', said, re.M)
    live.expect((len(found), len(set(found))), (2, 1))
    has(said, r'^  header 0x[0-9a-f]+: type \d+, identity none$', r'^  [0-9a-f]{8} 00000000 2a000000 00000000$')


def what_is_no_object_is_said():
    with live.Daemon() as daemon:
        command = gdb_command('--args', DEBUGGEE, daemon.socket, commands=['break stop_here', 'run', 'mmgc object 7000', 'kill'])
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
    if any(word in done.stderr for word in FORBIDDEN):
        raise live.Skip('ptrace is forbidden')
    has(done.stderr, r'granule 7000 of trees: no object: its header is 0x')
    live.expect('Traceback' in done.stderr, False)


def a_daemon_shows_its_heaps_sessions_and_blocks():
    with live.Daemon() as daemon, debuggee(daemon) as (client, granule):
        said = gdb('-p', daemon.process.pid, commands=['mmgc heaps', 'mmgc sessions', 'mmgc blocks trees', 'mmgc jobs', f'mmgc object {granule}'])
        has(said, r'^trees: \w+, epoch \d+, 0 collections', r'^  1 sessions, 1 threads, collector idle, journal HEAP_IDLE, cycle HEAP_CYCLE_NONE$',
            rf'^session \d+, debuggee, pid {client.pid}, SESSION_READY, heap trees$', r'^  debuggee-thread, tid \d+: thread 1, IN,',
            r'^ +\d+ IMMORTAL$', r'^ +\d+ of 32768 bytes', r'^engine: 2 workers$', rf'^granule {granule} of trees: node, 24 bytes')


def a_collection_shows_its_job_and_packets():
    with live.Daemon() as daemon, debuggee(daemon) as (client, _):
        command = gdb_command('-p', daemon.process.pid, commands=[
            'break stage_prepare', 'echo waiting\\n', 'continue', 'print *p', 'print *p->job', 'mmgc jobs', 'mmgc heaps', 'mmgc sessions', 'detach'])
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   stdin=subprocess.DEVNULL, preexec_fn=live.die_with_parent)
        said = ''
        for line in process.stdout:
            said += line
            if any(word in line for word in FORBIDDEN):
                process.kill()
                raise live.Skip('ptrace is forbidden')
            if line.startswith('waiting'):
                client.stdin.write('\n')
                client.stdin.flush()
        process.wait()
        process.stdout.close()
        has(said, r'^\$1 = \w+, stage \w+.*, \d+ items, args \[', r'^\$2 = .+, JOB_(RUNNING|AWAITED), stage \w+, \d+ packets pending', r'^  worker \d: ',
            r'epoch \d*[13579], stopping', r'collector at WORK_COLLECT, stopping', r'thread 1, PARKED')
        live.expect('Traceback' in said, False)


if __name__ == '__main__':
    sys.exit(live.main([a_client_shows_what_references_lead_to, what_is_no_object_is_said, a_daemon_shows_its_heaps_sessions_and_blocks,
                        a_collection_shows_its_job_and_packets]))
