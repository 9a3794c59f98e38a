#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every interleaving of the bytes of SHM_BARRIER_LINES: clients that store young objects into old ones, young collections.

An old object of two slots, in two lines, and one of one slot that shares the second of them; and a few that are born, promoted
and freed, two to a line. Each operation makes an object and stores it into one that can be reached. A young collection sees of
the old objects only what lies in lines that were logged; whatever it keeps is old from then on. barrier.py has the client.

    age     of an object: FREE, YOUNG, OLD      slot    object, or None      log     entries copied out of the rings
    Holds   what is reachable is not free; an entry names a line in which something old lies
"""
import sys
from collections import namedtuple

from barrier import Barrier, put_at
from explorer import Caught, Try, main

FREE, YOUNG, OLD = 0, 1, 2
Daemon = namedtuple("Daemon", "slot bit age log copying stops kills later")


class Model(Barrier):
    def __init__(self, edits=(), ops=(2, 1), capacity=2, weak=False, stops=2, kills=0, full=False, more=2, buffered=True):
        self.full = full                        # a full collection may come without need
        lines = (0, 1, 1) + tuple(2 + k // 2 for k in range(more))
        super().__init__(edits, lines, ops, capacity, weak, buffered)
        # object 0 is always there and refers to 1; there can be some more
        self.slots = ((0, 1), (2,)) + tuple((k + 3,) for k in range(more))
        bits = (1, 1) + (0,) * ((more + 1) // 2)
        self.first = (Daemon((None, 1, None) + (None,) * more, bits, (OLD, OLD) + (FREE,) * more, (), None,
                             stops, kills, ()),) + self.threads

    def lines(self, objects):
        """The lines in which @objects lie."""
        return {self.units[k] for o in objects for k in self.slots[o]}

    def begin(self, d, threads, i):
        t = threads[i]
        if FREE not in d.age:
            return []
        born = d.age.index(FREE)
        d2 = d._replace(age=put_at(d.age, born, YOUNG))
        return [(d2, t._replace(pc="bit", slot=k, value=born, ops=t.ops - 1))
                for o in self.reach(d, (0,)) if d.age[o] for k in self.slots[o]]

    def reach(self, d, roots, through=lambda o: True):
        """The objects that can be reached from @roots; the way on leads only through those that satisfy @through."""
        found, todo = set(roots), list(roots)
        while todo:
            o = todo.pop()
            for k in self.slots[o] if through(o) else ():
                if d.slot[k] is not None and d.slot[k] not in found:
                    found.add(d.slot[k])
                    todo.append(d.slot[k])
        return found

    def stop(self, s):
        d = s[0]
        if not d.stops or d.later:              # later: bits that the last collection has yet to set
            return []
        sure, _, lost, threads = self.collect(s)
        logged = {u for u, _ in sure}
        if logged - self.lines({o for o, age in enumerate(d.age) if age == OLD}):
            raise Caught("an entry names a line in which nothing old lies", s)
        d = d._replace(log=(), stops=d.stops - 1)
        full = lost and "full-ignored" not in self.edits
        return [(self.collected(s, d, logged, f),) + threads for f in {full, full or self.full}]

    def collected(self, s, d, logged, full):
        """A young collection from the @logged lines, or a full one; the lines of what it keeps are armed."""
        if full:
            kept = self.reach(d, (0,))
        else:
            old = [o for o, age in enumerate(d.age) if age == OLD]
            seen = [k for o in old for k in self.slots[o] if self.units[k] in logged]
            if "one-object" in self.edits:      # the first that lies in the line
                first = {u: min(o for o in old if u in self.lines({o})) for u in logged}
                seen = [k for k in seen if k in self.slots[first[self.units[k]]]]
            roots = {d.slot[k] for k in seen} - {None}
            young = self.reach(d, {o for o in roots if d.age[o] == YOUNG}, lambda o: d.age[o] == YOUNG)
            kept = {o for o, age in enumerate(d.age) if age == OLD} | young
        promoted = {o for o in kept if d.age[o] == YOUNG}
        arm = (logged & self.lines(kept)) | (set() if "promoted-unarmed" in self.edits else self.lines(promoted))
        if full and "full-rearms-logged" not in self.edits:
            arm = self.lines(kept)
        if "rearm-never" in self.edits:
            arm = set()
        slot, bit = list(d.slot), list(d.bit)
        for o in range(len(d.age)):
            if o not in kept:
                for k in self.slots[o]:
                    slot[k] = None
        for u in set(range(len(bit))) - self.lines(kept):
            bit[u] = 0
        later = tuple(sorted(arm)) if "rearm-running" in self.edits else ()
        for u in () if later else arm:
            bit[u] = 1
        after = d._replace(slot=tuple(slot), bit=tuple(bit), later=later,
                           age=tuple(OLD if o in kept else FREE for o in range(len(d.age))))
        if self.reach(d, (0,)) - kept:
            raise Caught("an object that can be reached was freed", s)
        return after

    def daemon_steps(self, s):
        d = s[0]
        if not d.later:
            return []
        return [(d._replace(bit=put_at(d.bit, d.later[0], 1), later=d.later[1:]),) + s[1:]]


ANY = dict(kills=1)
PLAIN = dict(buffered=False, kills=1)
FULL = dict(capacity=1, kills=1)
NONE, WEAK = {}, dict(weak=True)

RIGHT = [
    Try("as specified, stores in order", (), ANY),
    Try("as specified, stores in any order", (), dict(ANY, weak=True)),
    Try("three writers, two are killed", (), dict(PLAIN, ops=(1, 1, 1), stops=1, kills=2)),
    Try("a ring of one entry", (), FULL),
    Try("full collections without need", (), dict(PLAIN, full=True)),
    Try("bytes are set again at the drain", ("rearm-at-drain",), PLAIN),
    Try("the byte need be no release for the machine's sake, weak order", ("clear-plain",), dict(ANY, weak=True)),
]
WRONG = [
    Try("byte cleared before the entry is pushed", ("clear-first",), ANY),
    Try("field stored before it is logged", ("store-first",), ANY),
    Try("pushed is no release, weak order", ("push-plain",), WEAK),
    Try("full ring says nothing", ("full-silent",), FULL),
    Try("full ring clears the byte, then says so", ("full-clears-first",), FULL),
    Try("full ring is ignored", ("full-ignored",), FULL),
    Try("full collection arms only what was logged", ("full-rearms-logged",), FULL),
    Try("drained is raised before the entry is copied", ("raise-first",), FULL),
    Try("a dead client's ring is dropped", ("dead-dropped",), ANY),
    Try("rings are not drained at the stop", ("final-undrained",), NONE),
    Try("of a logged line one object is looked at", ("one-object",), NONE),
    Try("bytes are set again once clients run", ("rearm-running",), NONE),
    Try("bytes are never set again", ("rearm-never",), NONE),
    Try("bytes of the promoted are not set", ("promoted-unarmed",), NONE),
]

if __name__ == "__main__":
    sys.exit(main("Exhaustive model of the log bytes of generational plans; prints TAP.", Model, RIGHT, WRONG, whole=FULL))
