#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/finding-leaks.md is true: its commands print what it says, and with its fix the example has no leak any more."""
import contextlib
import json
import os
import pathlib
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402
import page  # noqa: E402

PAGE = (live.ROOT / 'docs' / 'finding-leaks.md').read_text()
SOURCES = live.ROOT / 'docs' / 'examples' / 'leaky'
LEAKY = live.BUILD / 'docs' / 'examples' / 'leaky'
CTL = live.BUILD / 'client' / 'ctl'
PLANS = ('concurrentstickyimmix', 'immix', 'marksweep', 'semispace', 'lxr')


@contextlib.contextmanager
def shell(leaky, *options):
    """A shell that finds mmgcctl, and leaky in the folder @leaky, beside a daemon."""
    with tempfile.TemporaryDirectory(prefix='mmgcd-leaky-') as folder, live.Daemon(*options) as daemon:
        env = {**os.environ, 'PATH': f'{leaky}:{CTL}:{os.environ["PATH"]}', 'MMGC_SOCKET': str(daemon.socket), 'XDG_STATE_HOME': folder}
        with page.Shell(folder, env) as here:
            yield here


def wait_for_server(here):
    for _ in range(400):
        if (pathlib.Path(here.folder) / 'leaky.sock').exists():
            return
        if here.running[-1].poll() is not None:
            break
        time.sleep(0.05)
    raise live.Failed('leaky does not listen')


def each_command_prints_what_the_page_says():
    ran = 0
    with shell(LEAKY) as here:
        for varies, commands in page.sessions(PAGE):
            here.session(varies, commands)
            if here.running and ran == 0:
                wait_for_server(here)
            ran += len(commands)
    if ran < 15 or not here.running:
        raise live.Failed(f'the page has {ran} commands')


# ---- the fix ----

def fixed(name, source):
    """@source as the page's diff has it."""
    for _, diff in re.findall(rf'^(--- docs/examples/leaky/{name})\n@@\n(.*?)(?=^--- |^```)', PAGE, re.MULTILINE | re.DOTALL):
        old = ''.join(f'{line[1:]}\n' for line in diff.splitlines() if not line.startswith('+'))
        new = ''.join(f'{line[1:]}\n' for line in diff.splitlines() if not line.startswith('-'))
        if source.count(old) != 1:
            raise live.Failed(f'{name} does not have, once:\n{old}')
        source = source.replace(old, new)
    return source


def build(folder, mend):
    for path in SOURCES.glob('*.[ch]'):
        (folder / path.name).write_text(mend(path.name, path.read_text()))
    live.run('cc', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter',
             '-I', live.ROOT / 'client' / 'include', '-I', live.ROOT / 'proto', *sorted(folder.glob('*.c')),
             live.BUILD / 'client' / 'libmmgc-client.a', '-o', folder / 'leaky', '-lprotobuf-c', '-pthread')


def growth(leaky, *options):
    """What 1000 visits add, after some: {type: objects}."""
    with shell(leaky, *options) as here:
        here.start('leaky serve leaky.sock')
        wait_for_server(here)
        here.run('leaky visit leaky.sock 1000')
        here.run('mmgcctl gc leaky && mmgcctl histogram leaky --mark=before && leaky visit leaky.sock 1000 && mmgcctl gc leaky')
        types = json.loads(here.run('mmgcctl histogram leaky --since=before --json'))['types']
    return {row['name']: row['objects_growth'] for row in types}


def with_the_fix_nothing_grows():
    if live.sanitized():
        raise live.Skip('programs of others do not link with a sanitized library')
    with tempfile.TemporaryDirectory(prefix='mmgcd-fixed-') as folder:
        build(pathlib.Path(folder), fixed)
        for plan in PLANS:
            grown = growth(folder, '--heap-plan', plan)
            if any(grown[name] > 0 for name in ('session', 'report', 'store')):
                raise live.Failed(f'{plan}: {grown}')


def without_it_it_grows_under_each_plan():
    for plan in PLANS:
        grown = growth(LEAKY, '--heap-plan', plan)
        if grown['session'] != 1000 or grown['report'] != 1:
            raise live.Failed(f'{plan}: {grown}')


if __name__ == '__main__':
    sys.exit(live.main([each_command_prints_what_the_page_says, with_the_fix_nothing_grows, without_it_it_grows_under_each_plan]))
