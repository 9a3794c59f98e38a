#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures mmgcd beside its peers: ./dev bench [NAME...] [--quick] [--plan PLAN,...] [--install-peers] [--json FILE].

Ours and every peer run in turn, round after round, in one go on one machine, so that a ratio compares like with
like; what is shown is the median and half the range. Everything is built before the first measurement.
"""
import argparse
import importlib
import json
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
import machine  # noqa: E402
import plot  # noqa: E402
import show  # noqa: E402

BENCHES = ["alloc", "slab", "gcbench", "churn", "pause", "barrier", "stop", "trace", "handover", "cache", "hold", "lease", "sampling", "scale", "footprint", "limits", "snapshot", "dump"]


def main():
    args = parse_args()
    if args.list:
        for name in BENCHES:
            print(f"{name:10} {importlib.import_module(name).WHAT}")
        return 0
    facts = machine.describe() | {"plan": args.plan}
    machine.show(facts)
    try:
        env = harness.Env(args.build, args.quick, args.plan.split(",") if args.plan else [])
        todo = {name: importlib.import_module(name).cases(env) for name in args.names or BENCHES}
    except harness.Broken as why:
        sys.exit(f"bench: {why}")
    broken = prepare(todo)
    rows, plots = [], []
    for name, cases in todo.items():
        results = {}
        for case in cases:
            results[case.name], failed = measure(case, args.rounds or case.rounds, case.quick_s if args.quick else None)
            broken += report_failures(name, case, failed)
            rows += show.table(name, case, values_of(case, results[case.name]))
        more = finish(name, env, results)
        rows, plots = rows + more.rows, plots + more.plots
        broken += more.broken
    if args.json:
        shown = [vars(p) for p in plots]
        pathlib.Path(args.json).write_text(json.dumps({"machine": facts, "rows": rows, "plots": shown}, indent=1) + "\n")
    return 1 if broken else 0


def parse_args():
    p = argparse.ArgumentParser(prog="dev bench", description=__doc__.split("\n")[0])
    p.add_argument("names", nargs="*", metavar="NAME", help="of: " + ", ".join(BENCHES) + " (default: all)")
    p.add_argument("--list", action="store_true", help="say what each bench measures, and stop")
    p.add_argument("--quick", action="store_true", help="about a minute a bench, fewer rounds, less to do")
    p.add_argument("--plan", metavar="PLAN,...", help="our heaps' collectors; all: each that collects. gcbench, churn, pause and "
                   "barrier take several, others the first (default: what the bench is about)")
    p.add_argument("--rounds", type=int, help="rounds a case, in place of the bench's own number")
    p.add_argument("--json", metavar="FILE", help="also write machine, rows and what was plotted to FILE")
    p.add_argument("--build", metavar="DIR", default=str(harness.ROOT / "build"),
                   help="holds release/ (ours) and bench/ (peers, plots); default build/")
    args = p.parse_args()
    for name in args.names:
        if name not in BENCHES:
            p.error(f"no bench is called {name}")
    return args


# -- measuring ----------------------------------------------------------------------------------------------------
def prepare(todo):
    """Builds everything; takes out who cannot take part. Returns how many of them should have."""
    said, broken = set(), 0
    for name, case in ((name, case) for name, cases in todo.items() for case in cases):
        for c in list(case.contenders):
            try:
                c.prepare()
            except (harness.Skip, harness.Broken) as why:
                case.contenders.remove(c)
                word = "skipped" if isinstance(why, harness.Skip) else "BROKEN"
                broken += word == "BROKEN"
                if (name, c.name) not in said:
                    print(f"{name}: {c.name} {word}: {why}")
                said.add((name, c.name))
    return broken


def _turns(contenders, done):
    """Each round in another order, the same each time: who always comes after a peer that gives gigabytes back to the host always waits for them."""
    return random.Random(done).sample(contenders, len(contenders))


def measure(case, rounds, budget_s=None):
    """Round after round, each in an order of its own. Returns {contender: [what each round's run returned]} and {contender: why it dropped out}.

    If the case wants it, the first round is thrown away when there is a second: in it programs come from the disk and, in a
    virtual machine, memory from the host, which has made a first round twenty times as long as the next.
    """
    results, dropped, begin = {}, {}, time.monotonic()
    for done in range(rounds + case.throw_away):
        spent_s = time.monotonic() - begin
        if done and budget_s and spent_s + spent_s / done > budget_s:
            break
        if done == 1 and case.throw_away:
            results = {}
        for c in _turns(case.contenders, done):
            if c.name in dropped:
                continue
            try:
                results.setdefault(c.name, []).append(c.run())
            except (harness.Skip, harness.Broken) as why:
                dropped[c.name] = why
    return {name: got for name, got in results.items() if got}, dropped


def values_of(case, results):
    """{contender: {metric: [values]}} of what runs returned; who does not measure a metric has no such key."""
    return {name: {m.name: [g[m.name] for g in got if m.name in g] for m in case.metrics if any(m.name in g for g in got)}
            for name, got in results.items()}


def report_failures(name, case, dropped):
    """Who dropped out, and why; returns how many of them should not have."""
    for who, why in dropped.items():
        word = "skipped" if isinstance(why, harness.Skip) else "FAILED"
        print(f"{name}, {case.name}: {who} {word}: {why}")
    return sum(not isinstance(why, harness.Skip) for why in dropped.values())


def finish(name, env, results):
    """What a bench makes of all its cases together: further rows, lines to be said, plots to be drawn."""
    bench = importlib.import_module(name)
    more = bench.finish(results) if hasattr(bench, "finish") else harness.Finish()
    for line in more.lines:
        print(line)
    for p in more.plots:
        try:
            print(plot.draw(p, env.out))
        except harness.Broken as why:
            print(f"{name}: {why}")
            more.broken += 1
    return more


if __name__ == "__main__":
    sys.exit(main())
