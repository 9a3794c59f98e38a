# SPDX-License-Identifier: Apache-2.0
"""Terminal: a program on a pseudo-terminal, and what a person would see there, as pyte makes it out."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading

import watched
import live


class Terminal:
    """with Terminal('top', socket=..., rows=24, columns=80) as t: t.until('text')"""

    def __init__(self, *words, socket, program=watched.MMGCCTL, rows=24, columns=80, **environment):
        self.pyte = watched.debian_module('pyte')
        self.program, self.words, self.rows, self.columns = program, words, rows, columns
        self.environment = {k: v for k, v in os.environ.items() if k not in ('NO_COLOR', 'LINES', 'COLUMNS')} | {
            'MMGC_SOCKET': str(socket), 'TERM': 'xterm-256color', 'LC_ALL': 'C.UTF-8'} | environment
        self.raw = b''

    def __enter__(self):
        self.screen = self.pyte.Screen(self.columns, self.rows)
        self.stream = self.pyte.ByteStream(self.screen)
        self.master, self.slave = pty.openpty()
        self.set_size(self.rows, self.columns)
        self.before = termios.tcgetattr(self.slave)
        self.lock = threading.Lock()
        self.process = subprocess.Popen([self.program, *self.words], stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                        env=self.environment, start_new_session=True, preexec_fn=self.be_controlled)
        return self

    def be_controlled(self):
        live.die_with_parent()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def set_size(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        self.set_size(rows, columns)          # the kernel sends SIGWINCH

    def read(self, seconds=0.05):
        """What has come by now is on the screen."""
        while select.select([self.master], [], [], seconds)[0]:
            data = os.read(self.master, 65536)
            self.raw += data
            self.stream.feed(data)
            seconds = 0

    def lines(self):
        self.read()
        return [line.rstrip() for line in self.screen.display]

    def text(self):
        return '\n'.join(self.lines())

    def keys(self, keys):
        os.write(self.master, keys.encode())

    def until(self, *words, absent=()):
        """The screen, as soon as it has all of @words and none of @absent."""
        try:
            return watched.until('', lambda: all(w in self.text() for w in words) and not any(w in self.text() for w in absent) and self.text())
        except live.Failed:
            raise live.Failed(f'no {words}, or some of {absent}, on:\n{self.text()}') from None

    def end(self, status):
        """It ends with @status, and leaves the terminal as it was."""
        watched.until('it ends', lambda: (self.read(), self.process.poll() is not None)[1])
        self.read()
        live.expect(self.process.returncode, status)
        live.expect(termios.tcgetattr(self.slave), self.before)
        if self.raw.count(b'\x1b[?1049h') != self.raw.count(b'\x1b[?1049l'):
            raise live.Failed('the other screen is still shown')
        if self.raw.rfind(b'\x1b[?25l') > self.raw.rfind(b'\x1b[?25h'):
            raise live.Failed('the cursor is still hidden')

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(20)
        if kind is not None:
            print(self.text(), file=sys.stderr)
        os.close(self.master)
        os.close(self.slave)
