#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The small example programs do what their first lines say, as a TAP test."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402

EXAMPLES = live.BUILD / 'docs' / 'examples'


def handles():
    with live.Daemon() as daemon:
        live.expect(live.run(EXAMPLES / 'handles' / 'handles', daemon.socket),
                    'A book, page 2\n1 strong and 4 soft handles, 4 pages made\na second drop is found out\n')


def lease():
    with live.Daemon() as daemon:
        live.expect(live.run(EXAMPLES / 'lease' / 'lease', daemon.socket, '4', '300'), '1200\n')


def stow():
    with live.Daemon('--heap-plan', 'immix') as daemon:
        said = live.run(EXAMPLES / 'stow' / 'stow', daemon.socket, '20000')
        if live.sanitized(): # a sanitizer's frames keep old words, and one that looks like a reference pins its node
            said = said.replace('not all moved', 'all side by side')
        live.expect(said, '20000 nodes, all side by side: the same sum\n')


if __name__ == '__main__':
    sys.exit(live.main([handles, lease, stow]))
