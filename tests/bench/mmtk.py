# SPDX-License-Identifier: Apache-2.0
"""MMTk's plans as contenders: the crate with our binding in peers/mmtk, and which plan of ours is set beside which.

What serves it best: its own inlined fast paths (peers/mmtk/src/heap.rs), link-time optimisation, transparent huge pages as
our arena has huge ones, as many collector threads as the daemon takes by itself. Its nursery is its default: all that is free.
What is not the same: its roots are exact, in a shadow stack (two stores and two loads for an inner node); ours are found by
looking at the stack's words. Its threads are the program's own, so cpu_ns_per_node has all of the work, ours the client's.
"""
import os
import statistics

import show
from harness import Contender, Finish, run_together

GROUP = "MMTk"
AIM = 0.8
# Ours beside theirs. The default has no like there; without its concurrent part it would be the second.
SAME = {"immix": "Immix", "stickyimmix": "StickyImmix", "genimmix": "GenImmix", "semispace": "SemiSpace",
        "marksweep": "MarkSweep", "concurrentstickyimmix": "StickyImmix"}
PLANS = list(dict.fromkeys(SAME.values()))
OPTIONS = [f"threads={min(8, max(2, os.cpu_count() or 2))}", "transparent_hugepages=true"]


def contender(env, plan, arguments, heap_mib, figures, *, processes=1):
    """GCBench under @plan; figures([what each process printed]) is what run() returns."""
    def exe():
        return env.peer_cargo("mmtk", "gcbench_mmtk")

    def run():
        return figures(run_together([[exe(), plan, heap_mib, *arguments, *OPTIONS]] * processes, env.timeout_s))
    return Contender(f"{GROUP} {plan}", run, exe, group=GROUP)


def plan_by_plan(bench, metric, results):
    """Each plan of ours beside the same one of theirs. @results: {case name: {contender: [what its runs returned]}}."""
    more = Finish()
    for case, got in results.items():
        value = {name: statistics.median(r[metric.name] for r in runs) for name, runs in got.items()}
        for ours, theirs in ((f"mmgcd {o}", f"{GROUP} {t}") for o, t in SAME.items()):
            if ours in value and theirs in value:
                r = show.row(bench, case, metric, ours, value[ours], f"same plan of {GROUP}", value[theirs])
                more.rows.append(r | {"aim": AIM})
                met = "met" if r["ratio"] <= AIM else "missed"
                more.lines.append(f"    {case}: {ours + ' / ' + theirs:52}{r['ratio']:6.2f}   at most {AIM}: {met}")
    if more.lines:
        more.lines.insert(0, f"\n{bench}, plan by plan, ours / {GROUP}")
    return more
