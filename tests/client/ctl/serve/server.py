# SPDX-License-Identifier: Apache-2.0
"""Server: `mmgcctl serve` on a port of its own, and one request to it."""
import http.client
import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import watched  # noqa: E402
import live  # noqa: E402


class Server:
    """with Server(daemon) as server: server.get('/metrics')"""

    def __init__(self, daemon, listen='127.0.0.1:0', **more):
        self.command = [watched.MMGCCTL, '--socket', daemon.socket, 'serve', f'--listen={listen}']
        self.more = more

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=live.die_with_parent, **self.more)
        line = self.process.stdout.readline()
        if not line.startswith('serving '):
            raise live.Failed(f'serve did not begin: {line!r}, status {self.process.wait(20)}')
        self.where = line.split()[1]
        self.port = int(self.where.rsplit(':', 1)[1].rstrip('/')) if self.where.startswith('http') else None
        return self

    def connect(self):
        """An HTTPConnection, which may ask several times."""
        if self.port is not None:
            return http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
        connection = http.client.HTTPConnection('localhost', timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.connect(self.where)
        return connection

    def get(self, path, method='GET', body=None, **headers):
        """(status, {header: value}, text)"""
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers={name.replace('_', '-'): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()

    def __exit__(self, kind, *_):
        self.process.terminate()
        status = self.process.wait(20)
        self.process.stdout.close()
        if kind is None and status != 0:
            raise live.Failed(f'serve ended with status {status}')
