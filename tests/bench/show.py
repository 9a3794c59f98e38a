# SPDX-License-Identifier: Apache-2.0
"""What a case came to: the table for people and the rows for --json.

Each line of ours says how it compares with the best peer of the case's rivals, if it has some. With one contender of ours,
each peer's line says ours/peer; with several (a plan each), it does not. The JSON has a row for every pair all the same.
"""
import sys

from harness import median_spread


def table(bench, case, values):
    """Prints the case; returns its JSON rows. @values: {contender name: {metric name: [a value a round]}}."""
    rows = []
    print(f"\n{bench}, {case.name}")
    for m in case.metrics:
        got = {c: values[c.name][m.name] for c in case.contenders if m.name in values.get(c.name, {})}
        if got:
            rows += _metric(bench, case, m, got)
    if not values:
        print("    nothing could be measured")
    sys.stdout.flush()
    return rows


def _metric(bench, case, m, got):
    ours = {c: m.sum_up(v) for c, v in got.items() if c.ours}
    peers = {c: m.sum_up(v) for c, v in got.items() if not c.ours}
    best = best_rival(case, m, peers)
    alone = len(got) == 1 and ours
    if not alone:
        print(f"  {m.name}, {m.unit}, {m.better} is better" + (", the worst of all rounds" if m.worst else ""))
    for c, v in got.items():
        line = f"    {m.name if alone else c.name:36}{number(m.sum_up(v)):>10} {m.unit if alone else ''}"
        if len(v) > 1:
            line += f" +-{median_spread(v)[1] * 100:.1f}% of {len(v)} rounds"
        print((line + _ratio(case, m, c, ours, peers, best)).rstrip())
    return [r for c, value in ours.items() for r in _rows(bench, case, m, c, value, peers, best)]


def _ratio(case, m, c, ours, peers, best):
    """What stands behind a line: of ours, beside the best rival; of a peer, if there is one of ours alone."""
    if c.ours and best and peers[best]:
        ratio = ours[c] / peers[best]
        return f"   /{best.name} {number(ratio)} {verdict(ratio, m.better)}"
    if not c.ours and len(ours) == 1 and peers[c]:
        ratio = next(iter(ours.values())) / peers[c]
        return f"   ours/peer {number(ratio)} {verdict(ratio, m.better)}"
    return ""


def best_rival(case, m, peers):
    """The contender of the group that the case measures itself by which did best, or None. @peers: {contender: value}."""
    rivals = [c for c in peers if c.group and c.group == case.rivals]
    return min(rivals, key=lambda c: peers[c] if m.better == "lower" else -peers[c], default=None)


def _rows(bench, case, m, c, value, peers, best):
    pairs = [(p.name, v) for p, v in peers.items()] + ([(f"best {case.rivals}", peers[best])] if best else [])
    for name, peer_value in pairs or [(None, None)]:
        yield row(bench, case.name, m, c.name, value, name, peer_value)


def row(bench, case_name, m, contender, value, peer, peer_value):
    """One of ours beside one peer, or beside none, as --json has it."""
    return {"bench": bench, "case": case_name, "metric": m.name, "unit": m.unit, "better": m.better, "contender": contender,
            "ours": value, "peer": peer, "peer_value": peer_value, "ratio": value / peer_value if peer_value else None}


def verdict(ratio, better):
    return "(ahead)" if (ratio < 1) == (better == "lower") else "(behind)"


def number(x):
    if x and abs(x) < 0.05:
        return f"{x:.2g}"
    return f"{x:.2f}" if abs(x) < 1000 else f"{x:.0f}"
