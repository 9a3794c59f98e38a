# SPDX-License-Identifier: Apache-2.0
"""Handover: one process builds a graph, another one gets hold of it and walks it. What it is: handover.h.

Peers, each with what serves it best:
  boost               managed_shared_memory, offset_ptr nodes from its quickest allocator for nodes, find<> by name: nothing is copied, as
                      with ours. What it does not have: anybody but the maker giving back what nobody needs, growth, a crash survived
  Redis, in place     one value, an array with places for references, which B reads from the socket to where it uses it: no copy but
                      the one, no node made. The least that can be done with Redis
  Redis, rebuilt      the same value through hiredis, and nodes from malloc made of it, as programs do that go on with them
  Redis, hash         a field a node; B has nothing but what it fetches: 256 nodes a command, 16 commands under way
  pipe                as Redis, in place and rebuilt, but from A straight to B, with the largest buffer that a pipe has
Redis answers at its Unix socket and writes nothing to disk.
"""
import redis_server
from harness import Case, Contender, Finish, Metric, private_daemon, run_together
from plot import Plot

WHAT = "a graph of up to 10^6 objects is built in one process and used in another: how long until the other one has it"
SIZES = (1_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 1_000_000)
HEAP_MIB = 256
TARGETS = ("daemon/mmgcd", "tests/bench/handover_mmgc")
BOOST = ("handover_boost", "boost/interprocess/managed_shared_memory.hpp", "-pthread", "-lrt")
REDIS = ("handover_redis", "hiredis/hiredis.h", "-lhiredis")
PIPE = ("handover_pipe", "fcntl.h")

METRICS = [Metric("handover", "us"),                    # B asks and follows a first reference: the median of many
           Metric("handover_first", "us"),              # the first time that this process does so
           Metric("join", "us"),                        # before: from nothing to where B may ask
           Metric("build", "ns/object"),                # A: all that must be done before B may ask
           Metric("use", "ns/object"),                  # B walks all of it for the first time
           Metric("use_again", "ns/object"),
           Metric("total", "ms")]                       # build, join, first handover, first walk


def cases(env):
    return [_case(env, n) for n in (QUICK_SIZES if env.quick else SIZES)]


def case_name(nodes):
    return f"{nodes} objects"


def _case(env, n):
    contenders = [_ours(env, n), _boost(env, n), *(_redis(env, n, way) for way in ("in-place", "rebuilt", "hash")),
                  *(_pipe(env, n, way) for way in ("in-place", "rebuilt"))]
    return Case(case_name(n), METRICS, contenders, rounds=5, quick_s=22 if n > 1_000 else 8)


def figures(got):
    """Of the nanoseconds that a program printed."""
    parts = got["build_ns"] + got["join_ns"] + got["first_ns"] + got["walk_first_ns"]
    return {"handover": got["again_ns"] / 1e3, "handover_first": got["first_ns"] / 1e3, "join": got["join_ns"] / 1e3,
            "build": got["build_ns"] / got["nodes"], "use": got["walk_first_ns"] / got["nodes"],
            "use_again": got["walk_again_ns"] / got["nodes"], "total": parts / 1e6}


# -- contenders ---------------------------------------------------------------------------------------------------
def _ours(env, n):
    def run():
        mmgcd, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, *env.daemon_options) as sock:
            return figures(run_together([[program, sock, "handover", HEAP_MIB, n]], env.timeout_s)[0])
    return Contender("mmgcd", run, lambda: env.ours(*TARGETS), ours=True)


def _boost(env, n):
    def exe():
        return env.peer_cxx(*BOOST)
    return Contender("boost managed_shared_memory", lambda: figures(run_together([[exe(), n]], env.timeout_s)[0]), exe)


def _redis(env, n, way):
    def prepare():
        redis_server.installed()
        return env.peer_c(*REDIS)

    def run():
        with redis_server.private_redis() as sock:
            return figures(run_together([[prepare(), sock, way, n]], env.timeout_s)[0])
    return Contender(f"Redis, {way.replace('-', ' ')}", run, prepare)


def _pipe(env, n, way):
    def exe():
        return env.peer_c(*PIPE)
    return Contender(f"pipe, {way.replace('-', ' ')}", lambda: figures(run_together([[exe(), way, n]], env.timeout_s)[0]), exe)


# -- all sizes ----------------------------------------------------------------------------------------------------
def finish(results):
    """How the handover grows with the graph: a row and a line for each contender, and a plot."""
    handover, more = METRICS[0], Finish()
    points = {}                 # contender: [(objects, microseconds)]
    for case, got in results.items():
        for name, runs in got.items():
            points.setdefault(name, []).append((int(case.split()[0]), handover.sum_up([r["handover"] for r in runs])))
    grown = {name: line[-1][1] / line[0][1] for name, line in points.items() if len(line) > 1 and line[0][1]}
    if not grown:
        return more
    sizes = [int(case.split()[0]) for case in results]
    more.lines = ["", f"handover of {sizes[-1]} objects / of {sizes[0]}, flat is 1"]
    more.lines += [f"    {name:36}{ratio:>10.2f}" for name, ratio in grown.items()]
    more.rows = list(_rows(grown))
    more.plots = [Plot("handover", "handover: until the other process has the graph", "objects", "us", points, log="xy")]
    return more


def _rows(grown):
    ours = grown.get("mmgcd")
    peers = [(name, ratio) for name, ratio in grown.items() if name != "mmgcd"] or [(None, None)]
    for peer, value in peers if ours else []:
        yield {"bench": "handover", "case": "all sizes", "metric": "handover_growth", "unit": "times", "better": "lower",
               "contender": "mmgcd", "ours": ours, "peer": peer, "peer_value": value, "ratio": ours / value if value else None}
