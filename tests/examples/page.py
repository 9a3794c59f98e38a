# SPDX-License-Identifier: Apache-2.0
"""Page: commands that a page of the documents shows, with what they print.

In a ```sh block, lines that begin with `$ ` are commands and the lines below each are its output. A command that ends with `&` goes on. The comment
`<!-- varies: REGEX -->` above a block says which words of its output are others each time: whatever matches REGEX there may be anything else that does. All
else is compared word for word; how many blanks lie between words depends on what varies, and is not. What varied is remembered, so that a later
command that names it (an object's offset, say) is run with what was printed this time.
"""
import re
import subprocess

import live

BLOCK = re.compile(r'^(?:<!-- varies: ([^\n]*) -->\n)?```sh\n(.*?)^```$', re.MULTILINE | re.DOTALL)
NOTHING = r'(?!)'


def sessions(text):
    """[(what varies, [(command, [line of output])])] for each block of commands."""
    for varies, block in BLOCK.findall(text):
        commands = []
        for line in block.splitlines():
            if line.startswith('$ '):
                commands.append((line[2:], []))
            elif commands:
                commands[-1][1].append(line)
        if commands:
            yield varies or NOTHING, commands


def words(line):
    return ' '.join(line.split())


def compare(varies, expected, printed):
    """[(word on the page, word printed)] of what varied; None: something else differs."""
    shown = '\n'.join(map(words, expected))
    got = '\n'.join(map(words, printed))
    pattern, end, found = '', 0, []
    for match in re.finditer(varies, shown, re.MULTILINE):
        pattern += re.escape(shown[end:match.start()]) + f'(?P<v{len(found)}>{varies})'
        found.append(match[0])
        end = match.end()
    fits = re.fullmatch(pattern + re.escape(shown[end:]), got, re.MULTILINE)
    return fits and [(word, fits[f'v{i}']) for i, word in enumerate(found)]


class Shell:
    """Runs a page's commands in @folder: with Shell(folder, env) as shell. What was left running is ended."""

    def __init__(self, folder, env):
        self.folder, self.env, self.running, self.seen = folder, env, [], {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running:
            process.terminate()
            process.wait()

    def as_seen(self, command):
        return re.sub('|'.join(map(re.escape, self.seen)) or NOTHING, lambda word: self.seen[word[0]], command)

    def start(self, command):
        self.running.append(subprocess.Popen(['sh', '-c', 'exec ' + command.removesuffix('&')], cwd=self.folder, env=self.env,
                                             preexec_fn=live.die_with_parent))

    def run(self, command, status=0):
        return live.run('sh', '-c', self.as_seen(command), status=status, cwd=self.folder, env=self.env)

    def session(self, varies, commands):
        """Runs them; a Failed names the first that fails or prints something else."""
        for command, expected in commands:
            if command.endswith('&'):
                self.start(command)
                continue
            printed = self.run(command)
            varied = compare(varies, expected, printed.splitlines())
            if varied is None:
                raise live.Failed(f'$ {command}\nshould print\n' + '\n'.join(expected) + f'\nand prints\n{printed}')
            self.seen.update(pair for pair in varied if re.match('0x', pair[0]))
