#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every interleaving of SHM_BARRIER_FIELDS as a concurrent plan uses it: clients hide references from a marker that runs beside them.

Object 0 is the root and has two slots; the first refers to 1, whose slot refers to 2, which has none. Object 3 may be born. An
operation loads a reference into the thread's own root, drops that root, makes the object, or stores one of: nothing, the root.
The first stop sets the bits of all slots and turns the barrier on; then the marker reads slot after slot while clients run and
drains their rings; the last stop drains the rest and marks to the end. barrier.py has the client.

    phase   BEFORE the first stop, MARKING, DONE        marked  objects         grey    slots that the marker has yet to read
    then    slots at the first stop; snapshot: what could be reached
    born    object 3 is there, and was not at the first stop: it lives, unseen by the marker
    Holds   after the last stop all of the snapshot is marked, and so is all that can be reached and was not born since.
            An entry that is pushed has the old value exactly
"""
import sys
from collections import namedtuple

from barrier import ALIVE, Barrier, put_at
from explorer import Caught, Try, main

BEFORE, MARKING, DONE = 0, 1, 2
SLOTS = (0, 1), (2,), (), (3,)                  # of each object
BORN = 3
Daemon = namedtuple("Daemon", "slot bit phase marked grey then snapshot there born log copying kills")


class Model(Barrier):
    fields = True

    def __init__(self, edits=(), ops=(2, 1), capacity=2, weak=False, kills=0, before=False, buffered=False):
        super().__init__(edits, (0, 1, 2, 3), ops, capacity, weak, buffered)
        d = Daemon((1, None, 2, None), (0, 0, 0, 0), BEFORE, (), (), (), (), 0, 0, (), None, kills)
        self.first = (d,) + self.threads
        if not before:
            self.first = self.started(self.first)

    # -- clients ----------------------------------------------------------------------------------------------------
    def begin(self, d, threads, i):
        t = threads[i]._replace(ops=threads[i].ops - 1)
        near = self.reach(d, (t,))
        slots = [k for o in near for k in SLOTS[o]]
        label = "bit" if d.phase == MARKING else "store"        # it is read between operations whether it is on
        steps = [(d, t._replace(reg=d.slot[k])) for k in slots if d.slot[k] not in (None, t.reg)]
        for value in {None, t.reg}:
            steps += [(d, t._replace(pc=label, slot=k, value=value)) for k in slots]
        if t.reg is not None:
            steps.append((d, t._replace(reg=None)))
        if not d.there:
            steps.append((d._replace(there=1, born=int(d.phase == MARKING)), t._replace(reg=BORN)))
        return steps

    def reach(self, d, threads):
        """The objects that can be reached from object 0 and from the roots of @threads."""
        found = {0} | {t.reg for t in threads if t.life == ALIVE and t.reg is not None}
        todo = list(found)
        while todo:
            for k in SLOTS[todo.pop()]:
                o = d.slot[k]
                if o is not None and o not in found:
                    found.add(o)
                    todo.append(o)
        return found

    # -- the daemon -------------------------------------------------------------------------------------------------
    def stop(self, s):
        d = s[0]
        if d.phase == BEFORE and "active-running" not in self.edits:
            return [self.started(s)]
        return [self.done(s)] if d.phase == MARKING else []

    def daemon_steps(self, s):
        d = s[0]
        if d.phase == BEFORE and "active-running" in self.edits:
            return [self.started(s)]
        if d.phase != MARKING:
            return []
        return [(self.mark(d._replace(grey=d.grey[1:]), d.slot[d.grey[0]]),) + s[1:]] if d.grey else []

    def started(self, s):
        d, threads = s[0], s[1:]
        snapshot = self.reach(d, threads)
        known = [k for o in snapshot for k in SLOTS[o]]
        if "snapshot-unarmed" in self.edits:
            known = [k for k in known if k != 2]
        d = d._replace(phase=MARKING, then=d.slot, snapshot=tuple(sorted(snapshot)), bit=tuple(int(k in known) for k in range(4)))
        for o in {0} | {t.reg for t in threads if t.life == ALIVE}:
            d = self.mark(d, o)
        return (d,) + threads

    def mark(self, d, o):
        """@d with @o marked, if it is an object that the marker has to know and has not seen."""
        if o is None or o in d.marked or (o == BORN and (d.born or not d.there)):
            return d
        return d._replace(marked=tuple(sorted(d.marked + (o,))), grey=tuple(sorted(d.grey + SLOTS[o])))

    def copied(self, d, entry):
        if entry is None:
            return d
        unit, old = entry
        if d.phase == MARKING and old != d.then[unit]:
            raise Caught(f"an entry says {old} where {d.then[unit]} stood", self.s)
        if "rearm-at-drain" in self.edits:
            d = d._replace(bit=put_at(d.bit, unit, 1))
        return self.mark(d, old) if d.phase == MARKING else d

    def successors(self, s):
        self.s = s
        return super().successors(s)

    def done(self, s):
        sure, unsure, lost, threads = self.collect(s)
        d = s[0]
        for entry in sure:
            d = self.copied(d, entry)
        for unit, old in unsure:
            if not d.bit[unit]:
                d = self.mark(d, old)
        if lost and "full-ignored" not in self.edits:
            d = d._replace(marked=tuple(sorted(self.reach(d, s[1:]))), grey=(), snapshot=())
        while d.grey:
            d = self.mark(d._replace(grey=d.grey[1:]), d.slot[d.grey[0]])
        if set(d.snapshot) - set(d.marked):
            raise Caught(f"objects {sorted(set(d.snapshot) - set(d.marked))} of the snapshot are not marked", s)
        lost = self.reach(d, s[1:]) - set(d.marked) - ({BORN} if d.born else set())
        if lost:
            raise Caught(f"objects {sorted(lost)} can be reached and are not marked", s)
        return (d._replace(phase=DONE, kills=0),) + tuple(t._replace(ops=0) for t in threads)   # the same again would come


ANY = dict(kills=1)
FULL = dict(capacity=1)
SMALL = dict(ops=(1, 1), buffered=True, weak=True)
NONE = {}
RIGHT = [
    Try("as specified, stores in order", (), ANY),
    Try("as specified, stores in any order, from before the first stop", (), dict(SMALL, before=True)),
    Try("a ring of one entry", (), FULL),
    Try("a dead loser's old value may be a later one", ("no-again",), dict(SMALL, kills=1)),
]
WRONG = [
    Try("bit cleared before the entry is pushed", ("clear-first",), ANY),
    Try("field stored before it is logged", ("store-first",), NONE),
    Try("old value read after the bit is cleared", ("old-last",), ANY),
    Try("the AND is no release, weak order", ("and-relaxed",), SMALL),
    Try("no tentative entry", ("no-tentative",), ANY),
    Try("a dead client's tentative entry is ignored", ("dead-not-tentative",), ANY),
    Try("a dead client's ring is dropped", ("dead-dropped",), ANY),
    Try("rings are not drained at the last stop", ("final-undrained",), NONE),
    Try("barrier turned on while clients run", ("active-running",), dict(before=True)),
    Try("a client stops between its barrier and its store", ("stop-inside",), dict(before=True)),
    Try("bits of the snapshot are not all set", ("snapshot-unarmed",), NONE),
    Try("bits are set again at the drain", ("rearm-at-drain",), NONE),
    Try("full ring says nothing", ("full-silent",), FULL),
    Try("full ring clears the bit, then says so", ("full-clears-first",), dict(FULL, kills=1)),
    Try("full ring is ignored", ("full-ignored",), FULL),
    Try("drained is raised before the entry is copied", ("raise-first",), FULL),
]

if __name__ == "__main__":
    sys.exit(main("Exhaustive model of concurrent marking from a snapshot; prints TAP.", Model, RIGHT, WRONG, whole=FULL))
