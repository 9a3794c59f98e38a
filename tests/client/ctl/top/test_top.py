#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""top: on a terminal, as text, as JSON; what it costs; that it leaves the terminal as it was."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[i]) for i in (0, 1)]
import watched  # noqa: E402
import live  # noqa: E402
from terminal import Terminal  # noqa: E402
from watched import Busy, until  # noqa: E402


def heaps_are_shown_and_clients_and_help():
    with live.Daemon() as daemon, Busy(daemon, 3, 40), Terminal('top', '--delay=100ms', socket=daemon.socket) as t:
        shown = t.until('busy-000', 'busy-001', 'busy-002', 'HEAP', 'by used')
        if not re.search(r'^>busy-000 +\d[\d.]*[KM] [#=.]{10} ', shown, re.M):
            raise live.Failed(f'no marked row with a bar:\n{shown}')
        until('it allocates', lambda: re.search(r'^>busy-000 .*[.#=]{10} +(?:[1-9]\d|\d\.\d)M +[\d.]+ ', t.text(), re.M))
        until('it pauses', lambda: re.search(r'^>busy-000 .* \d[\d.]*[um] +\d[\d.]*[um] +\d[\d.]*[um] +1 +1$', t.text(), re.M))
        t.keys('n')
        t.until('by name')
        t.keys('j')
        t.until('>busy-001')
        t.keys('k\r')
        t.until('clients of busy-000', 'SESSION', 'busy')
        t.keys('h')
        t.until('sort by name', 'any key: back')
        t.keys('x')
        t.until('clients of busy-000')
        t.keys('\x1b')
        t.until('by name', absent=('clients of',))
        t.keys(' ')
        t.until('paused: space goes on')
        t.keys(' ')
        t.until('busy-000', absent=('paused:',))
        t.keys('q')
        t.end(0)


def each_key_sorts_by_its_column():
    with live.Daemon() as daemon, Busy(daemon, 3, 20), Terminal('top', '--sort=name', '--delay=100ms', socket=daemon.socket) as t:
        t.until('by name')
        for key, by in (('u', 'used'), ('a', 'alloc'), ('g', 'gc'), ('p', 'p99'), ('c', 'clients'), ('n', 'name')):
            t.keys(key)
            t.until(f'by {by} ')
        t.keys('a')
        until('who allocates is first', lambda: t.lines()[4].startswith(('>busy-000', ' busy-000')))
        t.keys('q')
        t.end(0)


def another_size_of_window_is_drawn_anew():
    with live.Daemon() as daemon, Busy(daemon, 30), Terminal('top', '--sort=name', '--delay=10s', socket=daemon.socket) as t:
        t.until('busy-018', absent=('busy-019',))
        t.resize(12, 100)
        t.until('busy-006', 'q quit', absent=('busy-007',))
        t.resize(40, 60)
        shown = t.until('busy-029', 'q quit')
        live.expect((re.search(r'^>.*$', shown, re.M)[0].split()[0], 'GC/S' in shown, 'MAX' in shown), ('>busy-000', True, False))
        t.resize(24, 40)
        t.until('>busy-000', 'CLI', 'q quit', absent=('GC/S',))
        t.keys('q')
        t.end(0)


def signals_leave_the_terminal_as_it_was():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with live.Daemon() as daemon, Terminal('top', socket=daemon.socket) as t:
            t.until('no heaps that you may see')
            t.process.send_signal(number)
            t.end(-number)


def interrupt_by_key_ends_it():
    with live.Daemon() as daemon, Terminal('top', socket=daemon.socket) as t:
        t.until('no heaps that you may see')
        t.keys('\x03')
        t.end(-signal.SIGINT)


def a_crash_leaves_the_terminal_as_it_was():
    if live.sanitized():
        raise live.Skip('a sanitizer has a handler of its own')
    for number in (signal.SIGSEGV, signal.SIGABRT):
        with live.Daemon() as daemon, Terminal('top', socket=daemon.socket) as t:
            t.until('no heaps that you may see')
            t.process.send_signal(number)
            t.end(-number)


def a_terminal_that_is_gone_ends_it():
    with live.Daemon() as daemon:
        t = Terminal('top', socket=daemon.socket).__enter__()
        t.until('no heaps that you may see')
        os.close(t.slave)
        os.close(t.master)
        until('it ends', lambda: t.process.poll() is not None)


def a_daemon_that_comes_back_is_found_again():
    with live.Daemon() as daemon:
        with Terminal('top', '--delay=100ms', socket=daemon.socket) as t:
            t.until('no heaps that you may see')
            daemon.process.terminate()
            daemon.process.wait(20)
            t.until('asking again')
            daemon.process = subprocess.Popen([daemon.program, '--foreground', '--socket', daemon.socket, '--threads', '2'],
                                              stdin=subprocess.DEVNULL, stdout=daemon.log, stderr=daemon.log,
                                              preexec_fn=live.die_with_parent)
            t.until('no heaps that you may see', 'q quit', absent=('asking again',))
            t.keys('q')
            t.end(0)


def no_colour_is_used_where_nobody_wants_it():
    colours = re.compile(rb'\x1b\[[\d;]*(?:3[0-7]|4[0-7]|38;5;\d+)m')
    for environment, coloured in (({}, True), ({'NO_COLOR': '1'}, False), ({'TERM': 'vt100'}, False)):
        with live.Daemon() as daemon, Busy(daemon, 1, 20), \
             Terminal('top', '--delay=100ms', socket=daemon.socket, **environment) as t:
            until('a bar', lambda: re.search(r'busy-000 .*[#=]\.*', t.text()))
            until('some is live', lambda: re.search(r'busy-000 .*#', t.text()))
            live.expect(bool(colours.search(t.raw)), coloured)
            t.keys('q')
            t.end(0)


def a_dumb_terminal_gets_text():
    with live.Daemon() as daemon, Busy(daemon, 1), \
         Terminal('top', '--iterations=1', socket=daemon.socket, TERM='dumb') as t:
        t.until('HEAP', 'ALLOC/S', 'busy-000')
        t.end(0)
        live.expect(b'\x1b' in t.raw, False)


def names_from_others_do_not_steer_the_terminal():
    with live.Daemon() as daemon, Busy(daemon, 1), Terminal('top', socket=daemon.socket) as t:
        shown = t.until('busy-000')
        live.expect('\x1b' in shown, False)
        t.keys('q')
        t.end(0)


def batch_prints_a_table_each_time():
    with live.Daemon() as daemon, Busy(daemon, 3, 40):
        said = daemon.mmgcctl('top', '--batch', '--iterations=3', '--delay=200ms', '--sort=name')
        live.expect(said.count('HEAP '), 3)
        live.expect([line for line in said.splitlines() if len(line) > 80], [])
        live.expect([line.split()[0] for line in said.splitlines() if line.startswith('busy')], ['busy-000', 'busy-001', 'busy-002'] * 3)
        rates = re.findall(r'^busy-000 .*? +(\S+ [KMG]?i?B) +[\d.]+ +[\d.]+ [mun]?s', said, re.M)
        live.expect(rates[0], '0 B')             # there is nothing to compare with
        if not rates[2].endswith(' MiB'):
            raise live.Failed(f'no rate in\n{said}')
        live.expect(daemon.mmgcctl('top', '--batch', '--iterations=1', 'busy-001').count('busy'), 1)
        limited = daemon.mmgcctl('top', '--batch', '--iterations=1', '--limit=1', '--sort=name')
        live.expect('... and 2 more' in limited, True)


def json_is_a_document_a_line():
    with live.Daemon() as daemon, Busy(daemon, 2, 40):
        once = daemon.mmgcctl('top', '--json').splitlines()
        live.expect(len(once), 1)
        first, second = map(json.loads, daemon.mmgcctl('top', '--json', '--iterations=2', '--delay=500ms').splitlines())
        heap = next(h for h in second['heaps'] if h['name'] == 'busy-000')
        if not 20 << 20 < heap['alloc_bytes_per_s'] < 80 << 20:
            raise live.Failed(f'40 MiB a second are said to be {heap["alloc_bytes_per_s"]}')
        live.expect(first['heaps'][0]['alloc_bytes_per_s'], 0)
        live.expect(len(heap['stops']['buckets']), len(second['bucket_ns']))
        live.expect(second['daemon']['threads'], 2)


def wrong_words_are_told():
    with live.Daemon() as daemon:
        for words, why in ((('--delay=0',), '--delay takes'), (('--sort=objects',), '--sort takes name, used, alloc, collections, pause or clients'),
                           (('--iterations=0',), '--iterations takes'), (('--sort=size',), '--sort takes')):
            done = subprocess.run([watched.MMGCCTL, 'top', *words], capture_output=True, text=True, check=False)
            live.expect((done.returncode, why in done.stderr), (2, True))
        done = subprocess.run([watched.MMGCCTL, '--socket', daemon.socket, 'top', '--batch', 'nowhere'], capture_output=True, text=True, check=False)
        live.expect((done.returncode, 'no heap' in done.stderr), (1, True))
    done = subprocess.run([watched.MMGCCTL, '--socket', '/nowhere/sock', 'top', '--batch'], capture_output=True, text=True, check=False)
    live.expect(done.returncode, 3)


def seconds_of(process):
    """Processor time that it has had."""
    fields = pathlib.Path(f'/proc/{process.pid}/stat').read_text().rsplit(') ', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def a_hundred_heaps_cost_less_than_a_hundredth_of_a_core():
    """At the default delay of a second: as many looks in less time, and what each costs."""
    looks = 200
    with live.Daemon('--max-heaps', '200') as daemon, Busy(daemon, 100), \
         Terminal('top', '--delay=20ms', f'--iterations={looks}', socket=daemon.socket) as t:
        before = seconds_of(daemon.process)
        t.until('100 heaps', 'by used')
        last = 0.0
        while t.process.poll() is None:
            last = seconds_of(t.process)
            t.read(0.01)
        cost, of_daemon = last / looks, (seconds_of(daemon.process) - before) / looks
        print(f'a look at 100 heaps: {cost * 1e3:.2f} ms of mmgcctl top, {of_daemon * 1e3:.2f} ms of the daemon', file=sys.stderr)
        if not live.sanitized() and cost > 0.01:
            raise live.Failed(f'a look costs {cost * 1e3:.1f} ms')


if __name__ == '__main__':
    sys.exit(live.main([
        heaps_are_shown_and_clients_and_help, each_key_sorts_by_its_column, another_size_of_window_is_drawn_anew,
        signals_leave_the_terminal_as_it_was, interrupt_by_key_ends_it, a_crash_leaves_the_terminal_as_it_was,
        a_terminal_that_is_gone_ends_it, a_daemon_that_comes_back_is_found_again, no_colour_is_used_where_nobody_wants_it,
        a_dumb_terminal_gets_text, names_from_others_do_not_steer_the_terminal, batch_prints_a_table_each_time,
        json_is_a_document_a_line, wrong_words_are_told, a_hundred_heaps_cost_less_than_a_hundredth_of_a_core]))
