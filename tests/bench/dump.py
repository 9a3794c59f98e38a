# SPDX-License-Identifier: Apache-2.0
"""Dumps: how fast a snapshot is written down for other programs, and drawn, by one thread.

The graphs are those of trace. Each is copied once by `mmgcctl snapshot`; what is measured is the processor time of `mmgcctl dump --from` whose
output goes nowhere, the time to read the snapshot's file included. No peer: others' dumps are written by a program about itself.
"""
import json
import os
import subprocess
import tempfile

from harness import Broken, Case, Contender, Metric, private_daemon, stepping

WHAT = "objects a second from a snapshot into HPROF and heapsnapshot, and into a picture"
TARGETS = ("daemon/mmgcd", "client/ctl/mmgcctl", "tests/bench/trace_mmgc")
HEAP = "dump"
WRITES = {"hprof": ("dump", "-", "--format=hprof"), "heapsnapshot": ("dump", "-", "--format=heapsnapshot"), "map": ("map", "--by=type")}
METRICS = [Metric(name, "M objects/s of a core", "higher") for name in WRITES]
GRAPHS = [("tree", 22, 100, "2^22 nodes, 100 MB"), ("table", 1 << 22, 218, "4 M slots, entries and values, shuffled, 218 MB"),
          ("list", 10_000_000, 160, "10 M links, 160 MB")]


def cases(env):
    graphs = GRAPHS[:1] if env.quick else GRAPHS
    return [Case(f"{graph}: {what}", METRICS, [_ours(env, graph, size, mb)], rounds=1 if env.quick else 3, throw_away=False)
            for graph, size, mb, what in graphs]


def _ours(env, graph, size, mb):
    def run():
        mmgcd, mmgcctl, tracer = env.ours(*TARGETS)
        with tempfile.TemporaryDirectory(prefix="mmgc-dump-", dir=env.out) as home:
            file = os.path.join(home, "snapshot")
            with private_daemon(mmgcd, *env.daemon_options) as sock, stepping([tracer, sock, HEAP, 4 * mb + 256, graph, size, 0], env.timeout_s) as s:
                s.wait_ready()
                _output(mmgcctl, "--socket", sock, "snapshot", HEAP, file)
                s.finish()
            null = json.loads(_output(mmgcctl, "--json", "dump", "--from", file, os.devnull, "--format=snapshot"))
            return {name: null["objects"] / _processor_s(mmgcctl, *words, "--from", file) / 1e6 for name, words in WRITES.items()}
    return Contender("mmgcctl", run, lambda: env.ours(*TARGETS), ours=True)


def _output(mmgcctl, *words):
    r = subprocess.run([str(mmgcctl), *words], capture_output=True, text=True, timeout=300)
    if r.returncode != 0:
        raise Broken(f"mmgcctl {words[0]}: {(r.stderr or r.stdout).strip()[:200]}")
    return r.stdout


def _processor_s(mmgcctl, *words):
    """User and system, of a run whose output goes nowhere."""
    child = subprocess.Popen([str(mmgcctl), *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise Broken(f"mmgcctl {words[0]}: status {child.returncode}")
    return usage.ru_utime + usage.ru_stime
