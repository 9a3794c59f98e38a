# SPDX-License-Identifier: Apache-2.0
"""Tracing: the same graphs collected whole, by one worker and by two, beside HotSpot and beside the machine's memory.

The figure is what lives over how long the world stood still, the median of a process's collections after its first:
that one also sorts out what was just allocated (HotSpot's moves all of it). HotSpot's full collection compacts, so it
does more than ours; "marking" is its first phase alone, which does less: no roots of other kinds, nothing swept.
"""
import dataclasses
import pathlib
import re
import statistics
import tempfile

from harness import Broken, Case, Contender, Metric, Skip, java_takes, newest_jdk, private_daemon, run_together

WHAT = "full collections of a tree, a shuffled hash table, a list and a large array; objects marked a second"
WORKERS = (1, 2)
WORKERS_OPTION = "--threads"
HEAP_MIB = 2048
COPYING_PLANS = ("semispace", "compressor")
TARGETS = ("daemon/mmgcd", "tests/bench/trace_mmgc")

# Lines of memory that a trace of the table fetches an object, in random order: the header's, and of every second
# object, the entries, that of the references where it is another one (2 of 8 places that 24 bytes may have in 64).
TABLE_LINES = 1 + 0.5 * 0.25


@dataclasses.dataclass(frozen=True)
class Graph:
    name: str
    size: int       # what the programs take
    unit: str
    what: str
    table_mib: int = 0


GRAPHS = [
    Graph("tree", 22, "object", "binary tree of 2^22 nodes, depth first"),
    Graph("table", 1 << 22, "object", "4 M slots, each an entry and its value, shuffled", table_mib=208),
    Graph("list", 10_000_000, "object", "10 M links in a row"),
    Graph("array", 32 << 20, "reference", "32 M references, one in 64 not null"),
]


def cases(env):
    return [_case(env, g) for g in GRAPHS] + [_walk(env, plan) for plan in COPYING_PLANS]


def _case(env, graph):
    metrics = [Metric(f"rate_{n}", f"M {graph.unit}s/s", "higher") for n in WORKERS]
    metrics += [Metric(f"ns_{n}", f"ns/{graph.unit}") for n in WORKERS]
    metrics.append(Metric("second_worker", "times one worker's rate", "higher"))
    limit = [_limit(env, graph)] if graph.table_mib else []
    return Case(f"{graph.name}: {graph.what}", metrics, [_ours(env, graph), *_hotspot(env, graph), *limit], rounds=3,
                quick_s=7)


def _figures(ns):
    """@ns: {workers: nanoseconds an object}."""
    figures = {f"ns_{n}": ns[n] for n in WORKERS} | {f"rate_{n}": 1000 / ns[n] for n in WORKERS}
    return figures | {"second_worker": ns[1] / ns[2]}


def _collections(env):
    return 3 if env.quick else 8


# -- ours ---------------------------------------------------------------------------------------------------------
def _ours(env, graph):
    def collect(workers):
        mmgcd, program = env.ours(*TARGETS)
        count = _collections(env)
        with private_daemon(mmgcd, *env.daemon_options, WORKERS_OPTION, str(workers)) as sock:
            command = [program, sock, "trace", HEAP_MIB, graph.name, graph.size, count]
            got = run_together([command], env.timeout_s)[0]
        return statistics.median(got[f"pause_{i}"] for i in range(1, count)) / got["visits"]
    return Contender("mmgcd", lambda: _figures({n: collect(n) for n in WORKERS}), lambda: env.ours(*TARGETS), ours=True)


def _walk(env, plan):
    """Two rows of one run: how fast the program walks its tree after collections that moved it, and before."""
    tree, fresh = GRAPHS[0], {}

    def collected():
        mmgcd, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, "--heap-plan", plan, WORKERS_OPTION, "2") as sock:
            got = run_together([[program, sock, "trace", HEAP_MIB, tree.name, tree.size, 3]], env.timeout_s)[0]
        fresh["walk"] = got["walk_fresh"]
        return {"walk": got["walk_collected"]}
    return Case(f"walk: the program walks its tree, moved by {plan}", [Metric("walk", "ns/object")],
                [Contender("mmgcd", collected, lambda: env.ours(*TARGETS), ours=True),
                 Contender("as it was allocated", lambda: dict(fresh))], rounds=3, quick_s=7)


# -- HotSpot ------------------------------------------------------------------------------------------------------
PAUSE = re.compile(r"Pause Full \(System\.gc\(\)\) .* ([\d.]+)ms$", re.M)
MARKING = re.compile(r"Marking Phase ([\d.]+)ms$", re.M)


def _hotspot(env, graph):
    """Two rows of one run: the whole collection, and its marking alone."""
    found, marking = newest_jdk(), {}
    name = f"HotSpot {found[1].split('.')[0]} Parallel" if found else "HotSpot Parallel"

    def prepare():
        if not found:
            raise Skip("no JDK under /usr/lib/jvm")
        return env.peer_java("Trace", found[0])

    def collect(workers):
        count = _collections(env)
        with tempfile.TemporaryDirectory(prefix="mmgc-bench-") as home:
            log = pathlib.Path(home) / "gc.log"
            command = [*_java(found[0], workers, log), "-cp", prepare(), "Trace", graph.name, graph.size, count]
            visits = run_together([command], env.timeout_s)[0]["visits"]
            text = log.read_text()
        pauses, marks = PAUSE.findall(text), MARKING.findall(text)
        if len(pauses) != count or len(marks) < count:
            raise Broken(f"its log tells of {len(pauses)} full collections in place of {count}")
        return [statistics.median(map(float, ms[-count:][1:])) * 1e6 / visits for ms in (pauses, marks)]

    def whole():
        marking.clear()
        ns = {n: collect(n) for n in WORKERS}
        marking.update({n: ns[n][1] for n in WORKERS})
        return _figures({n: ns[n][0] for n in WORKERS})

    def only_marking():
        if not marking:
            raise Broken("the collection that it is a part of failed")
        return _figures(marking)
    return [Contender(name, whole, prepare), Contender(name + ", marking", only_marking, prepare)]


def _java(jdk, workers, log):
    wanted = ["-XX:+UseCompactObjectHeaders", "-XX:+UseTransparentHugePages"]
    return [jdk / "bin" / "java", "-XX:+UseParallelGC", f"-XX:ParallelGCThreads={workers}", f"-Xms{HEAP_MIB}m",
            f"-Xmx{HEAP_MIB}m", *(o for o in wanted if java_takes(jdk, o)), f"-Xlog:gc,gc+phases:file={log}"]


# -- the machine --------------------------------------------------------------------------------------------------
def _limit(env, graph):
    """What a trace could reach if it did nothing but fetch its objects' lines: ours/peer is our share of that."""
    target = "tests/bench/random_read"

    def objects_per_s(threads):
        program, = env.ours(target)
        return run_together([[program, graph.table_mib, threads]], env.timeout_s)[0]["reads_per_s"] / TABLE_LINES

    def run():
        return _figures({n: 1e9 / objects_per_s(n) for n in WORKERS})
    return Contender("random reads", run, lambda: env.ours(target))
