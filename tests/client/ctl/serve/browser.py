# SPDX-License-Identifier: Apache-2.0
"""Browser: a headless Chromium, told what to do over a pipe (the Chrome DevTools Protocol), so that no driver has to be installed.

with Browser() as browser: browser.open(url); browser.value('document.title')
"""
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import watched  # noqa: E402
import live  # noqa: E402

TIMEOUT_S = 60


def program():
    for name in ('chromium', 'chromium-browser', 'google-chrome'):
        if shutil.which(name):
            return name
    raise live.Skip('there is no Chromium here: Debian has it in chromium (125 MB to load, 415 MB of disk)')


class Browser:
    def __enter__(self):
        name = program()
        self.place = tempfile.mkdtemp(prefix='mmgcctl-browser-')
        to_read, self.to = os.pipe()
        self.answers, from_write = os.pipe()

        def pipes():                       # it reads descriptor 3 and writes descriptor 4
            live.die_with_parent()
            kept = [os.dup(to_read), os.dup(from_write)]
            for number, fd in zip((3, 4), kept):
                os.dup2(fd, number)

        self.process = subprocess.Popen(
            [name, '--headless=new', '--remote-debugging-pipe', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
             '--hide-scrollbars', f'--user-data-dir={self.place}'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=pipes)
        os.close(to_read)
        os.close(from_write)
        self.number, self.buffer, self.events, self.session = 0, b'', [], None
        target = self.ask('Target.createTarget', url='about:blank')['targetId']
        self.session = self.ask('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.ask(f'{domain}.enable')
        return self

    def receive(self):
        while b'\0' not in self.buffer:
            if not select.select([self.answers], [], [], TIMEOUT_S)[0]:
                raise live.Failed('the browser does not answer')
            data = os.read(self.answers, 1 << 20)
            if not data:
                raise live.Failed('the browser has ended')
            self.buffer += data
        message, self.buffer = self.buffer.split(b'\0', 1)
        return json.loads(message)

    def ask(self, method, **parameters):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters} | ({'sessionId': self.session} if self.session else {})
        os.write(self.to, json.dumps(message).encode() + b'\0')
        while True:
            answer = self.receive()
            if answer.get('id') == self.number:
                if 'error' in answer:
                    raise live.Failed(f'{method}: {answer["error"]}')
                return answer['result']
            self.events.append(answer)

    def open(self, url, width=1000, height=700, dark=False, mobile=False):
        self.ask('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.ask('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])
        self.ask('Page.navigate', url=url)

    def value(self, expression):
        result = self.ask('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise live.Failed(f'{expression}: {result["exceptionDetails"]}')
        return result['result'].get('value')

    def until(self, expression):
        """What @expression comes to as soon as that is true; where it throws, the page may not be there yet."""
        def holds():
            try:
                return self.value(expression)
            except live.Failed:
                return False
        return watched.until(expression, holds)

    def picture(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.ask('Page.captureScreenshot', format='png')['data']))

    def complaints(self):
        """What was logged as an error, and every URL that was asked for, since the beginning."""
        said = [e['params'] for e in self.events if e.get('method') in ('Log.entryAdded', 'Runtime.exceptionThrown')]
        asked = [e['params']['request']['url'] for e in self.events if e.get('method') == 'Network.requestWillBeSent']
        return said, asked

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.answers)
        watched.until('its processes have written the last of their files', self.is_clean)

    def is_clean(self):
        shutil.rmtree(self.place, ignore_errors=True)
        return not os.path.exists(self.place)
