# SPDX-License-Identifier: Apache-2.0
"""Slab: what a thread pays for having memory granted, beside bumping through what it has; and one grant that it has to wait for.

How it is told apart: the top of slab_mmgc.c. The same bump through memory of the program's own shows what a machine that others use adds to
any such loop: what is ours is the difference. A grant's round trip is set beside a bare message there and back, of a grant's size, over a
socket of the same kind between two processes that do nothing else; mmgc_ping() is the daemon's whole way over the socket.
"""
from harness import Case, Contender, Metric, private_daemon, run_together

WHAT = "share of allocation time that is refilling; a grant that is waited for, beside a bare socket round trip"
HEAP_MIB = 256
GRANT_BYTES = 16                    # of a request for a slab, on the socket; its answer comes through shared memory
TARGETS = ("daemon/mmgcd", "tests/bench/slab_mmgc")
REFILL = [Metric("share", "% of allocation time"), Metric("ns_per_object", "ns/object, without pauses"), Metric("waits_per_gib", "waits a GiB"),
          Metric("wait_mean", "us a wait"), Metric("longest", "us, a batch of 4 KiB")]
TRIP = [Metric("trip_p50", "us"), Metric("trip_p99", "us"), Metric("ping_p50", "us"), Metric("ping_p99", "us")]


def cases(env):
    batches = 500_000 if env.quick else 2_000_000
    trips = 1000 if env.quick else 5000
    return [Case("refill", REFILL, [_daemon(env, "mmgcd", refill_figures, "refill", HEAP_MIB, batches),
                                    _own(env, HEAP_MIB, batches)], rounds=9, quick_s=6),
            Case("a grant that is waited for", TRIP, [_daemon(env, "mmgcd", trip_figures, "wait", trips), _socket(env, trips)],
                 rounds=9, quick_s=5)]


def refill_figures(got):
    """A thread that never waited has no mean wait."""
    mean = {"wait_mean": got["waited_ns"] / got["waits"] / 1000} if got["waits"] else {}
    return got | mean | {"longest": got["longest"] / 1000}


def trip_figures(got):
    return {name: ns / 1000 for name, ns in got.items()}


def _daemon(env, name, figures, mode, *arguments):
    def run():
        mmgcd, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, *env.daemon_options) as sock:
            return figures(run_together([[program, mode, sock, "slab", *arguments]], env.timeout_s)[0])
    return Contender(name, run, lambda: env.ours(*TARGETS), ours=True)


def _own(env, heap_mib, batches):
    target = "tests/bench/slab_mmgc"

    def run():
        program, = env.ours(target)
        got = refill_figures(run_together([[program, "own", heap_mib, batches]], env.timeout_s)[0])
        return {name: got[name] for name in ("share", "ns_per_object", "longest")}
    return Contender("the same in memory of its own", run, lambda: env.ours(target))


def _socket(env, trips):
    target = "tests/bench/socket_alone"

    def run():
        program, = env.ours(target)
        return trip_figures(run_together([[program, trips, GRANT_BYTES]], env.timeout_s)[0])
    return Contender("a bare socket", run, lambda: env.ours(target))
