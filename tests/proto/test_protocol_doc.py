#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Protocol page: docs/protocol.md says of each message what mmgc.proto, limit.h, wire.h and error.h say, as a TAP test."""
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))
import rules  # noqa: E402

ROOT = Path(os.environ.get('MMGC_SOURCE_ROOT', Path(__file__).resolve().parents[2]))
PAGE = (ROOT / 'docs/protocol.md').read_text()
PROTO = re.sub(r'//[^\n]*', '', (ROOT / 'proto/mmgc.proto').read_text())
LIMIT = (ROOT / 'proto/limit.h').read_text()
WIRE = (ROOT / 'proto/wire.h').read_text()
PACKET = (ROOT / 'proto/packet.h').read_text()

ERRORS = re.findall(r'X\((\w+), (\d+), "(.*?)"\)', (ROOT / 'proto/mmgc/error.h').read_text())


def messages():
    """{message: [(type, field), ...]}, of the envelopes without what the oneof holds."""
    found = {}
    for match in re.finditer(r'message (\w+) \{', PROTO):
        depth, end = 1, match.end()
        while depth:
            depth += {'{': 1, '}': -1}.get(PROTO[end], 0)
            end += 1
        body = re.sub(r'oneof \w+ \{.*?\}', '', PROTO[match.end():end - 1], flags=re.S)
        found[match[1]] = re.findall(r'(?:repeated )?(\w+) (\w+) = \d+;', body)
    return found


def bodies(envelope):
    """The messages an envelope may hold."""
    block = re.search(r'message %s \{.*?oneof body \{(.*?)\}' % envelope, PROTO, re.S)[1]
    return re.findall(r'(\w+) \w+ = \d+;', block)


def limits(macro):
    """{MESSAGE: (bytes, fewest fds, most fds)} of a table in limit.h."""
    table = re.search(r'#define %s\(X\)(.*?)\n(?! )' % macro, LIMIT, re.S)[1]
    return {kind: tuple(map(int, rest)) for kind, *rest in re.findall(r'X\((\w+), +(\d+), (\d+), (\d+)\)', table)}


def upper(message):
    return re.sub(r'(?<!^)(?=[A-Z])', '_', message).upper()


def section(message):
    match = re.search(r'^### %s\n(.*?)(?=^##|\Z)' % message, PAGE, re.S | re.M)
    return match[1] if match else ''


def facts(message):
    """The cells of a message's table by their column."""
    rows = [[cell.strip() for cell in line.strip('|\n').split('|')]
            for line in section(message).splitlines() if line.startswith('|')]
    return dict(zip(rows[0], rows[2])) if len(rows) == 3 else {}


def every_message_has_a_section():
    for message in messages():
        if PAGE.count(f'\n### {message}\n') != 1:
            yield f'{message}: {PAGE.count(f"### {message}")} sections'


def every_field_is_listed_in_order():
    for message, fields in messages().items():
        listed = re.findall(r'^- `(\w+)`:', section(message), re.M)
        if listed != [name for _, name in fields]:
            yield f'{message}: lists {listed}, has {[name for _, name in fields]}'


def every_kind_says_its_limits():
    for envelope, sender in (('Request', 'client'), ('Reply', 'daemon')):
        table = limits(f'WIRE_{envelope.upper()}_LIMITS')
        if {upper(message) for message in bodies(envelope)} != set(table):
            yield f'{envelope}: limit.h has other kinds than mmgc.proto'
        for message in bodies(envelope):
            limit, fewest, most = table.get(upper(message), (0, 0, 0))
            fds = 'none' if most == 0 else str(most) if fewest == most else f'{fewest} or {most}'
            expected = {'sent by': sender, 'bytes': str(limit), 'fds': fds}
            for column, value in expected.items():
                if facts(message).get(column) != value:
                    yield f'{message}: {column} is {facts(message).get(column)!r}, should be {value!r}'
            if not facts(message).get('since', '').isdigit():
                yield f'{message}: does not say since which version'


def replies_answer_what_says_so():
    for message in bodies('Request'):
        for reply in re.findall(r'\[(\w+)\]\(#', facts(message).get('replies', '')):
            if reply != 'Error' and f'[{message}](#' not in facts(reply).get('answers', ''):
                yield f'{message}: is answered by {reply}, whose section does not say so'
    for reply in bodies('Reply'):
        for message in re.findall(r'\[(\w+)\]\(#', facts(reply).get('answers', '')):
            if f'[{reply}](#' not in facts(message).get('replies', ''):
                yield f'{reply}: answers {message}, whose section does not say so'


def errors_are_those_of_the_header():
    rows = re.findall(r'^\| (\d+) \| (\w+) \| (.*?) \|$', PAGE.split('\n## Errors\n')[1], re.M)
    listed, wanted = set(rows), {(number, name, text) for name, number, text in ERRORS}
    yield from (f'{row}: not in error.h' for row in sorted(listed - wanted))
    yield from (f'{row}: not in the table' for row in sorted(wanted - listed))
    if len({number for _, number, _ in ERRORS}) != len(ERRORS):
        yield 'a number is used twice'


def errors_named_exist():
    names = {name for name, _, _ in ERRORS}
    for message in bodies('Request'):
        for word in re.findall(r'\b[A-Z][A-Z_]+\b', facts(message).get('errors', '')):
            if word not in names:
                yield f'{message}: no error {word}'


def numbers_of_the_headers_are_said():
    for name, text, phrase in (('PACKET_BYTES_MAX', PACKET, '| a packet | {} bytes |'),
                               ('PACKET_FDS_MAX', PACKET, 'never more than {} |'),
                               ('WIRE_REQUEST_BYTES_MAX', WIRE, '| a request | {} bytes'),
                               ('WIRE_NAME_MAX', WIRE, '| names of heaps and roots | 1 to {} bytes |'),
                               ('WIRE_LABEL_MAX', WIRE, '| names of types | 1 to {} bytes |'),
                               ('WIRE_LABEL_MAX', WIRE, '| labels of clients and threads | 0 to {} bytes |'),
                               ('WIRE_PLAN_MAX', WIRE, '| name of a plan | 0 to {} bytes |'),
                               ('WIRE_OPTIONS_MAX', WIRE, '| options of a heap | 0 to {} bytes |'),
                               ('WIRE_REFS_MAX', WIRE, '| references of a type | {},'),
                               ('WIRE_VERSION_MAX', WIRE, 'Today there is version {}.')):
        value = re.search(r'#define %s (\d+)u' % name, text)[1]
        if phrase.format(value) not in PAGE:
            yield f'{name} is {value}: the page lacks "{phrase.format(value)}"'


def links_lead_somewhere():
    anchors = {re.sub(r'[^\w\- ]', '', title).lower().replace(' ', '-') for title in re.findall(r'^#+ (.*)$', PAGE, re.M)}
    for target in re.findall(r'\]\(#([^)]+)\)', PAGE):
        if target not in anchors:
            yield f'#{target}: no such section'


def main():
    return rules.check([(rule,) for rule in (
        every_message_has_a_section, every_field_is_listed_in_order, every_kind_says_its_limits, replies_answer_what_says_so,
        errors_are_those_of_the_header, errors_named_exist, numbers_of_the_headers_are_said, links_lead_somewhere)])


if __name__ == '__main__':
    sys.exit(main())
