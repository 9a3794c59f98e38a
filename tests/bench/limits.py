# SPDX-License-Identifier: Apache-2.0
"""What one daemon bears: clients at once, heaps at once, requests a second. docs/scale.md is made of it.

Clients are of one process, each with connections and a thread of its own, outside: to the daemon they are as good as as many
processes. "a client" and "a heap" are what each of them adds. Requests go one after the other from each of several processes:
an empty one (mmgc_ping), a name that is looked up, a page run for an object of 20 KiB with the collections that this takes.
No peer answers such requests; a bare round trip over a socket is what slab has beside a grant.
"""
import resource

import memory
from harness import Case, Contender, Metric, Skip, heap_info, percentile, private_daemon, run_together, stepping

WHAT = "one daemon's limits: what a client and a heap cost with many of them, requests a second through its loop"
TARGETS = ("daemon/mmgcd", "client/ctl/mmgcctl", "tests/bench/limits_mmgc")
FILES = {"clients": 7, "heaps": 5}   # that the daemon has open for each
HEAP = "limits"
OF_MANY = [Metric("begin_us", "us"), Metric("memory", "KiB of the daemon's"), Metric("segments", "KiB"),
           Metric("files", "of the daemon"), Metric("mappings", "of the daemon"), Metric("pause_p50", "us")]
OF_REQUESTS = [Metric("rate", "a second", "higher"), Metric("each_us", "us, the slowest process"),
               Metric("loop_us", "us of the loop's processor time")]


def cases(env):
    many = [_many(env, kind, n) for kind, counts in (("clients", (100, 1000, 2000)), ("heaps", (100,)))
            for n in (counts[:1] if env.quick else counts)]
    return many + [_requests(env, kind, n) for kind in ("ping", "name", "grant") for n in ((1, 16) if env.quick else (1, 4, 16))]


def _many(env, kind, count):
    def run():
        mmgcd, mmgcctl, program = env.ours(*TARGETS)
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < FILES[kind] * count + 100:
            raise Skip("a process may not have so many files")
        room = ["--max-sessions", str(2 * count + 9), "--max-heaps", str(count + 9)]
        with private_daemon(mmgcd, *room, *env.daemon_options) as sock:
            daemon = memory.pids_of_daemon(sock)
            with stepping([program, sock, kind, count], env.timeout_s) as s:
                s.wait_ready()
                before = _seen(daemon)
                s.go_on()
                s.wait_ready()
                after = _seen(daemon)
                pauses = heap_info(mmgcctl, sock, HEAP)["recent_pause_ns"] if kind == "clients" else []
                got = s.finish()
        got |= {name: (after[name] - before[name]) / count for name in after}
        return got | ({"pause_p50": percentile(pauses, 0.5) / 1000} if pauses else {})
    return Case(f"{count} {kind}", OF_MANY, [_contender(env, run)], rounds=1, throw_away=False)


def _seen(daemon):
    memory.settle(daemon)
    return {"memory": memory.own_kib(daemon), "segments": memory.segments_kib(daemon[0]), "files": memory.open_files(daemon[0]),
            "mappings": memory.mappings(daemon[0])}


def _requests(env, kind, processes):
    count = 30000 // processes // (5 if env.quick else 1)

    def run():
        mmgcd, _, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, *env.daemon_options) as sock:
            pid = memory.pids_of_daemon(sock)[0]
            before = memory.processor_us(pid)
            got = run_together([[program, sock, kind, count]] * processes, env.timeout_s)
            return figures(got, count, memory.processor_us(pid) - before)
    return Case(f"{kind}, {processes}", OF_REQUESTS, [_contender(env, run)], rounds=1 if env.quick else 3, throw_away=False)


def figures(got, count, loop_us):
    """@got: what each process printed of its @count requests."""
    took_ns = max(g["ended_ns"] for g in got) - got[0]["started_ns"]
    return {"rate": len(got) * count * 1e9 / took_ns, "each_us": max(g["each_us"] for g in got),
            "loop_us": loop_us / len(got) / count}


def _contender(env, run):
    return Contender("mmgcd", run, lambda: env.ours(*TARGETS), ours=True)
