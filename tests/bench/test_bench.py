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
import alloc  # noqa: E402
import cache  # noqa: E402
import churn  # noqa: E402
import handover  # noqa: E402
import gcbench  # noqa: E402
import footprint  # noqa: E402
import harness  # noqa: E402
import limits  # noqa: E402
import memory  # noqa: E402
import pause  # noqa: E402
import plot  # noqa: E402
import run  # noqa: E402
import scale  # noqa: E402
import show  # noqa: E402
import slab  # noqa: E402

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


def each_plan_is_set_beside_mmtks_same_one():
    def runs(*ns):
        return [{'ns_per_node': x} for x in ns]
    more = gcbench.finish({'1 process': {'mmgcd immix': runs(4, 9, 5), 'mmgcd lxr': runs(1), 'mmgcd semispace': runs(9), 'Boehm': runs(2),
                                         'MMTk Immix': runs(10), 'MMTk SemiSpace': runs(11, 9), 'MMTk MarkSweep': runs(1)}})
    got = {r['contender']: (r['peer'], r['peer_value'], r['ratio'], r['aim']) for r in more.rows}
    assert got == {'mmgcd immix': ('same plan of MMTk', 10, 0.5, 0.8), 'mmgcd semispace': ('same plan of MMTk', 10, 0.9, 0.8)}, got
    assert [line[-4:] for line in more.lines[1:]] == [' met', 'ssed'], more.lines
    assert gcbench.finish({'1 process': {'Boehm': runs(2)}}).lines == []


CARGO = r'''#!/bin/sh
case $1 in
--version) echo "cargo $VERSION (0123456 2026-01-01)" ;;
-vV) echo "host: somewhere" ;;
fetch) echo "error: failed to download \`x v1\`

Caused by:
  $FETCH" >&2; exit 101 ;;
*) exit 1 ;;
esac
'''


def why_not(call, *args):
    try:
        return f'it did: {call(*args)}'
    except (harness.Skip, harness.Broken) as why:
        return f'{type(why).__name__}: {why}'


def a_cargo_that_cannot_is_no_failure():
    with tempfile.TemporaryDirectory() as out:
        before = dict(os.environ)
        try:
            os.environ['PATH'] = out
            env = harness.Env(out, True)
            none = why_not(env.peer_cargo, 'mmtk', 'gcbench_mmtk')
            cargo = Path(out) / 'cargo'
            cargo.write_text(CARGO)
            cargo.chmod(0o755)
            os.environ |= {'VERSION': '1.9.1', 'FETCH': 'no route'}
            old = why_not(harness.Env(out, True).peer_cargo, 'mmtk', 'gcbench_mmtk')
            os.environ['VERSION'] = '1.1000.0'
            far = why_not(harness.Env(out, True).peer_cargo, 'mmtk', 'gcbench_mmtk')
            os.environ['FETCH'] = 'the lock file needs an update but --locked was passed'
            again = why_not(env.peer_cargo, 'mmtk', 'gcbench_mmtk')
            stale = why_not(harness.Env(out, True).peer_cargo, 'mmtk', 'gcbench_mmtk')
        finally:
            os.environ.clear()
            os.environ.update(before)
    assert none == again == 'Skip: cargo is not installed', (none, again)
    assert old.startswith('Skip: cargo 1.9.1 is too old'), old
    assert far == 'Skip: cargo cannot fetch its crates: failed to download `x v1`: no route', far
    assert stale.startswith('Broken: cargo build in peers/mmtk failed'), stale


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


def a_handover_is_told_per_object_and_its_total_has_each_part_once():
    got = handover.figures({'build_ns': 4e6, 'join_ns': 2e6, 'first_ns': 1e6, 'again_ns': 5e3, 'walk_first_ns': 3e6,
                            'walk_again_ns': 2e6, 'nodes': 1e6})
    assert got == {'handover': 5, 'handover_first': 1000, 'join': 2000, 'build': 4, 'use': 3, 'use_again': 2, 'total': 10}, got
    assert set(got) == {m.name for m in handover.METRICS}


def how_a_handover_grows_is_from_the_smallest_graph_to_the_largest():
    results = {handover.case_name(n): {'mmgcd': [{'handover': ours}] * 3, 'peer': [{'handover': peer}]}
               for n, ours, peer in ((1000, 10, 2), (100000, 11, 90), (1000000, 12, 600))}
    more = handover.finish(results)
    assert [(r['contender'], r['peer'], r['ours'], r['peer_value']) for r in more.rows] == [('mmgcd', 'peer', 1.2, 300)], more.rows
    assert round(more.rows[0]['ratio'], 6) == 0.004 and any('300.00' in line for line in more.lines), more
    assert more.plots[0].lines['peer'] == [(1000, 2), (100000, 90), (1000000, 600)], more.plots
    only = handover.finish({handover.case_name(1000): {'mmgcd': [{'handover': 10}]}})
    assert (only.rows, only.plots) == ([], []), 'one size says nothing of growth'


def small_ratios_keep_two_digits():
    assert [show.number(x) for x in (0, 0.00027, 0.012, 0.26, 12, 51253.4)] == ['0.00', '0.00027', '0.012', '0.26', '12.00', '51253']


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


SIZES = r'''
#include <stdlib.h>
#define peer_new(bytes, has_refs) malloc(bytes)
#define peer_free(object) free(object)
#include "peers/alloc_malloc.h"
int main(void)
{
    struct alloc_run run = { ALLOC_MIXED, ALLOC_RING, 0 };
    sizes_draw();
    for (int i = 0; i < SIZES; i++)
        printf("%d\n", sizes[i]);
    alloc_make(alloc_ring, run.kind, run.warm);
    alloc_check(alloc_ring, run.kind, run.warm);
    *alloc_body(alloc_ring[7]) ^= 1;
    alloc_check(alloc_ring, run.kind, run.warm);
    return 0;
}
'''


def run_c(source, *arguments, status=0):
    """What it said; @status None: however it ended."""
    with tempfile.TemporaryDirectory() as out:
        exe = Path(out) / 'program'
        subprocess.run(['cc', '-D_GNU_SOURCE', '-O1', '-w', f'-I{BENCH}', '-o', str(exe), '-x', 'c', '-', '-lm'], input=source, text=True, check=True)
        r = subprocess.run([str(exe), *arguments], input='0\n', text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert status is None or r.returncode == status, r
    return r


def mixed_objects_have_the_sizes_that_are_said_and_a_damaged_one_is_found():
    r = run_c(SIZES, status=2)
    assert 'not what was written' in r.stderr, r.stderr
    sizes = [int(line) for line in r.stdout.split()]
    assert (len(sizes), min(sizes), max(sizes)) == (16384, 16, 512), (len(sizes), min(sizes), max(sizes))
    assert all(size % 8 == 0 for size in sizes) and round(sum(sizes) / len(sizes)) == 80, sum(sizes)


def all_allocators_fill_the_heap_once_and_then_make_as_many_as_can_be_checked():
    env = type('Env', (), {'quick': True})
    for kind, size in alloc.KINDS.items():
        _, warm, objects = alloc.arguments(env, kind)
        assert warm % alloc.RING == objects % alloc.RING == 0, (warm, objects)
        assert abs(warm * size / 2**20 - alloc.HEAP_MIB) < 1, warm
        assert abs(alloc.arguments(env, kind, part=20)[2] * 20 / objects - 1) < 0.01
    assert alloc.whole({'ns_per_object': 2, 'own_cpu_ns_per_object': 1}) == {'ns_per_object': 2}


BATCHES = r'''
#include "batches.h"
int main(void)
{
    struct batches b = batches_new(1000);
    for (uint64_t i = 0; i < 1000; i++)
        batch_took(&b, i, i % 100 == 7 ? 10100 : i % 2 ? 100 : 110);
    b.waits = 4;
    b.waited_ns = 8000;
    batches_result(&b);
    return 0;
}
'''


def what_batches_take_beyond_the_usual_is_their_share():
    r = run_c(BATCHES)
    got = {name: float(value) for name, value in (line.split() for line in r.stdout.splitlines())}
    total = 490 * 100 + 500 * 110 + 10 * 10100
    assert abs(got['share'] - 100 * 10 * (10100 - 110) / total) < 0.01, got
    assert abs(got['ns_per_object'] * 170 * 1000 - total) < 1 and got['longest'] == 10100, got
    figures = slab.refill_figures(got)
    assert figures['wait_mean'] == 2 and figures['longest'] == 10.1, figures
    assert 'wait_mean' not in slab.refill_figures(got | {'waits': 0}), 'who never waited has no mean'
    assert {m.name for m in slab.REFILL} <= set(figures), 'what is shown is measured'


def times_of_a_cache_are_those_of_all_processes():
    one = {'get_per_s': 2e6, 'put_per_s': 1e6, 'mix_per_s': 1e6, 'mix_gets': 90, 'mix_hits': 80, 'mix_get_le_1000': 98, 'mix_get_le_5000': 1}
    two = {'get_per_s': 1e6, 'put_per_s': 1e6, 'mix_per_s': 1e6, 'mix_gets': 10, 'mix_hits': 0, 'mix_get_le_2000': 1, 'mix_put_le_7000': 3}
    got = cache.figures([one, two])
    assert (got['get'], got['put'], got['mix'], got['hits']) == (3, 2, 2, 80), got
    assert (got['get_p50'], got['get_p99'], got['get_p99.9'], got['put_p50']) == (1, 2, 5, 7), got
    assert set(got) <= {m.name for m in cache.METRICS}, 'what is found is shown'
    alone = cache.figures([{'get_per_s': 1e6, 'put_per_s': 1e6}])
    assert alone == {'get': 1, 'put': 1}, 'who does no mix has no times'


ZIPF = r'''
#include "bench.h"
#include "zipf.h"
int main(void)
{
    enum { RANKS = 1000, COUNT = 1 << 20 };
    static unsigned seen[RANKS];
    uint32_t *draws = zipf_draws(RANKS, 0.99, COUNT, 7);
    for (unsigned i = 0; i < COUNT; i++)
        seen[draws[i]]++;
    for (unsigned i = 0; i < RANKS; i++)
        printf("%u\n", seen[i]);
    return 0;
}
'''


def ranks_are_drawn_as_often_as_zipf_says():
    seen = list(map(int, run_c(ZIPF).stdout.split()))
    weights = [(r + 1) ** -0.99 for r in range(1000)]
    for rank in (0, 1, 2, 10, 100, 999):
        wanted = weights[rank] / sum(weights) * sum(seen)
        assert abs(seen[rank] - wanted) < 6 * wanted ** 0.5, (rank, seen[rank], wanted)


# A contender of one process, for 64 keys: right, or it changes a byte of what it was given.
CACHE = r'''
#include "cache_phases.h"
struct cache {
    struct { uint64_t key; uint32_t bytes; char value[CACHE_MAX_BYTES]; } kept[64];
    uint32_t next, flip, forget;
};
static uint32_t cache_get(struct cache *c, uint64_t key, char *into)
{
    for (int i = 0; i < 64; i++)
        if (c->kept[i].key == key && c->kept[i].bytes > 0 && !c->forget)
            return memcpy(into, c->kept[i].value, c->kept[i].bytes), c->kept[i].bytes;
    return 0;
}
static void cache_put(struct cache *c, uint64_t key, const char *value, uint32_t bytes)
{
    uint32_t at = c->next++ % 64;
    for (uint32_t i = 0; i < 64; i++)
        at = c->kept[i].key == key ? i : at;
    c->kept[at].key = key;
    c->kept[at].bytes = bytes;
    memcpy(c->kept[at].value, value, bytes);
    c->kept[at].value[c->flip == 2 ? bytes / 2 : bytes - 1] ^= c->flip != 0;
}
int main(int argc, char **argv)
{
    static struct cache c;
    struct cache_run run = cache_run_of(argc, argv);
    c.flip = (uint32_t)strtoul(run.where, NULL, 10);
    c.forget = c.flip == 3;
    cache_main(&run, &c);
    return 0;
}
'''


def a_cache_that_gives_back_something_else_is_found_out():
    for where, status, said in (('0', 0, ''), ('1', 2, 'not what was put'), ('2', 2, 'not those that were put'), ('3', 2, 'next to nothing')):
        r = run_c(CACHE, where, '1', '64', '0', '1', '640', '5', '1', status=None)
        assert r.returncode == status and said in r.stderr, (where, r.returncode, r.stderr)


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
         a_handover_is_told_per_object_and_its_total_has_each_part_once,
         how_a_handover_grows_is_from_the_smallest_graph_to_the_largest, small_ratios_keep_two_digits,
         each_plan_is_set_beside_mmtks_same_one, a_cargo_that_cannot_is_no_failure,
         stalls_are_at_most_a_sixtyfourth_too_high, mixed_objects_have_the_sizes_that_are_said_and_a_damaged_one_is_found,
         all_allocators_fill_the_heap_once_and_then_make_as_many_as_can_be_checked, what_batches_take_beyond_the_usual_is_their_share,
         times_of_a_cache_are_those_of_all_processes, ranks_are_drawn_as_often_as_zipf_says,
         a_cache_that_gives_back_something_else_is_found_out]


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
