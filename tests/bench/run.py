#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures mmgcd beside its peers: ./dev bench [NAME...] [--quick] [--plan PLAN] [--install-peers] [--json FILE].

Ours and every peer run in turn, round after round, in one go on one machine, so that a ratio compares like with
like; what is shown is the median and half the range. Everything is built before the first measurement.
"""
import argparse
import importlib
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402

BENCHES = ["gcbench", "stop", "trace"]
PEER_PACKAGES = ["libgc-dev", "libmimalloc-dev"]
FALLBACK_JDK = "openjdk-17-jdk-headless"


def main():
    args = parse_args()
    if args.list:
        for name in BENCHES:
            print(f"{name:10} {importlib.import_module(name).WHAT}")
        return 0
    if args.install_peers:
        install_peers()
    env = harness.Env(args.build, args.quick, args.plan)
    machine = describe_machine() | {"plan": args.plan}
    print_machine(machine)
    todo = [(name, case) for name in args.names or BENCHES for case in importlib.import_module(name).cases(env)]
    broken = prepare(todo)
    rows = []
    for name, case in todo:
        values, failed = measure(case, args.rounds or case.rounds, case.quick_s if args.quick else None)
        broken += report_failures(name, case, failed)
        rows += table(name, case, values)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    return 1 if broken else 0


def parse_args():
    p = argparse.ArgumentParser(prog="dev bench", description=__doc__.split("\n")[0])
    p.add_argument("names", nargs="*", metavar="NAME", help="of: " + ", ".join(BENCHES) + " (default: all)")
    p.add_argument("--list", action="store_true", help="say what each bench measures, and stop")
    p.add_argument("--quick", action="store_true", help="under 40 s a bench, fewer rounds")
    p.add_argument("--plan", help="our heaps' collector (default: the daemon's own)")
    p.add_argument("--rounds", type=int, help="rounds a case, in place of the bench's own number")
    p.add_argument("--install-peers", action="store_true", help="apt-get install the peers first")
    p.add_argument("--json", metavar="FILE", help="also write machine and rows to FILE")
    p.add_argument("--build", metavar="DIR", default=str(harness.ROOT / "build"),
                   help="holds release/ (ours) and bench/ (peers); default build/")
    args = p.parse_args()
    for name in args.names:
        if name not in BENCHES:
            p.error(f"no bench is called {name}")
    return args


def install_peers():
    wanted = PEER_PACKAGES + ([] if harness.newest_jdk() else [FALLBACK_JDK])
    command = ["apt-get", "install", "-y", "--no-install-recommends", *wanted]
    subprocess.run(command if os.geteuid() == 0 else ["sudo", *command], check=True)


# -- measuring ----------------------------------------------------------------------------------------------------
def prepare(todo):
    """Builds everything; takes out who cannot take part. Returns how many of them should have."""
    said, broken = set(), 0
    for name, case in todo:
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


def measure(case, rounds, budget_s=None):
    """A B C A B C ... Returns {contender: {metric: [values]}} and {contender: why it dropped out}.

    The first round is thrown away if there is a second: in it programs come from the disk and, in a virtual machine,
    memory from the host, which has made a first round twenty times as long as the next.
    """
    values, failed, begin = {}, {}, time.monotonic()
    for done in range(rounds + 1):
        spent_s = time.monotonic() - begin
        if done and budget_s and spent_s + spent_s / done > budget_s:
            break
        if done == 1:
            values = {}
        for c in case.contenders:
            if c.name in failed:
                continue
            try:
                got = c.run()
            except harness.Broken as why:
                failed[c.name] = str(why)
                continue
            for m in case.metrics:
                if m.name in got:
                    values.setdefault(c.name, {}).setdefault(m.name, []).append(got[m.name])
    return values, failed


def report_failures(name, case, failed):
    for who, why in failed.items():
        print(f"{name}, {case.name}: {who} FAILED: {why}")
    return len(failed)


# -- showing ------------------------------------------------------------------------------------------------------
def table(name, case, values):
    """Prints the case and returns its JSON rows."""
    rows = []
    print(f"\n{name}, {case.name}")
    for m in case.metrics:
        got = {c: values[c.name][m.name] for c in case.contenders if m.name in values.get(c.name, {})}
        ours = next((statistics.median(v) for c, v in got.items() if c.ours), None)
        peers = [c for c in got if not c.ours]
        if peers:
            print(f"  {m.name}, {m.unit}, {m.better} is better")
        for c, v in got.items():
            mid, spread = harness.median_spread(v)
            line = f"    {c.name if peers else m.name:24}{number(mid):>10} {'' if peers else m.unit}"
            line += f" +-{spread * 100:.1f}% of {len(v)} rounds" if len(v) > 1 else ""
            if not c.ours:
                ratio = ours / mid if ours is not None and mid else None
                line += f"   ours/peer {ratio:.2f} {verdict(ratio, m.better)}" if ratio is not None else ""
                rows.append(row(name, case, m, ours, c.name, mid, ratio))
            print(line)
        if ours is not None and not peers:
            rows.append(row(name, case, m, ours, None, None, None))
    if not values:
        print("    nothing could be measured")
    sys.stdout.flush()
    return rows


def row(name, case, m, ours, peer, peer_value, ratio):
    return {"bench": name, "case": case.name, "metric": m.name, "unit": m.unit, "better": m.better,
            "ours": ours, "peer": peer, "peer_value": peer_value, "ratio": ratio}


def verdict(ratio, better):
    return "(ahead)" if (ratio < 1) == (better == "lower") else "(behind)"


def number(x):
    return f"{x:.2f}" if abs(x) < 1000 else f"{x:.0f}"


# -- the machine --------------------------------------------------------------------------------------------------
def describe_machine():
    def read(path):
        try:
            return pathlib.Path(path).read_text().strip()
        except OSError:
            return None

    def chosen(path):
        m = re.search(r"\[(\w+)\]", read(path) or "")
        return m[1] if m else None

    def first(pattern, text):
        m = re.search(pattern, text or "", re.M)
        return m[1].strip() if m else None

    thp = "/sys/kernel/mm/transparent_hugepage/"
    jdk = harness.newest_jdk()
    kib = first(r"^MemTotal:\s+(\d+)", read("/proc/meminfo"))
    return {
        "cpu": first(r"^model name\s*:\s*(.*)", read("/proc/cpuinfo")) or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "mem_mib": int(kib) // 1024 if kib else None,
        "kernel": platform.release(),
        "thp": {"anonymous": chosen(thp + "enabled"), "shmem": chosen(thp + "shmem_enabled")},
        "versions": {
            "cc": output(["cc", "--version"]),
            "libgc": package("libgc-dev"),
            "mimalloc": package("libmimalloc-dev"),
            "jdk": jdk[1] if jdk else None,
            "mmgcd": output(["git", "-C", str(harness.ROOT), "describe", "--always", "--dirty"]),
        },
    }


def output(command):
    try:
        r = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return r.stdout.splitlines()[0] if r.returncode == 0 and r.stdout else None


def package(name):
    return output(["dpkg-query", "-W", "-f", "${Version}\n", name])


def print_machine(m):
    print(f"{m['cpu']}, {m['cores']} cores, {m['mem_mib']} MiB, Linux {m['kernel']}, huge pages: "
          f"anonymous {m['thp']['anonymous']}, shmem {m['thp']['shmem']}")
    print("  ".join(f"{k} {v}" for k, v in m["versions"].items() if v))


if __name__ == "__main__":
    sys.exit(main())
