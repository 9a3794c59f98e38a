#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What benches make of what programs say: rounds, ratios, slopes, plots, and the histogram of stalls.  Prints TAP."""
import contextlib
import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH))
import churn  # noqa: E402
import footprint  # noqa: E402
import harness  # noqa: E402
import limits  # noqa: E402
import memory  # noqa: E402
import pause  # noqa: E402
import plot  # noqa: E402
import run  # noqa: E402
import scale  # noqa: E402
import show  # noqa: E402

NS = harness.Metric('ns', 'ns')


def contender(name, values=(), **kw):
    """One whose runs return @values in turn; an exception among them is raised."""
    left = list(values)

    def one_run():
        value = left.pop(0)
        if isinstance(value, Exception):
            raise value
        return {'ns': value}
    return harness.Contender(name, one_run, **kw)


def case_of(*contenders, metric=NS, **kw):
    return harness.Case('a case', [metric], list(contenders), **kw)


def quietly(call, *args):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        return call(*args), said.getvalue()


def the_first_round_is_thrown_away():
    got, _ = run.measure(case_of(contender('a', [100, 1, 2])), 2)
    assert got == {'a': [{'ns': 1}, {'ns': 2}]}, got


def no_round_is_thrown_away_where_the_case_says_so():
    got, _ = run.measure(case_of(contender('a', [100, 1]), throw_away=False), 2)
    assert got == {'a': [{'ns': 100}, {'ns': 1}]}, got


def who_has_no_room_is_no_failure_and_who_fails_is():
    case = case_of(contender('full', [harness.Skip('out of memory')]), contender('dead', [harness.Broken('status 2')]))
    got, dropped = run.measure(case, 1)
    broken, said = quietly(run.report_failures, 'bench', case, dropped)
    assert got == {} and broken == 1, (got, broken)
    assert 'full skipped: out of memory' in said and 'dead FAILED: status 2' in said, said


def several_of_ours_are_set_beside_the_best_rival_alone():
    case = case_of(contender('p1', ours=True), contender('p2', ours=True), contender('slow', group='G'),
                   contender('fast', group='G'), contender('other'), rivals='G')
    rows, said = quietly(show.table, 'bench', case, {'p1': {'ns': [5]}, 'p2': {'ns': [20]}, 'slow': {'ns': [40]},
                                                     'fast': {'ns': [10]}, 'other': {'ns': [1]}})
    best = {r['contender']: r['ratio'] for r in rows if r['peer'] == 'best G'}
    assert best == {'p1': 0.5, 'p2': 2.0}, best
    assert len(rows) == 8, rows
    assert '/fast 0.50 (ahead)' in said and '/fast 2.00 (behind)' in said, said


def the_best_of_more_is_better_is_the_highest():
    more = harness.Metric('ns', 'M/s', 'higher')
    case = case_of(contender('p', ours=True), contender('a', group='G'), contender('b', group='G'), metric=more, rivals='G')
    rows, _ = quietly(show.table, 'bench', case, {'p': {'ns': [5]}, 'a': {'ns': [4]}, 'b': {'ns': [10]}})
    assert [r['ratio'] for r in rows if r['peer'] == 'best G'] == [0.5], rows


def one_of_ours_stands_on_each_peers_line():
    case = case_of(contender('mmgcd', ours=True), contender('peer'))
    rows, said = quietly(show.table, 'bench', case, {'mmgcd': {'ns': [1, 3, 2]}, 'peer': {'ns': [4]}})
    assert 'ours/peer 0.50 (ahead)' in said and rows[0]['ratio'] == 0.5, said


def longest_stalls_are_summed_up_by_the_worst_round():
    assert harness.Metric('s', 'us', worst=True).sum_up([1, 9, 2]) == 9
    assert harness.Metric('s', 'us').sum_up([1, 9, 2]) == 2


def a_run_has_the_newest_pauses():
    info = {'recent_pause_ns': [9, 9, 9, 2, 1]}
    assert harness.pauses_of_run({'collections': 2}, info) == [2, 1]
    assert harness.pauses_of_run({'collections': 0}, info) == []


def pauses_are_told_apart_by_kind():
    rows = [{'kind': kind, 'count': count, 'p50_ns': 1000, 'p99_ns': 2000, 'max_ns': 3000}
            for kind, count in (('young', 7), ('full', 0))]
    got = pause.pauses_by_kind({'pauses': rows})
    assert got == {'p50 of young': 1.0, 'p99 of young': 2.0, 'max of young': 3.0}, got
    assert pause.pauses_by_kind({}) == {}
    assert set(got) <= {m.name for m in pause.METRICS}, 'what is found is shown'


def the_slope_is_of_microseconds_a_gib():
    assert round(pause.slope([(512, 60), (1024, 110), (2048, 210)])) == 100
    assert pause.slope([(64, 5), (4096, 5)]) == 0
    assert pause.slope([(64, 5)]) is None


def all_sizes_make_a_row_a_line_and_a_plot():
    results = {pause.case_name(mib): {'mmgcd x': [{'pause_max': us}, {'pause_max': us}]} for mib, us in ((1024, 10), (2048, 30))}
    more = pause.finish(results)
    assert [(r['metric'], r['contender'], r['ours']) for r in more.rows] == [('pause_max_per_gib', 'mmgcd x', 20)], more.rows
    assert more.plots[0].lines == {'mmgcd x': [(1024, 10), (2048, 30)]}, more.plots


def several_processes_are_done_when_the_last_one_is():
    got = [{'nodes': 30e6, 'started_ns': 1e9, 'ended_ns': 1.5e9}, {'nodes': 30e6, 'started_ns': 1e9, 'ended_ns': 3e9}]
    assert scale.total('gcbench', got) == 30, scale.total('gcbench', got)
    assert scale.total('churn', [{'ops_per_s': 1e6}, {'ops_per_s': 3e6}]) == 4


def what_is_kept_is_set_beside_a_process_a_core():
    points = [(1, 10), (2, 20), (4, 30), (64, 15)]
    assert scale.kept(points, 2) == (64, 0.75)
    assert scale.kept(points, 3) == (64, 0.5)
    assert scale.kept(points, 64) is None and scale.kept(points[:1], 2) is None


def all_numbers_of_processes_make_rows_and_plots():
    results = {f'gcbench, {n}': {scale.TOGETHER: [{'total': total, 'pause_p50': 10 * n}], 'HotSpot': [{'total': 5}]}
               for n, total in ((os.cpu_count(), 100), (10 ** 6, 50))}
    results[f'gcbench, {10 ** 6}'][scale.NURSERY] = [{'total': 90}]
    results |= {f'polling, {n}': {'mmgcd': [{'pause_p50': 100 + 3 * n}]} for n in (1, 8, 64)}
    more = scale.finish(results)
    ours = {(r['metric'], r['contender']): r['ours'] for r in more.rows}
    assert ours['kept', scale.TOGETHER] == 0.5, ours
    if os.cpu_count() * scale.NURSERY_MIB <= 64:
        assert ours['kept', scale.NURSERY] == 0.9, 'with few processes it is the same contender'
    assert round(ours['pause_per_client', 'mmgcd'], 6) == 3, ours
    assert not any(r['contender'] == 'HotSpot' for r in more.rows), 'rows are of ours'
    assert [p.name for p in more.plots] == ['scale-gcbench', 'scale-pause'], more.plots


def requests_a_second_are_of_all_processes():
    got = [{'started_ns': 0, 'ended_ns': 1e9, 'each_us': 10}, {'started_ns': 0, 'ended_ns': 2e9, 'each_us': 20}]
    assert limits.figures(got, 1000, 6000) == {'rate': 1000, 'each_us': 20, 'loop_us': 3}


def what_is_added_is_counted_once():
    before = {'of it the client': 10, 'of it the daemon': 20, 'of it segments': 30, 'page tables': 40}
    after = {name: n + 8 for name, n in before.items()}
    assert footprint.added(before, after, 4) == {name: 2 for name in before} | {'adds': 6}


def memory_is_counted_as_the_kernel_says():
    assert memory.kib_of('Rss:     12 kB\nVmPTE:\t  3 kB\nName:\tx\n') == {'Rss': 12, 'VmPTE': 3}
    before, segment = memory.segments_kib(os.getpid()), os.memfd_create('segment')
    try:
        os.ftruncate(segment, 1 << 20)
        os.pwrite(segment, bytes(8192), 4096)
        twice = os.dup(segment)
        assert memory.segments_kib(os.getpid()) - before == 8, 'holes are nothing, and the same segment is counted once'
        os.close(twice)
    finally:
        os.close(segment)


def stall_curves_are_of_the_worst_round():
    p = churn.stall_plot('n', 't', {'a': [{'one_in_1': 1000, 'one_in_2': 5000, 'ops': 3}, {'one_in_1': 2000}]})
    assert p.lines == {'a': [(2, 2.0), (4, 5.0)]}, p.lines


def without_gnuplot_the_data_are_left_and_it_is_said():
    with tempfile.TemporaryDirectory() as out:
        path, os.environ['PATH'] = os.environ['PATH'], out
        try:
            said = plot.draw(plot.Plot('p', 't', 'x', 'y', {"it's": [(1, 2)], 'b': [(3, 4.5)]}), Path(out))
        finally:
            os.environ['PATH'] = path
        assert 'gnuplot is not installed' in said, said
        assert (Path(out) / 'p.data').read_text() == "# it's\n1 2\n\n\n# b\n3 4.5\n"
        assert not (Path(out) / 'p.svg').exists()


def gnuplot_draws_what_it_is_given():
    if shutil.which('gnuplot') is None:
        return 'SKIP no gnuplot'
    with tempfile.TemporaryDirectory() as out:
        plot.draw(plot.Plot('p', "it's", 'x', 'y', {"it's": [(1, 2), (10, 20)], 'b_c': [(3, 4.5)]}, log='xy'), Path(out))
        svg = (Path(out) / 'p.svg').read_text()
        assert svg.count('</path>') or svg.count('<path'), svg[:500]
        assert 'b_c' in svg, 'labels are shown as they are'
    return None


STALLS = r'''
#include "stalls.h"
int main(void)
{
    static struct stalls s;
    unsigned long long ns;
    while (scanf("%llu", &ns) == 1) {
        unsigned bucket = stalls_bucket(ns);
        if (stalls_highest(bucket) < ns || (bucket > 0 && stalls_highest(bucket - 1) >= ns))
            return 1;
        s.buckets[bucket]++;
        s.count++;
        s.longest_ns = ns > s.longest_ns ? ns : s.longest_ns;
    }
    stalls_result(&s);
    return 0;
}
'''


def stalls_are_at_most_a_sixtyfourth_too_high():
    rng = random.Random(1)
    values = [rng.randrange(1 << rng.randrange(1, 45)) for _ in range(100_000)] + [127, 128, 129, (1 << 62) + 1]
    with tempfile.TemporaryDirectory() as out:
        exe = Path(out) / 'stalls'
        subprocess.run(['cc', '-D_GNU_SOURCE', f'-I{BENCH}', '-o', str(exe), '-x', 'c', '-'], input=STALLS, text=True, check=True)
        r = subprocess.run([str(exe)], input='\n'.join(map(str, values)), text=True, stdout=subprocess.PIPE, check=True)
    got = {name: float(value) for name, value in (line.split() for line in r.stdout.splitlines())}
    values.sort(reverse=True)
    for name, one_in in (('stall_p50', 2), ('stall_p99', 100), ('stall_p99.99', 10000), ('one_in_3', 8), ('one_in_16', 1 << 16)):
        true = values[len(values) // one_in]        # so many are above it
        assert true <= got[name] * 1.00001 and got[name] <= true * (1 + 1 / 64) * 1.00001, (name, true, got[name])
    assert abs(got['stall_max'] - values[0]) <= values[0] * 1e-5, got['stall_max']


TESTS = [the_first_round_is_thrown_away, no_round_is_thrown_away_where_the_case_says_so,
         who_has_no_room_is_no_failure_and_who_fails_is, several_of_ours_are_set_beside_the_best_rival_alone,
         the_best_of_more_is_better_is_the_highest, one_of_ours_stands_on_each_peers_line,
         longest_stalls_are_summed_up_by_the_worst_round, a_run_has_the_newest_pauses, pauses_are_told_apart_by_kind,
         the_slope_is_of_microseconds_a_gib, all_sizes_make_a_row_a_line_and_a_plot,
         several_processes_are_done_when_the_last_one_is, what_is_kept_is_set_beside_a_process_a_core,
         all_numbers_of_processes_make_rows_and_plots, requests_a_second_are_of_all_processes,
         what_is_added_is_counted_once, memory_is_counted_as_the_kernel_says,
         stall_curves_are_of_the_worst_round,
         without_gnuplot_the_data_are_left_and_it_is_said, gnuplot_draws_what_it_is_given,
         stalls_are_at_most_a_sixtyfourth_too_high]


def main():
    failed = False
    print(f'1..{len(TESTS)}')
    for number, test in enumerate(TESTS, 1):
        title, note = test.__name__.replace('_', ' '), None
        try:
            note = test()
        except Exception as why:  # pylint: disable=broad-except
            failed = True
            print(f'not ok {number} - {title}\n# {type(why).__name__}: {str(why)[:500]!r}')
            continue
        print(f'ok {number} - {title}' + (f' # {note}' if note else ''))
    return failed


if __name__ == '__main__':
    sys.exit(main())
