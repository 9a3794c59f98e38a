# SPDX-License-Identifier: Apache-2.0
"""Churn: a cache of 2 M entries replaces what it holds, and each operation is timed as the program sees it.

What the work is: the top of churn_mmgc.c. Each contender fills its table, warms up without being counted, and is then
measured for as long as all others. The clock takes its turn among them, alone and on each core: what it sees is the machine's doing,
which a program feels where it leaves no core free, as programs do whose collector runs beside them.
"""
import os

import hotspot
from harness import Case, Contender, Finish, Metric, heap_info, pauses_of_run, private_daemon, run_together
from plot import Plot

WHAT = "a full cache replaces 2 objects an operation: operations a second, and the stalls that the program sees"
ENTRIES = 1 << 21
HEAPS_MIB = (768, 2048)
RIVALS = [hotspot.PARALLEL, hotspot.G1, hotspot.SHENANDOAH, hotspot.SHENANDOAH_GENERATIONAL, hotspot.ZGC]
# What serves a peer best: all memory there before the start, and huge pages, which ours has, too.
WANTED = ("-XX:+AlwaysPreTouch", "-XX:+UseTransparentHugePages")
TARGETS = ("daemon/mmgcd", "client/ctl/mmgcctl", "tests/bench/churn_mmgc")
HEAP = "churn"
CLOCK = "the clock alone"
CLOCKS = "the clock, on each core"

SHOWN = ("p50", "p99", "p99.9", "p99.99")
METRICS = [Metric("ops", "M/s", "higher"), *(Metric(f"stall_{p}", "us") for p in SHOWN), Metric("stall_max", "us", worst=True),
           # As the daemon has it, ours alone: the longest of the newest 256 pauses.
           Metric("pause_max", "us", worst=True), Metric("fallbacks", "concurrent collections that became full ones")]


def cases(env):
    return [_case(env, mib) for mib in HEAPS_MIB[:1 if env.quick else None]]


def _case(env, heap_mib):
    ours = [_ours(env, heap_mib, plan) for plan in env.plans()]
    peers = [_hotspot(env, heap_mib, c) for c in RIVALS]
    clocks = [_clock(env, CLOCK, 1), _clock(env, CLOCKS, os.cpu_count())]
    return Case(f"{heap_mib} MiB", METRICS, [*ours, *peers, *clocks], rounds=3, throw_away=False,
                rivals=hotspot.GROUP)


def run_ms(env):
    """(warm-up, measured)"""
    return (1000, 3000) if env.quick else (3000, 20000)


def figures(got):
    """Of what a program printed: M operations/s and microseconds; the curve for the plot as it is."""
    stalls = {name: ns / 1000 for name, ns in got.items() if name.startswith("stall_")}
    ops = {"ops": got["ops_per_s"] / 1e6} if "ops_per_s" in got else {}
    return got | stalls | ops


# -- contenders ---------------------------------------------------------------------------------------------------
def _ours(env, heap_mib, plan):
    warm, run_for = run_ms(env)

    def run():
        mmgcd, mmgcctl, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, "--heap-plan", plan, "--heap-pretouch", "on") as sock: # as WANTED
            command = [program, sock, HEAP, heap_mib, ENTRIES, ENTRIES, f"warm_ms={warm}", f"min_ms={run_for}"]
            got = run_together([command], env.timeout_s)[0]
            info = heap_info(mmgcctl, sock, HEAP)
        pauses = pauses_of_run(got, info)
        ours = {"fallbacks": info.get("fallbacks"), "pause_max": max(pauses) / 1000 if pauses else None}
        return figures(got) | {name: value for name, value in ours.items() if value is not None}
    return Contender(f"mmgcd {plan}", run, lambda: env.ours(*TARGETS), ours=True)


def _hotspot(env, heap_mib, collector):
    return hotspot.contender(env, collector, "Churn", [ENTRIES, *run_ms(env)], heap_mib, lambda got: figures(got[0]),
                             wanted=WANTED)


def _clock(env, label, count):
    target = "tests/bench/clock_alone"

    def run():
        program, = env.ours(target)
        got = run_together([[program, run_ms(env)[1]]] * count, env.timeout_s)
        return figures({name: max(one[name] for one in got) for name in got[0]})
    return Contender(label, run, lambda: env.ours(target))


# -- plots --------------------------------------------------------------------------------------------------------
def stall_plot(name, title, results):
    """How long one operation in so many takes. @results: {label: [what runs returned]}; the worst of all rounds is drawn."""
    lines = {}
    for label, runs in results.items():
        curve = {}
        for got in runs:
            for key, ns in got.items():
                if key.startswith("one_in_"):
                    k = int(key.removeprefix("one_in_"))
                    curve[k] = max(curve.get(k, 0), ns / 1000)
        lines[label] = [(2.0 ** k, us) for k, us in sorted(curve.items())]
    return Plot(name, title, "one operation in", "takes longer than, us", lines, log="xy")


def finish(results):
    return Finish(plots=[stall_plot(f"churn-{case.split()[0]}", f"churn, {case}: stalls as the program sees them", got)
                         for case, got in results.items() if got])
