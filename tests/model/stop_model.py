#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every interleaving of the stop protocol: clients with store buffers against a daemon that stops them.

The protocol as the daemon and libmmgc-client speak it must come through unharmed; every shortcut that looks harmless
must be caught. Each of the two is a test point, so a change to the protocol is tried here before it is written in C.

    Agents      one or two client threads, the daemon's stopper, the daemon's granter (another thread of the daemon)
    Memory      a client store waits in that thread's buffer: first in first out (x86), or in any order except that a
                release store waits for all before it and a word keeps its own order (arm64). Loads see the own buffer.
                A system call drains the caller's buffer, membarrier drains everybody's.
    Kills       a session dies at any instruction; stores already made become visible, nothing more happens
    Timeouts    there are none: a state that only a timeout, a kill or an abandoned stop could leave is a lost wake.
                That timeouts exist in the program is a second line of defence and must not hide a hole in the first.

    state       OUT, IN, PARKED, one a thread, written by the thread
    roots       0 none or half written, 1 complete: the thread's root area
    epoch       odd while the world is asked to stop, written by the daemon, constant e is what a waiter saw
    go          one a session, bumped by the daemon at each resume: the word that stopped threads sleep on
    seq, span   one a thread: the span being granted (two words) and the number that says it is there

A thread holds raw pointers from a successful enter to the end of leave. While it is parked they are in its root area,
which pins what they point at; so they are good again once it is back IN.
"""
import sys
from collections import namedtuple

from explorer import Caught, Explorer, Try, main, reachable

OUT, IN, PARKED = 0, 1, 2
GONE = 3                                        # how a dead thread is counted
ALIVE, DEAD, BURIED = 0, 1, 2                   # BURIED: the daemon has learnt of it through the pidfd

# What may be left out or done wrong. Each name is one edit of the protocol; the specification is the empty set.
EDITS = {
    "no-membarrier", "enter-no-wake", "enter-parks", "enter-plain-load", "reentry-plain-load", "leave-no-recheck",
    "repark-rewrites-roots", "repark-no-wake", "reentry-unchecked", "park-before-roots", "park-plain-store",
    "park-no-wake", "wait-go-after-epoch", "wait-ignores-go", "go-before-epoch", "wake-one", "even-before-move",
    "scan-before-stopped", "deaf-to-death", "grant-unchecked", "grant-no-park", "grant-no-wake",
    "grant-park-no-wake", "grant-park-no-roots", "grant-seq-first", "fence", "fence-enter-only",
}

Thread = namedtuple("Thread", "state roots buf pc e g sleep fresh reps asks life req seq span")
Daemon = namedtuple("Daemon", "epoch go plan stopped at asleep counted stops abandons kills granter")
# sleep: 0 awake, 1 on go, 2 on seq.  fresh: 1 normal, 0 holds a value from before a collection, 2 loaded ahead of time
# plan: the stopper's steps to come.  stopped: all were counted, the epoch has not been made even.  at: who is counted
# granter: () or (thread, step).  reps, asks, stops, abandons, kills: how often each may still happen


def client(edits):
    """The client's side as {label: instruction}. Read it beside `enter`, `poll`, `leave` and `wait` in the library."""
    fence = "fence" in edits or "fence-enter-only" in edits
    p = {}

    def wait(prefix, back):                     # wait(e): sleep on go until the epoch is another one
        if "wait-go-after-epoch" in edits:
            p[prefix] = ("epoch_is_e", back, prefix + ".go")
            p[prefix + ".go"] = ("load_go", prefix + ".sleep")
        else:
            p[prefix] = ("load_go", prefix + ".epoch")
            p[prefix + ".epoch"] = ("epoch_is_e", back, prefix + ".sleep")
        p[prefix + ".sleep"] = ("sleep_go", prefix)

    def publish(prefix, back):                  # write roots; PARKED; wake
        store = ("store", "state", PARKED, "park-plain-store" not in edits)
        if "park-before-roots" in edits:
            p[prefix] = store + (prefix + ".0",)
            p[prefix + ".0"] = ("store", "roots", 0, False, prefix + ".1")
            p[prefix + ".1"] = ("store", "roots", 1, False, prefix + ".wake")
        else:
            p[prefix] = ("store", "roots", 0, False, prefix + ".1")
            p[prefix + ".1"] = ("store", "roots", 1, False, prefix + ".park")
            p[prefix + ".park"] = store + (prefix + ".wake",)
        p[prefix + ".wake"] = ("wake", back)

    def reenter(prefix, done):                  # P: IN; epoch again; back to PARKED, roots untouched, if it is odd
        plain = "reentry-plain-load" in edits
        unchecked = "reentry-unchecked" in edits
        p[prefix] = ("store", "state", IN, False, done if unchecked else prefix + ".fence" if fence else prefix + ".load")
        p[prefix + ".fence"] = ("fence", prefix + ".load")
        p[prefix + ".load"] = ("load_epoch", done, prefix + ".back", plain)
        if "repark-rewrites-roots" in edits:
            p[prefix + ".back"] = ("store", "roots", 0, False, prefix + ".r1")
            p[prefix + ".r1"] = ("store", "roots", 1, False, prefix + ".park")
            p[prefix + ".park"] = ("store", "state", PARKED, True, prefix + ".wake")
        else:
            p[prefix + ".back"] = ("store", "state", PARKED, True,
                                   prefix + ".wait" if "repark-no-wake" in edits else prefix + ".wake")
        p[prefix + ".wake"] = ("wake", prefix + ".wait")
        wait(prefix + ".wait", prefix)

    # enter
    p["out"] = ("begin", "enter")
    p["enter"] = ("store", "state", IN, False, "enter.fence" if fence else "enter.load")
    p["enter.fence"] = ("fence", "enter.load")
    p["enter.load"] = ("load_epoch", "heap", "enter.back", "enter-plain-load" in edits)
    p["enter.back"] = ("store", "state", PARKED if "enter-parks" in edits else OUT, True,
                       "enter.wait" if "enter-no-wake" in edits else "enter.wake")
    p["enter.wake"] = ("wake", "enter.wait")
    wait("enter.wait", "enter")
    # in the heap
    p["heap"] = ("choose", "poll", "leave", "ask")
    # poll
    p["poll"] = ("load_epoch", "heap", "park", False)
    publish("park", "P.wait")
    if "park-no-wake" in edits:
        p["park.park"] = p["park.park"][:-1] + ("P.wait",)
    reenter("P", "heap")
    # leave
    p["leave"] = ("store", "roots", 0, False, "leave.out")
    p["leave.out"] = ("store", "state", OUT, True,
                      "out" if "leave-no-recheck" in edits else "leave.fence" if "fence" in edits else "leave.load")
    p["leave.fence"] = ("fence", "leave.load")
    p["leave.load"] = ("load_epoch", "out", "leave.wake", False)
    p["leave.wake"] = ("wake", "out")
    # allocation slow path: ask, park with roots, wait for the grant, come back as P does
    p["ask"] = ("ask", "grant.wait" if "grant-no-park" in edits else
                "quick" if "grant-park-no-roots" in edits else "gpark")
    publish("gpark", "grant.wait")
    if "grant-park-no-wake" in edits:
        p["gpark.park"] = p["gpark.park"][:-1] + ("grant.wait",)
    p["quick"] = ("store", "state", PARKED, True, "gpark.wake")
    p["grant.wait"] = ("seq_moved", "take" if "grant-no-park" in edits else "G", "grant.sleep")
    p["grant.sleep"] = ("sleep_seq", "grant.wait")
    reenter("G", "take")
    if "grant-unchecked" in edits:
        p["G"] = ("store", "state", IN, False, "take")
    p["take"] = ("take", "heap")
    return reachable(p, "out")


class Model(Explorer):
    def __init__(self, edits=(), threads=1, sessions=None, weak=False, stops=2, reps=2, asks=1, abandons=0, kills=0):
        self.edits = frozenset(edits)
        assert self.edits <= EDITS, self.edits - EDITS
        self.program = client(self.edits)
        self.session = sessions or (0,) * threads
        self.sessions = max(self.session) + 1
        self.weak = weak
        resume = tuple((step, k) for k in range(self.sessions) for step in ("go", "wake"))
        self.resume = resume + ("even",) if "go-before-epoch" in self.edits else ("even",) + resume
        self.collect = ("scan", "move") + self.resume
        if "even-before-move" in self.edits:
            self.collect = ("scan", "even", "move") + resume
        barrier = () if self.edits & {"no-membarrier", "fence", "fence-enter-only"} else ("membarrier",)
        self.stop = ("odd",) + barrier + ("count",)
        t = Thread(OUT, 0, (), "out", 0, 0, 0, 1, reps, 0, ALIVE, 0, 0, 0)
        d = Daemon(0, (0,) * self.sessions, (), 0, 0, 0, (OUT,) * threads, stops, abandons, kills, ())
        self.first = (d,) + tuple(t._replace(asks=asks if i == 0 else 0) for i in range(threads))
        self.seen = {}

    # -- properties -----------------------------------------------------------------------------------------------
    def check(self, s):
        d = s[0]
        for i, t in enumerate(s[1:]):
            if t.pc in ("heap", "take"):
                if d.stopped:
                    raise Caught("a thread is in the heap while the world is stopped", s)
                if t.fresh == 0:
                    raise Caught("a thread uses a value loaded before the collection", s)
                if t.pc == "take" and t.span != 2:
                    raise Caught("a thread takes a half-written grant", s)
            if d.stopped and d.plan[0] == "scan" and d.counted[i] == PARKED and t.roots != 1:
                raise Caught("the daemon scans roots that are not there or half written", s)

    def finished(self, s):
        d = s[0]
        return not d.plan and not d.stops and all(t.life or (t.pc == "out" and not t.reps) for t in s[1:])

    def stuck(self, s):
        d = s[0]
        if d.asleep:
            return f"lost wake: the daemon sleeps for ever on thread {d.at}, which is at {s[1 + d.at].pc}"
        return "lost wake: asleep for ever at " + ", ".join(t.pc for t in s[1:] if t.sleep)

    # -- steps ----------------------------------------------------------------------------------------------------
    def successors(self, s):
        """(steps that somebody will take by himself, steps that merely may happen: a kill, an abandoned stop)."""
        progress, rescue = [], []
        d, threads = s[0], s[1:]
        for i, t in enumerate(threads):
            if t.life == ALIVE:
                for d2, t2 in self.thread_steps(d, i, t):
                    progress.append((d2,) + threads[:i] + (t2,) + threads[i + 1:])
            elif t.life == DEAD and "deaf-to-death" not in self.edits:      # the pidfd: the stopper is told
                d2 = d._replace(asleep=0) if d.asleep and d.at == i else d
                progress.append((d2,) + threads[:i] + (t._replace(life=BURIED),) + threads[i + 1:])
        self.stopper_steps(s, progress, rescue)
        self.granter_steps(s, progress)
        if d.kills:
            for k in range(self.sessions):
                rescue += self.kill(s, k)
        return progress, rescue

    def thread_steps(self, d, i, t):
        """What thread @i can do next: one of its buffered stores becomes visible, or its next instruction runs."""
        steps = []
        for k, (var, value, release) in enumerate(t.buf):
            if k and (not self.weak or release or any(b[0] == var for b in t.buf[:k])):
                continue
            steps.append((d, t._replace(buf=t.buf[:k] + t.buf[k + 1:], **{var: value})))
        if t.sleep:
            return steps
        op = self.program[t.pc]
        kind = op[0]
        if kind == "store":
            steps.append((d, t._replace(buf=t.buf + (op[1:4],), pc=op[4])))
        elif kind == "load_epoch":
            _, even, odd, plain = op
            if d.epoch & 1:
                steps.append((d, t._replace(pc=odd, e=d.epoch, fresh=1)))
            else:
                keep = 0 if t.pc == "poll" and t.fresh == 0 else 1
                steps.append((d, t._replace(pc=even, e=0, fresh=keep)))
                if t.fresh == 0 and plain:                                  # the early load is the one that counts
                    steps.append((d, t._replace(pc=even, e=0)))
            if plain and t.fresh == 1:                                      # the heap load runs before the epoch's
                steps.append((d, t._replace(fresh=2)))
        elif kind == "load_go":
            steps.append((d, t._replace(g=d.go[self.session[i]], pc=op[1])))
        elif kind == "epoch_is_e":
            if d.epoch != t.e:
                steps.append((d, t._replace(pc=op[1], e=0, g=0)))
            else:
                steps.append((d, t._replace(pc=op[2])))
        elif kind == "choose":
            for label in op[1:]:
                if label != "ask":
                    steps.append((d, t._replace(pc=label)))
                elif t.asks:
                    steps.append((d, t._replace(pc=label, asks=t.asks - 1)))
        elif kind == "begin":
            if t.reps:
                steps.append((d, t._replace(pc=op[1], reps=t.reps - 1)))
        elif kind == "seq_moved":
            steps.append((d, t._replace(pc=op[1] if t.seq else op[2])))
        elif kind == "take":
            steps.append((d, t._replace(pc=op[1], seq=0, span=0)))
        elif not t.buf:                                                     # fences and system calls: buffer drained
            if kind == "fence":
                steps.append((d, t._replace(pc=op[1])))
            elif kind == "wake":
                d2 = d._replace(asleep=0) if d.asleep and d.at == i else d
                steps.append((d2, t._replace(pc=op[1])))
            elif kind == "sleep_go":
                if d.go[self.session[i]] == t.g or "wait-ignores-go" in self.edits:
                    steps.append((d, t._replace(sleep=1, pc=op[1])))
                else:
                    steps.append((d, t._replace(pc=op[1], g=0)))
            elif kind == "sleep_seq":
                steps.append((d, t._replace(sleep=0 if t.seq else 2, pc=op[1])))
            elif kind == "ask":
                steps.append((d, t._replace(req=1, pc=op[1])))
        return steps

    def stopper_steps(self, s, progress, rescue):
        d, threads = s[0], s[1:]
        if not d.plan:
            if d.stops:
                progress.append((d._replace(plan=self.stop, stops=d.stops - 1),) + threads)
            return
        step, rest = d.plan[0], d.plan[1:]
        if step == "count":
            self.count_steps(s, progress, rescue)
            return
        d = d._replace(plan=rest)
        if step == "odd":
            d = d._replace(epoch=d.epoch + 1)
        elif step == "membarrier":
            threads = tuple(drained(t) if t.life == ALIVE else t for t in threads)
        elif step == "move":                                                # whatever a thread has loaded is old now
            threads = tuple(t._replace(fresh=0) if t.fresh == 2 or t.pc in ("heap", "poll") else t for t in threads)
        elif step == "even":
            d = d._replace(epoch=d.epoch + 1)
            threads = tuple(t._replace(req=1) if t.req == 2 else t for t in threads)
        elif step[0] == "go":
            d = d._replace(go=tuple(g + (k == step[1]) for k, g in enumerate(d.go)))
        elif step[0] == "wake":
            asleep = [i for i, t in enumerate(threads) if t.sleep == 1 and self.session[i] == step[1]]
            for woken in [[i] for i in asleep] if "wake-one" in self.edits and asleep else [asleep]:
                progress.append((d,) + tuple(t._replace(sleep=0, g=0) if i in woken else t
                                             for i, t in enumerate(threads)))
            return
        if not {"even", "move"} & set(rest):
            d = d._replace(stopped=0, counted=(OUT,) * len(threads))
        progress.append((d,) + threads)

    def count_steps(self, s, progress, rescue):
        """Waits until thread @at is not IN, then goes to the next; with the last one the world is stopped."""
        d, threads = s[0], s[1:]
        if d.abandons:                                                      # the deadline has passed
            rescue.append((d._replace(plan=self.resume, at=0, asleep=0, abandons=d.abandons - 1),) + threads)
        if d.asleep:
            return
        t = threads[d.at]
        if t.life != BURIED and t.state == IN and "scan-before-stopped" not in self.edits:
            d = d._replace(asleep=1)                                        # futex_wait looks at the word as it sleeps
        else:
            counted = d.counted[:d.at] + (GONE if t.life == BURIED else t.state,) + d.counted[d.at + 1:]
            if d.at + 1 < len(threads):
                d = d._replace(counted=counted, at=d.at + 1)
            else:
                d = d._replace(counted=counted, at=0, stopped=1, plan=self.collect)
        progress.append((d,) + threads)

    def granter_steps(self, s, progress):
        """Answers a request at once, or says that a collection must come first. Never waits for the stopper's work."""
        d, threads = s[0], s[1:]

        def put(i, granter, **change):
            progress.append((d._replace(granter=granter),) + threads[:i] + (threads[i]._replace(**change),)
                            + threads[i + 1:])
        if not d.granter:
            for i, t in enumerate(threads):
                if t.req == 1:
                    if "grant-seq-first" in self.edits:
                        put(i, (i, "first"), req=0, seq=1)
                    else:
                        put(i, (i, "second"), req=0, span=1)
                    if d.stops:
                        put(i, (), req=2)                                   # nothing left: a collection, then again
            return
        i, step = d.granter
        if step == "first":
            put(i, (i, "second"), span=1)
        elif step == "second":
            put(i, (i, "wake" if "grant-seq-first" in self.edits else "seq"), span=2)
        elif step == "seq":
            put(i, () if "grant-no-wake" in self.edits else (i, "wake"), seq=1)
        elif step == "wake":
            put(i, (), sleep=0 if threads[i].sleep == 2 else threads[i].sleep)

    def kill(self, s, k):
        """SIGKILL to session @k: its threads stop where they are, the stores they made become visible."""
        d, threads = s[0], s[1:]
        if not any(t.life == ALIVE and not (t.pc == "out" and not t.reps)
                   for i, t in enumerate(threads) if self.session[i] == k):
            return []
        dead = []
        for i, t in enumerate(threads):
            if self.session[i] == k:
                t = drained(t)._replace(pc="dead", e=0, g=0, sleep=0, fresh=1, reps=0, asks=0, life=DEAD, req=0)
            dead.append(t)
        return [(d._replace(kills=d.kills - 1),) + tuple(dead)]


def drained(t):
    """All buffered stores visible. A load that had run ahead is thrown away, as an interrupt does."""
    for var, value, _ in t.buf:
        t = t._replace(**{var: value})
    return t._replace(buf=(), fresh=t.fresh if t.pc in ("heap", "poll") else 1)


# -- what is tried ------------------------------------------------------------------------------------------------
ANY = dict(stops=3, abandons=1, kills=1)
PAIR = dict(threads=2, reps=1, asks=0)          # only the first of two threads asks
WEAK = dict(weak=True)
NONE = {}

RIGHT = [
    Try("as specified, stores in order", (), ANY),
    Try("as specified, stores in any order", (), dict(ANY, weak=True)),
    Try("two threads of one session share go", (), dict(PAIR, abandons=1)),
    Try("two threads of one session, stores in any order", (), dict(PAIR, weak=True, stops=1)),
    Try("two threads of one session, one waits for a grant", (), dict(PAIR, asks=1, stops=1)),
    Try("two sessions, one is killed", (), dict(PAIR, sessions=(0, 1), stops=1, kills=1)),
    Try("a client without membarrier that fences by itself", ("fence",), ANY),
]
WRONG = [
    Try("no membarrier", ("no-membarrier",), NONE),
    Try("enter backs out without a wake", ("enter-no-wake",), NONE),
    Try("enter backs out to PARKED", ("enter-parks",), NONE),
    Try("enter loads the epoch plainly, weak order", ("enter-plain-load",), WEAK),
    Try("re-entry loads the epoch plainly, weak order", ("reentry-plain-load",), WEAK),
    Try("re-entry does not look at the epoch", ("reentry-unchecked",), NONE),
    Try("leave does not look at the epoch again", ("leave-no-recheck",), NONE),
    Try("park stores PARKED before the roots", ("park-before-roots",), NONE),
    Try("park stores PARKED plainly, weak order", ("park-plain-store",), WEAK),
    Try("park does not wake", ("park-no-wake",), NONE),
    Try("re-park writes the roots again", ("repark-rewrites-roots",), NONE),
    Try("re-park does not wake", ("repark-no-wake",), NONE),
    Try("wait loads go after the epoch", ("wait-go-after-epoch",), NONE),
    Try("wait sleeps whatever go says", ("wait-ignores-go",), NONE),
    Try("resume bumps go before the epoch", ("go-before-epoch",), NONE),
    Try("resume wakes one thread of a session of two", ("wake-one",), PAIR),
    Try("resume stores the epoch before the moves are visible", ("even-before-move",), NONE),
    Try("stop does not wait for threads that are IN", ("scan-before-stopped",), NONE),
    Try("stop does not hear of deaths", ("deaf-to-death",), dict(kills=1)),
    Try("grant wait comes back without a look at the epoch", ("grant-unchecked",), NONE),
    Try("grant wait stays IN", ("grant-no-park",), NONE),
    Try("grant wait parks without a wake", ("grant-park-no-wake",), NONE),
    Try("grant wait parks without roots", ("grant-park-no-roots",), NONE),
    Try("grant is numbered before it is written", ("grant-seq-first",), NONE),
    Try("grant does not wake", ("grant-no-wake",), NONE),
    Try("a client that fences in enter but not in leave", ("fence-enter-only",), NONE),
]


if __name__ == "__main__":
    sys.exit(main("Exhaustive model of the stop protocol; prints TAP.", Model, RIGHT, WRONG, whole=ANY))
