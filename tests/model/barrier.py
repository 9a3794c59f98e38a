# SPDX-License-Identifier: Apache-2.0
"""Barrier: clients that store references through the write barrier of shm/write_barrier.h, as agents of a model.

    Memory      as in stop_model.py: a client's plain store waits in its buffer, first in first out (x86) or in any order but
                that a release store waits for all before it (arm64). The atomic AND acts on memory at once, buffer drained.
                A model that is large without buffers may leave them out, and have them in a smaller try
    Kills       a client dies at any instruction; the stores it made become visible
    Stops       a step in which all that live are between two operations, nothing of theirs buffered: stop_model.py shows that
                it is so. A thread stops nowhere inside a barrier, so who is inside one when the world is stopped is dead
    Drains      the daemon copies an entry, then raises drained, while clients run

    slot, value     what is stored where; unit: what is logged of it, its line or its field; bit: the unit's byte or bit
    old             what the thread saw there
    ring            its entries (unit, old), of which pushed count, drained were read, tentative may count
    n               the thread's own view of pushed
    retracted, on   beside_model.py: how many it has taken back; whether it logs

A model derives from Barrier, has a first field d (a namedtuple with slot, bit, log, copying, kills and what else it needs) and
says what an operation may be, what a stop does and what must hold.
"""
from collections import namedtuple

from explorer import Explorer, reachable

ALIVE, DEAD, GONE = 0, 1, 2                     # GONE: its ring was looked at by the stop after its death

Thread = namedtuple("Thread", "pc slot value old buf ring pushed tentative lost drained n ops life reg retracted on")
NEW = Thread("idle", None, None, None, (), (), 0, 0, 0, 0, 0, 0, ALIVE, None, 0, 1)

EDITS = {
    # the client
    "clear-first", "store-first", "no-tentative", "push-first", "no-retract", "no-again", "old-last", "plain-clear",
    "push-plain", "clear-plain", "and-relaxed", "old-plain", "full-silent", "full-clears-first", "stop-inside",
    # the daemon
    "raise-first", "dead-not-tentative", "dead-dropped", "dead-always", "dead-first", "rearm-running", "rearm-never",
    "rearm-at-drain", "full-ignored", "full-rearms-logged", "promoted-unarmed", "active-running", "final-undrained",
    "snapshot-unarmed", "one-object",
    # where nobody is stopped
    "rests-unasked", "count-first", "pushed-only", "pushed-first", "unchecked", "look-early", "end-anyway", "lowered-early",
    "late-dropped", "late-full-ignored",
}


def client_of_lines(edits):
    """The client's side where lines are logged, as {label: instruction}. Read it beside client/write_barrier.c."""
    p = {"idle": ("idle",)}
    p["bit"] = ("load_bit", "entry", "store")
    p["entry"] = ("entry", "push", "full")
    p["push"] = ("push", "clear")
    p["full"] = ("lost", "clear")
    p["clear"] = ("clear", "store")
    p["store"] = ("store", "idle")
    if "full-silent" in edits:
        p["entry"] = ("entry", "push", "clear")
    if "full-clears-first" in edits:
        p["entry"] = ("entry", "push", "full.clear")
        p["full.clear"] = ("clear", "full")
        p["full"] = ("lost", "store")
    if "clear-first" in edits:                                  # mark it logged, then log it
        p["bit"] = ("load_bit", "clear", "store")
        p["clear"] = ("clear", "entry")
        p["push"], p["full"] = ("push", "store"), ("lost", "store")
    if "store-first" in edits:                                  # store, then log
        p["bit"] = ("load_bit", "stored", "store")
        p["stored"] = ("store", "entry")
        p["clear"] = ("clear", "idle")
    return reachable(p, "bit") | {"idle": p["idle"]}


def client_of_fields(edits):
    """The same where fields are logged, with their old values."""
    p = {"idle": ("idle",)}
    p["bit"] = ("load_bit", "old", "store")
    p["old"] = ("load_old", "entry" if "no-again" in edits else "again")
    p["again"] = ("load_bit", "entry", "store")                 # still set: nobody has stored, so old is exact
    p["entry"] = ("entry", "tentative", "full")
    p["tentative"] = ("tentative", "and")
    p["and"] = ("and", "push", "store" if "no-retract" in edits else "retract")
    p["push"] = ("push", "store")
    p["retract"] = ("retract", "store")
    p["full"] = ("lost", "full.and")
    p["full.and"] = ("and", "store", "store")
    p["store"] = ("store", "idle")
    if "full-silent" in edits:
        p["full"] = ("and", "store", "store")
    if "full-clears-first" in edits:
        p["full"], p["full.and"] = ("and", "full.and", "store"), ("lost", "store")
    if "clear-first" in edits:                                  # mark it logged, then log it
        p["bit"] = ("load_bit", "old", "store")
        p["old"] = ("load_old", "and")
        p["and"] = ("and", "entry", "store")
        p["entry"] = ("entry", "push", "full")
    if "store-first" in edits:                                  # store, then log
        p["bit"] = ("load_bit", "old", "store")
        p["old"] = ("load_old", "stored")
        p["stored"] = ("store", "entry")
        p["and"] = ("and", "push", "retract")
        p["push"], p["retract"] = ("push", "idle"), ("retract", "idle")
        p["full.and"] = ("and", "idle", "idle")
    if "no-tentative" in edits:
        p["entry"] = ("entry", "and", "full")
        p["and"] = ("and", "push", "store")
    if "push-first" in edits:                                   # confirm, whoever clears the bit
        p["entry"] = ("entry", "push", "full")
        p["push"] = ("push", "and")
        p["and"] = ("and", "store", "store")
    if "old-last" in edits:                                     # look at the old value once the bit is ours
        p["bit"] = ("load_bit", "entry", "store")
        p["and"] = ("and", "late", "retract")
        p["late"] = ("load_old", "late.entry")
        p["late.entry"] = ("entry", "push", "push")
    if "plain-clear" in edits:
        p["and"] = ("clear", "push")
        p["full.and"] = ("clear", "store")
    if "and-relaxed" in edits:                                  # the AND may be done before the loads that precede it
        p["bit"] = ("load_bit", "old", "store", "early.and")
        p["early.and"] = ("and", "early.old", "retract")
        p["early.old"] = ("load_old", "early.entry")
        p["early.entry"] = ("entry", "early.tentative", "early.entry")
        p["early.tentative"] = ("tentative", "push")
    if "old-plain" in edits:                                    # the bit may be looked at again before the old value is
        p["old"] = ("load_old", "again", "again.early")
        p["again.early"] = ("load_bit", "old.late", "store")
        p["old.late"] = ("load_old", "entry")
    return reachable(p, "bit") | {"idle": p["idle"]}


class Barrier(Explorer):
    fields = False                              # whether old values are wanted: SHM_BARRIER_FIELDS

    def __init__(self, edits, units, ops, capacity, weak, buffered=True):
        self.edits = frozenset(edits)
        assert self.edits <= EDITS, self.edits - EDITS
        self.program = client_of_fields(self.edits) if self.fields else client_of_lines(self.edits)
        self.units = units                      # of each slot
        self.capacity, self.weak, self.buffered = capacity, weak, buffered
        self.threads = tuple(NEW._replace(ops=n, ring=(None,) * capacity) for n in ops)

    # -- what a model says ------------------------------------------------------------------------------------------
    def begin(self, d, threads, i):
        """What thread @i may do next: pairs of d and the thread."""
        raise NotImplementedError

    def stop(self, s):
        """What the daemon does while the world is stopped: the states after it."""
        raise NotImplementedError

    def daemon_steps(self, s):
        """What the daemon does while clients run, drains aside."""
        return []

    def drained_entry(self, d, entry):
        """What a drain does with an entry, beside keeping it."""
        return d

    def check(self, s):
        pass

    def finished(self, s):
        return True                             # nobody waits for anybody here

    # -- steps ------------------------------------------------------------------------------------------------------
    def successors(self, s):
        progress, rescue = [], []
        d, threads = s[0], s[1:]
        for i, t in enumerate(threads):
            if t.life == ALIVE:
                for d2, t2 in self.thread_steps(d, threads, i):
                    progress.append((d2,) + threads[:i] + (t2,) + threads[i + 1:])
                if d.kills and not t.pc.startswith("early") and (t.pc != "idle" or t.ring != (None,) * self.capacity):
                    d2, t2 = self.killed(d, t)
                    rescue.append((d2._replace(kills=d.kills - 1),) + threads[:i] + (t2,) + threads[i + 1:])
        progress += self.drain_steps(s)
        progress += self.daemon_steps(s)
        if d.copying is None and all(t.life or self.outside(t) for t in threads):
            rescue += self.stop(s)              # a stop need not come before clients end
        return progress, rescue

    def outside(self, t):
        """Whether a stop finds thread @t as it is."""
        return not t.buf and (t.pc == "idle" or ("stop-inside" in self.edits and t.pc == "store"))

    def thread_steps(self, d, threads, i):
        t = threads[i]
        steps = []
        for k, item in enumerate(t.buf):
            if k and (not self.weak or item[3] or any(b[:2] == item[:2] for b in t.buf[:k])):
                continue
            steps.append(self.visible(d, t._replace(buf=t.buf[:k] + t.buf[k + 1:]), item))
        op = self.program[t.pc]
        kind = op[0]

        def put(var, index, what, label, release=True, **change):
            item, t2 = (var, index, what, release), t._replace(pc=label, **change)
            steps.append((d, t2._replace(buf=t.buf + (item,))) if self.buffered else self.visible(d, t2, item))
        if kind == "idle":
            if t.ops:
                steps += self.begin(d, threads, i)
        elif kind == "load_bit":
            unit = self.units[t.slot]
            bit = self.seen_by(t, "bit", unit, d.bit[unit])
            steps += [(d, t._replace(pc=label)) for label in (op[1:2] + op[3:] if bit else op[2:3])]
        elif kind == "load_old":
            if len(op) > 2:
                steps.append((d, t._replace(pc=op[2])))
            steps.append((d, t._replace(pc=op[1], old=self.seen_by(t, "slot", t.slot, d.slot[t.slot]))))
        elif kind == "entry":
            if t.n - t.drained >= self.capacity and "late" not in t.pc:
                steps.append((d, t._replace(pc=op[2], old=None)))
            else:
                put("entry", t.n % self.capacity, (self.units[t.slot], t.old), op[1], release=False, old=None)
        elif kind == "tentative":
            put("tentative", 0, t.n + 1, op[1])
        elif kind == "retract":
            put("tentative", 0, t.n, op[1])
        elif kind == "push":
            put("pushed", 0, t.n + 1, op[1], release="push-plain" not in self.edits, n=t.n + 1)
        elif kind == "lost":
            put("lost", 0, 1, op[1])
        elif kind == "clear":
            put("bit", self.units[t.slot], 0, op[1], release="clear-plain" not in self.edits)
        elif kind == "store":
            again = {} if op[1] != "idle" else dict(slot=None, value=None)
            put("slot", t.slot, t.value, op[1], **again)
        elif kind == "and" and (not t.buf or "and-relaxed" in self.edits):
            unit = self.units[t.slot]
            steps.append((d._replace(bit=put_at(d.bit, unit, 0)), t._replace(pc=op[1 if d.bit[unit] else 2])))
        return steps

    def seen_by(self, t, var, index, value):
        """What thread @t reads where memory holds @value: its own buffered store, if there is one."""
        for item in t.buf:
            if item[:2] == (var, index):
                value = item[2]
        return value

    def visible(self, d, t, item):
        var, index, value, _ = item
        if var in ("slot", "bit"):
            return d._replace(**{var: put_at(getattr(d, var), index, value)}), t
        if var == "entry":
            return d, t._replace(ring=put_at(t.ring, index, value))
        return d, t._replace(**{var: value})

    def killed(self, d, t):
        for item in t.buf:
            d, t = self.visible(d, t, item)
        t = t._replace(pc="dead", slot=None, value=None, old=None, buf=(), ops=0, life=DEAD, reg=None)
        return d, t._replace(pushed=t.drained, tentative=0) if "dead-dropped" in self.edits else t

    def drain_steps(self, s):
        """The daemon's two steps for an entry: copy it, raise drained."""
        d, threads = s[0], s[1:]
        early = "raise-first" in self.edits
        if d.copying is not None:
            i = d.copying
            t = threads[i]
            if early:
                return [(self.copied(d, t.ring[(t.drained - 1) % self.capacity])._replace(copying=None),) + threads]
            return [(d._replace(copying=None),) + put_at(threads, i, t._replace(drained=t.drained + 1))]
        steps = []
        for i, t in enumerate(threads):
            if t.life == GONE or t.drained >= t.pushed:
                continue
            if early:
                steps.append((d._replace(copying=i),) + put_at(threads, i, t._replace(drained=t.drained + 1)))
            else:
                steps.append((self.copied(d, t.ring[t.drained % self.capacity])._replace(copying=i),) + threads)
        return steps

    def copied(self, d, entry):
        if entry is None:
            return d                            # a slot never written: what a real ring holds there is anything
        if "rearm-at-drain" in self.edits:
            d = d._replace(bit=put_at(d.bit, entry[0], 1))
        return self.drained_entry(d, entry)._replace(log=tuple(sorted(d.log + (entry,), key=repr)))

    def collect(self, s):
        """Drains all rings at a stop: (entries that count whatever the bits say, those that count if their bit is clear then,
        whether something was lost, the threads afterwards)."""
        sure, unsure, lost, threads = list(s[0].log), [], False, []
        for t in s[1:]:
            if "final-undrained" not in self.edits:
                sure += [t.ring[k % self.capacity] for k in range(t.drained, t.pushed)]
            if t.life == DEAD and t.tentative == t.pushed + 1 and "dead-not-tentative" not in self.edits:
                unsure.append(t.ring[t.pushed % self.capacity])
            lost |= bool(t.lost)
            threads.append(self.rebased(t))
        return [e for e in sure if e], [e for e in unsure if e], lost, tuple(threads)

    def rebased(self, t):
        """Thread @t with an empty ring, and small numbers, so that equal states are equal."""
        if t.life:
            return NEW._replace(pc="dead", ring=(None,) * self.capacity, life=GONE)
        at = t.n % self.capacity
        left = t.tentative == t.pushed + 1
        ring = tuple(e if left and k == at else None for k, e in enumerate(t.ring))
        return t._replace(ring=ring, pushed=at, tentative=at + left, drained=at, n=at, lost=0)


def put_at(row, index, value):
    return row[:index] + (value,) + row[index + 1:]
