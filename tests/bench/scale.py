# SPDX-License-Identifier: Apache-2.0
"""Many processes at once: what they get done together, on one heap and on a heap each, and what a pause costs a client.

Small work, so that 64 virtual machines have room beside each other: gcbench 18 16 16 with 32 MiB a process, and churn of
2^16 entries, 6 MiB, with 24 MiB a process; on one heap the heap is as large as all of them together. HotSpot has as much a
process, with compact headers; Serial and Parallel are the two for small heaps. A heap's nursery is at most 64 MiB by default,
however many share it; HotSpot's young generations are a third of its heaps, so one contender has 8 MiB of nursery a process.

gcbench's total is all nodes over the time from the start to the end of the last process. churn's is the sum of what each
gets done in its own time of equal length. "kept" is that beside the total with as many processes as there are processors:
1 is flat.

A pause's growth is of an empty heap (stop_mmgc), so that nothing but the clients can make it longer: they poll all the time,
or they are attached and outside, as the processes of a service mostly are. Each point is the median of its collections, the
growth the slope of the straight line through the points.
"""
import os
import statistics

import hotspot
import stop
from harness import Case, Contender, Finish, Metric, heap_info, percentile, private_daemon, run_together, slope_of
from plot import Plot

WHAT = "gcbench and churn by 1 to 64 processes on one heap and on one each; growth of the pause a client"
GCBENCH, GCBENCH_MIB = ["18", "16", "16"], 32
CHURN_ENTRIES, CHURN_MIB = 1 << 16, 24
RIVALS = [hotspot.SERIAL, hotspot.PARALLEL]          # with --quick the first alone
TOGETHER, NURSERY, EACH = "mmgcd, one heap", "mmgcd, one heap, larger nursery", "mmgcd, a heap each"
NURSERY_MIB = 8                      # a process
TOTAL = {"gcbench": Metric("total", "M nodes/s", "higher"), "churn": Metric("total", "M ops/s", "higher")}
PAUSES = [Metric("pause_p50", "us"), Metric("pause_p99", "us")]
HOW = {"busy": "polling", "out": "outside, asleep"}


def processes(env):
    return (1, 4, 16) if env.quick else (1, 2, 4, 16, 64)


def cases(env):
    work = [_case(env, bench, n) for bench in TOTAL for n in processes(env)]
    return work + [_pause_case(env, n, how) for how in HOW for n in (1, 8, 64)]


def _case(env, bench, n):
    ours = [_ours(env, bench, n, name) for name in (TOGETHER, *([NURSERY] if n * NURSERY_MIB > 64 else []), EACH)]
    peers = [_hotspot(env, bench, n, c) for c in (RIVALS[:1] if env.quick else RIVALS)]
    return Case(f"{bench}, {n}", [TOTAL[bench], *PAUSES], [*ours, *peers], rounds=1 if env.quick else 3 if n < 16 else 2,
                throw_away=False, rivals=hotspot.GROUP)


def _pause_case(env, n, how):
    one = stop.contender(env, n, how, 100 if env.quick else 250)
    return Case(f"{HOW[how]}, {n}", PAUSES, [one], rounds=1 if env.quick else 3, throw_away=False)


def churn_ms(env):
    """(warm-up, measured)"""
    return (300, 700) if env.quick else (500, 2000)


# -- contenders ---------------------------------------------------------------------------------------------------
def _ours(env, bench, n, name):
    targets = ("daemon/mmgcd", "client/ctl/mmgcctl", f"tests/bench/{bench}_mmgc")
    each_mib = GCBENCH_MIB if bench == "gcbench" else CHURN_MIB
    heaps = [f"{bench}-{i}" for i in range(n)] if name == EACH else [bench]
    mib = each_mib * n // len(heaps)
    options = [*env.daemon_options, *(["--heap-nursery", f"fixed:{NURSERY_MIB * n}M"] if name == NURSERY else [])]

    def run():
        mmgcd, mmgcctl, program = env.ours(*targets)
        with private_daemon(mmgcd, "--max-heaps", str(n), *options) as sock:
            commands = [[program, sock, heaps[i % len(heaps)], mib, *_work(env, bench)] for i in range(n)]
            got = run_together(commands, env.timeout_s)
            pauses = [ns for heap in heaps for ns in heap_info(mmgcctl, sock, heap).get("recent_pause_ns", [])]
        return {"total": total(bench, got)} | pauses_us(pauses)
    return Contender(name, run, lambda: env.ours(*targets), ours=True)


def _work(env, bench):
    if bench == "gcbench":
        return GCBENCH
    warm, run_for = churn_ms(env)
    return [CHURN_ENTRIES, CHURN_ENTRIES, f"warm_ms={warm}", f"min_ms={run_for}"]


def _hotspot(env, bench, n, collector):
    program, arguments, mib = ("GCBench", GCBENCH, GCBENCH_MIB) if bench == "gcbench" else \
        ("Churn", [CHURN_ENTRIES, *churn_ms(env)], CHURN_MIB)
    return hotspot.contender(env, collector, program, arguments, mib, lambda got: {"total": total(bench, got)}, processes=n)


def total(bench, got):
    """Millions a second, of all processes. @got: what each of them printed."""
    if bench == "churn":
        return sum(g["ops_per_s"] for g in got) / 1e6
    took_ns = max(g["ended_ns"] for g in got) - min(g["started_ns"] for g in got)
    return sum(g["nodes"] for g in got) * 1e3 / took_ns


def pauses_us(pauses_ns):
    return {f"pause_p{p}": percentile(pauses_ns, p / 100) / 1000 for p in (50, 99)} if pauses_ns else {}


# -- all numbers of processes together ----------------------------------------------------------------------------
def finish(results):
    """@results: {"gcbench, 4": {contender: [what its runs returned]}}."""
    more = Finish()
    for bench, metric in TOTAL.items():
        lines = lines_of(results, bench, "total")
        if NURSERY in lines:         # few processes have that nursery by default
            lines[NURSERY] = [at for at in lines.get(TOGETHER, []) if at[0] * NURSERY_MIB <= 64] + lines[NURSERY]
        for name, points in lines.items():
            _say_kept(more, bench, name, points, os.cpu_count())
        if lines:
            more.plots.append(Plot(f"scale-{bench}", f"{bench}: what all processes get done together", "processes",
                                   metric.unit, lines, log="x", base=2))
    growing = {how: points for how in HOW.values() for points in lines_of(results, how, "pause_p50").values()}
    for how, points in growing.items():
        _say_growth(more, how, points)
    working = {f"{bench}, {name}": points for bench in TOTAL
               for name, points in lines_of(results, bench, "pause_p50").items()}
    if growing or working:
        more.plots.append(Plot("scale-pause", "median pause", "processes", "us", growing | working, log="xy", base=2))
    return more


def lines_of(results, case, key):
    """{contender: [(processes, median of the rounds)]} of the cases that are called "CASE, processes"."""
    lines = {}
    for full_name, got in results.items():
        name, _, n = full_name.rpartition(", ")
        for contender, runs in got.items():
            values = [r[key] for r in runs if key in r]
            if name == case and values:
                lines.setdefault(contender, []).append((int(n), statistics.median(values)))
    return lines


def kept(points, cores):
    """(most processes, what they get done, as a share of what as many as @cores do); None if there is nothing beside."""
    at_cores = min((p for p in points if p[0] >= cores), default=None)
    most = max(points)
    return (most[0], most[1] / at_cores[1]) if at_cores and most != at_cores else None


def _say_kept(more, bench, name, points, cores):
    found = kept(points, cores)
    if not found:
        return
    more.lines.append(f"  {bench}, {name}: {found[0]} processes get {found[1]:.2f} of what as many as processors do")
    if name in (TOGETHER, NURSERY, EACH):
        row = _row(f"{bench}, {found[0]}", "kept", "of the total with a process a core", "higher", name, found[1])
        more.rows.append(row)


def _say_growth(more, how, points):
    us = slope_of(points)
    if us is None:
        return
    more.lines.append(f"  the pause grows by {us:.2f} us with each client that is {how}")
    more.rows.append(_row(how, "pause_per_client", "us/client", "lower", "mmgcd", us))


def _row(case, metric, unit, better, contender, value):
    return {"bench": "scale", "case": case, "metric": metric, "unit": unit, "better": better, "contender": contender,
            "ours": value, "peer": None, "peer_value": None, "ratio": None}
