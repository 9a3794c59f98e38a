# SPDX-License-Identifier: Apache-2.0
"""Pause against live size: tables of 64 MiB to 4 GiB, of each of which the same 6 MiB are churned while collections happen.

A plan whose pause grows with what lives has a slope; one that traces while the program runs has none. The table is that of
churn_mmgc.c; the heap is two and a half times as large, so that plans that copy all have room. What is read: the daemon's own
pauses during the run, and the longest that one operation took, which holds page faults and the scheduler's turns, too.
"""
import statistics

from harness import (Case, Contender, Finish, Metric, heap_info, pauses_of_run, percentile, private_daemon, run_together,
                     slope_of)
from plot import Plot

WHAT = "pauses and the program's stalls with 64 MiB to 4 GiB live; how much a GiB more adds"
LIVE_MIB = (64, 128, 256, 512, 1024, 2048, 4096)
QUICK_UP_TO_MIB = 512
HEAP_TIMES = 2.5
MEMORY_SHARE = 0.6              # of the machine's; a larger heap is not tried
ENTRY_BYTES = 100               # of the table: churn_mmgc.c
ACTIVE_ENTRIES = 1 << 16        # few enough for a cache: heaps fill fast, and of any size equally fast
COLLECTIONS = 3                 # at least, unless they do not come in time
TARGETS = ("daemon/mmgcd", "client/ctl/mmgcctl", "tests/bench/churn_mmgc")
HEAP = "pause"

# By kind, where the daemon tells them apart, over the heap's whole life: the making of the table, with less alive, included.
KINDS = ("full", "young", "initial-mark", "final-mark", "refcount")
BY_KIND = {"p50_ns": "p50 of {}", "p99_ns": "p99 of {}", "max_ns": "max of {}"}
PAUSE_P50, PAUSE_MAX, STALL_MAX = "pause_p50", "pause_max", "stall_max"
METRICS = [Metric(PAUSE_P50, "us"), Metric(PAUSE_MAX, "us", worst=True), Metric("stall_p99.99", "us"),
           Metric(STALL_MAX, "us", worst=True), *(Metric(f.format(kind), "us") for kind in KINDS for f in BY_KIND.values()),
           Metric("fallbacks", "concurrent collections that became full ones"), Metric("collections", "in the run", "higher")]


def cases(env):
    sizes = [mib for mib in LIVE_MIB if heap_mib(mib) <= MEMORY_SHARE * memory_mib()]
    if env.quick:
        sizes = [mib for mib in sizes if mib <= QUICK_UP_TO_MIB]
    return [Case(case_name(mib), METRICS, [_ours(env, mib, plan) for plan in env.plans()], rounds=2, throw_away=False)
            for mib in sizes]


def case_name(live_mib):
    return f"{live_mib} MiB live"


def heap_mib(live_mib):
    return int(live_mib * HEAP_TIMES) + 32


def memory_mib():
    with open("/proc/meminfo") as f:
        return int(f.readline().split()[1]) // 1024


def _ours(env, live_mib, plan):
    entries = (live_mib << 20) // ENTRY_BYTES
    least_ms, most_ms = (1000, 10000) if env.quick else (10000, 60000)

    def run():
        mmgcd, mmgcctl, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, "--heap-plan", plan) as sock:
            command = [program, sock, HEAP, heap_mib(live_mib), entries, min(entries, ACTIVE_ENTRIES), "warm_ms=500",
                       f"min_ms={least_ms}", f"max_ms={most_ms}", f"collections={COLLECTIONS}"]
            got = run_together([command], env.timeout_s)[0]
            return figures(got, heap_info(mmgcctl, sock, HEAP))
    return Contender(f"mmgcd {plan}", run, lambda: env.ours(*TARGETS), ours=True)


def figures(got, info):
    """Of what the program printed and the daemon says of its heap, in microseconds."""
    us = {name: ns / 1000 for name, ns in got.items() if name.startswith("stall_")}
    pauses = pauses_of_run(got, info)
    if pauses:
        us |= {PAUSE_P50: percentile(pauses, 0.5) / 1000, PAUSE_MAX: max(pauses) / 1000}
    if "fallbacks" in info:
        us["fallbacks"] = info["fallbacks"]
    return got | us | pauses_by_kind(info)


def pauses_by_kind(info):
    return {name.format(row["kind"]): row[key] / 1000 for row in info.get("pauses", []) if row["count"]
            for key, name in BY_KIND.items()}


# -- all sizes together -------------------------------------------------------------------------------------------
def finish(results):
    """@results: {"64 MiB live": {"mmgcd immix": [what runs returned]}}."""
    more = Finish()
    what = {PAUSE_P50: "median pause", PAUSE_MAX: "longest pause", STALL_MAX: "longest stall of the program"}
    what |= {f"max of {kind}": f"longest pause, {kind}" for kind in KINDS}
    for key, title in what.items():
        lines = {plan: points for plan in contenders(results) if (points := points_of(results, plan, key))}
        for plan, points in lines.items():
            per_gib = slope(points)
            if per_gib is None:
                continue
            more.lines.append(f"  {title}, {plan}: {per_gib:.0f} us more for each GiB that lives, of {len(points)} sizes")
            more.rows.append({"bench": "pause", "case": "slope", "metric": f"{key}_per_gib", "unit": "us/GiB", "better": "lower",
                              "contender": plan, "ours": per_gib, "peer": None, "peer_value": None, "ratio": None})
        if lines:
            name = "pause-live-" + key.replace("_", "-").replace(" ", "-")
            more.plots.append(Plot(name, f"{title} against what lives", "live, MiB", "us", lines, log="xy", base=2))
    return more


def contenders(results):
    return list(dict.fromkeys(plan for got in results.values() for plan in got))


def points_of(results, plan, key):
    """[(MiB live, median of the rounds)], of the sizes where there is such a figure."""
    points = []
    for case, got in results.items():
        values = [r[key] for r in got.get(plan, []) if key in r]
        if values:
            points.append((int(case.split()[0]), statistics.median(values)))
    return points


def slope(points):
    """Microseconds a GiB: of the straight line with the least squares; None of fewer than two sizes."""
    return slope_of([(mib / 1024, us) for mib, us in points])
