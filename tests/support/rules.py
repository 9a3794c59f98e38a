# SPDX-License-Identifier: Apache-2.0
"""Rules: each is a function that yields what breaks it, a line each; its name says what holds.  Reported as TAP."""


class Skip(Exception):
    """Raised by a rule that cannot be looked at here, and says why."""


def check(rules):
    """Looks at each (rule, arguments...).  1 if one is broken, else 0."""
    failed = 0
    print(f'1..{len(rules)}')
    for number, (rule, *arguments) in enumerate(rules, 1):
        name = rule.__name__.replace('_', ' ')
        try:
            broken = list(rule(*arguments))
        except Skip as why:
            print(f'ok {number} - {name} # SKIP {why}')
            continue
        failed += bool(broken)
        print(f'{"not ok" if broken else "ok"} {number} - {name}')
        for line in broken:
            print(f'# {line}')
    return 1 if failed else 0
