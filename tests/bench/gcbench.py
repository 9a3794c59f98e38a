# SPDX-License-Identifier: Apache-2.0
"""GCBench 20 20 18 in a heap of 256 MiB a process: what one node costs, collections included."""
from harness import Case, Contender, Metric, Skip, java_takes, newest_jdk, private_daemon, run_together

WHAT = "trees of depth 4 to 18 beside a long-lived one; ns per node allocated, all work of the run counted"
PARAMS = ["20", "20", "18"]
HEAP_MIB = 256


def cases(env):
    return [_case(env, 1), _case(env, 2)]


def _case(env, n):
    name = f"{n} process" + ("es at once" if n > 1 else "")
    peers = [_boehm(env, n), _mimalloc(env, n), _hotspot(env, n)]
    return Case(name, [Metric("ns_per_node", "ns/node")], [_ours(env, n), *peers], rounds=7, quick_s=13)


def _slowest(results):
    """Several processes do the same work from the same start: the pair is done when its last one is."""
    return max(results, key=lambda r: r["ns_per_node"])


def _ours(env, n):
    """One heap shared by all processes, as large as the peers' heaps together."""
    targets = ("daemon/mmgcd", "tests/bench/gcbench_mmgc")

    def run():
        mmgcd, program = env.ours(*targets)
        with private_daemon(mmgcd, *env.daemon_options) as sock:
            command = [program, sock, "gcbench", str(n * HEAP_MIB), *PARAMS]
            return _slowest(run_together([command] * n, env.timeout_s))
    return Contender("mmgcd", run, lambda: env.ours(*targets), ours=True)


def _boehm(env, n):
    def exe():
        return env.peer_c("gcbench_boehm", "gc.h", "-lgc")
    return Contender("Boehm", lambda: _slowest(run_together([[exe(), str(HEAP_MIB), *PARAMS]] * n, env.timeout_s)), exe)


def _mimalloc(env, n):
    def exe():
        return env.peer_c("gcbench_mimalloc", "mimalloc.h", "-lmimalloc")
    return Contender("mimalloc", lambda: _slowest(run_together([[exe(), str(HEAP_MIB), *PARAMS]] * n, env.timeout_s)),
                     exe)


def _hotspot(env, n):
    found = newest_jdk()

    def prepare():
        if not found:
            raise Skip("no JDK under /usr/lib/jvm")
        return env.peer_java("GCBench", found[0])

    def run():
        jdk = found[0]
        compact = "-XX:+UseCompactObjectHeaders"
        command = [jdk / "bin" / "java", "-XX:+UseSerialGC", f"-Xms{HEAP_MIB}m", f"-Xmx{HEAP_MIB}m",
                   *([compact] if java_takes(jdk, compact) else []), "-cp", prepare(), "GCBench", *PARAMS]
        return _slowest(run_together([command] * n, env.timeout_s))
    return Contender(f"HotSpot {found[1].split('.')[0]} Serial" if found else "HotSpot Serial", run, prepare)
