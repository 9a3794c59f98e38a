# SPDX-License-Identifier: Apache-2.0
"""How long clients take to stop, and how long they stay stopped: 1, 8 and 64 processes, busy or asleep.

No peer stops other processes, so these rows stand alone. Beyond one busy thread a core the scheduler decides; the
clients that are outside are there to show that they cost nothing, however many.
"""
from harness import Broken, Case, Contender, Metric, heap_info, percentile, private_daemon, run_together

WHAT = "time to stop and pause of a small heap with 1, 8, 64 client processes, inside or outside"
WHEN = {"p50": 0.5, "p99": 0.99, "max": 1.0}
# What `mmgcctl info HEAP --json` keeps of the newest 256 collections, and what we call it.
FIELDS = {"recent_stop_ns": "time_to_stop", "recent_pause_ns": "pause"}
METRICS = [Metric(f"{what}_{at}", "us") for what in FIELDS.values() for at in WHEN]
TARGETS = ("daemon/mmgcd", "client/ctl/mmgcctl", "tests/bench/stop_mmgc")
HEAP = "stop"


def cases(env):
    return [_case(env, n, "busy") for n in (1, 8, 64)] + [_case(env, 64, "out")]


def _case(env, n, how):
    return Case(case_name(n, how), METRICS, [contender(env, n, how, 100 if env.quick else 250)], quick_s=2)


def case_name(n, how):
    return f"{n} client{'s' if n > 1 else ''} {'polling' if how == 'busy' else 'outside, asleep'}"


def contender(env, n, how, collections):
    """@n processes that poll (busy) or sleep (out) while @collections collections are made."""
    def run():
        mmgcd, mmgcctl, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, *env.daemon_options) as sock:
            got = run_together([[program, sock, HEAP, n, how, collections]], env.timeout_s)[0]
            if got["stalled"]:
                raise Broken(f"{got['stalled']:.0f} of {collections} collections were given up")
            return _figures(heap_info(mmgcctl, sock, HEAP), collections)
    return Contender("mmgcd", run, lambda: env.ours(*TARGETS), ours=True)


def _figures(info, collections):
    figures = {}
    for field, what in FIELDS.items():
        took = _find(info, field)
        if not took:
            raise Broken(f"mmgcctl info does not say {field}")
        for at, share in WHEN.items():
            figures[f"{what}_{at}"] = percentile(took[-collections:], share) / 1000
    return figures


def _find(tree, field):
    """The value of @field wherever it stands: the tool may group its figures as it likes."""
    if isinstance(tree, dict):
        return tree[field] if field in tree else next(filter(None, (_find(v, field) for v in tree.values())), None)
    if isinstance(tree, list):
        return next(filter(None, (_find(v, field) for v in tree)), None)
    return None
