# SPDX-License-Identifier: Apache-2.0
"""Hold: requests of 10^4 objects, of which one in a hundred survives; what the end of a hold costs; how fast a graph is stowed.

What the work is: the top of hold.h. Ours with a hold for each request, and the same without. mimalloc has a heap for each request
(mi_heap_destroy), or frees each object; APR has a pool. With both the program copies the survivors out itself, for it knows where they are; a
hold finds them. Ours zeroes each object and gives it a header, which the others do not.
"""
from harness import Case, Contender, Metric, private_daemon, run_together

WHAT = "requests of 10^4 objects, 1 % of which survive, in holds and in others' arenas; an empty end; stowing beside memcpy()"
HEAP_MIB = 256
TARGETS = ("daemon/mmgcd", "tests/bench/hold_mmgc")
REQUESTS = [Metric("us_per_request", "us/request"), Metric("cpu_us_per_request", "us/request, of its own processor"),
            Metric("ns_per_object", "ns/object")]
ENDS = [Metric("empty", "ns, begin and end"), Metric("of_one", "ns, with an object between")]
STOW = [Metric("stow_mb_s", "MB/s stowed", "higher"), Metric("memcpy_mb_s", "MB/s copied by memcpy()", "higher"),
        Metric("share", "% of that", "higher")]


def cases(env):
    requests = 2000 if env.quick else 10_000
    return [Case("requests", REQUESTS, [_ours(env, "mmgcd, in holds", "hold", requests), _ours(env, "mmgcd, without", "plain", requests),
                                        _mimalloc(env, "mimalloc, mi_heap_destroy", "heap", requests),
                                        _mimalloc(env, "mimalloc, each freed", "free", requests), _apr(env, requests)], rounds=7, quick_s=15),
            Case("the end of a hold", ENDS, [_ours(env, "mmgcd", "empty", 1_000_000)], rounds=7, quick_s=5),
            Case("stowing 32-byte nodes", STOW, [_ours(env, "mmgcd", "stow", 50 if env.quick else 200)], rounds=7, quick_s=8)]


def _ours(env, name, mode, count):
    def run():
        mmgcd, program = env.ours(*TARGETS)
        with private_daemon(mmgcd, *env.daemon_options) as sock:
            return run_together([[program, mode, sock, "hold", HEAP_MIB, count]], env.timeout_s)[0]
    return Contender(name, run, lambda: env.ours(*TARGETS), ours=True)


def _peer(name, exe, env, arguments):
    return Contender(name, lambda: run_together([[exe(), *arguments]], env.timeout_s)[0], exe)


def _mimalloc(env, name, mode, requests):
    return _peer(name, lambda: env.peer_c("hold_mimalloc", "mimalloc.h", "-lmimalloc"), env, [mode, requests])


def _apr(env, requests):
    def exe():
        return env.peer_c("hold_apr", "apr-1.0/apr_pools.h", "-I/usr/include/apr-1.0", "-lapr-1")
    return _peer("APR pool", exe, env, [requests])
