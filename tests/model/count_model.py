#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every interleaving of SHM_BARRIER_FIELDS as a reference-counting plan uses it: the counts are exact after each epoch.

At each stop the daemon takes the entries that count: what stood in the field when its bit was set loses a reference, what stands
there now gains one, the bit is set. However often a field was stored to, its first old value and its last new one are all that
matters; so each field that changed must have exactly one entry with exactly the old value. barrier.py has the client.

    count   of each object: references to it from slots, as the daemon believes
    then    slots as they were when the bits were set
    Dead    tentative entries come after all others, in any order: a bit that is still clear then has no entry yet
    Holds   counts are true after a stop; an entry that counts has the old value exactly
"""
import sys
from collections import namedtuple
from itertools import permutations

from barrier import Barrier, put_at
from explorer import Caught, Try, main

Daemon = namedtuple("Daemon", "slot bit count then log copying stops kills later")


class Model(Barrier):
    fields = True

    def __init__(self, edits=(), ops=(2, 1), capacity=2, weak=False, stops=2, kills=0, slots=1):
        super().__init__(edits, tuple(range(slots)), ops, capacity, weak)
        self.objects = len(ops) + 1             # 0, which all slots refer to, and one that each thread stores
        slot, count = (0,) * slots, (slots,) + (0,) * len(ops)
        self.first = (Daemon(slot, (1,) * slots, count, slot, (), None, stops, kills, ()),) + self.threads

    def begin(self, d, threads, i):
        t = threads[i]
        return [(d, t._replace(pc="bit", slot=k, value=i + 1, ops=t.ops - 1)) for k in range(len(d.slot))]

    def stop(self, s):
        d = s[0]
        if not d.stops or d.later:
            return []
        sure, unsure, lost, threads = self.collect(s)
        return [(self.collected(s, d, sure, order, lost),) + threads for order in permutations(unsure)]

    def collected(self, s, d, sure, unsure, lost):
        """@d after the entries are counted: those that are sure, then @unsure in this order."""
        self.s, self.bit, self.count = s, list(d.bit), list(d.count)
        for late in (True, False) if "dead-first" in self.edits else (False, True):
            for unit, old in unsure if late else sure:
                if not (late and self.bit[unit]) or "dead-always" in self.edits:
                    self.counted(d, unit, old)
        true = [d.slot.count(o) for o in range(self.objects)]
        if lost and "full-ignored" not in self.edits:
            self.count, self.bit = true, [1] * len(d.slot)
        if self.count != true:
            raise Caught(f"the counts are {self.count} and should be {true}", s)
        later = tuple(k for k, b in enumerate(self.bit) if b and not d.bit[k]) if "rearm-running" in self.edits else ()
        bit = d.bit if later or "rearm-never" in self.edits else tuple(self.bit)
        return d._replace(bit=bit, count=tuple(self.count), then=d.slot, log=(), stops=d.stops - 1, later=later)

    def counted(self, d, unit, old):
        if old != d.then[unit]:
            raise Caught(f"an entry counts that says {old} where {d.then[unit]} stood", self.s)
        self.count[old] -= 1
        self.count[d.slot[unit]] += 1
        self.bit[unit] = 1

    def daemon_steps(self, s):
        d = s[0]
        if not d.later:
            return []
        return [(d._replace(bit=put_at(d.bit, d.later[0], 1), later=d.later[1:]),) + s[1:]]


ANY = dict(kills=1)
FULL = dict(capacity=1, kills=1, slots=2)
DEAD = dict(kills=2)                            # both
TRIO = dict(ops=(1, 1, 1), kills=2, stops=1)
NONE = {}

RIGHT = [
    Try("as specified, stores in order", (), DEAD),
    Try("as specified, stores in any order", (), dict(DEAD, weak=True)),
    Try("three writers, two are killed", (), TRIO),
    Try("a ring of one entry", (), FULL),
]
WRONG = [
    Try("bit cleared before the entry is pushed", ("clear-first",), ANY),
    Try("field stored before it is logged", ("store-first",), NONE),
    Try("entry confirmed before the bit is cleared", ("push-first",), NONE),
    Try("bit cleared by a plain store", ("plain-clear",), NONE),
    Try("old value read after the bit is cleared", ("old-last",), ANY),
    Try("no look at the bit after the old value is read", ("no-again",), TRIO),
    Try("second look at the bit may overtake the old value, weak order", ("old-plain",), dict(TRIO, weak=True)),
    Try("the AND is no release, weak order", ("and-relaxed",), dict(weak=True)),
    Try("loser leaves its tentative entry", ("no-retract",), DEAD),
    Try("no tentative entry", ("no-tentative",), ANY),
    Try("a dead client's tentative entry is ignored", ("dead-not-tentative",), ANY),
    Try("a dead client's tentative entry counts whatever its bit says", ("dead-always",), ANY),
    Try("a dead client's tentative entry counts before the confirmed ones", ("dead-first",), ANY),
    Try("a dead client's ring is dropped", ("dead-dropped",), ANY),
    Try("full ring says nothing", ("full-silent",), FULL),
    Try("full ring clears the bit, then says so", ("full-clears-first",), FULL),
    Try("full ring is ignored", ("full-ignored",), FULL),
    Try("drained is raised before the entry is copied", ("raise-first",), FULL),
    Try("rings are not drained at the stop", ("final-undrained",), NONE),
    Try("a client stops between its barrier and its store", ("stop-inside",), NONE),
    Try("bits are set again at the drain", ("rearm-at-drain",), NONE),
    Try("bits are set again once clients run", ("rearm-running",), NONE),
    Try("bits are never set again", ("rearm-never",), NONE),
]

if __name__ == "__main__":
    sys.exit(main("Exhaustive model of the field log of reference-counting plans; prints TAP.", Model, RIGHT, WRONG, whole=FULL))
