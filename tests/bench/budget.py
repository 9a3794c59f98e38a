#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions of the client library's paths, counted by callgrind, stay within what budget.txt says.  Prints TAP.

budget.txt has a line a path: PLAN NAME INSTRUCTIONS, in all that the thread runs, slow paths included, less an empty loop. More than that
is a failure; so is less by a tenth and at least one: then the budget is to be lowered, or it would hide what comes next. Its first line names the
compiler that it holds for; with another one, without optimisation and with sanitizers nothing is compared.
Usage: budget.py PROGRAM COMPILER OPTIMIZATION [--write]    --write: what was counted, as a new budget.txt on standard output
"""
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402

BUDGET = pathlib.Path(__file__).with_name('budget.txt')
SLACK = 0.25                        # of an instruction: a stop or a slab more or less


def read_budget():
    """(compiler, {(plan, name): instructions})"""
    first, *lines = BUDGET.read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith('#')]
    return first.removeprefix('# '), {(plan, name): float(most) for plan, name, most in rows}


def count(program, plan, names):
    """{name: instructions an operation}"""
    with live.Daemon() as daemon, tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / 'out'
        said = live.run('valgrind', '--tool=callgrind', f'--callgrind-out-file={out}', program, daemon.socket, plan, 'nothing', *names)
        counts = {name: int(times) for name, times in (line.split() for line in said.splitlines())}
        totals = {}
        for dump in pathlib.Path(folder).glob('out.*'):
            text = dump.read_text()
            name = re.search(r'^desc: Trigger: Client Request: (\w+)$', text, re.M)
            if name:
                total = int(re.search(r'^(?:summary|totals): (\d+)', text, re.M)[1])
                totals[name[1]] = min(total, totals.get(name[1], total))    # of several times: waiting is not what is counted
    empty = totals['nothing'] / counts['nothing']
    return {name: totals[name] / counts[name] - empty for name in names}


def verdict(got, most):
    """None, or what is wrong."""
    if got > most + SLACK:
        return f'{got:.1f} instructions, {most:g} are allowed'
    if got < most - max(1, most / 10):
        return f'{got:.1f} instructions: lower the budget, {most:g}'
    return None


def cases(program, budget):
    counted = {}

    def case_of(plan, name, most):
        def case():
            if plan not in counted:
                counted[plan] = count(program, plan, [n for p, n in budget if p == plan])
            wrong = verdict(counted[plan][name], most)
            if wrong:
                raise live.Failed(wrong)
        case.__name__ = f'{name} under {plan} is at most {most:g} instructions'
        return case
    return [case_of(plan, name, most) for (plan, name), most in budget.items()]


def too_much_and_too_little_are_both_wrong():
    for got, most, right in ((12, 12, True), (12.2, 12, True), (12.5, 12, False), (11.2, 12, True), (10.7, 12, False), (190, 200, True), (170, 200, False)):
        if (verdict(got, most) is None) != right:
            raise live.Failed(f'{got} of {most}')


def skipped(why):
    def the_paths_are_within_their_budget():
        raise live.Skip(why)
    return [the_paths_are_within_their_budget]


def main():
    program, compiler, optimization = sys.argv[1:4]
    wanted, budget = read_budget()
    if '--write' in sys.argv:
        print(f'# {compiler}\n# PLAN NAME INSTRUCTIONS')
        for plan in dict.fromkeys(plan for plan, _ in budget):
            for name, got in count(program, plan, [n for p, n in budget if p == plan]).items():
                print(f'{plan} {name} {got:.1f}')
        return 0
    del sys.argv[1:]
    if shutil.which('valgrind') is None:
        found = skipped('no valgrind')
    elif compiler != wanted or optimization not in ('2', '3') or live.sanitized():
        found = skipped(f'it holds for {wanted} with optimisation; this is {compiler}, -O{optimization}')
    else:
        found = cases(program, budget)
    return live.main([too_much_and_too_little_are_both_wrong, *found])


if __name__ == '__main__':
    sys.exit(main())
