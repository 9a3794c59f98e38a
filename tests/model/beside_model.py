#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every interleaving of the end of marking while clients run, and of the snapshot after it.

The objects, the clients and the marker are those of satb_model.py, but there is no last stop. When all that is known is marked the
daemon looks at each thread's ring as daemon/drain.c does it, word by word, while the threads go on: what has been pushed, and
the entry that may be about to be. If a look has found nothing that was not marked, marking has ended: the barrier is lowered,
a sweep sets the bits of all slots again, one by one. Who had something to log just before may come late, and clear one of
those. The next snapshot is taken at a stop: it sets the bits of what was logged since, and counts on all of them.

    look    of thread at: what was read so far of retracted, tentative, and the unit of the entry; marked: before the look
    active  control.barrier_active    sweep   slots whose bits are yet to be set    cycle  1 or 2
    Holds   when marking has ended all of the snapshot is marked, and all that can be reached and was not born since; an entry
            that is looked at has the old value exactly, or says nothing
"""
import sys
from collections import namedtuple

import satb_model
from barrier import ALIVE, DEAD, GONE, put_at
from explorer import Caught, Try, main
from satb_model import BORN, DONE, MARKING

RESTING = 3
SLOTS = satb_model.SLOTS
Look = namedtuple("Look", "at step retracted tentative unit marked")
FIELDS = satb_model.Daemon._fields + ("look", "active", "sweep", "cycle")
Daemon = namedtuple("Daemon", FIELDS)


class Model(satb_model.Model):
    def __init__(self, edits=(), again=False, closed=False, hot=None, **setup):
        super().__init__(edits, **setup)
        self.hot = hot                          # clients only store, and only to these slots
        self.again = again                      # there is another snapshot
        closed = closed or again                # all of the first is marked from the beginning
        p = self.program
        p["bit"] = ("load_bit", "active", "store")
        p["active"] = ("active", "old", "rest")
        p["rest"] = ("rest", "store")
        p["retract"], p["retracted"] = ("retract", "retracted"), ("count", "store")
        if "rests-unasked" in self.edits:
            p["bit"] = ("load_bit", "old", "store")
            del p["active"], p["rest"]
        if "count-first" in self.edits:         # said to be taken back, then taken back
            p["and"] = ("and", "push", "retracted")
            p["retracted"], p["retract"] = ("count", "retract"), ("retract", "store")
        d = Daemon(*self.first[0], None, 1, (), 1)
        if closed:
            d = d._replace(marked=d.snapshot, grey=())
        self.first = (d,) + self.first[1:]

    # -- clients ----------------------------------------------------------------------------------------------------
    def begin(self, d, threads, i):
        steps = super().begin(d._replace(phase=MARKING if threads[i].on else DONE), threads, i)
        born = int(d.phase == MARKING)          # what is made while nothing is marked is of the next snapshot
        steps = [(d2._replace(phase=d.phase, born=born if d2.there > d.there else d.born), t) for d2, t in steps]
        return [(d2, t) for d2, t in steps if self.hot is None or t.slot in self.hot]

    def thread_steps(self, d, threads, i):
        t = threads[i]
        kind, *labels = self.program[t.pc]
        if kind == "active":
            own = [(d, t._replace(pc=labels[0 if d.active else 1]))]
        elif kind == "rest":
            own = [(d, t._replace(pc=labels[0], on=0))]
        elif kind == "count":
            item, t2 = ("retracted", 0, self.seen_by(t, "retracted", 0, t.retracted) + 1, True), t._replace(pc=labels[0])
            own = [(d, t2._replace(buf=t.buf + (item,)))] if self.buffered else [self.visible(d, t2, item)]
        else:
            return super().thread_steps(d, threads, i)
        oldest = t.buf[:1]
        return own + [self.visible(d, t._replace(buf=t.buf[1:]), item) for item in oldest]

    # -- the daemon -------------------------------------------------------------------------------------------------
    def drain_steps(self, s):
        return [] if s[0].look or self.again else super().drain_steps(s)

    def daemon_steps(self, s):
        d = s[0]
        if d.phase == RESTING:
            return [(d._replace(bit=put_at(d.bit, d.sweep[0], 1), sweep=d.sweep[1:]),) + s[1:]] if d.sweep else []
        if d.phase != MARKING:
            return []
        steps = super().daemon_steps(s) if not d.look else []
        if d.look:
            steps += self.look_on(s)
        elif d.copying is None and (not d.grey or "look-early" in self.edits):
            steps.append((d._replace(look=Look(0, 0, None, None, None, d.marked)),) + s[1:])
        if d.active and "lowered-early" in self.edits:
            steps.append((d._replace(active=0),) + s[1:])
        return steps

    def look_on(self, s):
        d, threads = s[0], s[1:]
        look = d.look
        if look.at == len(threads):
            return [self.looked(s)]
        t = threads[look.at]
        done = look._replace(at=look.at + 1, step=0, retracted=None, tentative=None, unit=None)
        if t.life == GONE:
            return [(d._replace(look=done),) + threads]
        steps = []
        if t.life == DEAD and look.step == 0:
            d2, t2 = self.pushed(d, t)
            entry = t2.ring[t2.drained % self.capacity]
            if t.tentative == t2.drained + 1 and not d.bit[entry[0]]:
                d2 = self.copied(d2, entry)
            steps.append((d2._replace(look=done),) + put_at(threads, look.at, t2._replace(life=GONE)))
        order = [self.read_retracted, self.read_tentative, self.read_pushed, self.read_unit, self.read_old]
        if "pushed-first" in self.edits:
            order[1], order[2] = order[2], order[1]
        d2, t2 = order[look.step](d, t, look._replace(step=look.step + 1))
        if d2.look.step == len(order):
            d2 = d2._replace(look=done)
        return steps + [(d2,) + put_at(threads, look.at, t2)]

    def pushed(self, d, t):
        """Takes what thread @t has pushed. Its entries stand there until drained is raised, so that one step will do."""
        for k in range(t.drained, t.pushed):
            d = self.copied(d, t.ring[k % self.capacity])
        return d, t._replace(drained=t.pushed)

    def read_retracted(self, d, t, look):
        return d._replace(look=look._replace(retracted=t.retracted)), t

    def read_tentative(self, d, t, look):
        return d._replace(look=look._replace(tentative=t.tentative)), t

    def read_pushed(self, d, t, look):
        return self.pushed(d._replace(look=look), t)

    def read_unit(self, d, t, look):
        entry = t.ring[t.drained % self.capacity]
        if look.tentative == t.drained + 1 and "pushed-only" not in self.edits:
            look = look._replace(unit=entry[0])
        return d._replace(look=look), t

    def read_old(self, d, t, look):
        d2 = d._replace(look=look)
        if look.unit is not None and (look.retracted == t.retracted or "unchecked" in self.edits):
            d2 = self.copied(d2, (look.unit, t.ring[t.drained % self.capacity][1]))
        return d2, t

    def looked(self, s):
        """All threads were looked at. If that has found nothing, marking has ended."""
        d, threads = s[0], s[1:]
        found = d.marked != d.look.marked
        lost = any(t.lost for t in threads)     # then only the stop will do
        after = (d._replace(look=None),) + threads
        return after if lost or (found and "end-anyway" not in self.edits) else self.ended(after)

    def ended(self, s):
        d = s[0]
        if set(d.snapshot) - set(d.marked):
            raise Caught(f"objects {sorted(set(d.snapshot) - set(d.marked))} of the snapshot are not marked", s)
        lost = self.reach(d, s[1:]) - set(d.marked) - ({BORN} if d.born else set())
        if lost:
            raise Caught(f"objects {sorted(lost)} can be reached and are not marked", s)
        if self.again and d.cycle == 1:
            slots = tuple(k for k in range(4) if d.there or k != 3)
            return (d._replace(phase=RESTING, active=0, sweep=slots, log=()),) + s[1:]
        return (d._replace(phase=DONE, active=0, kills=0),) + tuple(t._replace(ops=0) for t in s[1:])

    def stop(self, s):
        d = s[0]
        if d.phase == RESTING and not d.sweep:
            return [self.snapshot_again(s)]
        if d.phase == MARKING and not d.look and any(t.lost for t in s[1:]):
            return super().stop(s)
        return []

    def snapshot_again(self, s):
        sure, unsure, lost, threads = self.collect(s)
        d = s[0]
        if lost and "late-full-ignored" not in self.edits:      # a whole collection, which begins anew
            return (d._replace(phase=DONE, kills=0),) + tuple(t._replace(ops=0) for t in threads)
        bit = list(d.bit)
        for unit, _ in sure + [e for e in unsure if not d.bit[e[0]]] if "late-dropped" not in self.edits else []:
            bit[unit] = 1
        d = d._replace(marked=(), grey=(), born=0, log=())
        d2 = super().started((d,) + threads)[0]
        return (d2._replace(bit=tuple(bit), active=1, cycle=2),) + tuple(t._replace(on=1) for t in threads)

    def copied(self, d, entry):
        d = super().copied(d, entry)
        return d._replace(log=()) if self.again else d


ANY = dict(ops=(1, 1), kills=1, buffered=False)
SMALL = dict(ops=(1, 1), weak=True)
HOT = dict(ops=(2, 1), hot=(0, 1), buffered=False)
CLOSED = dict(ops=(2, 1), hot=(0, 1), capacity=1, closed=True, buffered=False)
AGAIN = dict(ops=(1, 1), hot=(0, 2), kills=1, again=True, buffered=False)
LATE = dict(ops=(2, 1), hot=(0, 1), kills=1, capacity=1, again=True, buffered=False)
LONG = dict(ops=(2,), again=True, weak=True)
RIGHT = [
    Try("as specified, one is killed", (), ANY),
    Try("as specified, stores in any order", (), SMALL),
    Try("a ring of one entry", (), CLOSED),
    Try("and the next snapshot, one is killed", (), AGAIN),
    Try("and the next snapshot, stores in any order", (), LONG),
    Try("who logs never asks whether the barrier rests", ("rests-unasked",), dict(AGAIN, hot=(0,))),
]
WRONG = [
    Try("only what is pushed is looked at", ("pushed-only",), SMALL),
    Try("pushed is read before tentative", ("pushed-first",), HOT),
    Try("an entry that is written anew counts", ("unchecked",), CLOSED),
    Try("said to be taken back, then taken back", ("count-first",), CLOSED),
    Try("the look begins before all that is known is marked", ("look-early",), ANY),
    Try("what the look has found is not followed", ("end-anyway",), ANY),
    Try("the barrier is lowered before marking has ended", ("lowered-early",), ANY),
    Try("what was logged late is dropped", ("late-dropped",), dict(AGAIN, hot=(0,))),
    Try("a ring that was full when the barrier rested is ignored", ("late-full-ignored", "rests-unasked"), LATE),
]

if __name__ == "__main__":
    sys.exit(main("Exhaustive model of marking that ends while clients run; prints TAP.", Model, RIGHT, WRONG, whole=CLOSED))
