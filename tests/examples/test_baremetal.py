#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""baremetal keeps what its cache must hold, with collections between, in the region that it has."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402

BAREMETAL = live.BUILD / 'docs' / 'examples' / 'baremetal' / 'baremetal'
PLANS = {'immix': False, 'semispace': True, 'markcompact': True, 'compressor': True}        # always moves what lives


def number(said, pattern):
    found = re.search(pattern, said)
    if found is None:
        raise live.Failed(f'it does not say {pattern}:\n{said}')
    return int(found[1])


def the_cache_is_what_it_should_be_after_many_collections():
    for plan, moves in PLANS.items():
        said = live.run(BAREMETAL, plan)
        for line in ('cache: as expected', 'heap: sound'):
            if line not in said:
                raise live.Failed(f'{plan} does not say {line}:\n{said}')
        if number(said, r'collections: (\d+)') < 10 or moves and number(said, r'moved: (\d+)') < 1000:
            raise live.Failed(f'2 million readings in 4 MiB take more from {plan}:\n{said}')


def the_region_is_as_large_as_it_was_said_to_need():
    for plan in PLANS:
        said = live.run(BAREMETAL, plan)
        if number(said, r'region: (\d+) KiB needed') > number(said, r'KiB needed, of (\d+)'):
            raise live.Failed(said)
        if number(said, r'store: (\d+) KiB') > number(said, r'at most, of (\d+)'):
            raise live.Failed(said)


def a_plan_that_asks_more_of_its_clients_is_refused():
    for plan in ('lxr', 'marksweep', 'nogc', 'none'):
        said = live.run(BAREMETAL, plan, status=1)
        if 'this client has only' not in said and 'makes no sense' not in said:
            raise live.Failed(f'{plan} is refused without a reason:\n{said}')


if __name__ == '__main__':
    sys.exit(live.main([
        the_cache_is_what_it_should_be_after_many_collections,
        the_region_is_as_large_as_it_was_said_to_need,
        a_plan_that_asks_more_of_its_clients_is_refused,
    ]))
