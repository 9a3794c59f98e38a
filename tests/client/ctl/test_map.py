#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`mmgcctl map`, as a TAP test: pictures are read back, and each shows what the others and the histogram say."""
import json
import os
import pathlib
import re
import struct
import sys
import xml.etree.ElementTree
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from dump_place import live, plans, types_of, world      # noqa: E402

SVG = '{http://www.w3.org/2000/svg}'
LINKS, LINE, CELL_SVG, CELL_PNG = 20000, 256, 6, 4


def asked(mmgcctl, *words):
    return json.loads(mmgcctl('map', 'trees', '--json', *words))


def cells_of(document):
    """{name of a colour: how many cells have its letter}"""
    names = {colour['letter']: colour['name'] for colour in document['colours']}
    found = dict.fromkeys(names.values(), 0)
    for row in document['rows']:
        for letter in row:
            found[names[letter]] += 1
    return found


def read_svg(path):
    """{name of a colour: cells} from the rectangles, and the same from the legend."""
    root = xml.etree.ElementTree.parse(path).getroot()
    cells, keys = root.findall(f'{SVG}g')
    names = {}
    for key, text in zip(keys.findall(f'{SVG}rect'), keys.findall(f'{SVG}text')):
        names[key.get('class').split()[0]] = (text.text.rsplit(', ', 1)[0], int(text.get('data-cells')))
    found = {name: 0 for name, _ in names.values()}
    for rect in cells.findall(f'{SVG}rect'):
        live.expect(int(rect.get('height')), CELL_SVG)
        found[names[rect.get('class')][0]] += int(rect.get('width')) // CELL_SVG
    live.expect(found, dict(names.values()))
    return found


def chunks_of(data):
    live.expect(data[:8], b'\x89PNG\r\n\x1a\n')
    at = 8
    while at < len(data):
        length, kind = struct.unpack_from('>I4s', data, at)
        body = data[at + 8:at + 8 + length]
        live.expect(struct.unpack_from('>I', data, at + 8 + length)[0], zlib.crc32(kind + body))
        yield kind, body
        at += 12 + length


def unfiltered(raw, width):
    """Rows of a picture with a byte a pixel (PNG, section 9)."""
    above, at = bytes(width), 0
    while at < len(raw):
        kind, row = raw[at], bytearray(raw[at + 1:at + 1 + width])
        for i in range(width):
            left, up, corner = row[i - 1] if i else 0, above[i], above[i - 1] if i else 0
            paeth = min((left, up, corner), key=lambda v: (abs(left + up - corner - v)))
            row[i] = (row[i] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        yield bytes(row)
        above, at = bytes(row), at + 1 + width


def read_png(path):
    """{name of a colour: cells}"""
    chunks = list(chunks_of(path.read_bytes()))
    width, height, depth, colour_type = struct.unpack_from('>IIBB', chunks[0][1])
    live.expect((depth, colour_type), (8, 3))
    names = {}
    for kind, body in chunks:
        if kind == b'iTXt' and re.match(rb'c\d+\0', body):
            names[int(body.split(b'\0')[0][1:])] = body.rsplit(b'\0', 1)[1].decode().rsplit(', ', 1)[0]
    rows = list(unfiltered(zlib.decompress(b''.join(body for kind, body in chunks if kind == b'IDAT')), width))
    live.expect(len(rows), height)
    found = dict.fromkeys(names.values(), 0)
    for row in rows[::CELL_PNG]:
        for pixel in row[::CELL_PNG]:
            if pixel in names:                            # else no cell is there
                found[names[pixel]] += 1
    return found


def pictures_say_the_same_in_every_form_under_each_plan():
    for plan in plans():
        with world(plan, LINKS) as (mmgcctl, place):
            mmgcctl('snapshot', 'trees', place / 'a')
            for by in ('live', 'age', 'type'):
                wanted = cells_of(json.loads(mmgcctl('map', '--from', place / 'a', '--json', f'--by={by}', '-o', place / 'a.svg')))
                live.expect(read_svg(place / 'a.svg'), wanted)
                if plan == 'immix':                         # reading these takes its time
                    mmgcctl('map', '--from', place / 'a', f'--by={by}', '-o', place / 'a.png')
                    live.expect(read_png(place / 'a.png'), wanted)


def links_are_where_they_are_by_type():
    with world('immix', LINKS) as (mmgcctl, _):
        links = types_of(mmgcctl)['link']
        found = {colour['name']: colour['bytes'] for colour in asked(mmgcctl, '--by=type')['colours']}
        if not links['bytes'] <= found['link'] <= links['bytes'] * 1.1:
            raise live.Failed(f'{found} where {links}')


def what_is_new_is_young_and_then_old():
    for plan in ('immix', 'concurrentstickyimmix'):
        with world(plan, LINKS) as (mmgcctl, _):
            before = {colour['name']: colour['bytes'] for colour in asked(mmgcctl, '--by=age')['colours']}
            mmgcctl('gc', 'trees')
            after = {colour['name']: colour['bytes'] for colour in asked(mmgcctl, '--by=age')['colours']}
            size = LINKS * 24
            if before['young'] < size or before['old'] > LINE * 8 or after['old'] < size or after['young'] > LINE * 8:
                raise live.Failed(f'{plan}: {before}, then {after}')


def a_terminal_gets_letters_shades_or_colours():
    with world('immix', LINKS) as (mmgcctl, place):
        mmgcctl('snapshot', 'trees', place / 'a.mmgcsnap')
        look = [live.BUILD / 'client' / 'ctl' / 'mmgcctl', 'map', '--from', place / 'a.mmgcsnap']
        plain = live.run(*look, env=os.environ | {'LC_ALL': 'C'})
        shades = live.run(*look, env=os.environ | {'LC_ALL': 'C.UTF-8'}, encoding='utf-8')
        live.expect(plain.isascii(), True)
        live.expect({len(line) for line in plain.splitlines()[:10]}, {80})
        live.expect({len(line) for line in shades.splitlines()[:10]}, {80})
        live.expect('█' in shades and '\x1b' not in shades, True)
        colours = live.run(*look, '--color', env=os.environ | {'LC_ALL': 'C.UTF-8'}, encoding='utf-8')
        live.expect({line.count('▀') for line in colours.splitlines()[:10]}, {80})
        live.expect('▀' in live.run(*look, '--color', env=os.environ | {'LC_ALL': 'C'}), False)


def what_cannot_be_drawn_is_said():
    with world() as (mmgcctl, place):
        for words in (['--by=colour'], ['-o', place / 'a.jpg'], ['-o', place / 'no' / 'a.svg'], ['--columns=1001']):
            mmgcctl('map', 'trees', *words, status=1)
        mmgcctl('map', 'trees', '--columns=0', status=2)
        for end in ('svg', 'png'):
            os.symlink('/dev/full', place / f'full.{end}')
            mmgcctl('map', 'trees', '-o', place / f'full.{end}', status=1)


if __name__ == '__main__':
    sys.exit(live.main([pictures_say_the_same_in_every_form_under_each_plan, links_are_where_they_are_by_type, what_is_new_is_young_and_then_old,
                        a_terminal_gets_letters_shades_or_colours, what_cannot_be_drawn_is_said]))
