# SPDX-License-Identifier: Apache-2.0
"""Explorer: visits every state of a model, and runs a model's tries as TAP.

A model derives from Explorer and says
    first           its first state: a tuple, the daemon and the memory at 0, then a thread each; namedtuples all
    program         the client's instructions, {label: (kind, ...)}
    successors(s)   (steps that somebody will take by himself, steps that merely may happen: a kill, a timeout)
    check(s)        raises Caught if a property does not hold
    finished(s)     whether nothing is left to do; a state without steps that is not finished is caught
    stuck(s)        what to say of such a state
A try that is right must be explored to its end; one that is wrong must be caught. So a model cannot pass by seeing nothing.
"""
import argparse
import time
from collections import namedtuple

Try = namedtuple("Try", "what edits setup")     # edits: what is left out or done wrong; setup: arguments of the model


class Caught(Exception):
    """A property does not hold in a state, or in the step that leads on from it."""

    def __init__(self, why, state):
        super().__init__(why)
        self.state = state


class Explorer:
    first, program, seen = None, {}, {}

    def explore(self):
        """Visits every reachable state; returns how many. Raises Caught at the first that breaks a property."""
        self.seen, todo = {self.first: None}, [self.first]
        while todo:
            layer, todo = todo, []
            for s in layer:
                progress, rescue = self.successors(s)
                if not progress and not self.finished(s):
                    raise Caught(self.stuck(s), s)
                for n in progress + rescue:
                    if n not in self.seen:
                        self.seen[n] = s
                        self.check(n)
                        todo.append(n)
        return len(self.seen)

    def reached(self):
        """The labels of the client's program that some thread was at."""
        return {t.pc for s in self.seen for t in s[1:]}

    def trace(self, s):
        """The shortest way to @s, a line a step: what changed."""
        way = []
        while s is not None:
            way.append(s)
            s = self.seen[s]
        way.reverse()
        for before, after in zip(way, way[1:]):
            for who, (b, a) in enumerate(zip(before, after)):
                changed = [f"{f}={getattr(a, f)}" for f in a._fields if getattr(a, f) != getattr(b, f)]
                if changed:
                    yield ("daemon: " if who == 0 else f"thread {who - 1}: ") + " ".join(changed)


def reachable(p, label):
    """The part of program @p that can be run from @label: an edit leaves some of the rest behind."""
    keep, todo = {}, [label]
    while todo:
        label = todo.pop()
        if label not in keep:
            keep[label] = p[label]
            todo += [x for x in p[label][1:] if isinstance(x, str) and x in p]
    return keep


def attempt(model, right, trace, whole):
    """Runs one try. Returns whether it came out as it should, what there is to say, and lines of trace."""
    try:
        told = f"{model.explore()} states"
    except Caught as why:
        return not right, str(why) if right else f"caught: {why}", list(model.trace(why.state)) if right or trace else []
    missed = sorted(set(model.program) - model.reached()) if right and whole else []
    if missed:
        return False, "never reached: " + " ".join(missed), []
    return right, told, []


def main(what, new, right, wrong, whole=None):
    """Runs all tries of the model @new(edits, **setup). One with the setup @whole must reach every instruction."""
    p = argparse.ArgumentParser(description=what)
    p.add_argument("--only", metavar="TEXT", default="", help="only the tries whose name contains TEXT")
    p.add_argument("--trace", action="store_true", help="show how each wrong variant is caught, step by step")
    args = p.parse_args()
    tries = [(t, True) for t in right] + [(t, False) for t in wrong]
    tries = [(t, fine) for t, fine in tries if args.only in t.what]
    print(f"1..{len(tries)}")
    bad = 0
    for n, (t, fine) in enumerate(tries, 1):
        begin = time.monotonic()
        passed, told, trace = attempt(new(t.edits, **t.setup), fine, args.trace, t.setup is whole)
        bad += not passed
        print(f"{'ok' if passed else 'not ok'} {n} - {t.what}: {told}")
        print("".join(f"#     {line}\n" for line in trace) + f"# {time.monotonic() - begin:.2f} s", flush=True)
    return 1 if bad else 0
