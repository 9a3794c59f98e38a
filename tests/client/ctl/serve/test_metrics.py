#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""/metrics: both formats parse, say what the daemon says, and cost little; the dashboard asks for nothing that is not there."""
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[i]) for i in (0, 1)]
import watched  # noqa: E402
import live  # noqa: E402
from server import Server  # noqa: E402
from watched import Busy, debian_module, until  # noqa: E402

PROMETHEUS = ('application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,'
              'text/plain;version=0.0.4;q=0.5,*/*;q=0.1')
OPEN = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
DASHBOARD = live.ROOT / 'docs' / 'grafana' / 'mmgcd.json'


def scrape(server, accept=PROMETHEUS):
    status, headers, text = server.get('/metrics', Accept=accept)
    live.expect(status, 200)
    return headers['content-type'], text


def parsed(text):
    """{family: (type, unit, {(sample name, labels): value})}, by Prometheus's own parser of OpenMetrics."""
    parser = debian_module('prometheus_client.openmetrics.parser')
    return {family.name: (family.type, family.unit, {(s.name, tuple(sorted(s.labels.items()))): s.value for s in family.samples})
            for family in parser.text_string_to_metric_families(text)}


def who_asks_for_openmetrics_gets_it_and_others_the_older_format():
    with live.Daemon() as daemon, Server(daemon) as server:
        kind, text = scrape(server)
        live.expect((kind, text.endswith('\n# EOF\n')), (OPEN, True))
        for accept in ('*/*', 'text/plain', ''):
            kind, text = scrape(server, accept)
            live.expect((kind, '# EOF' in text, '# UNIT' in text), ('text/plain; version=0.0.4; charset=utf-8', False, False))


def an_openmetrics_parser_takes_it():
    with live.Daemon() as daemon, Busy(daemon, 2, 20), Server(daemon) as server:
        until('there are pauses', lambda: 'mmgcd_heap_pause_seconds_bucket' in scrape(server)[1])
        families = parsed(scrape(server)[1])
        for name, (kind, unit, samples) in families.items():
            ending = {'bytes': '_bytes', 'seconds': '_seconds', '': ''}[unit]
            live.expect((name, name.startswith('mmgcd'), name.endswith(ending)), (name, True, True))
            live.expect((name, '_bytes' in name or '_seconds' in name), (name, unit != ''))
            if kind == 'counter':
                live.expect((name, {sample for sample, _ in samples} <= {name + '_total'}), (name, True))
        live.expect({kind for kind, _, _ in families.values()}, {'gauge', 'counter', 'histogram', 'info'})


def promtool_has_nothing_to_say_against_it():
    if shutil.which('promtool') is None:
        raise live.Skip('there is no promtool here: Debian has it in prometheus')
    with live.Daemon() as daemon, Busy(daemon, 2, 20), Server(daemon) as server:
        until('there are pauses', lambda: 'mmgcd_heap_pause_seconds_bucket' in scrape(server)[1])
        for accept in ('text/plain',):           # promtool of Debian 12 reads the older format
            done = subprocess.run(['promtool', 'check', 'metrics'], input=scrape(server, accept)[1], capture_output=True, text=True,
                                  timeout=60, check=False)
            live.expect((done.returncode, done.stdout + done.stderr), (0, ''))


def numbers_are_those_of_info():
    with live.Daemon() as daemon, Busy(daemon, 2), Server(daemon) as server:
        for _ in range(3):
            daemon.mmgcctl('gc', 'busy-001')
        families, info = parsed(scrape(server)[1]), json.loads(daemon.mmgcctl('info', 'busy-001', '--json'))
        heap = (('heap', 'busy-001'),)

        def value(family, sample=None, labels=heap):
            return families[family][2][(sample or family, labels)]

        live.expect(value('mmgcd_heap_used_bytes'), info['used_bytes'])
        live.expect(value('mmgcd_heap_live_bytes'), info['live_bytes'])
        live.expect(value('mmgcd_heap_limit_bytes'), info['limit_bytes'])
        live.expect(value('mmgcd_heap_collections', 'mmgcd_heap_collections_total'), info['collections'])
        live.expect(value('mmgcd_heap_granted_bytes', 'mmgcd_heap_granted_bytes_total'), info['granted_bytes'])
        full = (('heap', 'busy-001'), ('kind', 'full'))
        live.expect(value('mmgcd_heap_pause_seconds', 'mmgcd_heap_pause_seconds_count', full), 3)
        live.expect(math.isclose(value('mmgcd_heap_pause_seconds', 'mmgcd_heap_pause_seconds_sum', full), info['total_pause_ns'] / 1e9,
                                 rel_tol=1e-9), True)
        live.expect(value('mmgcd_heap_pause_seconds', 'mmgcd_heap_pause_seconds_bucket', full + (('le', '10.0'),)), 3)
        live.expect(families['mmgcd_heap'][2][('mmgcd_heap_info', (('heap', 'busy-001'), ('plan', 'stickyimmix'), ('uid', str(os.getuid()))))], 1)
        live.expect(families['mmgcd_heaps'][2][('mmgcd_heaps', ())], 2)


def buckets_rise_to_the_count():
    with live.Daemon() as daemon, Busy(daemon, 1, 40), Server(daemon) as server:
        until('there are pauses', lambda: 'mmgcd_heap_pause_seconds_bucket' in scrape(server)[1])
        for name in ('mmgcd_heap_pause_seconds', 'mmgcd_heap_stop_seconds'):
            _, _, samples = parsed(scrape(server)[1])[name]
            rows = [(float(dict(labels)['le']), n) for (sample, labels), n in samples.items() if sample.endswith('_bucket')]
            counts = [n for (sample, _), n in samples.items() if sample.endswith('_count')]
            live.expect((rows, rows[-1][0]), (sorted(rows), math.inf))
            live.expect([n for _, n in rows], sorted(n for _, n in rows))
            live.expect([rows[-1][1]], counts)


def odd_names_are_escaped():
    name = 'a"b\\c {d} 日本'
    with live.Daemon() as daemon, Server(daemon) as server:
        made = subprocess.run([watched.BUSY, '1', '0'], input='', capture_output=True, text=True, timeout=60, check=True,
                              env=os.environ | {'MMGC_SOCKET': str(daemon.socket), 'PLAN': 'immix', 'NAME': name})
        live.expect(made.stdout, 'ready\n')
        live.expect(parsed(scrape(server)[1])['mmgcd_heap_max_bytes'][2], {('mmgcd_heap_max_bytes', (('heap', name),)): 32 << 20})


def the_dashboard_asks_for_what_is_there():
    with live.Daemon() as daemon, Busy(daemon, 1, 20), Server(daemon) as server:
        until('there are pauses', lambda: 'mmgcd_heap_pause_seconds_bucket' in scrape(server)[1])
        there = {sample for _, _, samples in parsed(scrape(server)[1]).values() for sample, _ in samples}
        dashboard = json.loads(DASHBOARD.read_text())
        queries = [target['expr'] for panel in dashboard['panels'] for target in panel['targets']]
        queries += [variable['query'] for variable in dashboard['templating']['list']]
        asked = {name for query in queries for name in re.findall(r'\bmmgcd_\w+', query)}
        live.expect(sorted(asked - there), [])
        live.expect(len(asked) > 15, True)
        live.expect(len({panel['id'] for panel in dashboard['panels']}), len(dashboard['panels']))


def the_page_lists_every_family():
    page = (live.ROOT / 'docs' / 'monitoring.md').read_text()
    with live.Daemon() as daemon, Busy(daemon, 1, 20), Server(daemon) as server:
        until('there are pauses', lambda: 'mmgcd_heap_pause_seconds_bucket' in scrape(server)[1])
        families = set(re.findall(r'^# TYPE (\S+)', scrape(server, '*/*')[1], re.M))
        listed = set(re.findall(r'^\| `(mmgcd_\w+)`', page, re.M))
        live.expect((sorted(families - listed), sorted(listed - families)), ([], []))


def a_scrape_of_a_hundred_heaps_takes_less_than_5_ms():
    with live.Daemon('--max-heaps', '200') as daemon, Busy(daemon, 100), Server(daemon) as server:
        connection, times, size = server.connect(), [], 0
        for i in range(100):
            daemon.mmgcctl('gc', f'busy-{i:03}')       # so that all have pauses in the end
            begun = time.perf_counter()
            connection.request('GET', '/metrics', headers={'Accept': PROMETHEUS})
            size = len(connection.getresponse().read())
            times.append(time.perf_counter() - begun)
        times.sort()
        print(f'a scrape of 100 heaps, {size >> 10} KiB: median {times[50] * 1e3:.2f} ms, p90 {times[90] * 1e3:.2f} ms', file=sys.stderr)
        if not live.sanitized() and times[50] > 0.005:
            raise live.Failed(f'the median is {times[50] * 1e3:.1f} ms')
        connection.close()


if __name__ == '__main__':
    sys.exit(live.main([
        who_asks_for_openmetrics_gets_it_and_others_the_older_format, an_openmetrics_parser_takes_it, promtool_has_nothing_to_say_against_it,
        numbers_are_those_of_info, buckets_rise_to_the_count, odd_names_are_escaped, the_dashboard_asks_for_what_is_there,
        the_page_lists_every_family, a_scrape_of_a_hundred_heaps_takes_less_than_5_ms]))
