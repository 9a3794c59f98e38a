# SPDX-License-Identifier: Apache-2.0
"""Alloc: what one object costs that is written once and forgotten, collections included, or its free() where there is no collector.

What the work is: the top of alloc.h. Each keeps its newest 4096 objects where its programs keep such things: on HotSpot in an array in the
heap, stored to with the write barrier; in an array of the program's own where C allocates; ours both ways. What serves each peer best:
  HotSpot     all memory touched before the start, huge pages, compact headers; 16 rounds of warming up, so that all of it is compiled
  mimalloc, jemalloc   called directly; no zeroing, no header: one word is written in its place
  Boehm       half the heap there from the start; objects without references are not scanned
  boost       its default algorithm, a mutex that processes share; what takes 100 times as long is made 1/20 as often
"""
import hotspot
from harness import Case, Contender, Metric, private_daemon, run_together

WHAT = "objects of 24, 64 and mixed bytes, written and forgotten: ns an object, collections or free() included"
HEAP_MIB = 256
RING = 4096
RIVALS = [hotspot.SERIAL, hotspot.PARALLEL]
WANTED = ("-XX:+AlwaysPreTouch", "-XX:+UseTransparentHugePages")
OURS = {"mmgcd": "tests/bench/alloc_mmgc", "mmgcd, the ring on the stack": "tests/bench/alloc_mmgc_stack"}
# Bytes of an object, in the mean: who warms up fills the heap once, so that no memory is touched for the first time later.
KINDS = {"24": 24, "64": 64, "mixed": 80}
NAMES = {"24": "24 bytes", "64": "64 bytes", "mixed": "16 to 512 bytes"}
METRICS = [Metric("ns_per_object", "ns/object"), Metric("cpu_ns_per_object", "ns/object, of all processors"),
           # Ours alone: without the daemon, in which collections are.
           Metric("own_cpu_ns_per_object", "ns/object, of all processors, without the daemon")]


def cases(env):
    return [_case(env, kind) for kind in KINDS]


def _case(env, kind):
    hot = [hotspot.contender(env, c, "Alloc", arguments(env, kind), HEAP_MIB, lambda got: whole(got[0]), wanted=WANTED) for c in RIVALS]
    ours = [_ours(env, kind, name, program) for name, program in OURS.items()]
    contenders = [*ours, *hot, _malloc(env, kind, "mimalloc", "mimalloc.h", "-lmimalloc"),
                  _malloc(env, kind, "jemalloc", "jemalloc/jemalloc.h", "-ljemalloc"), _boehm(env, kind), _boost(env, kind)]
    return Case(NAMES[kind], METRICS, contenders, rounds=7, quick_s=8, rivals=hotspot.GROUP)


def arguments(env, kind, part=1):
    """KIND WARM OBJECTS: of what all others make, the @part-th part."""
    warm = HEAP_MIB * 2**20 // KINDS[kind] // part
    objects = (25_000_000 if env.quick else 100_000_000) // part
    return [kind, warm // RING * RING, objects // RING * RING]


def whole(got):
    """Of a peer, which works in one process: its own time is all there is."""
    return {name: value for name, value in got.items() if name != "own_cpu_ns_per_object"}


def _ours(env, kind, name, target):
    targets = ("daemon/mmgcd", target)

    def run():
        mmgcd, program = env.ours(*targets)
        with private_daemon(mmgcd, *env.daemon_options) as sock:
            return run_together([[program, sock, "alloc", HEAP_MIB, *arguments(env, kind)]], env.timeout_s)[0]
    return Contender(name, run, lambda: env.ours(*targets), ours=True)


def _malloc(env, kind, name, header, library):
    def exe():
        return env.peer_c(f"alloc_{name}", header, library)
    return _peer(name, exe, env, arguments(env, kind))


def _boehm(env, kind):
    def exe():
        return env.peer_c("alloc_boehm", "gc.h", "-lgc")
    return _peer("Boehm", exe, env, [HEAP_MIB, *arguments(env, kind, part=2)])


def _boost(env, kind):
    def exe():
        return env.peer_cxx("alloc_boost", "boost/interprocess/managed_shared_memory.hpp", "-lrt")
    return _peer("boost managed_shared_memory", exe, env, [HEAP_MIB, *arguments(env, kind, part=20)])


def _peer(name, exe, env, args):
    return Contender(name, lambda: whole(run_together([[exe(), *args]], env.timeout_s)[0]), exe)
