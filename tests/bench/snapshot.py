# SPDX-License-Identifier: Apache-2.0
"""Looking inside: what a snapshot costs the heap's clients beside a collection of the whole heap, and how fast it is read afterwards.

The graphs are those of trace: a binary tree, a table of shuffled entries, a list. Each is copied by `mmgcctl snapshot` a few times, and
collected by `mmgcctl gc` as often, in turn; pauses are from the request to stop to the answer, or to the resume, by the daemon's own clock.
What is read from the file is read by one thread: the graph with all its edges, the ways from all roots to the nearest of what refers to nothing, the dominators,
what each type retains. No peer: others' dumps are written by a program about itself.
"""
import json
import os
import subprocess
import tempfile
import time

from harness import Broken, Case, Contender, Metric, percentile, private_daemon, run_together, stepping

WHAT = "a snapshot's pause beside a full collection's; objects a second through its graph and its dominators"
TARGETS = ("daemon/mmgcd", "client/ctl/mmgcctl", "tests/bench/trace_mmgc", "tests/bench/snapshot_mmgc")
HEAP = "snapshot"
TIMES = 5
METRICS = [Metric("snapshot_ms", "ms the heap stands still"), Metric("collection_ms", "ms of a full collection"),
           Metric("ratio", "of that"), Metric("copied", "GB/s", "higher"), Metric("graph", "M objects/s", "higher"),
           Metric("ways", "M objects/s", "higher"), Metric("dominators", "M objects/s", "higher"),
           Metric("by_type", "M objects/s", "higher"), Metric("histogram", "M objects/s of a histogram, from command to answer", "higher")]
GRAPHS = [("tree", 22, 100, "2^22 nodes, 100 MB"), ("tree", 25, 805, "2^25 nodes, 805 MB"),
          ("table", 1 << 22, 218, "4 M slots, entries and values, shuffled, 218 MB"), ("list", 10_000_000, 160, "10 M links, 160 MB")]


def cases(env):
    graphs = GRAPHS[:1] if env.quick else GRAPHS
    return [Case(f"{graph}: {what}", METRICS, [_ours(env, graph, size, mb)], rounds=1 if env.quick else 3, throw_away=False)
            for graph, size, mb, what in graphs]


def _ours(env, graph, size, mb):
    def run():
        mmgcd, mmgcctl, tracer, reader = env.ours(*TARGETS)
        with tempfile.TemporaryDirectory(prefix="mmgc-snapshot-", dir=env.out) as home, private_daemon(mmgcd, *env.daemon_options) as sock:
            file = os.path.join(home, "snapshot")
            with stepping([tracer, sock, HEAP, 4 * mb + 256, graph, size, 0], env.timeout_s) as s:
                s.wait_ready()
                got = [(_ask(mmgcctl, sock, "gc", HEAP), _ask(mmgcctl, sock, "snapshot", HEAP, file)) for _ in range(TIMES)]
                histogram = _histogram(mmgcctl, sock)
                s.finish()
            return figures(got) | histogram | run_together([[reader, file]], env.timeout_s)[0]
    return Contender("mmgcctl", run, lambda: env.ours(*TARGETS), ours=True)


def figures(got):
    """@got: what gc and snapshot said, in turn; the first of each is of memory that nobody had touched."""
    collection = percentile([gc["pause_ns"] for gc, _ in got[1:]], 0.5)
    snapshot = percentile([snapshot["pause_ns"] for _, snapshot in got[1:]], 0.5)
    return {"snapshot_ms": snapshot / 1e6, "collection_ms": collection / 1e6, "ratio": snapshot / collection,
            "copied": got[-1][1]["bytes"] / snapshot}


def _histogram(mmgcctl, sock):
    begun = time.monotonic()
    objects = _ask(mmgcctl, sock, "histogram", HEAP)["total_objects"]
    return {"histogram": objects / (time.monotonic() - begun) / 1e6}


def _ask(mmgcctl, sock, *words):
    r = subprocess.run([str(mmgcctl), "--socket", sock, "--json", *words], capture_output=True, text=True, timeout=120)
    if r.returncode != 0:
        raise Broken(f"mmgcctl {words[0]}: {(r.stderr or r.stdout).strip()[:200]}")
    return json.loads(r.stdout)
