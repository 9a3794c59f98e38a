# SPDX-License-Identifier: Apache-2.0
"""What it all takes in memory: the daemon at rest, a client, a thread, a heap, an object.

Nothing is timed. How memory is counted, so that nothing is counted twice or forgotten: memory.py. "At rest" is after the
start, with nobody connected. A client is a process with one thread attached to one heap; what it adds is what its process, the
daemon's processes and the segments have more than before, over the number of clients. What the kernel has for it is told
apart: page tables, open files. Redis's client is a connection that has said PING, and its server's side alone.

An object is a node of a binary tree of 2^20 - 1 nodes: two references and a number of 8 bytes. Peers have the same tree:
HotSpot (Serial, in a heap of the same 64 MiB that begins small) with both kinds of headers, the C library's malloc() and
mimalloc with pointers of 8 bytes. Redis has no trees: it gets as many values of 16 bytes, as keys of their own, and as fields
of hashes of 100 fields, which it packs; no persistence. "used" is what each says that it uses for them after a collection,
"resident" what its processes and segments have more than before, 2 s later.
"""
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

import hotspot
import memory
from harness import Broken, Case, Contender, Metric, Skip, java_takes, newest_jdk, private_daemon, stepping

WHAT = "memory: the daemon at rest, what a client, a thread, a heap adds to it, bytes an object"
TARGETS = ("daemon/mmgcd", "tests/bench/footprint_mmgc")
MANY = {"clients": 64, "threads": 64, "heaps": 16}
LAST_STEP = {"clients": 2, "threads": 2, "heaps": 1}
LEVELS = 20
HEAP_MIB = 64
CONNECTIONS = 64                     # to Redis
REST_S = 2                           # after that the daemon has given back what it has too much, and so has an allocator

ADDED = [Metric("adds", "KiB"), Metric("of it the client", "KiB"), Metric("of it the daemon", "KiB"),
         Metric("of it segments", "KiB"), Metric("page tables", "KiB"), Metric("files that the daemon has open", "")]


def cases(env):
    def case(name, metrics, *contenders):
        return Case(name, metrics, list(contenders), rounds=1 if env.quick else 3, quick_s=1, throw_away=False)
    return [
        case("at rest", [Metric("resident", "MiB"), Metric("its share", "MiB")], _mmgcd(env, _at_rest), _redis(_redis_at_rest)),
        case("a client, attached", ADDED, _adding(env, "clients", 1), _redis(_redis_client)),
        case("a client's first object", ADDED, _adding(env, "clients", 2)),
        case("a thread, attached", ADDED, _adding(env, "threads", 1)),
        case("a heap, empty", ADDED, _adding(env, "heaps", 1)),
        case("an object", [Metric("used", "B"), Metric("resident", "B")], _mmgcd(env, _tree), *_hotspots(env),
             _malloc(env, "malloc", "footprint_malloc", "malloc.h"),
             _malloc(env, "mimalloc", "footprint_mimalloc", "mimalloc.h", "-lmimalloc"),
             _redis(_redis_values(KEYS), "Redis, keys"), _redis(_redis_values(FIELDS), "Redis, fields of hashes")),
    ]


# -- ours ---------------------------------------------------------------------------------------------------------
def _mmgcd(env, measure):
    def run():
        mmgcd, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, *env.daemon_options) as sock:
            daemon = memory.pids_of_daemon(sock)
            memory.settle(daemon)
            return measure(env, daemon, program, sock)
    return Contender("mmgcd", run, lambda: env.ours(*TARGETS), ours=True)


def _at_rest(_env, daemon, _program, _sock):
    return _resident_mib(daemon)


def _resident_mib(pids):
    return {"resident": memory.resident_kib(pids) / 1024, "its share": memory.shared_kib(pids) / 1024}


def _adding(env, kind, step):
    """What @step of footprint_mmgc adds for each of MANY."""
    def measure(env, daemon, program, sock):
        with stepping([program, sock, kind, MANY[kind]], env.timeout_s) as s:
            seen = []
            for done in range(step + 1):
                if done:
                    s.go_on()
                s.wait_ready()
                memory.settle(daemon)
                seen.append(_seen(daemon, [s.pid, *memory.children(s.pid)]))
            for _ in range(step, LAST_STEP[kind]):
                s.go_on()
                s.wait_ready()
            s.finish()
        return added(seen[-2], seen[-1], MANY[kind])
    return _mmgcd(env, measure)


def _seen(daemon, clients):
    return {"of it the client": memory.own_kib(clients), "of it the daemon": memory.own_kib(daemon),
            "of it segments": memory.segments_kib(daemon[0]), "page tables": memory.page_tables_kib([*daemon, *clients]),
            "files that the daemon has open": memory.open_files(daemon[0])}


def added(before, after, count):
    """Of each, how much more there is for each of @count; "adds" is all of the memory but the kernel's."""
    each = {name: (after[name] - before[name]) / count for name in after}
    return each | {"adds": sum(kib for name, kib in each.items() if name.startswith("of it"))}


def _tree(env, daemon, program, sock):
    with stepping([program, sock, "tree", LEVELS], env.timeout_s) as s:
        return _around(s, lambda: memory.own_kib([*daemon, s.pid]) + memory.segments_kib(daemon[0]))


def _around(s, kib):
    """@s makes its objects in its second step. @kib() is all the memory that may grow by them."""
    s.wait_ready()
    before = kib()
    s.go_on()
    s.wait_ready()
    time.sleep(REST_S)
    after = kib()
    return _each(s.finish(), after - before)


def _each(got, kib):
    return {"used": got["used_bytes"] / got["objects"], "resident": kib * 1024 / got["objects"]}


# -- peers that are programs of ours ------------------------------------------------------------------------------
def _hotspots(env):
    return [_hotspot(env, compact) for compact in (True, False)]


def _hotspot(env, compact):
    found = newest_jdk()
    name = f"HotSpot {found[1].split('.')[0] if found else ''}" + ("" if compact else ", wide headers")
    options = [*hotspot.SERIAL.options, f"-Xmx{HEAP_MIB}m", "-Xms8m", *([hotspot.COMPACT] if compact else [])]

    def prepare():
        if not found:
            raise Skip("no JDK under /usr/lib/jvm")
        if not java_takes(found[0], hotspot.COMPACT):
            raise Skip("this JDK has no compact headers" if compact else "this JDK has no other headers")
        return env.peer_java("Footprint", found[0])

    def run():
        with stepping([found[0] / "bin" / "java", *options, "-cp", prepare(), "Footprint", LEVELS], env.timeout_s) as s:
            return _around(s, lambda: memory.shared_kib([s.pid]))
    return Contender(name, run, prepare)


def _malloc(env, name, program, header, *flags):
    def exe():
        return env.peer_c(program, header, *flags)

    def run():
        with stepping([exe(), LEVELS], env.timeout_s) as s:
            return _around(s, lambda: memory.shared_kib([s.pid]))
    return Contender(name, run, exe)


# -- Redis --------------------------------------------------------------------------------------------------------
NODES = (1 << LEVELS) - 1
# Each value is 16 bytes and no number, which would be packed.
KEYS = "for i = 0, ARGV[1] - 1 do redis.call('SET', 'n:' .. i, string.format('v%015d', i)) end"
FIELDS = "for i = 0, ARGV[1] - 1 do redis.call('HSET', 'n:' .. math.floor(i / 100), i % 100, string.format('v%015d', i)) end"


class Redis:
    """A private server on a socket of its own."""

    def __init__(self, home):
        self.path = os.path.join(home, "sock")
        command = ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--appendonly", "no", "--dir", home]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kib(self):
        return memory.shared_kib([self.process.pid])

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.connect(self.path)
        return s

    def wait(self):
        deadline = time.monotonic() + 10
        while not os.path.exists(self.path):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Broken("redis-server did not start")
            time.sleep(0.01)


def redis_ask(s, *words):
    """One command over the socket @s; the text that answers it."""
    encoded = [str(w).encode() for w in words]
    s.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in encoded))
    with s.makefile("rb") as answer:
        line = answer.readline().decode().strip()
        if line[:1] == "-":
            raise Broken(f"redis: {line[1:]}")
        return answer.read(int(line[1:]) + 2).decode() if line[:1] == "$" and line != "$-1" else line[1:]


def _redis(measure, name="Redis"):
    def prepare():
        if shutil.which("redis-server") is None:
            raise Skip("redis-server is not installed")

    def run():
        with tempfile.TemporaryDirectory(prefix="mmgc-bench-") as home:
            redis = Redis(home)
            try:
                redis.wait()
                time.sleep(memory.SETTLE_S)
                return measure(redis)
            finally:
                redis.process.kill()
                redis.process.wait()
    return Contender(name, run, prepare)


def _redis_at_rest(redis):
    return _resident_mib([redis.process.pid])


def _redis_client(redis):
    """What connections add to the server. What its clients need is for them to say."""
    before = redis.kib()
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            redis_ask(stack.enter_context(redis.connect()), "PING")
        time.sleep(memory.SETTLE_S)
        return {"of it the daemon": (redis.kib() - before) / CONNECTIONS}


def _redis_values(script):
    def measure(redis):
        with redis.connect() as s:
            s.settimeout(60)
            used, kib = _used_memory(s), redis.kib()
            redis_ask(s, "EVAL", script, 0, NODES)
            time.sleep(REST_S)
            if redis_ask(s, "EVAL", COUNT, 0).strip() != str(NODES):
                raise Broken("redis does not hold what it was given")
            return _each({"used_bytes": _used_memory(s) - used, "objects": NODES}, redis.kib() - kib)
    return measure


COUNT = """local n, cursor = 0, '0'
repeat
    local page = redis.call('SCAN', cursor, 'COUNT', 10000)
    cursor = page[1]
    for _, key in ipairs(page[2]) do n = n + (redis.call('TYPE', key).ok == 'hash' and redis.call('HLEN', key) or 1) end
until cursor == '0'
return n"""


def _used_memory(s):
    return int(re.search(r"^used_memory:(\d+)", redis_ask(s, "INFO", "memory"), re.M)[1])
