#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The EXAMPLES of mmgcctl(1): there is one for each command, and each does what it is there for, in the order of the page."""
import pathlib
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from example_world import World, commands, live      # noqa: E402

PAGE = (live.ROOT / 'docs' / 'man' / 'mmgcctl.1').read_text()
SECTION = re.search(r'^\.Sh EXAMPLES\n(.*?)^\.Sh ', PAGE, re.MULTILINE | re.DOTALL)[1]
GOES_ON = ('serve',)                            # until interrupted
SILENT = ('watch', 'threads', 'trigger')        # nothing has happened to tell of


def examples():
    """Each a script, as a shell reads it."""
    found = []
    for line, block in re.findall(r'^\.Dl \$ ([^\n]*)$|^\.Bd -literal.*?\n(.*?)^\.Ed$', SECTION, re.MULTILINE | re.DOTALL):
        found.append((line or block.strip()).replace(r'\e', '\\').replace(r'\&', '').replace(r'\-', '-'))
    return found


def commands_of(script):
    return re.findall(r'\bmmgcctl (?:-\S+ (?:\d+ )?)*([a-z]+)', script)


def as_here(world, script):
    """@script with the numbers of this heap, and without its hours."""
    lease = world.json('leases', 'trees')['leases'][0]
    offset = world.json('find', 'trees', 'session', '8=42')['objects'][0]['ref'] * 8
    here = {r'\bsleep 3600\b': 'true', r'=8h\b': '=1s', r'=10s\b': '=100ms', r'\./web\b': 'true',
            r'--client=12\b': f'--client={world.session("app")}', r'\brevoke trees 12 3\b': f'revoke trees {lease["session"]} {lease["slot"]}'}
    if 'evict' in script:
        here[r'\bevict 13\b'] = f'evict {world.session("stuck")}'
    if '--from=' not in script:
        here[r'\b0x1a2b8\b'] = hex(offset)
    else:                                       # the object's name is good for the copy alone
        here[r'\b0x1a2b8\b'] = "$(mmgcctl find --from=before.mmgcsnap session 8=42 | sed -n 's/^ *\\(0x[0-9a-f]*\\).*/\\1/p' | head -n 1)"
    for pattern, with_what in here.items():
        script = re.sub(pattern, lambda _: with_what, script)
    return script


def interrupted(world, script):
    """What it prints first; then it is interrupted, and ends well."""
    process = subprocess.Popen(['sh', '-c', 'exec ' + script], cwd=world.place, env=world.env, stdout=subprocess.PIPE, text=True,
                               preexec_fn=live.die_with_parent)
    said = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    live.expect((script, said, process.returncode), (script, said, 0))
    return said


def there_is_one_for_each_command():
    shown = {command for script in examples() for command in commands_of(script)}
    live.expect(shown, set(commands()))


def each_does_what_it_is_there_for():
    if shutil.which('jq') is None:
        raise live.Skip('no jq here: ./dev deps')
    with World() as world:
        world.profile(world.place / 'web.pb')
        for script in examples():
            here, named = as_here(world, script), commands_of(script)
            said = interrupted(world, here) if set(named) & set(GOES_ON) else world.sh(here)
            if said.strip() in ('', 'null', '[]') and not set(named) & set(SILENT):
                raise live.Failed(f'{here}: says nothing')
        check_what_they_left(world)


def check_what_they_left(world):
    for name in ('before.mmgcsnap', 'trees.hprof', 'trees.heapsnapshot', 'trees.svg', 'trees.json'):
        if (world.place / name).stat().st_size == 0:
            raise live.Failed(f'{name} is empty')
    live.expect({row['name'] for row in world.json('list')['heaps']}, {'trees', 'cache'})      # old is destroyed
    live.expect([row['name'] for row in world.json('clients', 'trees')['clients']], ['app'])   # stuck is evicted
    live.expect(len(world.json('leases', 'trees')['leases']), 1)
    live.expect(world.json('info', 'trees')['limit_bytes'], 512 << 20)


if __name__ == '__main__':
    sys.exit(live.main([there_is_one_for_each_command, each_does_what_it_is_there_for]))
