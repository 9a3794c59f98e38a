#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""identitymap finds every object in both of its tables, whatever the plan does with them, and forgets those that died."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402

IDENTITYMAP = live.BUILD / 'docs' / 'examples' / 'identitymap' / 'identitymap'
OBJECTS, ROUNDS = 3000, 4
MOVING = ('immix', 'semispace', 'markcompact', 'compressor', 'stickyimmix', 'genimmix', 'gencopy', 'concurrentimmix', 'concurrentstickyimmix', 'lxr')
STILL = ('marksweep',)
SAID = re.compile(r'(\d+) objects of (\d+): all found by address and by hash; by address (\d+) entries, (\d+) moves followed, (\d+) deaths')


def kept():
    """What a program that lets every third go, but the newest at the time, has left."""
    numbers, made = [], 0
    for _ in range(ROUNDS):
        numbers = list(range(made + OBJECTS, made, -1)) + numbers
        made += OBJECTS
        numbers = numbers[:1] + [n for n in numbers[1:] if n % 3 != 0]
    return len(numbers), made


def case_of(plan, moves):
    def case():
        with live.Daemon('--heap-sanity', 'on') as daemon:
            said = live.run(IDENTITYMAP, '--socket', daemon.socket, '--plan', plan, '--objects', OBJECTS, '--rounds', ROUNDS)
        match = SAID.fullmatch(said.strip())
        if match is None:
            raise live.Failed(said)
        count, made, entries, followed, died = map(int, match.groups())
        if (count, made) != kept():
            raise live.Failed(f'{said}: {kept()} are right')
        if (followed > 0) != moves:
            raise live.Failed(f'{said}: {plan} moves: {moves}')
        if entries + died != made or not count <= entries <= count + ROUNDS:
            raise live.Failed(f'{said}: entries and deaths are not {made}, or the dead are still there')
    case.__name__ = f'both tables find all objects under {plan}'
    return case


def a_wrong_option_is_said():
    live.run(IDENTITYMAP, '--objects', 0, status=2)


CASES = [case_of(plan, True) for plan in MOVING] + [case_of(plan, False) for plan in STILL] + [a_wrong_option_is_said]

if __name__ == '__main__':
    sys.exit(live.main(CASES))
