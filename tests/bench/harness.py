# SPDX-License-Identifier: Apache-2.0
"""What a bench module needs: cases, contenders, builds, processes that start together, a private daemon.

A bench is tests/bench/NAME.py with WHAT (one line) and cases(env) -> [Case]. A Case lists its Metrics and its
Contenders, ours first. A contender's prepare() builds what it needs once and raises Skip or Broken with the reason;
its run() makes one measurement and returns {metric name: value}. run.py does the rounds, show.py the table and the JSON rows.
A bench may have finish({case name: {contender name: [what its runs returned]}}) -> Finish, for what all its cases say together.
"""
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import re
import select
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from typing import Callable

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ROOT / "tests" / "bench"
PEERS = BENCH / "peers"

# Plans that no figure is wanted of: one never collects, one is there to find faults.
NOT_MEASURED = ("nogc", "pageprotect")



START_AHEAD_NS = 5_000_000
NO_ROOM = 4                         # a program of ours ends so when its heap is full: under this plan the work does not fit


class Skip(Exception):
    """This contender cannot take part here (not installed, no room); the reason is printed, nothing fails."""


class Broken(Exception):
    """This contender should have worked; the reason is printed and the run ends with status 1."""


@dataclasses.dataclass(frozen=True)
class Metric:
    name: str                   # the key in what run() returns
    unit: str
    better: str = "lower"       # or "higher"
    worst: bool = False         # rounds are summed up by the worst of them, not by their median

    def sum_up(self, values):
        if not self.worst:
            return statistics.median(values)
        return max(values) if self.better == "lower" else min(values)


@dataclasses.dataclass(eq=False)
class Contender:
    name: str
    run: Callable[[], dict]
    prepare: Callable[[], None] = lambda: None
    ours: bool = False
    group: str = ""             # of peers: the best of them is what several of ours are compared with


@dataclasses.dataclass
class Case:
    name: str
    metrics: list
    contenders: list
    rounds: int = 5             # measured
    quick_s: float = 5          # --quick: no further round is begun that would end after this
    throw_away: bool = True     # one more round comes first and is thrown away
    rivals: str = ""            # the group whose best one we want to beat


@dataclasses.dataclass
class Finish:
    lines: list = dataclasses.field(default_factory=list)
    rows: list = dataclasses.field(default_factory=list)
    plots: list = dataclasses.field(default_factory=list)
    broken: int = 0


def _once(build):
    """As lru_cache, for failures too: a registry that cannot be reached is asked once, not for each contender."""
    outcomes = {}

    @functools.wraps(build)
    def outcome(*args):
        if args not in outcomes:
            try:
                outcomes[args] = build(*args)
            except (Skip, Broken) as why:
                outcomes[args] = why
        if isinstance(outcomes[args], Exception):
            raise outcomes[args]
        return outcomes[args]
    return outcome


class Env:
    """Where things are built, how long we may take, how daemons start, and each built thing at most once."""

    def __init__(self, build, quick, plans=()):
        self.quick = quick
        self.release = pathlib.Path(build) / "release"
        self.out = pathlib.Path(build) / "bench"
        self.out.mkdir(parents=True, exist_ok=True)
        self.timeout_s = 60 if quick else 300
        self.asked_plans = list(plans)
        if self.asked_plans == ["all"]:
            self.asked_plans = self.collecting_plans()
        self.daemon_options = ["--heap-plan", self.asked_plans[0]] if self.asked_plans else []

    # -- plans ----------------------------------------------------------------------------------------------------
    def plans(self):
        """Those asked for; else with --quick the daemon's default, else all that collect."""
        return self.asked_plans or ([self.default_plan()] if self.quick else self.collecting_plans())

    @functools.lru_cache(maxsize=None)
    def collecting_plans(self):
        """As the daemon lists them when it is asked for one that it does not have."""
        said = self._ask_daemon("--check-config", "--heap-plan", "?")
        names = re.search(r"it can be one of: (.*)", said)
        if not names:
            raise Broken(f"mmgcd does not say which plans it has: {said.strip()}")
        return [name for name in names[1].split() if name not in NOT_MEASURED]

    @functools.lru_cache(maxsize=None)
    def default_plan(self):
        default = re.search(r"--heap-plan .*\((\w+)\)$", self._ask_daemon("--help"), re.M)
        if not default:
            raise Broken("mmgcd --help does not say its default plan")
        return default[1]

    def daemon_has(self, option):
        return re.search(rf"^ +{option}\b", self._ask_daemon("--help"), re.M) is not None

    @functools.lru_cache(maxsize=None)
    def _ask_daemon(self, *arguments):
        mmgcd, = self.ours("daemon/mmgcd")
        r = subprocess.run([str(mmgcd), *arguments], capture_output=True, text=True)
        return r.stdout + r.stderr

    # -- our own binaries -----------------------------------------------------------------------------------------
    @functools.lru_cache(maxsize=None)
    def ours(self, *targets):
        """Paths of our own binaries, built in a release build first. Raises Broken when that does not work."""
        if not (ROOT / "meson.build").exists():
            raise Broken("the project has no meson.build yet")
        if not (self.release / "build.ninja").exists():
            _build(["meson", "setup", str(self.release), str(ROOT), "--buildtype=release", "-Db_ndebug=true"], "meson setup")
        _build(["ninja", "-C", str(self.release), *targets], "ninja " + " ".join(targets))
        return [self.release / t for t in targets]

    # -- peers ----------------------------------------------------------------------------------------------------
    @functools.lru_cache(maxsize=None)
    def peer_c(self, name, header, *flags):
        """build/bench/NAME from peers/NAME.c, with the optimisation our release build has."""
        return self._peer(["cc", "-std=gnu17"], "c", name, header, flags)

    @functools.lru_cache(maxsize=None)
    def peer_cxx(self, name, header, *flags):
        """The same from peers/NAME.cpp."""
        return self._peer(["c++", "-std=gnu++17"], "c++", name, header, flags)

    def _peer(self, compiler, language, name, header, flags):
        if not shutil.which(compiler[0]):
            raise Skip(f"{compiler[0]} is not installed")
        probe = subprocess.run([*compiler, "-E", "-x", language, "-", "-o", os.devnull], input=f"#include <{header}>\n",
                               text=True, capture_output=True)
        if probe.returncode:
            raise Skip(f"<{header}> is not installed")
        exe, source = self.out / name, PEERS / (name + {"c": ".c", "c++": ".cpp"}[language])
        _build([*compiler, "-O3", "-DNDEBUG", f"-I{BENCH}", "-o", str(exe), str(source), *flags], f"{compiler[0]} {source.name}")
        return exe

    @functools.lru_cache(maxsize=None)
    def peer_java(self, name, jdk):
        _build([str(jdk / "bin" / "javac"), "-d", str(self.out), str(PEERS / f"{name}.java")], f"javac {name}.java")
        return self.out

    @_once
    def peer_cargo(self, name, program):
        """PROGRAM of the crate peers/NAME, of the versions in its Cargo.lock. The first time takes a minute or two."""
        manifest = PEERS / name / "Cargo.toml"
        _cargo_at_least(re.search(r'^rust-version = "([\d.]+)"', manifest.read_text(), re.M)[1])
        where = ["--locked", "--manifest-path", str(manifest)]
        host = re.search(r"^host: (.*)", _said(["cargo", "-vV"]), re.M)[1]
        r = subprocess.run(["cargo", "fetch", *where, "--target", host], capture_output=True, text=True,
                           env=os.environ | {"CARGO_NET_RETRY": "1"})
        if r.returncode and "--locked" not in r.stderr:     # else it is Cargo.lock that does not fit, and that is our fault
            raise Skip(f"cargo cannot fetch its crates: {_causes(r.stderr)}")
        target = self.out / "cargo"
        _build(["cargo", "build", "--release", *where, "--target-dir", str(target)], f"cargo build in peers/{name}")
        return target / "release" / program


def _cargo_at_least(needed):
    if not shutil.which("cargo"):
        raise Skip("cargo is not installed")
    found = re.search(r"cargo ([\d.]+)", _said(["cargo", "--version"]))
    if not found or _numbers(found[1]) < _numbers(needed):
        raise Skip(f"cargo {found[1] if found else '?'} is too old, {needed} is needed (rustup brings it)")


def _causes(cargo_said):
    """What cargo says went wrong: its first line, and the last of the causes below it."""
    lines = [line.strip() for line in cargo_said.splitlines() if line.strip()]
    first = next((i for i, line in enumerate(lines) if line.startswith("error")), len(lines) - 1)
    return ": ".join(dict.fromkeys([lines[first].removeprefix("error: "), lines[-1]])) if lines else "it does not say why"


def _said(command):
    r = subprocess.run(command, capture_output=True, text=True)
    return r.stdout + r.stderr


def _numbers(version):
    return [int(x) for x in re.findall(r"\d+", version)]


def _build(command, what):
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode:
        lines = [line for line in (r.stdout + r.stderr).splitlines() if line.strip()]
        worst = next((line for line in lines if re.search(r"error|ERROR|FAILED", line)), lines[-1] if lines else "")
        raise Broken(f"{what} failed: {worst.strip()}")


def newest_jdk(root="/usr/lib/jvm"):
    """(path, version string) of the newest JDK with a compiler, or None."""
    found = []
    for release in sorted(pathlib.Path(root).glob("*/release")):
        m = re.search(r'^JAVA_VERSION="([^"]+)"', release.read_text(errors="replace"), re.M)
        if m and (release.parent / "bin" / "javac").exists():
            found.append((_numbers(m[1]), release.parent, m[1]))
    return max(found)[1:] if found else None


@functools.lru_cache(maxsize=None)
def java_takes(jdk, *options):
    """True when this virtual machine starts with @options: stable ones, since nothing is unlocked for them."""
    return subprocess.run([str(jdk / "bin" / "java"), *options, "-version"], capture_output=True).returncode == 0


# -- processes ----------------------------------------------------------------------------------------------------
def run_together(commands, timeout_s, when_ready=lambda: None):
    """Starts all, waits until each has said "ready", starts them with one line, returns [{name: value}] in order.

    @when_ready() is called before that line.
    The line says a time of CLOCK_MONOTONIC, the same for all, at which who wants to can begin: when all have it.
    started_ns is when that was, by the clock that bench.h and System.nanoTime() read.
    """
    with contextlib.ExitStack() as stack:
        procs = []
        for command in commands:
            err = stack.enter_context(tempfile.TemporaryFile())
            p = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err,
                                 bufsize=0, start_new_session=True)
            stack.callback(_reap, p)
            procs.append((p, err))
        deadline = time.monotonic() + timeout_s
        for p, err in procs:
            if _read_until(p, b"ready\n", deadline) is None:
                raise _failure(p, err)
        when_ready()
        started_ns = time.monotonic_ns()
        start = b"%d\n" % (started_ns + START_AHEAD_NS)
        for p, _ in procs:
            with contextlib.suppress(BrokenPipeError):
                p.stdin.write(start)
        results = []
        for p, err in procs:
            out = _read_until(p, None, deadline)
            if out is None:
                raise Broken(f"no end within {timeout_s} s")
            if p.wait() != 0:
                raise _failure(p, err)
            results.append(figures_printed(out) | {"started_ns": started_ns})
        return results


def figures_printed(out):
    """{name: value} of the lines of two words in what a program printed."""
    pairs = (line.split() for line in out.decode().splitlines())
    return {w[0]: float(w[1]) for w in pairs if len(w) == 2}


class Stepping:
    """A program that says "ready" after each step and then waits for a line, so that one can look at it in between."""

    def __init__(self, p, err, timeout_s):
        self.pid, self._p, self._err, self._deadline = p.pid, p, err, time.monotonic() + timeout_s

    def wait_ready(self):
        if _read_until(self._p, b"ready\n", self._deadline) is None:
            raise _failure(self._p, self._err)

    def go_on(self):
        with contextlib.suppress(BrokenPipeError):
            self._p.stdin.write(b"\n")

    def finish(self):
        """Lets it go on to its end. Returns what it printed since the last step."""
        self.go_on()
        out = _read_until(self._p, None, self._deadline)
        if out is None or self._p.wait() != 0:
            raise _failure(self._p, self._err)
        return figures_printed(out)


@contextlib.contextmanager
def stepping(command, timeout_s):
    with tempfile.TemporaryFile() as err:
        p = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err,
                             bufsize=0, start_new_session=True)
        try:
            yield Stepping(p, err, timeout_s)
        finally:
            _reap(p)


def _read_until(p, mark, deadline):
    """Output up to @mark, or to EOF when @mark is None. None: EOF came first, or the deadline."""
    out = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([p.stdout], [], [], left)[0]:
            return None
        piece = os.read(p.stdout.fileno(), 1 if mark else 65536)
        if not piece:
            return None if mark else out
        out += piece
        if mark and out.endswith(mark):
            return out


def _failure(p, err):
    """The exception for a program that did not do what it should."""
    why = _why(p, err)
    return Skip(why) if p.returncode == NO_ROOM else Broken(why)


def _why(p, err):
    with contextlib.suppress(subprocess.TimeoutExpired):
        p.wait(timeout=1)
    err.seek(0)
    said = err.read().decode(errors="replace").strip().splitlines()
    status = "still running" if p.returncode is None else f"status {p.returncode}"
    return f"{os.path.basename(p.args[0])}: {status}" + (f": {said[-1]}" if said else "")


def _reap(p):
    """Ends the process's own group, so that children of a bench program go too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(p.pid, signal.SIGKILL)
    p.wait()
    p.stdin.close()
    p.stdout.close()


# -- our daemon ---------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def private_daemon(mmgcd, *options):
    """A daemon of our own in a fresh directory; yields its socket's path. Gone, with its directory, afterwards."""
    home = tempfile.mkdtemp(prefix="mmgc-bench-")
    log = open(os.path.join(home, "log"), "w+b")
    sock = os.path.join(home, "sock")
    p = subprocess.Popen([str(mmgcd), "--foreground", "--socket", sock, *options], stdin=subprocess.DEVNULL,
                         stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 10
        while not os.path.exists(sock):
            if p.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                said = log.read().decode(errors="replace").strip().splitlines()
                raise Broken(f"mmgcd did not start: {said[-1] if said else p.poll()}")
            time.sleep(0.005)
        yield sock
        if p.poll() is not None:
            raise Broken(f"mmgcd ended with {p.returncode} during the measurement")
    finally:
        p.terminate()
        try:
            p.wait(timeout=5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        log.close()
        shutil.rmtree(home, ignore_errors=True)


def percentile(values, share):
    """The smallest value with at least @share of all at or below it, nearly: no interpolation."""
    ordered = sorted(values)
    return ordered[round(share * (len(ordered) - 1))]


def median_spread(values):
    """(median, half the range as a share of the median)."""
    mid = statistics.median(values)
    return mid, (max(values) - min(values)) / 2 / mid if mid else 0.0


def slope_of(points):
    """Of the straight line with the least squares through @points; None of fewer than two places."""
    if len({x for x, _ in points}) < 2:
        return None
    mid_x, mid_y = statistics.mean(x for x, _ in points), statistics.mean(y for _, y in points)
    return sum((x - mid_x) * (y - mid_y) for x, y in points) / sum((x - mid_x) ** 2 for x, _ in points)


# -- asking it ----------------------------------------------------------------------------------------------------
def heap_info(mmgcctl, sock, heap):
    """What `mmgcctl info HEAP --json` says."""
    command = [str(mmgcctl), "--socket", sock, "info", heap, "--json"]
    r = subprocess.run(command, capture_output=True, text=True, timeout=30)
    try:
        return json.loads(r.stdout)
    except ValueError:
        raise Broken(f"mmgcctl info: status {r.returncode}: {(r.stderr or r.stdout).strip()[:200]}") from None


def await_committed(mmgcctl, sock, heap, timeout_s):
    """Until all that a heap with `pretouch` may hold is there."""
    deadline = time.monotonic() + timeout_s
    while (info := heap_info(mmgcctl, sock, heap))["committed_bytes"] < info["limit_bytes"]:
        if time.monotonic() > deadline:
            raise Broken(f"heap {heap} is not committed within {timeout_s} s")
        time.sleep(0.01)


def pauses_of_run(got, info):
    """Nanoseconds of the newest pauses, as many as the program saw collections in its run, if the daemon keeps so many."""
    recent = info.get("recent_pause_ns")
    if recent is None:
        raise Broken("mmgcctl info does not say recent_pause_ns")
    count = int(got["collections"])
    return recent[-count:] if count else []
