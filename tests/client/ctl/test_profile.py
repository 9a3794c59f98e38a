#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mmgcctl profile: a client's profile is what pprof reads, and gets the names that the program's own tools know; read with a decoder that is
nothing of ours. Usage: test_profile.py PROGRAM NO_LIBUNWIND"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'support'))
import live  # noqa: E402
import pprof  # noqa: E402

PROGRAM, NO_LIBUNWIND = pathlib.Path(sys.argv.pop(1)), sys.argv.pop(1)
MMGCCTL = live.BUILD / 'client' / 'ctl' / 'mmgcctl'
ROUNDS = 2000
TYPES = [('alloc_objects', 'count'), ('alloc_space', 'bytes'), ('inuse_objects', 'count'), ('inuse_space', 'bytes')]
HAS_DW = 'compiled without elfutils' not in MMGCCTL.read_bytes().decode('latin-1')


@contextlib.contextmanager
def profiled(interval=1, rounds=ROUNDS, program=PROGRAM, **environment):
    """The file that @program wrote."""
    with live.Daemon() as daemon, tempfile.TemporaryDirectory() as place:
        path = pathlib.Path(place) / 'profile'
        live.run(program, daemon.socket, rounds, env=dict(os.environ, MMGC_PROFILE=f'{path},interval={interval}', **environment))
        yield path


def need_names():
    if not HAS_DW:
        raise live.Skip('mmgcctl was compiled without elfutils')


def shown(path, *options):
    return json.loads(live.run(MMGCCTL, 'profile', path, '--json', *options))


def rows(document):
    return {row['function']: row for row in document['functions']}



def what_a_client_writes_is_a_profile():
    with profiled() as path:
        p = pprof.Profile(path)
        live.expect(p.types(), TYPES)
        live.expect((p.period, p.compressed), (1, False))
        live.expect(p.text(p.default_sample_type), 'alloc_space')
        live.expect([p.total(i) for i in range(2)], [2 * ROUNDS, 128 * ROUNDS])
        live.expect([p.total(i) for i in range(2, 4)], [2, 128])


def the_program_comes_first_with_its_build_id():
    with profiled() as path:
        p = pprof.Profile(path)
        first = p.mapping[0]
        live.expect(p.text(first['filename']), str(PROGRAM.resolve()))
        if shutil.which('readelf') is None:
            raise live.Skip('no readelf here')
        notes = live.run('readelf', '-n', PROGRAM)
        live.expect(p.text(first['build_id']), re.search('Build ID: ([0-9a-f]+)', notes)[1])


def leaves_are_the_callers_of_the_library():
    """As binutils has their names."""
    if shutil.which('addr2line') is None:
        raise live.Skip('no addr2line here')
    with profiled() as path:
        p = pprof.Profile(path)
        names = set()
        for sample in p.sample:
            location = p.locations[sample['location_id'][0]]
            mapping = p.mappings[location['mapping_id']]
            at = location['address'] - mapping['memory_start'] + mapping['file_offset']
            names.update(live.run('addr2line', '-f', '-i', '-e', p.text(mapping['filename']), hex(at)).splitlines()[::2])
        live.expect(names - {'mmgc_new_array'}, {'quarter', 'three_quarters'})


def functions_are_shown_with_what_they_allocated():
    need_names()
    with profiled() as path:
        document = shown(path)
        live.expect((document['total_bytes'], document['total_objects'], document['interval_bytes']), (128 * ROUNDS, 2 * ROUNDS, 1))
        got = rows(document)
        live.expect([(got[name]['bytes'], got[name]['objects'], got[name]['share']) for name in ('quarter', 'three_quarters')],
            [(32 * ROUNDS, ROUNDS, 0.25), (96 * ROUNDS, ROUNDS, 0.75)])
        live.expect((got['main']['bytes'], got['main']['with_called_share']), (0, 1))
        live.expect([name for name in got if name.startswith('mmgc_')], [])
        live.expect(document['functions'][0]['function'], 'three_quarters')
        live.expect(pathlib.Path(got['quarter']['file']).name, 'profiled.c')


def what_lives_is_shown_by_itself():
    need_names()
    with profiled() as path:
        got = rows(shown(path, '--in-use'))
        live.expect([got[name]['bytes'] for name in ('quarter', 'three_quarters')], [32, 96])


def a_profile_with_names_is_written_compressed_and_read_again():
    need_names()
    with profiled() as path:
        out = path.with_suffix('.gz')
        before = shown(path, '-o', out)
        p = pprof.Profile(out)
        live.expect(p.compressed, True)
        live.expect(p.by_leaf(1), {'quarter': 32 * ROUNDS, 'three_quarters': 96 * ROUNDS})
        live.expect(p.mapping[0]['has_functions'], 1)
        lines = pathlib.Path(__file__).with_name('profiled.c').read_text().splitlines()
        said = {lines[line['line'] - 1].strip() for sample in p.sample for line in p.locations[sample['location_id'][0]]['line'][:1]}
        live.expect(all('mmgc_new_array' in line or 'mmgc_keep' in line for line in said), True)
        live.expect(rows(shown(out)), rows(before))


def without_libunwind_the_c_library_walks():
    need_names()
    if live.sanitized():
        raise live.Skip('a sanitizer has to be loaded first')
    with profiled(LD_PRELOAD=NO_LIBUNWIND) as path:
        document = shown(path)
        live.expect('stacks by backtrace()' in document['comment'], True)
        got = rows(document)
        live.expect([got[name]['share'] for name in ('quarter', 'three_quarters')], [0.25, 0.75])
        live.expect(got['main']['with_called_share'], 1)


def few_samples_say_the_same_on_average():
    need_names()
    with profiled(interval=1024, rounds=60000) as path:
        got = rows(shown(path))
        # sigma of a share of 1/4 over 7500 samples: 0.5 %; 5 sigma
        if abs(got['quarter']['share'] - 0.25) > 0.025:
            raise live.Failed(f"{got['quarter']['share']} of the bytes, not a quarter")


def a_program_that_was_built_anew_gives_no_names():
    need_names()
    with tempfile.TemporaryDirectory() as place:
        copy = pathlib.Path(place) / 'copy'
        shutil.copy(PROGRAM, copy)
        with profiled(program=copy) as path:
            shutil.copy(MMGCCTL, copy)
            document = shown(path)
            live.expect([row['why'] for row in document['unnamed'] if row['file'] == str(copy)], ['the file is another build'])
            live.expect('quarter' in rows(document), False)
            live.expect(document['total_bytes'], 128 * ROUNDS)


def what_is_no_profile_is_refused():
    with tempfile.TemporaryDirectory() as place:
        path = pathlib.Path(place) / 'file'
        for content in (b'', b'\x00' * 100, b'profile', MMGCCTL.read_bytes()[:5000]):
            path.write_bytes(content)
            live.run(MMGCCTL, 'profile', path, status=1)
        live.run(MMGCCTL, 'profile', path / 'nowhere', status=1)
        live.run(MMGCCTL, 'profile', status=2)


def a_damaged_profile_is_refused_or_shown():
    """Each byte in turn: never a crash."""
    rng = live.seeded()
    with profiled() as path:
        whole = path.read_bytes()
        for _ in range(60):
            data = bytearray(whole)
            for _ in range(3):
                data[rng.randrange(min(len(data), 400))] = rng.randrange(256)
            path.write_bytes(data)
            done = subprocess.run([MMGCCTL, 'profile', path], capture_output=True, timeout=60, check=False)
            if done.returncode not in (0, 1):
                raise live.Failed(f'status {done.returncode} of {bytes(data[:400]).hex()}')


if __name__ == '__main__':
    sys.exit(live.main([
        what_a_client_writes_is_a_profile, the_program_comes_first_with_its_build_id, leaves_are_the_callers_of_the_library,
        functions_are_shown_with_what_they_allocated, what_lives_is_shown_by_itself,
        a_profile_with_names_is_written_compressed_and_read_again, without_libunwind_the_c_library_walks, few_samples_say_the_same_on_average,
        a_program_that_was_built_anew_gives_no_names, what_is_no_profile_is_refused, a_damaged_profile_is_refused_or_shown]))
