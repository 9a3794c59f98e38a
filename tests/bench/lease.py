# SPDX-License-Identifier: Apache-2.0
"""Lease: what holding an object costs when nobody else wants it: a lease taken and given back, an object found by a handle.

Beside it what programs have otherwise: a robust mutex of the C library, which other processes get back when its holder dies, as a lease, but
which moves nothing and pins nothing; its lock of readers and writers, which a death leaves locked; C++'s counted pointers.
"""
from harness import Case, Contender, Metric, private_daemon, run_together

WHAT = "a lease taken and given back, a handle looked at; beside a robust mutex and counted pointers"
TARGETS = ("daemon/mmgcd", "tests/bench/lease_mmgc")
METRICS = [Metric("exclusive_ns", "ns"), Metric("shared_ns", "ns"), Metric("strong_ns", "ns"), Metric("weak_ns", "ns")]


def cases(env):
    count = 1_000_000 if env.quick else 10_000_000
    return [Case("nobody else", METRICS, [_daemon(env, count),
                                          _peer(env, "robust mutex, rwlock", lambda: env.peer_c("lease_pthread", "pthread.h", "-pthread"), count),
                                          _peer(env, "shared_ptr, weak_ptr", lambda: env.peer_cxx("lease_shared_ptr", "memory", "-pthread"), count)],
                 rounds=9, quick_s=5)]


def _daemon(env, count):
    def run():
        mmgcd, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, *env.daemon_options) as sock:
            return run_together([[program, sock, count]], env.timeout_s)[0]
    return Contender("mmgcd", run, lambda: env.ours(*TARGETS), ours=True)


def _peer(env, name, build, count):
    return Contender(name, lambda: run_together([[build(), count]], env.timeout_s)[0], build)
