# SPDX-License-Identifier: Apache-2.0
"""A Redis of our own, on a Unix socket in a fresh directory, that writes nothing to disk."""
import contextlib
import os
import shutil
import subprocess
import tempfile
import time

from harness import Broken, Skip

NO_DISK = ("--save", "", "--appendonly", "no")


def installed():
    if not shutil.which("redis-server"):
        raise Skip("redis-server is not installed")


@contextlib.contextmanager
def private_redis(*options):
    """Yields its socket's path once it answers. Gone, with its directory, afterwards."""
    with tempfile.TemporaryDirectory(prefix="mmgc-bench-redis-") as home:
        sock, log = os.path.join(home, "sock"), os.path.join(home, "log")
        p = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", sock, "--dir", home, "--logfile", log,
                              *NO_DISK, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        try:
            _await(p, sock)
            yield sock
        finally:
            p.kill()            # it has nothing to save
            p.wait()


def _await(p, sock):
    deadline = time.monotonic() + 10
    while not os.path.exists(sock):
        if p.poll() is not None or time.monotonic() > deadline:
            raise Broken(f"redis-server did not start: {p.poll()}")
        time.sleep(0.005)
