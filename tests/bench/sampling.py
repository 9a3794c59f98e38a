# SPDX-License-Identifier: Apache-2.0
"""Sampling: what an allocation profile costs those who take one, and those who do not: the work of alloc, the ring on the stack, where nothing
but allocation is left, without a profile, with the default interval, and with an eighth of it.
"""
import alloc
from harness import Case, Contender, private_daemon, run_together

WHAT = "objects written and forgotten, with and without an allocation profile"
TARGETS = ("daemon/mmgcd", "tests/bench/alloc_mmgc_stack")
WAYS = {"no profile": None, "every 512 KiB": "/dev/null", "every 64 KiB": "/dev/null,interval=65536"}


def cases(env):
    return [Case(alloc.NAMES[kind], alloc.METRICS, [_contender(env, kind, name, how) for name, how in WAYS.items()], rounds=9, quick_s=8)
            for kind in ("24", "mixed")]


def _contender(env, kind, name, how):
    environment = ["env", f"MMGC_PROFILE={how}"] if how else []

    def run():
        mmgcd, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, *env.daemon_options) as sock:
            return run_together([[*environment, program, sock, "alloc", alloc.HEAP_MIB, *alloc.arguments(env, kind)]], env.timeout_s)[0]
    return Contender(name, run, lambda: env.ours(*TARGETS), ours=True)
