#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What shells offer: the words of mmgcctl complete, and the scripts that ask for them, in the shells themselves."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import watched  # noqa: E402
import live  # noqa: E402
from terminal import Terminal  # noqa: E402
from watched import Busy  # noqa: E402

SCRIPTS = live.ROOT / 'client' / 'ctl' / 'completions'


def complete(*words, socket='/nowhere/sock', **environment):
    """The candidates for the last of @words, without what they are."""
    said = live.run(watched.MMGCCTL, 'complete', *words, timeout=20, env=os.environ | {'MMGC_SOCKET': str(socket)} | environment)
    return [line.split('\t')[0] for line in said.splitlines()]


def commands():
    return re.findall(r'^  ([a-z]+)\b.*', live.run(watched.MMGCCTL, '--help').split('Commands\n')[1].split('\nOptions')[0], re.M)


def every_command_is_offered():
    live.expect(complete(''), commands())
    live.expect(complete('help', ''), commands())
    live.expect(complete('tri'), ['trigger'])
    live.expect(complete('--json', 'his'), ['histogram'])


def options_are_those_of_the_command():
    for command in commands():
        listed = re.findall(r'^ +(?:-., )?(--[a-z-]+=?)', live.run(watched.MMGCCTL, 'help', command).split('Options\n')[1], re.M)
        live.expect((command, complete(command, '--')), (command, listed))


def values_are_offered_where_they_are_known():
    live.expect(complete('histogram', '--sort=')[0], '--sort=bytes')
    live.expect(complete('top', '--sort', 'c'), ['collections', 'clients'])
    live.expect(complete('--socket', ''), ['@files'])
    live.expect(complete('--socket='), ['@files'])
    live.expect(complete('top', '--delay', ''), [])


def heaps_are_offered_where_one_is_taken():
    with live.Daemon() as daemon, Busy(daemon, 3):
        names = ['busy-000', 'busy-001', 'busy-002']
        for words in (('info', ''), ('gc', 'b'), ('top', 'busy'), ('clients', ''), ('resize', ''), ('-n', '3', 'handles', 'busy-')):
            live.expect((words, complete(*words, socket=daemon.socket)), (words, names))
            live.expect((words, complete('--socket', str(daemon.socket), *words)), (words, names))
        live.expect(complete('info', 'busy-002', '', socket=daemon.socket), [])
        live.expect(complete('ping', '', socket=daemon.socket), [])
        live.expect(complete('resize', 'busy-000', '', socket=daemon.socket), [])


def without_a_daemon_nothing_is_offered_quickly_and_silently():
    begun = time.monotonic()
    done = subprocess.run([watched.MMGCCTL, 'complete', '--socket', '/nowhere', 'info', ''], capture_output=True, text=True, timeout=20, check=False)
    live.expect((done.returncode, done.stdout, done.stderr), (0, '', ''))
    live.expect(time.monotonic() - begun < 5, True)


def shell(name):
    found = shutil.which(name)
    if found is None:
        raise live.Skip(f'there is no {name} here')
    return found


def environment(socket):
    return os.environ | {'MMGC_SOCKET': str(socket), 'PATH': f'{watched.MMGCCTL.parent}:{os.environ["PATH"]}', 'LC_ALL': 'C.UTF-8'}


def bash_offers(line, socket, prelude=''):
    script = f'''{prelude}
source {SCRIPTS}/mmgcctl.bash
COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}; COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
read -ra COMP_WORDS <<<"$COMP_LINE"; [[ $COMP_LINE != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
compopt() {{ :; }}
_mmgcctl
printf '%s\\n' "${{COMPREPLY[@]}}"'''
    return live.run(shell('bash'), '--norc', '-c', script, env=environment(socket)).split()


def bash_offers_them():
    package = pathlib.Path('/usr/share/bash-completion/bash_completion')
    with live.Daemon() as daemon, Busy(daemon, 2):
        for prelude in ('',) + ((f'source {package}',) if package.is_file() else ()):
            live.expect(bash_offers('mmgcctl his', daemon.socket, prelude), ['histogram'])
            live.expect(bash_offers('mmgcctl info ', daemon.socket, prelude), ['busy-000', 'busy-001'])
            live.expect(bash_offers('mmgcctl histogram --so', daemon.socket, prelude), ['--socket=', '--sort='])


def zsh_offers_them():
    """A real zsh on a pseudo-terminal: what it puts into the line, and what it lists below."""
    zsh = shell('zsh')
    with live.Daemon() as daemon, Busy(daemon, 1), \
         Terminal('-f', '-i', program=zsh, socket=daemon.socket, rows=40, columns=120, PATH=environment(daemon.socket)['PATH']) as t:
        t.keys(f"PS1='ready> '; fpath=({SCRIPTS} $fpath); autoload -Uz compinit; compinit -u -D; clear\n")
        t.until('ready>', absent=('compinit',))
        t.keys('mmgcctl his\t')
        t.until('ready> mmgcctl histogram')
        t.keys('--so\t')
        t.until('--socket=  ask the daemon there', '--sort=  histogram by bytes')
        t.keys('r\tna\t')
        t.until('mmgcctl histogram --sort=name')
        t.keys('b\t')
        t.until('mmgcctl histogram --sort=name busy-000')


def fish_offers_them():
    fish = shell('fish')
    with live.Daemon() as daemon, Busy(daemon, 2):
        def offers(line):
            said = live.run(fish, '--no-config', '-c', f'source {SCRIPTS}/mmgcctl.fish; complete --do-complete {line!r}', env=environment(daemon.socket))
            return [row.split('\t')[0] for row in said.splitlines()]

        live.expect(offers('mmgcctl his'), ['histogram'])
        live.expect(offers('mmgcctl info '), ['busy-000', 'busy-001'])
        live.expect(offers('mmgcctl histogram --so'), ['--socket=', '--sort='])


def they_are_installed_where_shells_look():
    build = (live.ROOT / 'client' / 'ctl' / 'meson.build').read_text()
    for script in SCRIPTS.iterdir():
        live.expect((script.name, f"'completions/{script.name}'" in build), (script.name, True))


if __name__ == '__main__':
    sys.exit(live.main([
        every_command_is_offered, options_are_those_of_the_command, values_are_offered_where_they_are_known,
        heaps_are_offered_where_one_is_taken, without_a_daemon_nothing_is_offered_quickly_and_silently, bash_offers_them, zsh_offers_them,
        fish_offers_them, they_are_installed_where_shells_look]))
