# SPDX-License-Identifier: Apache-2.0
"""What the write barrier costs: gcbench and churn, and the same programs compiled without it (store.h), under the same plan.

A program without the barrier may only run where no collection rests on what the barrier writes down, or the figure is that of a
heap that falls apart. So, under any plan:
  gcbench   in a heap so large that it is never collected. The fast path is run at each store, the slow path never: and so it is
            for nearly all stores of gcbench in a heap that is, since they go to objects just made. What it adds to a node is to
            be set beside what a node costs in gcbench itself.
  churn     a window between two collections, of as many operations as fill a nursery. Before it one collection of everything,
            and none before that; so at its beginning all of the table is old, and each part of it that is stored to for the
            first time takes the slow path: what happens after each young collection. The heap is not collected again.
A run that was collected at any other time is no measurement, and is given up.
Both say what the program itself had of the processor, and what the clock says; that of gcbench holds the waiting for memory.
The daemon's reading of what was logged is in neither: it has a processor of its own, if there is one.
"""
import churn
from harness import Broken, Case, Contender, Metric, Skip, heap_info, private_daemon, run_together

WHAT = "gcbench and churn with the write barrier and with it compiled out"
WITH, WITHOUT = "tests/bench/{}_mmgc", "tests/bench/{}_mmgc_no_barrier"
WINDOW_OPS = 700_000            # of 96 bytes: 64 MiB
GCBENCH_PARAMS = ["18", "18", "16"]         # a quarter of gcbench's own: 400 MiB
HEAP_MIB = 4096                 # and the table with warm-up and window takes 330 MiB: no nursery is full

# The daemon's options that make it so, where it has them: what is wished for is everything, and a nursery holds it all.
COLLECTED_ONCE = {"--heap-full-heap-system-gc": "on", "--heap-nursery": f"fixed:{HEAP_MIB}M"}


def cases(env):
    plans = env.asked_plans or [env.default_plan()]
    return [_case(env, bench, plan) for bench in (_gcbench, _churn) for plan in plans]


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
        with private_daemon(mmgcd, "--heap-plan", plan, *_collected_once(env)) as sock:
            got = run_together([[program, sock, "barrier", HEAP_MIB, *GCBENCH_PARAMS]], env.timeout_s)[0]
        if got["collections"]:
            raise Skip(f"the heap of {HEAP_MIB} MiB was collected all the same")
        return got
    return [Metric("cpu_ns_per_node", "ns/node"), Metric("ns_per_node", "ns/node")], run


def _churn(env, plan):
    def run(mmgcd, mmgcctl, program):
        with private_daemon(mmgcd, "--heap-plan", plan, *_collected_once(env)) as sock:
            command = [program, sock, "barrier", HEAP_MIB, churn.ENTRIES, churn.ENTRIES, f"warm_ops={WINDOW_OPS}", "gc_first=1",
                       f"min_ops={WINDOW_OPS}"]
            got = run_together([command], env.timeout_s)[0]
            logged = heap_info(mmgcctl, sock, "barrier").get("barrier_slow_paths")
        if (got["collections_before"], got["collections"]) != (1, 0):
            raise Skip("the heap was collected between")
        if logged and program.name.endswith("_no_barrier"):
            raise Broken(f"it logged {logged} stores: the barrier is not compiled out")
        return got if logged is None else got | {"logged": logged / WINDOW_OPS}
    return [Metric("cpu_ns_per_op", "ns/operation"), Metric("ns_per_op", "ns/operation"),
            Metric("logged", "stores an operation")], run


def _collected_once(env):
    return [word for option, value in COLLECTED_ONCE.items() if env.daemon_has(option) for word in (option, value)]
