#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`mmgcctl diff` and histograms since a mark, as a TAP test."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from dump_place import LINKS, growing_world, live, plans, types_of      # noqa: E402

GROWN = {'link': (LINKS, LINKS * 24), 'entry': (1, 32), 'text': (1, 32), 'row': (1, 40), 'table': (1, 64), 'walked': (1, 24)}


def grown(document):
    for row in [*document['types'], document['total']]:
        for what in ('objects', 'bytes'):
            live.expect(row[f'{what}_growth'], row[what] - row[f'{what}_before'])
    return {row['name']: (row['objects_growth'], row['bytes_growth']) for row in document['types']}


def two_snapshots_differ_by_what_was_made_between_under_each_plan():
    for plan in plans():
        with growing_world(plan) as (mmgcctl, place, grow):
            before = types_of(mmgcctl)
            mmgcctl('snapshot', 'trees', place / 'a')
            grow()
            mmgcctl('snapshot', 'trees', place / 'b')
            document = json.loads(mmgcctl('diff', place / 'a', place / 'b', '--json'))
            live.expect(grown(document), GROWN)
            for row in document['types']:
                live.expect(row['objects_before'], before[row['name']]['objects'])
            live.expect(document['types'][0]['name'], 'link')
            back = json.loads(mmgcctl('diff', place / 'b', place / 'a', '--json', '--sort', 'name', '-n', '2'))
            live.expect([row['name'] for row in back['types']], ['entry', 'link'])
            live.expect((back['omitted'], back['total']['objects_growth']), (4, -LINKS - 5))


def histograms_and_snapshots_can_be_mixed():
    with growing_world() as (mmgcctl, place, grow):
        (place / 'a.json').write_text(mmgcctl('histogram', 'trees', '--json'))
        mmgcctl('snapshot', 'trees', place / 'a')
        live.expect(set(grown(json.loads(mmgcctl('diff', place / 'a.json', place / 'a', '--json'))).values()), {(0, 0)})
        said = mmgcctl('diff', place / 'a.json', place / 'a')
        live.expect(said.splitlines()[0].split(), ['OBJECTS', 'BEFORE', 'NOW', 'BYTES', 'BEFORE', 'NOW', 'TYPE'])
        live.expect(said.splitlines()[-1].split()[-1], 'all')


def a_histogram_shows_what_has_grown_since_a_mark():
    for mark in ('./a.json', 'monday'):
        with growing_world() as (mmgcctl, place, grow):
            state = {'cwd': place, 'env': {'XDG_STATE_HOME': str(place / 'state' / 'of' / 'mine')}}
            mmgcctl('histogram', 'trees', '--mark', mark, '-n', '1', **state)
            grow()
            said = mmgcctl('histogram', 'trees', '--since', mark, **state)
            live.expect(said.splitlines()[1].split()[0], f'+{LINKS}')
            document = json.loads(mmgcctl('histogram', 'trees', '--since', mark, '--mark', mark, '--json', **state))
            live.expect(grown(document), GROWN)
            again = json.loads(mmgcctl('histogram', 'trees', '--since', mark, '--json', **state))
            live.expect(set(grown(again).values()), {(0, 0)})


def what_is_no_histogram_is_refused():
    with growing_world() as (mmgcctl, place, _):
        mmgcctl('snapshot', 'trees', place / 'good')
        (place / 'cut.json').write_text(mmgcctl('histogram', 'trees', '--json', '-n', '1'))
        (place / 'none.json').write_text('{"heap": "trees"}')
        (place / 'negative.json').write_text('{"types": [{"name": "link", "objects": -1, "bytes": 8}]}')
        (place / 'broken.json').write_text('{"types": [')
        (place / 'text').write_text('hello')
        for wrong in ('cut.json', 'none.json', 'negative.json', 'broken.json', 'text', 'missing'):
            mmgcctl('diff', place / 'good', place / wrong, status=1)
            mmgcctl('histogram', 'trees', '--since', place / wrong, status=1)
        mmgcctl('diff', place / 'good', status=2)
        mmgcctl('diff', place / 'good', place / 'good', place / 'good', status=2)
        mmgcctl('histogram', 'trees', '--mark', place / 'no' / 'folder.json', status=1)
        mmgcctl('histogram', 'trees', '--mark', 'monday', status=1, env={})


if __name__ == '__main__':
    sys.exit(live.main([two_snapshots_differ_by_what_was_made_between_under_each_plan, histograms_and_snapshots_can_be_mixed,
                        a_histogram_shows_what_has_grown_since_a_mark, what_is_no_histogram_is_refused]))
