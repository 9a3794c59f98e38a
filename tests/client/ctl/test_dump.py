#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`mmgcctl dump`, as a TAP test: what the formats' readers (read_hprof.py, read_heapsnapshot.py) find in a dump is what the heap has, under
each plan; and what programs of others find, where they are installed."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import read_heapsnapshot                                            # noqa: E402
import read_hprof                                                   # noqa: E402
from dump_place import LINKS, live, plans, types_of, world          # noqa: E402

GRANULE = 8
TEXT = b'a cat sat on a mat'


def dumped(mmgcctl, place, name, *more):
    mmgcctl('dump', *more, *([] if '--from' in more else ['trees']), place / name)
    return place / name


# ---- HPROF -----------------------------------------------------------------------------------------------------------

def close_to(array, own):
    """Tools add a length of 4 bytes to a header of 8, and round up otherwise."""
    return array['objects'] == own['objects'] and abs(array['bytes'] - own['bytes']) <= 12 * own['objects']


def check_hprof(mmgcctl, place):
    own, dump = types_of(mmgcctl), read_hprof.read(dumped(mmgcctl, place, 'heap.hprof'))
    found = dump.histogram()
    live.expect(dump.id_bytes, 4)
    for name in ('link', 'entry', 'walked'):
        live.expect(found[name], own[name])
    for name in ('row', 'table'):
        if not close_to(found[f'[L{name};'], own[name]):
            raise live.Failed(f'{name}: {found[f"[L{name};"]} is not close to {own[name]}')
    return dump


def hprof_has_what_the_heap_has_under_each_plan():
    for plan in plans():
        with world(plan) as (mmgcctl, place):
            check_hprof(mmgcctl, place)


def hprof_has_fields_and_contents():
    with world() as (mmgcctl, place):
        dump = check_hprof(mmgcctl, place)
        by_class = {dump.class_of[which][0]: which for which in dump.objects}
        entry = dump.values[by_class['entry']]
        live.expect(dump.values[entry['+4']], TEXT)
        live.expect((entry['+8'], entry['+16'] & 0xffff), (0x1122334455667788, 0x99aa))
        row = dump.values[dump.named()['list']]
        live.expect(len(row), 8)
        live.expect(entry['+0 weak'] * GRANULE, row[0])
        length, link = 0, row[0]
        while link != 0:
            length, link = length + 1, dump.values[link]['+0']
        live.expect(length, LINKS)
        # 8 bytes fixed, then 3 words a bucket: the value of the second is the row
        live.expect([i for i, word in enumerate(dump.values[by_class['[Ltable;']]) if word == dump.named()['list']], [2 + 3 + 2])


def hprof_has_roots_by_kind_and_threads_by_name():
    with world() as (mmgcctl, place):
        dump = check_hprof(mmgcctl, place)
        of = {kind: [dump.class_of[which][0] if which in dump.class_of else dump.loaded[which]
                     for k, which, _ in dump.roots if k == kind] for kind, _, _ in dump.roots}
        live.expect(of['jni global'], ['entry'])
        live.expect(of['jni local'], ['[Ltable;'])
        live.expect(set(of['java frame']), {'walked'})
        live.expect(of['sticky class'], ['mmgc/Names'])
        live.expect(of['thread'], 2 * ['java/lang/Thread'])
        (_, name), (_, other) = dump.threads.values()
        live.expect(other.split(' (')[0], "thread 2 'walker'")
        if "'worker' (session" not in name:
            raise live.Failed(name)
        thread = next(which for kind, which, _ in dump.roots if kind == 'thread')
        live.expect(dump.values[dump.values[dump.values[thread]['name']]['value']].decode(), name)


def hprof_has_what_is_larger_than_a_segment_under_each_plan():
    for plan in plans():
        with world(plan, LINKS, 'large') as (mmgcctl, place):
            dump = check_hprof(mmgcctl, place)
            row = dump.values[dump.named()['large']]
            live.expect((len(row), sum(ref != 0 for ref in row)), (300000, 2))
            live.expect(dump.values[row[0]] == b'x' * (3 << 20), True)
            live.expect(row[-1], dump.values[dump.named()['list']][0])


def moved_up(data, blocks):
    """The snapshot of a larger heap, with all its blocks so far up; what was a root's is still, but no object knows of the others any more."""
    copy = bytearray(data)
    sections = [struct.unpack_from('<QQ', data, 368 + 16 * i) for i in range(9)]
    struct.pack_into('<Q', copy, 16, 32 << 30)                      # arena_bytes
    for i in range(sections[0][1]):
        at = sections[0][0] + 48 * i                                # of a block its number comes first
        struct.pack_into('<I', copy, at, struct.unpack_from('<I', data, at)[0] + blocks)
    for i in range(sections[5][1]):
        at = sections[5][0] + 24 * i + 16                           # of a root its object is the fifth word
        struct.pack_into('<I', copy, at, struct.unpack_from('<I', data, at)[0] + blocks * 4096)
    return copy


def a_heap_beyond_four_gigabytes_has_wide_identifiers():
    with world() as (mmgcctl, place):
        (place / 'high').write_bytes(moved_up(dumped(mmgcctl, place, 'low.mmgcsnap').read_bytes(), 200000))
        low, high = read_hprof.read(dumped(mmgcctl, place, 'low.hprof')), read_hprof.read(dumped(mmgcctl, place, 'high.hprof', '--from', place / 'high'))
        live.expect((low.id_bytes, high.id_bytes), (4, 8))
        live.expect({name: row['objects'] for name, row in high.histogram().items()}, {name: row['objects'] for name, row in low.histogram().items()})
        live.expect(high.named()['list'] - low.named()['list'], 200000 * 32768)
        live.expect(high.class_of[high.named()['list']][0], '[Lrow;')
        snapshot = read_heapsnapshot.read(dumped(mmgcctl, place, 'high.heapsnapshot', '--from', place / 'high'))
        live.expect(snapshot.histogram(), {name: row for name, row in types_of(mmgcctl).items() if row['objects'] > 0})


# ---- V8 ----------------------------------------------------------------------------------------------------------------

def heapsnapshot_has_what_the_heap_has_under_each_plan():
    for plan in plans():
        with world(plan) as (mmgcctl, place):
            own = {name: row for name, row in types_of(mmgcctl).items() if row['objects'] > 0}
            live.expect(read_heapsnapshot.read(dumped(mmgcctl, place, 'heap.heapsnapshot')).histogram(), own)


def heapsnapshot_has_ways_from_who_holds():
    with world() as (mmgcctl, place):
        snapshot = read_heapsnapshot.read(dumped(mmgcctl, place, 'heap.heapsnapshot'))
        link = snapshot.follow(0, "the heap's names", "named 'list'", 0)
        for _ in range(LINKS - 1):
            link = snapshot.follow(link, '+0')
        live.expect(snapshot.name(link), 'link')
        why = json.loads(mmgcctl('why', 'trees', f'{snapshot.nodes[link].id * GRANULE:#x}', '--json'))
        live.expect({path['length'] for path in why['paths']}, {LINKS + 1, LINKS + 2})
        live.expect([step['type'] for step in why['paths'][0]['steps'][:2]], ['row', 'link'])
        holders = {snapshot.name(to).split(' (')[0]: to for _, _, to in snapshot.edges_of(0)}
        live.expect(snapshot.name(snapshot.follow(holders["client 'maker'"], "strong 'cache'", '+4')), 'text')
        live.expect(snapshot.name(snapshot.follow(holders["thread 1 'worker'"], 'local', 5)), 'row')
        live.expect(snapshot.name(snapshot.follow(holders["thread 2 'walker'"], 'stack')), 'walked')
        weak = [(snapshot.name(node), name) for node in range(len(snapshot.nodes)) for kind, name, _ in snapshot.edges_of(node) if kind == 'weak']
        live.expect(weak, [('entry', '+0')])
        unreached = set(range(len(snapshot.nodes))) - snapshot.reached()
        live.expect(unreached, set())


# ---- all formats -------------------------------------------------------------------------------------------------------

def a_dump_of_a_snapshot_is_the_same_and_a_snapshot_can_be_one():
    with world() as (mmgcctl, place):
        taken = dumped(mmgcctl, place, 'heap.mmgcsnap')
        again = dumped(mmgcctl, place, 'again', '--from', taken, '--format', 'snapshot')
        live.expect(again.read_bytes() == taken.read_bytes(), True)
        for name, read in (('a.hprof', read_hprof.read), ('a.heapsnapshot', read_heapsnapshot.read)):
            direct = read(dumped(mmgcctl, place, name)).histogram()
            live.expect(read(dumped(mmgcctl, place, name, '--from', taken)).histogram(), direct)


def a_dump_can_go_into_a_pipe_and_says_what_it_cannot():
    with world() as (mmgcctl, place):
        piped = mmgcctl('dump', 'trees', '-', '--format=heapsnapshot')
        (place / 'piped').write_text(piped)
        live.expect(read_heapsnapshot.read(place / 'piped').histogram(),
                    read_heapsnapshot.read(dumped(mmgcctl, place, 'a.heapsnapshot')).histogram())
        for words in (['trees', place / 'heap'], ['trees', place / 'a.hprof', '--format=elf'], ['trees', '-', '--format=hprof', '--json'],
                      ['trees', place / 'no' / 'a.hprof'], ['--from', place / 'a.heapsnapshot', place / 'a.hprof']):
            mmgcctl('dump', *words, status=1)
        with open('/dev/full', 'wb') as full:
            live.expect(subprocess.run([live.BUILD / 'client' / 'ctl' / 'mmgcctl', '--socket', place / 'sock', 'dump', 'trees', '-', '--format', 'hprof'],
                                       stdout=full, stderr=subprocess.PIPE, check=False).returncode, 1)


def damaged(data, rng):
    """@data with a few bytes changed; half of them in the tables, which are at its beginning."""
    copy = bytearray(data)
    for _ in range(rng.choice((1, 3, 30))):
        copy[rng.randrange(rng.choice((65536, len(copy))))] = rng.choice((0, 1, 0x7f, 0xff, rng.randrange(256)))
    return copy


def what_a_hostile_snapshot_becomes_is_well_formed():
    rng = live.seeded()
    with world(links=200) as (mmgcctl, place):
        good = dumped(mmgcctl, place, 'good.mmgcsnap').read_bytes()
        written = 0
        for _ in range(60):
            (place / 'bad').write_bytes(damaged(good, rng))
            for name, read in (('a.hprof', read_hprof.read), ('a.heapsnapshot', read_heapsnapshot.read)):
                status = subprocess.run([live.BUILD / 'client' / 'ctl' / 'mmgcctl', 'dump', '--from', place / 'bad', place / name],
                                        capture_output=True, check=False).returncode
                if status not in (0, 1):
                    raise live.Failed(f'status {status}')
                if status == 0:
                    read(place / name)
                    written += 1
        live.expect(written > 0, True)


# ---- programs of others ------------------------------------------------------------------------------------------------

def tool(name):
    found = shutil.which(name)
    if found is None:
        raise live.Skip(f'{name} is not installed')
    return found


def hprof_slurp_counts_the_same():
    slurp = tool('hprof-slurp')
    with world() as (mmgcctl, place):
        path, own = dumped(mmgcctl, place, 'heap.hprof'), types_of(mmgcctl)
        said = live.run(slurp, path)
        rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in said.splitlines() if line.startswith('|')]
        for name in ('link', 'entry', 'row[]', 'table[]'):
            if not any(row[1] == str(own[name.strip('[]')]['objects']) and row[-1] == name for row in rows):
                raise live.Failed(f'{name}: {said}')


def of_node(script, *modules):
    """What runs @script by node, which finds the modules of others; its last line is JSON."""
    node = tool('node')
    for module in modules:
        if subprocess.run([node, '-e', f'require.resolve("{module}/package.json")'], capture_output=True, check=False).returncode != 0:
            raise live.Skip(f'{module} is not installed where $NODE_PATH says')
    return lambda *words: json.loads(live.run(node, HERE / script, *words).splitlines()[-1])


def memlab_counts_the_same_and_finds_the_way():
    memlab = of_node('memlab.js', '@memlab/core')
    with world() as (mmgcctl, place):
        path, own = dumped(mmgcctl, place, 'heap.heapsnapshot'), types_of(mmgcctl)
        found = memlab(path)
        live.expect(found['types'], {name: row for name, row in own.items() if row['objects'] > 0})
        why = json.loads(mmgcctl('why', 'trees', 'text', '--json'))
        live.expect(found['way'], [step['type'] for step in why['paths'][0]['steps']][::-1])


def devtools_loads_it_and_says_what_is_retained():
    devtools = of_node('devtools.js', 'chrome-devtools-frontend', 'esbuild')
    with world() as (mmgcctl, place):
        path, own = dumped(mmgcctl, place, 'heap.heapsnapshot'), types_of(mmgcctl)
        types = devtools(path)['types']
        for name, row in own.items():
            live.expect({key: types[name][key] for key in row}, row)
        live.expect(types['row']['retained'], own['row']['bytes'] + own['link']['bytes'])
        live.expect(types['entry']['retained'], own['entry']['bytes'] + own['text']['bytes'])
        live.expect({name: types[name]['distance'] for name in own}, {'row': 2, 'table': 2, 'entry': 2, 'text': 3, 'link': 3, 'walked': 2})


def netbeans_reads_it_as_visualvm_does():
    jar, javac = os.environ.get('MMGC_HPROF_HEAP_JAR'), tool('java')
    if jar is None:
        raise live.Skip('$MMGC_HPROF_HEAP_JAR does not name org.gridkit.jvmtool:hprof-heap, which has the parser of NetBeans and VisualVM')
    with world() as (mmgcctl, place):
        path, own = dumped(mmgcctl, place, 'heap.hprof'), types_of(mmgcctl)
        found = json.loads(live.run(javac, '-cp', jar, HERE / 'Heap.java', path, timeout=300).splitlines()[-1])
        for name in ('link', 'entry'):
            live.expect(found['classes'][name], own[name])
        live.expect(found['classes']['row[]']['objects'], own['row']['objects'])
        live.expect(found['named'], 'row[]')
        live.expect(found['global'], 'entry')
        if "' (session" not in found['thread']:
            raise live.Failed(found['thread'])


if __name__ == '__main__':
    sys.exit(live.main([hprof_has_what_the_heap_has_under_each_plan, hprof_has_what_is_larger_than_a_segment_under_each_plan,
                        a_heap_beyond_four_gigabytes_has_wide_identifiers, hprof_has_fields_and_contents, hprof_has_roots_by_kind_and_threads_by_name,
                        heapsnapshot_has_what_the_heap_has_under_each_plan, heapsnapshot_has_ways_from_who_holds,
                        a_dump_of_a_snapshot_is_the_same_and_a_snapshot_can_be_one, a_dump_can_go_into_a_pipe_and_says_what_it_cannot,
                        what_a_hostile_snapshot_becomes_is_well_formed,
                        hprof_slurp_counts_the_same, memlab_counts_the_same_and_finds_the_way,
                        devtools_loads_it_and_says_what_is_retained, netbeans_reads_it_as_visualvm_does]))
