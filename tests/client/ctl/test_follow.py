#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""show --follow: from one object to the next, by what is typed."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from example_world import World  # noqa: E402
import live  # noqa: E402

HEAD = re.compile(r'^(?:> )?(0x[0-9a-f]+)  node, 16 B$', re.M)


def shown(world, typed):
    """The offsets of the objects that are shown when this is typed, line by line, and all that is printed."""
    first = hex(8 * world.json('roots', 'trees')['roots'][0]['ref'])
    text = world.sh(f"printf '{typed}' | mmgcctl show trees {first} --follow")
    return HEAD.findall(text), text


def a_reference_leads_on_and_b_leads_back():
    with World('--heap-plan', 'immix') as world:
        offsets, _ = shown(world, r'0\nb\n0\n0\nb\nb\nb\nq\n')
        live.expect(len(offsets), 8)
        first, second, again, second_again, third = offsets[:5]
        live.expect((again, second_again), (first, second))
        live.expect(len({first, second, third}), 3)
        live.expect(offsets[5:], [second, first, first])        # before the first is nothing


def a_place_leads_there_and_nonsense_is_told():
    with World('--heap-plan', 'immix') as world:
        second = shown(world, r'0\nq\n')[0][1]
        live.expect(shown(world, rf'{second}\nq\n')[0][1], second)
        offsets, text = shown(world, r'99\nwhat\n0x7ffffff8\nq\n')
        live.expect(len(set(offsets)), 1)
        live.expect((text.count("a reference's number, 0x"), text.count('there is no object')), (2, 1))


def the_end_of_what_is_typed_ends_it():
    with World('--heap-plan', 'immix') as world:
        live.expect(len(shown(world, '')[0]), 1)


if __name__ == '__main__':
    sys.exit(live.main([a_reference_leads_on_and_b_leads_back, a_place_leads_there_and_nonsense_is_told, the_end_of_what_is_typed_ends_it]))
