#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/schema/ describes what `mmgcctl --json` prints: each command's documents, of heaps with and without garbage, under several plans, of a broken
one, and errors. A schema lets later versions add keys; here each object may have those that the schema names, and no others.
"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from example_world import CTL, World, commands, live      # noqa: E402
from watched import debian_module                         # noqa: E402

SCHEMAS = live.ROOT / 'docs' / 'schema'
NO_DOCUMENT = ('serve',)
PLANS = ('concurrentstickyimmix', 'immix', 'marksweep', 'semispace', 'lxr', 'nogc')
REF = 'common.json#/$defs/'


# ---- schemas ----

def common():
    return json.loads((SCHEMAS / 'common.json').read_text())['$defs']


def closed(schema, parts):
    """@schema with what it refers to in its place, and without room for more keys."""
    if isinstance(schema, list):
        return [closed(part, parts) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if '$ref' in schema:
        return closed(parts[schema['$ref'].removeprefix(REF)], parts)
    whole = {key: closed(value, parts) for key, value in schema.items()}
    if isinstance(schema.get('properties'), dict) and 'type' in schema:
        whole['additionalProperties'] = False
    return whole


class Checker:
    """Counts which documents there were; check() says what is wrong with one."""

    def __init__(self):
        self.jsonschema, self.parts = debian_module('jsonschema'), common()
        self.checkers, self.seen = {}, set()

    def check(self, name, document):
        if name not in self.checkers:
            schema = closed(json.loads((SCHEMAS / f'{name}.json').read_text()), self.parts)
            self.checkers[name] = self.jsonschema.Draft202012Validator(schema)
        self.seen.add(name)
        for error in self.checkers[name].iter_errors(document):
            raise live.Failed(f'{name}: {error.json_path}: {error.message[:500]}\n{json.dumps(document)[:2000]}')


# ---- documents ----

def of_heap(world, heap):
    """(name of the schema, document) of all that only looks at @heap."""
    for command in ('info', 'top', 'clients', 'threads', 'histogram', 'roots', 'handles', 'leases', 'blocks', 'map'):
        yield command, world.json(command, heap)
    for by in ('type', 'client', 'object'):
        yield 'retained', world.json('retained', heap, f'--by={by}')
    for by in ('live', 'age', 'type'):
        yield 'map', world.json('map', heap, f'--by={by}')
    yield 'why', world.json('why', heap, 'session')
    for row in world.json('find', heap, 'session', '8=42')['objects']:
        yield 'show', world.json('show', heap, hex(row['ref'] * 8))
        yield 'why', world.json('why', heap, hex(row['ref'] * 8))
    for row in world.json('find', heap, 'node', '-n', '3')['objects']:
        yield 'show', world.json('show', heap, hex(row['ref'] * 8))
    yield 'find', world.json('find', heap, 'session', '-n', '3')
    yield 'verify', world.json('verify', heap)


def of_files(world, heap):
    yield 'histogram', world.json('histogram', heap, '--mark=./mark')
    yield 'histogram', world.json('histogram', heap, '--since=./mark')
    yield 'snapshot', world.json('snapshot', heap, 'a.mmgcsnap')
    yield 'diff', world.json('diff', 'mark', 'a.mmgcsnap')
    for name in ('a.hprof', 'a.heapsnapshot'):
        yield 'dump', world.json('dump', heap, name)
    world.profile(world.place / 'web.pb')
    yield 'profile', world.json('profile', 'web.pb')
    yield 'profile', world.json('profile', 'web.pb', '--in-use')


def of_daemon(world):
    for command in ('list', 'top', 'clients', 'threads', 'users', 'handles', 'leases', 'ping', 'help'):
        yield command, world.json(command)


def of_acting(world):
    lease = world.json('leases', 'trees')['leases'][0]
    yield 'revoke', world.json('revoke', 'trees', lease['session'], lease['slot'])
    yield 'evict', world.json('evict', world.session('stuck'))
    yield 'resize', world.json('resize', 'trees', '512M')
    yield 'trigger', world.json('trigger', '--timeout=100ms', 'cache')
    yield 'trace', world.json('trace', '--for=100ms', '-o', 'trace.json', 'trees')
    yield 'destroy', world.json('destroy', '--force', 'old')


def of_watching(world):
    """Events, one of each that can be brought about."""
    with subprocess.Popen([CTL / 'mmgcctl', 'watch', '--json', '-n', '8'], cwd=world.place, env=world.env, stdout=subprocess.PIPE, text=True,
                          preexec_fn=live.die_with_parent) as watching:
        while watching.poll() is None:          # how many events a round has is the daemon's business
            world.start('seen', 'visitor').communicate('')
            world.sh('mmgcctl gc seen; mmgcctl destroy seen')
        for line in watching.stdout:
            yield 'watch', json.loads(line)


def error(world, *words, status=1):
    return json.loads(world.daemon.mmgcctl(*words, '--json', status=status, env=world.env))


# ---- cases ----

def each_schema_is_one():
    jsonschema = debian_module('jsonschema')
    names = {path.stem for path in SCHEMAS.glob('*.json')}
    live.expect(sorted(names), sorted(set(commands()) - set(NO_DOCUMENT) | {'common', 'error'}))
    for path in SCHEMAS.glob('*.json'):
        schema = json.loads(path.read_text())
        live.expect(schema['$schema'], 'https://json-schema.org/draft/2020-12/schema')
        jsonschema.Draft202012Validator.check_schema(closed(schema, common()))


def each_document_is_as_its_schema_says():
    checker = Checker()
    with World() as world:
        for plan in PLANS:
            heap = f'of-{plan}'
            client = world.start(heap, 'app', f'plan={plan}')
            for name, document in of_heap(world, heap):
                checker.check(name, document)
            if plan != 'nogc':
                checker.check('gc', world.json('gc', heap))
            client.communicate('')              # now all but the named list is garbage
            for name, document in of_heap(world, heap):
                checker.check(name, document)
        world.start('still', 'app', 'ignore_system_gc=true').communicate('')
        checker.check('gc', world.json('gc', 'still'))
        for documents in (of_files(world, 'trees'), of_daemon(world), of_watching(world), of_acting(world)):
            for name, document in documents:
                checker.check(name, document)
    live.expect(sorted(set(commands()) - checker.seen), sorted(NO_DOCUMENT))


def a_broken_heap_and_errors_have_theirs():
    checker = Checker()
    with World() as world:
        client = world.start('torn', 'scribbler', '', 'broken')
        for _ in range(2):                      # found; then quarantined
            document = json.loads(world.daemon.mmgcctl('verify', 'torn', '--json', status=4, env=world.env))
            checker.check('verify', document)
            if not document['first_faults']:
                raise live.Failed('there are no faults')
        checker.check('list', world.json('list'))
        checker.check('info', world.json('info', 'torn'))
        for words in (('gc', 'torn'), ('info', 'no such'), ('destroy', 'trees'), ('resize', 'trees', '64G'), ('show', 'trees', '0x8000000')):
            checker.check('error', error(world, *words))
        client.communicate('')
    checker.check('error', json.loads(live.run(CTL / 'mmgcctl', '--socket', '/nowhere', 'ping', '--json', status=3)))


def a_wrong_document_is_found():
    checker = Checker()
    with World() as world:
        good = world.json('list')
    for wrong in (good | {'surprise': 1}, {'omitted': 0}, good | {'heaps': [good['heaps'][0] | {'used_bytes': -1}]}):
        try:
            checker.check('list', wrong)
        except live.Failed:
            continue
        raise live.Failed(f'passes: {wrong}')


if __name__ == '__main__':
    sys.exit(live.main([each_schema_is_one, each_document_is_as_its_schema_says, a_broken_heap_and_errors_have_theirs, a_wrong_document_is_found]))
