# SPDX-License-Identifier: Apache-2.0
"""MMTk's plans as contenders: the crate with our binding in peers/mmtk, and which plan of ours is set beside which.

What serves it best: allocation and write barrier inlined for each kind of plan (peers/mmtk/src/heap.rs), link-time optimisation,
transparent huge pages as our arena has huge ones, as many collector threads as the daemon takes by itself, its own nursery,
which is all that is free. What is not the same:
- Roots are exact there, in a shadow stack; ours are what the words of the stack look like. It costs the program nothing
  that could be measured: without it, under NoGC, as fast (the best of 12: 4.70 and 4.71 ns a node), for what does not lie
  in a slot lies in a saved register.
- MMTk's threads are the program's own, so cpu_ns_per_node has all of the work, ours the client's; the program's thread
  alone is mutator_cpu_ns_per_node. It clears the memory and takes the page faults; with us the daemon does.
- MarkSweep's free lists have no fast path that a binding could inline: it is MMTk's own call, its type known.
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
