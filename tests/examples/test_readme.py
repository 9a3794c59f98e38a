#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""README.md is true: its program compiles against what is installed, its commands work and print what it says they print.

A ```c block is the file whose name stands last in front of it; in a ```sh block, lines that begin with `$ ` are commands and the
lines below each are its output. What would leave a trace on this machine is led into a folder that is gone afterwards.
"""
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402

README = (live.ROOT / 'README.md').read_text()
SOCKET = re.compile(r'/tmp/[\w.-]*\.sock')
MARK = '\x01'


# ---- what README says ------------------------------------------------------------------------------------------------

def blocks(language):
    """(the text before it, the block) for each fenced block in @language."""
    for match in re.finditer(rf'^```{language}\n(.*?)^```$', README, re.MULTILINE | re.DOTALL):
        yield README[:match.start()], match[1]


def programs():
    """{file name: source}"""
    found = {}
    for before, source in blocks('c'):
        found[re.findall(r'`([\w-]+\.c)`', before)[-1]] = source
    return found


def sessions():
    """A list of [(command, what it prints)] for each block of commands."""
    for _, block in blocks('sh'):
        commands = []
        for line in block.splitlines():
            if line.startswith('$ '):
                commands.append((line[2:], []))
            elif commands:
                commands[-1][1].append(line)
        if commands:
            yield commands


# ---- a place in which it is done -------------------------------------------------------------------------------------

class Place:
    """An empty folder with an installed mmgcd beside it, as a shell finds it that follows README."""

    def __init__(self, top):
        self.top = pathlib.Path(top)
        self.work = self.top / 'work'
        self.work.mkdir()
        self.root = self.top / 'root'
        self.socket = self.top / 'sock'
        live.run('meson', 'install', '-C', live.BUILD, '--no-rebuild', '--quiet', '--destdir', self.root)
        pc = next(self.root.rglob('mmgc-client.pc'))
        self.mmgcd = next(path for path in self.root.rglob('mmgcd') if path.is_file() and os.access(path, os.X_OK))
        ctl = next(path for path in self.root.rglob('mmgcctl') if path.is_file() and os.access(path, os.X_OK))
        self.env = {**os.environ,
                    'PATH': f'{ctl.parent}:{self.mmgcd.parent}:{os.environ["PATH"]}',
                    'LD_LIBRARY_PATH': str(pc.parent.parent),
                    'PKG_CONFIG_PATH': str(pc.parent),
                    'PKG_CONFIG_SYSROOT_DIR': str(self.root)}
        self.env.pop('MMGC_SOCKET', None)

    def said_here(self, command):
        return SOCKET.sub(str(self.socket), command)

    def run_session(self, commands):
        """Runs them in one shell; a Failed names the first that fails or prints something else."""
        script = ''.join(f'printf "{MARK}"\n{self.said_here(command)}\n' for command, _ in commands)
        done = subprocess.run(['sh', '-e'], input=script, cwd=self.work, env=self.env, text=True, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=live.die_with_parent)
        printed = done.stdout.split(MARK)[1:]
        if done.returncode != 0:
            raise live.Failed(f'$ {commands[len(printed) - 1][0]}\n{printed[-1]}ended with status {done.returncode}')
        for (command, expected), lines in zip(commands, printed):
            if expected and lines.splitlines() != expected:
                raise live.Failed(f'$ {command}\nshould print\n' + '\n'.join(expected) + f'\nand prints\n{lines}')


@contextlib.contextmanager
def place():
    if live.sanitized():
        raise live.Skip('programs of others do not link with a sanitized library')
    top = tempfile.mkdtemp(prefix='mmgcd-readme-')
    try:
        yield Place(top)
    finally:
        shutil.rmtree(top)


# ---- cases -----------------------------------------------------------------------------------------------------------

def the_program_and_the_commands_work_as_they_are_written():
    """Sessions in order; the one that starts mmgcd goes on beside those after it."""
    with place() as here, contextlib.ExitStack() as daemons:
        for name, source in programs().items():
            (here.work / name).write_text(source)
        ran = started = 0
        for commands in sessions():
            kept = []
            for command, expected in commands:
                words = shlex.split(command)
                if words[:2] == ['meson', 'install']:
                    continue                    # done already, into a folder
                if words[0] == 'mmgcd':
                    private = daemons.enter_context(live.Daemon(program=here.mmgcd))
                    here.socket = private.socket
                    started += 1
                else:
                    kept.append((command, expected))
            here.run_session(kept)
            ran += len(kept)
        if started == 0 or ran < 5:
            raise live.Failed(f'README has {ran} commands and starts mmgcd {started} times')


def what_one_process_wrote_another_reads():
    with place() as here, live.Daemon() as daemon:
        name, source = next((name, source) for name, source in programs().items() if 'main(' in source)
        (here.work / name).write_text(source)
        here.socket = daemon.socket
        here.run_session([(f'cc -Wall -Werror -o program {name} $(pkg-config --cflags --libs mmgc-client)', [])])
        here.env['MMGC_SOCKET'] = str(daemon.socket)
        here.run_session([('./program one two', ['two', 'one']), ('./program three', ['three', 'two', 'one'])])
        readers = [subprocess.Popen(['./program'], cwd=here.work, env=here.env, stdout=subprocess.PIPE, text=True)
                   for _ in range(8)]
        for reader in readers:
            said, _ = reader.communicate(timeout=60)
            if reader.returncode != 0 or said != 'three\ntwo\none\n':
                raise live.Failed(f'a reader ended with status {reader.returncode} and read {said!r}')


def dev_has_the_commands_it_names():
    helps = live.run(live.ROOT / 'dev', 'help')
    known = set(re.findall(r'^  ([a-z]+)\b', helps, re.MULTILINE))
    named = set(re.findall(r'\./dev ([a-z]+)', README))
    for rest in re.findall(r'`\./dev help` lists the rest: ([^.]*)\.', README):
        named |= set(re.findall(r'`([a-z]+)`', rest))
    if not named or not named <= known:
        raise live.Failed(f'{sorted(named - known)} not among {sorted(known)}')
    live.run(live.ROOT / 'dev', 'deps', '--print')


def what_it_links_to_is_there():
    links = {link for link in re.findall(r'\]\(([^)#\s]+)', README) if '://' not in link}
    missing = sorted(link for link in links if not (live.ROOT / link).exists())
    if missing or not links:
        raise live.Failed(f'missing: {", ".join(missing)}')


if __name__ == '__main__':
    sys.exit(live.main([
        the_program_and_the_commands_work_as_they_are_written,
        what_one_process_wrote_another_reads,
        dev_has_the_commands_it_names,
        what_it_links_to_is_there,
    ]))
