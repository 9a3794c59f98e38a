#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Filter: the daemon and its committer make no system call that mmgcd.service forbids.  Prints TAP.

systemd-analyze says which calls the unit's SystemCallFilter= allows, the compiler what their numbers are; confined.c makes the filter, in which
every other call is death; and the daemon's own tests are run with a daemon that starts under it.
Usage: test_filter.py CONFINED COMPILER... -- TEST...
"""
import functools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'support'))
import live  # noqa: E402

UNIT = live.ROOT / 'systemd' / 'mmgcd.service'
CAN_NOT_RUN = 77
# What the daemon cannot be without; some of it only on kernels, with options or in moments that no test here has.
NEEDED = """
    memfd_create ftruncate fchmod fcntl fallocate mmap munmap madvise mprotect futex membarrier
    socketpair accept4 sendmsg recvmsg getsockopt pidfd_open pidfd_send_signal epoll_create1 epoll_ctl epoll_pwait eventfd2 signalfd4
    clone execve wait4 close_range prlimit64 prctl sched_getattr sched_setattr sched_getaffinity sched_setaffinity sched_yield rseq getrandom mincore
    io_uring_setup io_uring_enter io_uring_register
""".split()
# What whoever has taken it over would like to have.
UNWANTED = """
    ptrace process_vm_readv process_vm_writev pidfd_getfd mount unshare setns bpf userfaultfd perf_event_open init_module kexec_load
    setuid setgroups capset chown keyctl mlock mlockall personality ioperm reboot swapon open_by_handle_at
""".split()

split = sys.argv.index('--')
CONFINED, COMPILER, TESTS = sys.argv[1], sys.argv[2:split], [pathlib.Path(name) for name in sys.argv[split + 1:]]
sys.argv[1:] = []


@functools.cache
def group(name):
    """The calls of a group such as @io-event."""
    calls = set()
    for line in live.run('systemd-analyze', '--no-pager', 'syscall-filter', name).splitlines():
        word = line.strip()
        if word and not word.startswith('#') and word != name:
            calls |= group(word) if word.startswith('@') else {word}
    return calls


def allowed():
    """What the unit's lines allow, read as systemd.exec(5) says: the first makes it a list of what is allowed, one with ~ takes away."""
    calls = set(group('@default'))
    for line in re.findall(r'^SystemCallFilter=(.*)$', UNIT.read_text(), re.M):
        named = set()
        for word in line.removeprefix('~').split():
            named |= group(word) if word.startswith('@') else {word}
        calls = calls - named if line.startswith('~') else calls | named
    return calls


@functools.cache
def numbers():
    """{name: number} on this machine."""
    said = live.run(*COMPILER, '-E', '-dM', '-include', 'sys/syscall.h', '-x', 'c', '/dev/null')
    return {name: int(number) for name, number in re.findall(r'^#define __NR_(\w+) (\d+)$', said, re.M)}


def environment(program, calls):
    known = numbers()
    return os.environ | {
        'MMGC_DAEMON': CONFINED, 'MMGC_CONFINED_PROGRAM': str(program),
        'MMGC_CONFINED_CALLS': ' '.join(str(known[name]) for name in sorted(calls) if name in known)}


def status_of(program, calls):
    done = subprocess.run([CONFINED], env=environment(shutil.which(program), calls), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode == CAN_NOT_RUN:
        raise live.Skip(f'no filter can be installed here: {done.stderr.decode().strip()}')
    return done.returncode


def the_unit_allows_what_the_daemon_needs():
    missing = [name for name in NEEDED if name not in allowed()]
    if missing:
        raise live.Failed(f'not allowed: {" ".join(missing)}')


def the_unit_forbids_what_it_does_not():
    unwanted = [name for name in UNWANTED if name in allowed()]
    if unwanted:
        raise live.Failed(f'allowed: {" ".join(unwanted)}')


def what_is_not_allowed_is_death():
    if status_of('uname', allowed()) != 0:
        raise live.Failed('uname does not run as it is')
    if status_of('uname', allowed() - {'uname'}) != -signal.SIGSYS:
        raise live.Failed('uname without uname(2) was not killed by SIGSYS')


def confined(test):
    def case():
        status_of('true', allowed())
        live.run(test, timeout=300, env=environment(live.BUILD / 'daemon' / 'mmgcd', allowed()))
    case.__name__ = f'{test.name} passes with a daemon that is confined'
    return case


def main():
    for tool in ['systemd-analyze', COMPILER[0]]:
        if shutil.which(tool) is None:
            print(f'1..0 # SKIP {tool} is not installed')
            return 0
    return live.main([the_unit_allows_what_the_daemon_needs, the_unit_forbids_what_it_does_not, what_is_not_allowed_is_death]
                     + [confined(test) for test in TESTS])


if __name__ == '__main__':
    sys.exit(main())
