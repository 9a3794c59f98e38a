# SPDX-License-Identifier: Apache-2.0
"""How long clients take to stop, and how long they stay stopped: 1, 8 and 64 processes, busy or asleep.

No peer stops other processes, so these rows stand alone. Beyond one busy thread a core the scheduler decides; the
clients that are OUT are there to show that they cost nothing, however many.
"""
from harness import Case, Contender, Metric, private_daemon, run_together

WHAT = "time to stop and pause of a small heap with 1, 8, 64 client processes, inside or outside"
METRICS = [Metric(f"{what}_{at}", "us") for what in ("time_to_stop", "pause") for at in ("p50", "p99", "max")]
TARGETS = ("daemon/mmgcd", "client/ctl/mmgcctl", "tests/bench/stop_mmgc")


def cases(env):
    return [_case(env, n, "busy") for n in (1, 8, 64)] + [_case(env, 64, "out")]


def _case(env, n, how):
    collections = 100 if env.quick else 1000

    def run():
        mmgcd, mmgcctl, program = env.ours(*TARGETS)
        with private_daemon(mmgcd) as sock:
            return run_together([[program, sock, mmgcctl, str(n), how, str(collections)]], env.timeout_s)[0]
    name = f"{n} client{'s' if n > 1 else ''} {'polling' if how == 'busy' else 'outside, asleep'}"
    return Case(name, METRICS, [Contender("mmgcd", run, lambda: env.ours(*TARGETS), ours=True)],
                rounds=1 if env.quick else 3)
