#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""serve: what is answered to whom."""
import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[i]) for i in (0, 1)]
import watched  # noqa: E402
import live  # noqa: E402
from server import Server  # noqa: E402
from watched import Busy, until  # noqa: E402

JSON = 'application/json'


def each_path_has_its_kind_and_others_are_not_there():
    with live.Daemon() as daemon, Busy(daemon, 1), Server(daemon) as server:
        for path, status, kind in (('/', 200, 'text/html; charset=utf-8'), ('/metrics', 200, 'text/plain; version=0.0.4; charset=utf-8'),
                                   ('/api/top', 200, JSON), ('/api/clients', 200, JSON), ('/api/users', 200, JSON),
                                   ('/api/info?heap=busy-000', 200, JSON), ('/api/blocks?heap=busy-000', 200, JSON),
                                   ('/api/roots?heap=busy-000', 200, JSON), ('/api/handles', 200, JSON), ('/api/leases', 200, JSON),
                                   ('/api/info?heap=nowhere', 404, JSON), ('/api/info', 400, JSON), ('/api/info?heap=%01', 400, JSON),
                                   ('/api/destroy?heap=busy-000', 404, None), ('/api/', 404, None), ('/favicon.ico', 404, None),
                                   ('/metrics/', 404, None), ('/../etc/passwd', 404, None), ('/api/info/../top', 404, None)):
            got, headers, text = server.get(path)
            live.expect((path, got), (path, status))
            if kind is not None:
                live.expect((path, headers['content-type']), (path, kind))
            if kind == JSON and status == 200:
                json.loads(text)
            if kind == JSON and status != 200:
                live.expect(set(json.loads(text)['error']), {'code', 'name', 'message', 'detail'})


def documents_are_those_of_the_commands():
    with live.Daemon() as daemon, Busy(daemon, 2), Server(daemon) as server:
        for call, words in (('roots?heap=busy-001', ('roots', 'busy-001')), ('blocks?heap=busy-001', ('blocks', 'busy-001'))):
            live.expect(json.loads(server.get(f'/api/{call}')[2]), json.loads(daemon.mmgcctl(*words, '--json')))
        top = json.loads(server.get('/api/top')[2])
        live.expect([h['name'] for h in top['heaps']], ['busy-000', 'busy-001'])
        live.expect([h['name'] for h in json.loads(server.get('/api/top?heap=busy-001')[2])['heaps']], ['busy-001'])


def what_is_sent_lets_nothing_else_run_or_read():
    with live.Daemon() as daemon, Server(daemon) as server:
        for path in ('/', '/metrics', '/api/top', '/nowhere'):
            _, headers, text = server.get(path)
            policy = headers['content-security-policy']
            for part in ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
                live.expect((part, part in policy), (part, True))
            live.expect(('unsafe' in policy, headers['x-content-type-options'], headers['cross-origin-resource-policy']),
                        (False, 'nosniff', 'same-origin'))
            live.expect('access-control-allow-origin' in headers, False)
        page = server.get('/')[2]
        live.expect([word for word in ('http://', 'https://', '//cdn', 'innerHTML', 'eval(') if word in page], [])


def only_names_of_this_machine_are_answered():
    with live.Daemon() as daemon, Server(daemon) as server:
        for host, status in (('localhost', 200), (f'127.0.0.1:{server.port}', 200), ('[::1]:1', 200), ('LOCALHOST:9', 200),
                             ('evil.example', 421), ('localhost.evil.example', 421), ('127.0.0.1.evil.example', 421), ('', 421)):
            live.expect((host, server.get('/api/top', Host=host)[0]), (host, status))
        with socket.create_connection(('127.0.0.1', server.port)) as bare:     # HTTP/1.0 needs no Host
            bare.sendall(b'GET /api/top HTTP/1.0\r\n\r\n')
            live.expect(bare.recv(4096).split()[1], b'421')


def nothing_but_get_and_head():
    with live.Daemon() as daemon, Busy(daemon, 1), Server(daemon) as server:
        for method in ('POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'BREW'):
            status, headers, _ = server.get('/api/top', method, body='x' * 100000 if method == 'POST' else None)
            live.expect((method, status, headers['allow']), (method, 405, 'GET, HEAD'))
        status, headers, text = server.get('/', 'HEAD')
        live.expect((status, text, headers['content-length']), (200, '', str(len(server.get('/')[2].encode()))))


def what_stops_a_heap_is_not_asked_by_other_sites_pages():
    with live.Daemon() as daemon, Busy(daemon, 1), Server(daemon) as server:
        live.expect(server.get('/api/histogram?heap=busy-000')[0], 403)
        status, _, text = server.get('/api/histogram?heap=busy-000', X_Mmgcd_Stop='yes')
        live.expect((status, json.loads(text)['types'][0]['name']), (200, 'node'))
        live.expect(server.get('/api/histogram?heap=busy-000', X_Mmgcd_Stop='yes')[0], 429)     # not again at once


def paths_and_what_is_retained_are_documents_too():
    for call, key, wanted in (('why?heap=busy-000&what=node', 'paths', 'steps'), ('retained?heap=busy-000', 'retained', 'retained_bytes')):
        with live.Daemon() as daemon, Busy(daemon, 1), Server(daemon) as server:
            live.expect(server.get(f'/api/{call}')[0], 403)
            status, _, text = server.get(f'/api/{call}', X_Mmgcd_Stop='yes')
            live.expect((status, wanted in json.loads(text)[key][0]), (200, True))
    with live.Daemon() as daemon, Busy(daemon, 1), Server(daemon) as server:
        live.expect(server.get('/api/why?heap=busy-000', X_Mmgcd_Stop='yes')[0], 400)      # of what?


def a_connection_is_kept_and_many_are_answered():
    with live.Daemon() as daemon, Busy(daemon, 3), Server(daemon) as server:
        connection = server.connect()
        for _ in range(20):
            connection.request('GET', '/api/top')
            live.expect(connection.getresponse().read()[:1], b'{')
        connection.close()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            live.expect(set(pool.map(lambda _: server.get('/metrics')[0], range(200))), {200})


def more_connections_than_it_has_room_for_go_and_do_no_harm():
    def answers():
        try:
            return server.get('/metrics')[0] == 200
        except ConnectionError:
            return False

    with live.Daemon() as daemon, Server(daemon) as server:
        idle = [socket.create_connection(('127.0.0.1', server.port)) for _ in range(150)]
        for s in idle:
            s.close()
        until('it answers again', answers)


def heads_without_end_are_refused():
    with live.Daemon() as daemon, Server(daemon) as server:
        with socket.create_connection(('127.0.0.1', server.port)) as s:
            s.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\n')
            try:
                for _ in range(100):
                    s.sendall(b'X-Long: ' + b'x' * 1000 + b'\r\n')
                answer = s.recv(4096)
            except ConnectionError:
                answer = b''
            live.expect(answer == b'' or answer.split()[1] in (b'413', b'431'), True)
        live.expect(server.get('/metrics')[0], 200)


def a_daemon_that_is_gone_is_an_error_and_then_found_again():
    with live.Daemon() as daemon, Server(daemon) as server:
        live.expect(server.get('/api/top')[0], 200)
        daemon.process.terminate()
        daemon.process.wait(20)
        status, _, text = server.get('/api/top')
        live.expect((status, json.loads(text)['error']['name']), (503, 'NO_DAEMON'))
        status, _, text = server.get('/metrics')
        live.expect((status, [line for line in text.splitlines() if line[0] != '#']), (200, ['mmgcd_up 0']))
        daemon.process = subprocess.Popen([daemon.program, '--foreground', '--socket', daemon.socket, '--threads', '2'],
                                          stdin=subprocess.DEVNULL, stdout=daemon.log, stderr=daemon.log, preexec_fn=live.die_with_parent)
        until('it answers again', lambda: server.get('/api/top')[0] == 200)


def a_socket_of_its_own_is_for_its_group_and_goes_with_it():
    with live.Daemon() as daemon, tempfile.TemporaryDirectory(prefix='mmgcctl-serve-') as place:
        path = os.path.join(place, 'http')
        with Server(daemon, f'unix:{path}') as server:
            live.expect(server.get('/metrics')[0], 200)
            live.expect(server.get('/metrics', Host='behind.a.proxy')[0], 200)     # no browser reaches it by a name
            live.expect(stat.S_IMODE(os.stat(path).st_mode), 0o660)
            second = subprocess.run([watched.MMGCCTL, 'serve', f'--listen=unix:{path}'], capture_output=True, text=True, check=False, timeout=30)
            live.expect((second.returncode, 'in use already' in second.stderr), (1, True))
        live.expect(os.path.exists(path), False)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        with Server(daemon, f'unix:{path}') as server:                             # nobody listens on that one any more
            live.expect(server.get('/metrics')[0], 200)


def where_it_cannot_listen_is_told():
    with live.Daemon() as daemon, Server(daemon) as server:
        for listen, why in ((f'127.0.0.1:{server.port}', 'in use already'), ('localhost:1', '--listen takes'), ('9464', '--listen takes'),
                            ('unix:', '--listen takes'), ('127.0.0.1:99999', '--listen takes'), ('unix:/nowhere/x', 'No such file')):
            done = subprocess.run([watched.MMGCCTL, 'serve', f'--listen={listen}'], capture_output=True, text=True, check=False, timeout=30)
            live.expect((listen, done.returncode, why in done.stderr), (listen, 1, True))


def a_service_manager_is_told_that_it_is_ready_and_that_it_ends():
    with live.Daemon() as daemon, tempfile.TemporaryDirectory(prefix='mmgcctl-serve-') as place, \
         socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(os.path.join(place, 'notify'))
        manager.settimeout(20)
        with Server(daemon, env=os.environ | {'NOTIFY_SOCKET': os.path.join(place, 'notify')}) as server:
            live.expect(manager.recv(64), b'READY=1')
            server.process.send_signal(signal.SIGINT)
            live.expect(manager.recv(64), b'STOPPING=1')


def one_request_at_a_time_stops_a_heap():
    """One waits for a daemon that does not answer; the other is told so at once, and the page is sent meanwhile."""
    def count():
        return server.get('/api/histogram?heap=busy-000', X_Mmgcd_Stop='yes')[0]

    with live.Daemon() as daemon, Busy(daemon, 1), Server(daemon) as server, concurrent.futures.ThreadPoolExecutor(2) as pool:
        os.kill(daemon.process.pid, signal.SIGSTOP)
        try:
            both = [pool.submit(count), pool.submit(count)]
            done, waiting = concurrent.futures.wait(both, 20, concurrent.futures.FIRST_COMPLETED)
            live.expect(([f.result() for f in done], len(waiting)), ([503], 1))
            live.expect(server.get('/')[0], 200)
        finally:
            os.kill(daemon.process.pid, signal.SIGCONT)
        live.expect(waiting.pop().result(), 200)


if __name__ == '__main__':
    sys.exit(live.main([
        each_path_has_its_kind_and_others_are_not_there, documents_are_those_of_the_commands, what_is_sent_lets_nothing_else_run_or_read,
        only_names_of_this_machine_are_answered, nothing_but_get_and_head, what_stops_a_heap_is_not_asked_by_other_sites_pages, paths_and_what_is_retained_are_documents_too,
        a_connection_is_kept_and_many_are_answered, more_connections_than_it_has_room_for_go_and_do_no_harm,
        heads_without_end_are_refused, a_daemon_that_is_gone_is_an_error_and_then_found_again,
        a_socket_of_its_own_is_for_its_group_and_goes_with_it, where_it_cannot_listen_is_told,
        a_service_manager_is_told_that_it_is_ready_and_that_it_ends, one_request_at_a_time_stops_a_heap]))
