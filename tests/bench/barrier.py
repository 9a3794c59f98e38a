# SPDX-License-Identifier: Apache-2.0
"""What the write barrier costs: gcbench and churn, and the same programs compiled without it, under the same plan.

A program without the barrier may only run where nothing that a collection does rests on it, or the figure is that of a heap that
falls apart. Two ways to that:
  gcbench   under plans that look at the whole heap, with the world stopped, at each collection: they ask for no barrier. All that
            is compiled in is run but for the slow path; and so it is under any plan, for nearly all of gcbench's stores go to
            objects just made, which are not logged. Whole runs, collections included.
  churn     a window between two collections, of as many operations as fill a nursery, under any plan. Before it one collection of
            everything, and none before that; so at its beginning all of the table is old, and each part of it that is stored to for
            the first time takes the slow path: what happens after each young collection. The heap is not collected again: it ends
            with its daemon. A run that was collected more than that once is no measurement, and is given up.
Both say what the clock says and what the program itself had of the processor, which leaves out pauses and others' turns. The
daemon's reading of what was logged is in neither: it has a processor of its own, if there is one.
"""
import churn
import gcbench
from harness import Broken, Case, Contender, Metric, Skip, heap_info, private_daemon, run_together

WHAT = "gcbench and churn with the write barrier and with it compiled out"
# The whole heap at each collection, world stopped: leaving the barrier out is harmless under these, whatever the program does.
NEED_NO_BARRIER = ("immix", "semispace", "marksweep", "markcompact", "compressor")
WITH, WITHOUT = "tests/bench/{}_mmgc", "tests/bench/{}_mmgc_no_barrier"
WINDOW_OPS = 700_000            # of 96 bytes: 64 MiB
WINDOW_HEAP_MIB = 4096          # so large that the table, the warm-up and the window fit without a collection

# The daemon's options that make it so, where it has them: what is wished for is everything, and a nursery holds it all.
COLLECTED_ONCE = {"--heap-full-heap-system-gc": "on", "--heap-nursery": f"fixed:{WINDOW_HEAP_MIB}M"}


def cases(env):
    plans = env.asked_plans or [env.default_plan()]
    harmless = [plan for plan in plans if plan in NEED_NO_BARRIER] or [NEED_NO_BARRIER[0]]
    return [_case(env, _gcbench, plan) for plan in harmless] + [_case(env, _churn, plan) for plan in plans]


def _case(env, bench, plan):
    metrics, run = bench(env, plan)

    def contender(name, program, ours):
        targets = ("daemon/mmgcd", "client/ctl/mmgcctl", program)
        return Contender(name, lambda: run(*env.ours(*targets)), lambda: env.ours(*targets), ours=ours)
    program = bench.__name__.strip("_")
    return Case(f"{program} under {plan}", metrics,
                [contender(f"mmgcd {plan}", WITH.format(program), True),
                 contender("without the barrier", WITHOUT.format(program), False)], rounds=11, quick_s=12)


def _gcbench(env, plan):
    def run(mmgcd, mmgcctl, program):
        with private_daemon(mmgcd, "--heap-plan", plan) as sock:
            return run_together([[program, sock, "gcbench", gcbench.HEAP_MIB, *gcbench.PARAMS]], env.timeout_s)[0]
    return [Metric("ns_per_node", "ns/node"), Metric("cpu_ns_per_node", "ns/node")], run


def _churn(env, plan):
    def run(mmgcd, mmgcctl, program):
        with private_daemon(mmgcd, "--heap-plan", plan, *_collected_once(env)) as sock:
            command = [program, sock, "barrier", WINDOW_HEAP_MIB, churn.ENTRIES, churn.ENTRIES, f"warm_ops={WINDOW_OPS}", "gc_first=1",
                       f"min_ops={WINDOW_OPS}"]
            got = run_together([command], env.timeout_s)[0]
            logged = heap_info(mmgcctl, sock, "barrier").get("barrier_slow_paths")
        if (got["collections_before"], got["collections"]) != (1, 0):
            raise Skip("the heap was collected between")
        if logged and program.name.endswith("_no_barrier"):
            raise Broken(f"it logged {logged} stores: the barrier is not compiled out")
        return got if logged is None else got | {"logged": logged / WINDOW_OPS}
    return [Metric("ns_per_op", "ns/operation"), Metric("cpu_ns_per_op", "ns/operation"),
            Metric("logged", "stores an operation")], run


def _collected_once(env):
    return [word for option, value in COLLECTED_ONCE.items() if env.daemon_has(option) for word in (option, value)]
