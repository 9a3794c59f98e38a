#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every interleaving of taking, upgrading, waiting for and giving back leases of one object, with clients that are killed.

The order that stands at the top of shm/lease.h must come through unharmed; every shortcut that looks harmless must be caught.

    Agents      two or three client threads, each a session of its own, and the daemon's loop
    Memory      each access to the table is one atomic step: all that change it are sequentially consistent, as are the loads after them
    Kills       a session dies at any instruction; the daemon learns of it and clears its entries
    Timeouts    there are none, unless a try says `slices`: a state that only a timeout could leave is a lost wake
    Stops       the daemon looks for phantoms only while nobody is IN: who takes or upgrades is IN, who gives back need not be

    places      of the object's bucket: (i, t.slot, slot, state) or None    bit      the bucket's waiters
    waiting     who is registered with the daemon, mail: who will be  look     the daemon's search for phantoms: (step, place, entry)
    news        its lease_go was raised since it read it last         place    its entry's, as it remembers it
    reg         it has asked to be registered
    row         NONE, ROW (a pin of either kind), REVOKED, ENDING     held     None, SHARED, EXCLUSIVE: what it believes it has
"""
import sys
from collections import namedtuple

from explorer import Caught, Explorer, Try, main, reachable

SHARED_TRY, EXCLUSIVE_TRY, SHARED, EXCLUSIVE, UPGRADE_TRY, UPGRADING = "s", "x", "S", "X", "u", "U"
TENTATIVE = (SHARED_TRY, EXCLUSIVE_TRY)
NONE, ROW, REVOKED, ENDING = 0, 1, 2, 3
ALIVE, DEAD, GONE = 0, 1, 2

EDITS = {
    "no-tentative", "no-scan", "higher-wins", "both-withdraw", "ignore-tentative", "look-then-held", "withdraw-silent",
    "release-silent", "bit-unset", "register-silent", "row-after-entry", "row-ends-first", "plain-store", "again-unread",
    "slot-again", "upgrade-unseen", "both-upgrade", "death-leaves", "phantom-unstopped", "revert-silent", "downgrade-silent",
    "revoke-unseen", "first-anywhere", "first-unseen",
}
Thread = namedtuple("Thread", "pc want place row held news sleep reg life tries ups slot")
Daemon = namedtuple("Daemon", "places bit waiting mail kills revokes look wake revoked ever")


def conflicts(mine, other):
    """'' none, 'held' it stands in the way, 'try' it may come to."""
    if mine in (SHARED_TRY, SHARED):
        return {EXCLUSIVE: "held", UPGRADING: "held", UPGRADE_TRY: "held", EXCLUSIVE_TRY: "try"}.get(other, "")
    if mine == EXCLUSIVE_TRY:
        return "try" if other in TENTATIVE else "held"
    if mine == UPGRADE_TRY:
        return {UPGRADING: "held", UPGRADE_TRY: "try"}.get(other, "")
    return "" if other in (EXCLUSIVE_TRY, EXCLUSIVE) else "held"    # UPGRADING, to become EXCLUSIVE: all who share must be gone


class Model(Explorer):
    def __init__(self, edits=(), wants=(EXCLUSIVE, EXCLUSIVE), waits=(True, True), ups=None, kills=0, revokes=0, phantoms=0,
                 slices=False, tries=1, places=None, one_wins=False, anywhere=False, keeps=()):
        self.edits = frozenset(edits)
        assert self.edits <= EDITS, self.edits - EDITS
        self.slices, self.phantoms, self.one_wins = slices, phantoms, one_wins
        self.waits = waits + (True,) * (len(wants) - len(waits))
        self.anywhere, self.keeps = anywhere, keeps
        self.program = {}
        ups = ups or (0,) * len(wants)          # 1: upgrades once it shares; -1: downgrades
        threads = tuple(Thread("out", want, None, NONE, None, 0, 0, 0, ALIVE, tries, up, 0) for want, up in zip(wants, ups))
        self.first = (Daemon((None,) * (places or len(wants)), 0, (), (), kills, revokes, None, 0, None, 0),) + threads
        self.program = {name: ("step",) for name in
                        ("out", "row", "look", "claim", "first", "first.try", "scan", "held", "check", "withdraw", "withdrawn", "busy", "register", "again",
                         "hold", "remove", "removed", "free")}
        if any(ups):
            for name in ("up", "up.scan", "up.settle", "up.look", "up.done", "up.tag", "up.busy", "up.register", "up.again", "up.revert",
                         "up.reverted"):
                self.program[name] = ("step",)
        self.seen = {}

    # -- properties -----------------------------------------------------------------------------------------------
    def check(self, s):
        d, threads = s[0], s[1:]
        have = [t for t in threads if t.life == ALIVE and t.held and t.row == ROW]
        if any(t.held == EXCLUSIVE for t in have) and len(have) > 1:
            raise Caught("two hold what one has for itself", s)
        for i, t in enumerate(threads):
            entries = sum(bool(p) and p[0] == i for p in d.places)
            if t.life == ALIVE and entries and t.row == NONE:
                raise Caught("an entry stands whose object is no longer pinned", s)
            if t.life == ALIVE and not entries and t.held and t.row == ROW:
                raise Caught("a lease is held without an entry", s)

    def finished(self, s):
        d, threads = s[0], s[1:]
        kept = [i for i, t in enumerate(threads) if i in self.keeps and t.life == ALIVE and t.pc == "hold" and not t.ups]
        for_itself = any(threads[i].held == EXCLUSIVE and threads[i].row == ROW for i in kept)    # then the others may sleep
        if d.wake or d.look or not all(t.life == GONE or (t.pc == "out" and not t.tries) or i in kept or (for_itself and t.sleep)
                                       for i, t in enumerate(threads)):
            return False
        if any(p and (p[0] not in kept or threads[p[0]].row != ROW) for p in d.places):
            raise Caught("all are done, and an entry is left", s)
        if self.one_wins and not d.ever:
            raise Caught("nobody got what was free", s)
        return True

    def stuck(self, s):
        return "lost wake: asleep for ever: " + ", ".join(f"{i} at {t.pc}" for i, t in enumerate(s[1:]) if t.sleep)

    # -- steps ----------------------------------------------------------------------------------------------------
    def successors(self, s):
        progress, rescue = [], []
        d, threads = s[0], s[1:]
        for i, t in enumerate(threads):
            if t.life == ALIVE and not (d.look and "phantom-unstopped" not in self.edits and t.pc in self.creating(t)):
                progress += [self.put(s, i, d2, t2) for d2, t2 in self.step(d, threads, i, t)]
            if t.life == ALIVE and t.sleep and self.slices:
                rescue.append(self.put(s, i, d, t._replace(sleep=0)))
            if t.life == ALIVE and d.kills and (t.pc != "out" or t.tries):
                rescue.append(self.put(s, i, d._replace(kills=d.kills - 1), t._replace(life=DEAD, sleep=0)))
            if t.life == DEAD:
                progress.append(self.buried(s, i))
        progress += self.daemon(s) + self.revoked(s) + (self.search(s) if d.look else [])
        rescue += self.revoke(s) + (self.search(s) if not d.look else [])
        return progress, rescue

    @staticmethod
    def put(s, i, d, t):
        return (d,) + s[1:1 + i] + (t,) + s[2 + i:]

    @staticmethod
    def creating(t):
        """Where a thread is IN and about to make an entry or to change its own: not while the world is stopped."""
        return ("row", "look", "claim", "first", "first.try", "scan", "held", "check", "up", "up.scan", "up.settle", "up.look", "up.done", "up.tag")

    @staticmethod
    def with_place(d, at, entry):
        return d._replace(places=d.places[:at] + (entry,) + d.places[at + 1:])

    def removed(self, d, i, t, state):
        """Own entry, if it is still there."""
        mine = t.place is not None and d.places[t.place] == (i, t.slot, state)
        return self.with_place(d, t.place, None) if mine else d

    def step(self, d, threads, i, t):
        go = t._replace
        mine = SHARED_TRY if t.want == SHARED else EXCLUSIVE_TRY
        others = [(k, p[2]) for k, p in enumerate(d.places) if p and k != t.place]
        if t.sleep:
            return [(d, go(sleep=0))] if t.news else []
        if t.pc == "out":
            return [(d, go(pc="look" if "row-after-entry" in self.edits else "row", tries=t.tries - 1))] if t.tries else []
        if t.pc == "row":
            return [(d, go(pc="look", row=ROW))]
        if t.pc == "look":                              # what stands there, and a free place, by loads alone
            if any(conflicts(mine, other) == "held" for _, other in others):
                return [(d, go(pc="busy"))]
            free = [k for k, p in enumerate(d.places) if p is None]
            if not free:
                return [(d, go(pc="busy"))]
            return [(d, go(pc="claim", place=k)) for k in (free if self.anywhere else free[:1])]
        if t.pc == "claim":
            if d.places[t.place] is not None:
                return [(d, go(pc="look", place=None))]
            if "no-tentative" in self.edits or "look-then-held" in self.edits:
                return [(self.with_place(d, t.place, (i, t.slot, t.want)), go(pc="check"))]
            steps = [(self.with_place(d, t.place, (i, t.slot, mine)), go(pc="held" if "no-scan" in self.edits else "scan"))]
            if t.place == 0 or "first-anywhere" in self.edits:  # nothing is lower: it need not try
                after = "check" if "first-unseen" in self.edits else "first"
                steps.append((self.with_place(d, t.place, (i, t.slot, t.want)), go(pc=after)))
            return steps
        if t.pc == "first":
            return [(d, go(pc="first.try" if others else "check"))]
        if t.pc == "first.try":                         # somebody came, or was there: now it does
            if d.places[t.place] != (i, t.slot, t.want):
                return [(d, go(pc="busy", place=None))]         # the daemon took it away
            return [(self.with_place(d, t.place, (i, t.slot, mine)), go(pc="scan"))]
        if t.pc == "scan":
            seen = [(k, conflicts(mine, other)) for k, other in others]
            if any(c == "held" for _, c in seen):
                return [(d, go(pc="withdraw"))]
            lower = [k for k, c in seen if c == "try" and (k < t.place) != ("higher-wins" in self.edits)]
            higher = [k for k, c in seen if c == "try" and (k > t.place) != ("higher-wins" in self.edits)]
            if "ignore-tentative" in self.edits:
                lower = higher = []
            if lower or (higher and "both-withdraw" in self.edits):
                return [(d, go(pc="withdraw"))]
            return [] if higher else [(d, go(pc="held"))]       # spins: the other one goes on
        if t.pc == "held":
            if d.places[t.place] != (i, t.slot, mine) and "plain-store" not in self.edits:
                return [(d, go(pc="busy", place=None))]         # the daemon took it away
            return [(self.with_place(d, t.place, (i, t.slot, t.want)), go(pc="check"))]
        if t.pc == "check":                             # revoked in the meantime?
            if "row-after-entry" in self.edits and t.row == NONE:
                return [(d, go(row=ROW))]
            if t.row == REVOKED and "revoke-unseen" not in self.edits:
                return [(d, go(pc="remove"))]
            return [(d._replace(ever=1), go(pc="hold", held=t.want))]
        if t.pc == "withdraw":
            after = "busy" if "withdraw-silent" in self.edits else "withdrawn"
            return [(self.removed(d, i, t, mine), go(pc=after, place=None))]
        if t.pc == "withdrawn":
            return [(self.told(d), go(pc="busy"))]
        if t.pc == "busy":                              # a try ends here; who waits registers, then looks again
            if not self.waits[i] or t.row == REVOKED:
                return [(d, go(pc="free"))]
            return [(d, self.asleep(t, "again") if t.reg else go(pc="register"))]
        if t.pc == "register":
            return [self.registered(d, i, t._replace(pc="again"))]
        if t.pc == "again":
            return [(d, go(pc="look", news=0))]
        if t.pc == "hold":
            return self.hold(d, i, t)
        if t.pc == "remove":
            after = "free" if "release-silent" in self.edits else "removed"
            return [(self.removed(d, i, t, t.want), go(pc=after))]
        if t.pc == "removed":
            return [(self.told(d), go(pc="free", place=None))]
        if t.pc == "free":
            d2 = self.waits_no_more(d, i)
            slot = t.slot + (t.row == REVOKED and "slot-again" not in self.edits)
            return [(d2, go(pc="out", row=NONE, place=None, held=None, reg=0, slot=slot))]
        return self.upgrade(d, i, t, others)

    def hold(self, d, i, t):
        go, steps = t._replace, []
        if t.ups > 0 and t.row == ROW:
            return [(d, go(pc="up", ups=0))]
        if t.ups < 0 and t.row == ROW and d.places[t.place] == (i, t.slot, EXCLUSIVE):
            d2 = self.with_place(d, t.place, (i, t.slot, SHARED))
            steps.append((d2 if "downgrade-silent" in self.edits else self.told(d2), go(held=SHARED, want=SHARED, ups=0)))
        if i in self.keeps:
            return steps
        row = NONE if "row-ends-first" in self.edits else REVOKED if t.row == REVOKED else ENDING
        return steps + [(d, go(pc="remove", row=row, held=None))]

    def upgrade(self, d, i, t, others):
        go = t._replace
        gone = [(d, go(pc="hold", held=t.held))]
        if t.pc == "up":
            if d.places[t.place] != (i, t.slot, SHARED):      # revoked
                return gone
            state = UPGRADING if "both-upgrade" in self.edits else UPGRADE_TRY
            return [(self.with_place(d, t.place, (i, t.slot, state)), go(pc="up.look" if state == UPGRADING else "up.scan", want=state))]
        if t.pc == "up.scan":
            seen = [(k, conflicts(UPGRADE_TRY, other)) for k, other in others]
            if any(c == "held" for _, c in seen) or any(c == "try" and k < t.place for k, c in seen):
                return [(d, go(pc="up.revert"))]        # MMGC_E_DEADLOCK: somebody else upgrades
            return [] if any(c for _, c in seen) else [(d, go(pc="up.settle"))]
        if t.pc == "up.settle":
            if d.places[t.place] != (i, t.slot, UPGRADE_TRY):
                return gone
            return [(self.with_place(d, t.place, (i, t.slot, UPGRADING)), go(pc="up.look", want=UPGRADING))]
        if t.pc == "up.look":
            if any(conflicts(UPGRADING, other) for _, other in others) and "upgrade-unseen" not in self.edits:
                return [(d, go(pc="up.busy" if self.waits[i] else "up.revert"))]
            return [(d, go(pc="up.done"))]
        if t.pc == "up.done":
            if d.places[t.place] != (i, t.slot, UPGRADING):
                return gone
            return [(self.waits_no_more(self.with_place(d, t.place, (i, t.slot, EXCLUSIVE)), i), go(pc="up.tag", want=EXCLUSIVE, reg=0))]
        if t.pc == "up.tag":
            return [(d, go(pc="hold", held=EXCLUSIVE if t.row == ROW else t.held))]
        if t.pc == "up.busy":
            return [(d, self.asleep(t, "up.again") if t.reg else go(pc="up.register"))]
        if t.pc == "up.register":
            return [self.registered(d, i, t._replace(pc="up.again"))]
        if t.pc == "up.again":
            return [(d, go(pc="up.look", news=0))]
        if t.pc == "up.revert":
            if d.places[t.place] != (i, t.slot, t.want):
                return gone
            after = "hold" if "revert-silent" in self.edits else "up.reverted"
            return [(self.waits_no_more(self.with_place(d, t.place, (i, t.slot, SHARED)), i), go(pc=after, want=SHARED, reg=0))]
        return [(self.told(d), go(pc="hold"))]          # up.reverted

    def registered(self, d, i, t):
        """LeaseWait is on its way to the daemon."""
        return d._replace(mail=tuple(sorted(set(d.mail) | {i}))), t._replace(reg=1)

    def asleep(self, t, back):
        return t._replace(pc=back, sleep=1, news=0 if "again-unread" in self.edits else t.news)

    def told(self, d):
        """LeaseReleased, if the bit says that somebody waits: it is on its way to the daemon."""
        return d._replace(wake=1) if d.bit else d

    def daemon(self, s):
        d, threads = s[0], s[1:]
        steps = [self.woken((d._replace(wake=0),) + threads)] if d.wake else []
        for i in d.mail:
            d2 = d._replace(mail=tuple(k for k in d.mail if k != i), waiting=tuple(sorted(set(d.waiting) | {i})),
                            bit=int("bit-unset" not in self.edits))
            t = threads[i] if "register-silent" in self.edits else threads[i]._replace(news=1)
            steps.append(self.put(s, i, d2, t))
        return steps

    @staticmethod
    def woken(s):
        d = s[0]
        return (d,) + tuple(t._replace(news=1) if i in d.waiting and t.life == ALIVE else t for i, t in enumerate(s[1:]))

    @staticmethod
    def waits_no_more(d, i):
        waiting = tuple(k for k in d.waiting if k != i)
        return d._replace(waiting=waiting, mail=tuple(k for k in d.mail if k != i), bit=d.bit if waiting else 0)

    def buried(self, s, i):
        d = s[0]
        if "death-leaves" not in self.edits:
            d = d._replace(places=tuple(None if p and p[0] == i else p for p in d.places))
        d = self.waits_no_more(d, i)._replace(revoked=None if d.revoked and d.revoked[0] == i else d.revoked)
        s = self.put(s, i, d, s[1 + i]._replace(life=GONE, row=NONE, place=None, held=None, pc="out", sleep=0))
        return self.woken(s) if "death-leaves" not in self.edits else s

    def revoke(self, s):
        """The row first, then its entry; two steps of the daemon's one loop."""
        d, steps = s[0], []
        for i, t in enumerate(s[1:]):
            if d.revokes and t.life == ALIVE and t.row == ROW and not d.revoked:
                steps.append(self.put(s, i, d._replace(revokes=d.revokes - 1, revoked=(i, t.slot)), t._replace(row=REVOKED)))
        return steps

    def revoked(self, s):
        d = s[0]
        places = tuple(None if p and p[:2] == d.revoked else p for p in d.places)
        return [self.woken((d._replace(places=places, revoked=None),) + s[1:])] if d.revoked else []

    def search(self, s):
        """An entry, then its row, then the entry away if it is still that one."""
        d, threads = s[0], s[1:]
        if not self.phantoms:
            return []
        if d.look is None:
            stopped = all(t.life != ALIVE or t.pc not in self.creating(t) for t in threads)
            if not stopped and "phantom-unstopped" not in self.edits:
                return []
            return [(d._replace(look=(0, k, p)),) + threads for k, p in enumerate(d.places)
                    if p and threads[p[0]].life == ALIVE]
        step, k, entry = d.look
        if step == 0:
            there = threads[entry[0]].row in (ROW, ENDING, REVOKED)
            return [(d._replace(look=None if there else (1, k, entry)),) + threads]
        d2 = self.with_place(d, k, None) if d.places[k] == entry else d
        return [(d2._replace(look=None),) + threads]


X, S = EXCLUSIVE, SHARED
PAIR = dict(wants=(X, X), kills=1, anywhere=True)
FREE = dict(wants=(X, X), waits=(False, False), one_wins=True, anywhere=True)
MIXED = dict(wants=(S, X), kills=1, anywhere=True)
THREE = dict(wants=(X, X, X), waits=(True, False, False))
SHARERS = dict(wants=(S, S, X), waits=(False, False, True))
UP = dict(wants=(S, S), ups=(1, 1), kills=1)
UP_LONE = dict(wants=(S, X), ups=(1, 0), kills=1)
DOWN = dict(wants=(X, S), ups=(-1, 0), keeps=(0,))
VAIN = dict(wants=(S, S, S), ups=(1, 0, 0), waits=(False, True, True), keeps=(0,))
REVOKE = dict(wants=(X, X), revokes=1)
REVOKE_SHARED = dict(wants=(S, X), waits=(True, False), revokes=1, tries=2)
REVOKE_UP = dict(wants=(S, S), ups=(1, 0), revokes=1)
PHANTOM = dict(wants=(X, X), tries=2, phantoms=1)

RIGHT = [
    Try("two that want it for themselves, one is killed", (), PAIR),
    Try("of two that try at once one gets what is free", (), FREE),
    Try("one that shares, one that does not, one is killed", (), MIXED),
    Try("three that want it for themselves", (), THREE),
    Try("two that share and one that does not", (), SHARERS),
    Try("two that upgrade, one is killed", (), UP),
    Try("one upgrades while another wants it, one is killed", (), UP_LONE),
    Try("one downgrades and keeps it", (), DOWN),
    Try("one upgrades in vain and keeps it", (), VAIN),
    Try("one is revoked", (), REVOKE),
    Try("one is revoked and keeps what it has", (), dict(REVOKE, keeps=(0,))),
    Try("one that shares is revoked and comes again", (), REVOKE_SHARED),
    Try("one that may upgrade is revoked", (), REVOKE_UP),
    Try("phantoms are looked for while the world is stopped", (), PHANTOM),
    Try("a slice that ends early does no harm", (), dict(PAIR, slices=True)),
]
WRONG = [
    Try("taken at once without a look afterwards", ("no-tentative",), PAIR),
    Try("no scan after the claim", ("no-scan",), PAIR),
    Try("who claims elsewhere than in the first place does not try either", ("first-anywhere",), FREE),
    Try("no look after a claim in the first place", ("first-unseen",), PAIR),
    Try("a look, then held", ("look-then-held",), MIXED),
    Try("who is tentative is ignored", ("ignore-tentative",), PAIR),
    Try("both withdraw", ("both-withdraw",), FREE),
    Try("a withdrawal tells nobody", ("withdraw-silent",), dict(wants=(X, X, X), waits=(False, True, False), anywhere=True)),
    Try("a release tells nobody", ("release-silent",), PAIR),
    Try("the bit is not there when it is known who waits", ("bit-unset",), PAIR),
    Try("the word is read after the look", ("again-unread",), dict(PAIR, kills=0)),
    Try("who has been registered is not made to look once more", ("register-silent",), dict(PAIR, kills=0)),
    Try("the row begins after the entry", ("row-after-entry",), PAIR),
    Try("the row ends before the entry", ("row-ends-first",), PAIR),
    Try("an upgrade does not look at who shares", ("upgrade-unseen",), UP),
    Try("two upgrades wait for each other", ("both-upgrade",), dict(UP, kills=0)),
    Try("an upgrade that ends in vain tells nobody", ("revert-silent",), VAIN),
    Try("a downgrade tells nobody", ("downgrade-silent",), DOWN),
    Try("a death leaves its entries", ("death-leaves",), PAIR),
    Try("an entry that was taken away is stored over", ("plain-store",), REVOKE),
    Try("who was revoked while he took does not see it", ("revoke-unseen",), dict(REVOKE, keeps=(0,))),
    Try("a row that was revoked is used again", ("slot-again",), REVOKE_SHARED),
    Try("phantoms are looked for while clients run", ("phantom-unstopped",), PHANTOM),
]

if __name__ == "__main__":
    sys.exit(main("Exhaustive model of leases; prints TAP.", Model, RIGHT, WRONG, whole=None))
