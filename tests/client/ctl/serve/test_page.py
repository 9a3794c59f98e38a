#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page in a browser: what it shows, that it fits, that it asks nobody else.  MMGC_IMAGES=DIR keeps pictures of it."""
import os
import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[i]) for i in (0, 1)]
from watched import Busy  # noqa: E402
import live  # noqa: E402
from browser import Browser, program  # noqa: E402
from server import Server  # noqa: E402

IMAGES = os.environ.get('MMGC_IMAGES')
ROWS = '[...document.querySelectorAll("#heaps tbody tr")].map(r => r.innerText)'
FITS = 'document.documentElement.scrollWidth <= window.innerWidth'


def keep(browser, name):
    if IMAGES:
        browser.picture(pathlib.Path(IMAGES) / f'{name}.png')


def heaps_are_a_table_that_lives_and_sorts():
    program()
    with live.Daemon() as daemon, Busy(daemon, 3, 40), Server(daemon) as server, Browser() as browser:
        browser.open(server.where)
        browser.until(f'{ROWS}.length === 3')
        browser.until(f'/busy-000.*stickyimmix.*MiB.*\\d\\d\\.\\d MiB.*\\d\\.\\d.*[um]s/s.test({ROWS}[0])')   # it allocates and pauses
        keep(browser, 'page-heaps')
        browser.value('[...document.querySelectorAll("#heaps th button")].find(b => b.textContent === "used").click()')
        live.expect(browser.value('document.querySelector("th[aria-sort]").textContent'), 'used')
        browser.until(f'{ROWS}[0].startsWith("busy-000")')
        live.expect(browser.value('document.getElementById("error").textContent'), '')
        said, asked = browser.complaints()
        live.expect(said, [])
        live.expect([url for url in asked if not url.startswith((server.where, 'data:'))], [])


def a_heap_has_its_curves_map_and_clients():
    program()
    with live.Daemon() as daemon, Busy(daemon, 2, 40), Server(daemon) as server, Browser() as browser:
        browser.open(server.where + '#heap/busy-000')
        browser.until('document.querySelectorAll("#client-table tbody tr").length === 1')
        live.expect(browser.value('document.querySelector("#client-table tbody td").textContent'), 'busy')
        browser.until('/MiB used.*live/.test(document.getElementById("occupancy").ariaLabel)')
        browser.until('/\\d+ pauses/.test(document.getElementById("pauses").ariaLabel)')
        browser.until('/per cent of \\d+ cells/.test(document.getElementById("map").ariaLabel)')
        for canvas in ('occupancy', 'pauses', 'map'):        # something is drawn
            browser.until(f'(c => new Set(c.getContext("2d").getImageData(0, 0, c.width, c.height).data).size > 3)(document.getElementById("{canvas}"))')
        browser.until('seen.get("busy-000").length > 5')     # for the picture
        keep(browser, 'page-heap')
        said, _ = browser.complaints()
        live.expect(said, [])


def types_are_counted_when_asked_for():
    program()
    with live.Daemon() as daemon, Busy(daemon, 1), Server(daemon) as server, Browser() as browser:
        browser.open(server.where + '#heap/busy-000')
        browser.until('document.getElementById("count") !== null')
        live.expect(browser.value('document.body.innerText.includes("This stops the heap for a moment")'), True)
        live.expect(browser.value('document.querySelector("#histogram")'), None)
        browser.value('document.getElementById("count").click()')
        browser.until('document.querySelector("#histogram tbody td")?.textContent === "node"')


def who_holds_a_type_is_told_when_asked_for():
    program()
    with live.Daemon() as daemon, Busy(daemon, 1), Server(daemon) as server, Browser() as browser:
        browser.open(server.where + '#heap/busy-000')
        browser.until('document.getElementById("count") !== null')
        browser.value('document.getElementById("count").click()')
        browser.until('document.querySelector("#histogram .why") !== null')
        browser.value('document.querySelector("#histogram .why").click()')      # so soon after the count it is refused
        browser.until('/once in five seconds/.test(document.body.innerText)')
        browser.until('document.querySelector("#paths li") !== null || (/looking/.test(document.body.innerText)'
                      ' || document.querySelector("#histogram .why").click(), false)')
        live.expect(browser.value('/node 0x[0-9a-f]+/.test(document.querySelector("#paths li").innerText)'), True)
        browser.value('document.querySelector("#paths").scrollIntoView()')
        keep(browser, 'page-paths')
        said, _ = browser.complaints()
        live.expect([complaint for complaint in said if '429' not in str(complaint)], [])


def names_are_text_and_never_markup():
    program()
    name = '<img src=x onerror=alert(1)>'
    os.environ['NAME'] = name
    try:
        with live.Daemon() as daemon, Busy(daemon, 1), Server(daemon) as server, Browser() as browser:
            browser.open(server.where)
            browser.until(f'{ROWS}.length === 1')
            live.expect(browser.value('document.querySelector("#heaps a").textContent'), name)
            browser.value('document.querySelector("#heaps a").click()')
            browser.until('document.querySelector("h2")?.textContent.startsWith("<img")')
            live.expect(browser.value('document.images.length'), 0)
    finally:
        del os.environ['NAME']


def it_fits_a_phone_and_a_window_of_a_terminals_size_in_light_and_dark():
    program()
    with live.Daemon() as daemon, Busy(daemon, 3, 40), Server(daemon) as server, Browser() as browser:
        for name, width, height, dark, mobile in (('phone', 360, 740, True, True), ('small', 640, 400, False, False)):
            for path in ('', '#heap/busy-000'):
                browser.open('about:blank')
                browser.open(server.where + path, width, height, dark, mobile)
                browser.until(f'{ROWS}.length === 3' if path == '' else 'document.querySelector("#client-table") !== null')
                live.expect((name, path, browser.value(FITS)), (name, path, True))
                back = browser.value('getComputedStyle(document.body).backgroundColor')
                live.expect((name, back == 'rgb(255, 255, 255)'), (name, not dark))
            keep(browser, f'page-{name}')


def a_daemon_that_is_gone_is_told_and_asked_again():
    program()
    with live.Daemon() as daemon, Server(daemon) as server, Browser() as browser:
        browser.open(server.where)
        browser.until('document.getElementById("totals").textContent.startsWith("up ")')
        daemon.process.terminate()
        daemon.process.wait(20)
        browser.until('/no daemon.*asking again/.test(document.getElementById("error").textContent)')


if __name__ == '__main__':
    sys.exit(live.main([
        heaps_are_a_table_that_lives_and_sorts, a_heap_has_its_curves_map_and_clients, types_are_counted_when_asked_for,
        who_holds_a_type_is_told_when_asked_for, names_are_text_and_never_markup, it_fits_a_phone_and_a_window_of_a_terminals_size_in_light_and_dark,
        a_daemon_that_is_gone_is_told_and_asked_again]))
