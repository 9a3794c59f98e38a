# SPDX-License-Identifier: Apache-2.0
"""The machine and the versions that figures belong to."""
import os
import pathlib
import platform
import re
import subprocess

from harness import ROOT, newest_jdk


def describe():
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
    jdk = newest_jdk()
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
            "redis": package("redis-server"),
            "jdk": jdk[1] if jdk else None,
            "mmgcd": output(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
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


def show(m):
    print(f"{m['cpu']}, {m['cores']} cores, {m['mem_mib']} MiB, Linux {m['kernel']}, huge pages: "
          f"anonymous {m['thp']['anonymous']}, shmem {m['thp']['shmem']}")
    print("  ".join(f"{k} {v}" for k, v in m["versions"].items() if v))
