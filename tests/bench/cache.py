# SPDX-License-Identifier: Apache-2.0
"""Cache: 1 to 8 processes get and put values of 100 B to 10 KiB in one cache that is full, so that entries die.

What the work is: the top of cache.h, the same code for all; what ours is made of: the top of cache_mmgc.c. Peers, each with what
serves it best here:
- Redis: maxmemory as the capacity, allkeys-lru, no snapshots, no log; a Unix socket, one connection a process, hiredis. One command
  at a time, as ours; and with 16 under way, which ours does not do and which a program can only do that knows 16 keys at once.
- memcached: -m as the capacity, as many threads as processors, a Unix socket, one connection a process, its meta commands.
- Boost.Interprocess: the top of peers/cache_boost.cpp; a segment of twice the capacity.
Our heap is three times the capacity: what is dead in it waits for a collection. `memory` is what each takes of the machine at the end.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from harness import Broken, Case, Contender, Metric, Skip, heap_info, private_daemon, run_together

WHAT = "a full cache in 1 to 8 processes: gets and puts a second, alone and mixed, hit rate, and how long they take"
PROCESSES = (1, 2, 4, 8)
QUICK_PROCESSES = (2, 8)
TARGETS = ("daemon/mmgcd", "client/ctl/mmgcctl", "tests/bench/cache_mmgc")
HEAP = "cache"
HEAP_OF_CAPACITY = 3
SEGMENT_OF_CAPACITY = 2
PIPELINE = 16
RIVAL = "Redis"                             # alone, one command at a time
CELLS = "marksweep"                         # the plan whose room for values of such sizes does not fall to pieces; docs/plans.md

SHOWN = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
METRICS = [Metric("get", "M/s, gets alone", "higher"), Metric("put", "M/s, puts alone", "higher"),
           Metric("mix", "M/s, mixed", "higher"), Metric("hits", "% of the mix's gets", "higher"),
           *(Metric(f"{kind}_{p}", "us, in the mix") for kind in ("get", "put") for p in SHOWN),
           Metric("memory", "MiB")]


def cases(env):
    return [_case(env, n) for n in (QUICK_PROCESSES if env.quick else PROCESSES)]


def _case(env, processes):
    ours = [_ours(env, processes, plan) for plan in env.asked_plans or dict.fromkeys([env.default_plan(), CELLS])]
    peers = [_redis(env, processes, 1), _redis(env, processes, PIPELINE), _memcached(env, processes), _boost(env, processes)]
    return Case(f"{processes} process{'es' * (processes > 1)}", METRICS, [*ours, *peers], rounds=2, quick_s=1, throw_away=False,
                rivals=RIVAL)


# -- the work -----------------------------------------------------------------------------------------------------
def capacity_mib(env):
    return 64 if env.quick else 256


def _run(env, program, where, processes, pipeline=1):
    """What all processes together came to."""
    capacity = capacity_mib(env)
    keys = 4000 * capacity                  # of 2.2 KiB: an eighth of them fits
    fill = 2000 * capacity                  # puts: four times what the cache holds, and more than our heap does
    phase_ms = 300 if env.quick else 800
    got = run_together([[program, where, capacity, keys, i, processes, fill, phase_ms, pipeline] for i in range(processes)],
                       env.timeout_s)
    return figures(got)


def figures(got):
    """[what each process printed] -> M operations/s of all, % of hits, and microseconds that so many of all of them did not exceed."""
    rates = {phase: sum(g[f"{phase}_per_s"] for g in got) / 1e6 for phase in ("get", "put", "mix") if f"{phase}_per_s" in got[0]}
    gets = sum(g.get("mix_gets", 0) for g in got)
    hits = {"hits": 100 * sum(g["mix_hits"] for g in got) / gets} if gets else {}
    times = {kind: _counts(got, f"mix_{kind}_le_") for kind in ("get", "put")}
    return rates | hits | {f"{kind}_{p}": _not_exceeded(counts, share) / 1000
                           for kind, counts in times.items() if counts for p, share in SHOWN.items()}


def _counts(got, prefix):
    """{nanoseconds: how many took no longer, and longer than the next less}, of all processes."""
    counts = {}
    for name, count in (item for g in got for item in g.items()):
        if name.startswith(prefix):
            ns = int(name.removeprefix(prefix))
            counts[ns] = counts.get(ns, 0) + count
    return counts


def _not_exceeded(counts, share):
    """The least of @counts' times that at least @share of all did not exceed."""
    left = share * sum(counts.values())
    for ns, count in sorted(counts.items()):
        left -= count
        if left <= 0:
            return ns
    return max(counts)


# -- contenders ---------------------------------------------------------------------------------------------------
def _ours(env, processes, plan):
    def run():
        mmgcd, mmgcctl, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, "--heap-plan", plan) as sock:
            got = _run(env, program, f"{sock},{HEAP_OF_CAPACITY * capacity_mib(env)}", processes)
            return got | {"memory": heap_info(mmgcctl, sock, HEAP)["resident_bytes"] / 2**20}
    return Contender(f"mmgcd {plan}", run, lambda: env.ours(*TARGETS), ours=True)


def _redis(env, processes, pipeline):
    def prepare():
        _wanted("redis-server")
        return env.peer_c("cache_redis", "hiredis/hiredis.h", "-lhiredis", "-lm")

    def run():
        options = ["--port", 0, "--maxmemory", f"{capacity_mib(env)}mb", "--maxmemory-policy", "allkeys-lru", "--save", "",
                   "--appendonly", "no"]
        with _server(lambda sock: ["redis-server", "--unixsocket", sock, *options]) as (sock, pid):
            return _run(env, prepare(), sock, processes, pipeline) | {"memory": resident_mib(pid)}
    if pipeline > 1:
        return Contender(f"{RIVAL}, {pipeline} at once", run, prepare)
    return Contender(RIVAL, run, prepare, group=RIVAL)


def _memcached(env, processes):
    def prepare():
        _wanted("memcached")
        return env.peer_c("cache_memcached", "sys/un.h", "-lm")

    def run():
        as_root = ["-u", "root"] if os.geteuid() == 0 else []
        options = ["-m", capacity_mib(env), "-t", max(2, os.cpu_count()), *as_root]
        with _server(lambda sock: ["memcached", "-s", sock, *options]) as (sock, pid):
            return _run(env, prepare(), sock, processes) | {"memory": resident_mib(pid)}
    return Contender("memcached", run, prepare)


def _boost(env, processes):
    def prepare():
        return env.peer_cxx("cache_boost", "boost/unordered_map.hpp", "-lm", "-lpthread", "-lrt")

    def run():
        segment = pathlib.Path("/dev/shm") / f"mmgc-bench-cache-{os.getpid()}"
        segment.unlink(missing_ok=True)
        try:
            got = _run(env, prepare(), f"{segment.name},{SEGMENT_OF_CAPACITY * capacity_mib(env)}", processes)
            return got | {"memory": segment.stat().st_blocks * 512 / 2**20}
        finally:
            segment.unlink(missing_ok=True)
    return Contender("Boost.Interprocess", run, prepare)


# -- servers ------------------------------------------------------------------------------------------------------
def _wanted(program):
    if not shutil.which(program):
        raise Skip(f"{program} is not installed")


@contextlib.contextmanager
def _server(command_of):
    """A server of our own, in a fresh directory, with no configuration but this; yields (socket, pid). Gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mmgc-bench-") as home, open(os.path.join(home, "log"), "w+b") as log:
        sock = os.path.join(home, "sock")
        command = [str(word) for word in command_of(sock)]
        p = subprocess.Popen(command, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 10
            while not os.path.exists(sock):
                if p.poll() is not None or time.monotonic() > deadline:
                    raise Broken(f"{command[0]} did not start: {p.poll()}")
                time.sleep(0.005)
            yield sock, p.pid
        finally:
            p.kill()                        # nothing of it is to be kept
            p.wait()


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise Broken(f"process {pid} does not say what is resident")
