# SPDX-License-Identifier: Apache-2.0
"""GCBench 20 20 18 in a heap of 256 MiB a process: what one node costs, collections included."""
import hotspot
import mmtk
from harness import Case, Contender, Metric, await_committed, private_daemon, run_together

WHAT = "trees of depth 4 to 18 beside a long-lived one; ns per node allocated, all work of the run counted"
PARAMS = ["20", "20", "18"]
HEAP_MIB = 256
COST = Metric("ns_per_node", "ns/node")
# With which headers: compact ones, and for those that have been ahead with wide ones, too. --quick: the first two, compact.
RIVALS = [(hotspot.SERIAL, (True, False)), (hotspot.PARALLEL, (True, False)), (hotspot.G1, (True, False)),
          (hotspot.SHENANDOAH, (True,)), (hotspot.ZGC, (True,))]
QUICK_MMTK = ["StickyImmix", "Immix"]
TOUCHED = "1 process, memory touched before the start"
TOUCHED_RIVALS = [hotspot.SERIAL, hotspot.PARALLEL, hotspot.G1]
TOUCH = ("-XX:+AlwaysPreTouch", "-XX:+UseTransparentHugePages")


def cases(env):
    return [_case(env, 1), _case(env, 2), _touched(env)]


def finish(results):
    return mmtk.plan_by_plan("gcbench", COST, results)


def _case(env, n):
    name = f"{n} process" + ("es at once" if n > 1 else "")
    ours = [_ours(env, n, plan) for plan in env.plans()]
    rivals = [(c, (True,)) for c, _ in RIVALS[:2]] if env.quick else RIVALS
    peers = [_boehm(env, n), _mimalloc(env, n), *(_hotspot(env, n, c, compact) for c, headers in rivals for compact in headers),
             *(_mmtk(env, n, plan) for plan in (QUICK_MMTK if env.quick else mmtk.PLANS))]
    return Case(name, [COST], [*ours, *peers], rounds=5, quick_s=16, rivals=hotspot.GROUP)


def _touched(env):
    """Neither side meets a page that the system must find first."""
    ours = [_ours(env, 1, plan, touched=True) for plan in env.plans()]
    peers = [hotspot.contender(env, c, "GCBench", PARAMS, HEAP_MIB, _slowest, wanted=TOUCH)
             for c in TOUCHED_RIVALS[:2 if env.quick else None]]
    return Case(TOUCHED, [COST], [*ours, *peers], rounds=5, quick_s=8, rivals=hotspot.GROUP)


def _slowest(results):
    """Several processes do the same work from the same start: the pair is done when its last one is."""
    return max(results, key=lambda r: r["ns_per_node"])


def _ours(env, n, plan, touched=False):
    """One heap shared by all processes, as large as the peers' heaps together."""
    targets = ("daemon/mmgcd", "client/ctl/mmgcctl", "tests/bench/gcbench_mmgc")

    def run():
        mmgcd, mmgcctl, program = env.ours(*targets)
        with private_daemon(mmgcd, "--heap-plan", plan, "--heap-pretouch", "on" if touched else "off") as sock:
            command = [program, sock, "gcbench", str(n * HEAP_MIB), *PARAMS]
            return _slowest(run_together([command] * n, env.timeout_s,
                                         lambda: touched and await_committed(mmgcctl, sock, "gcbench", env.timeout_s)))
    return Contender(f"mmgcd {plan}", run, lambda: env.ours(*targets), ours=True)


def _boehm(env, n):
    def exe():
        return env.peer_c("gcbench_boehm", "gc.h", "-lgc")
    return Contender("Boehm", lambda: _slowest(run_together([[exe(), str(HEAP_MIB), *PARAMS]] * n, env.timeout_s)), exe)


def _mimalloc(env, n):
    def exe():
        return env.peer_c("gcbench_mimalloc", "mimalloc.h", "-lmimalloc")
    return Contender("mimalloc", lambda: _slowest(run_together([[exe(), str(HEAP_MIB), *PARAMS]] * n, env.timeout_s)),
                     exe)


def _hotspot(env, n, collector, compact):
    """With the headers of 8 bytes that ours have, too, and with those of 12; the faster one is the one to beat."""
    return hotspot.contender(env, collector, "GCBench", PARAMS, HEAP_MIB, _slowest, processes=n, compact=compact)


def _mmtk(env, n, plan):
    return mmtk.contender(env, plan, PARAMS, HEAP_MIB, _slowest, processes=n)
