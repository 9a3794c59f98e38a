# SPDX-License-Identifier: Apache-2.0
"""How much memory processes and the daemon's segments take, by what the kernel says.

Pages of a segment that are there but that nobody has mapped yet are in no process's figures. So segments are counted as what the
kernel has allocated for their files, once; and processes as what they have beside segments: pages of their own, and their shares
of mapped files. Sums of these count nothing twice.
"""
import contextlib
import os
import pathlib
import re
import socket
import struct
import time

SETTLE_S = 0.2                       # if nothing has changed for so long, nothing will


def pids_of_daemon(sock):
    """The daemon that listens at @sock, first, and what it has started: its committer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(sock)
        pid, _, _ = struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return [pid, *children(pid)]


def children(pid):
    return [int(c) for t in pathlib.Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]


def kib_of(text):
    """{name: KiB} of the lines in /proc/PID/smaps_rollup and /proc/PID/status that say such a thing."""
    return {name: int(kib) for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}


def rollup(pid):
    return kib_of(pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())


def own_kib(pids):
    """What @pids have beside segments."""
    return sum(r["Pss_Anon"] + r["Pss_File"] for r in map(rollup, pids))


def shared_kib(pids):
    """Their shares of pages that are shared, with each other or with others."""
    return sum(rollup(pid)["Pss"] for pid in pids)


def resident_kib(pids):
    """As ps and top have it: pages that several of @pids have are counted for each."""
    return sum(rollup(pid)["Rss"] for pid in pids)


def page_tables_kib(pids):
    return sum(kib_of(pathlib.Path(f"/proc/{pid}/status").read_text())["VmPTE"] for pid in pids)


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def mappings(pid):
    return pathlib.Path(f"/proc/{pid}/maps").read_text().count("\n")


def processor_us(pid):
    """What the first thread of @pid, in the daemon its loop, has had of the processors."""
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1000


def segments_kib(pid):
    """What is allocated for the memfds that @pid has open, each counted once."""
    found = {}
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(fd).startswith("/memfd:"):
                st = os.stat(fd)
                found[st.st_ino] = st.st_blocks // 2
    return sum(found.values())


def settle(daemon):
    """Waits until the committer has done what it was asked for. @daemon: pids_of_daemon()."""
    seen = None
    while seen != (seen := segments_kib(daemon[0])):
        time.sleep(SETTLE_S)
