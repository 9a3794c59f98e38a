# SPDX-License-Identifier: Apache-2.0
"""HotSpot's collectors as contenders: which ones the newest JDK has, and how each is started with a heap of a fixed size."""
import dataclasses
import functools

from harness import Contender, Skip, java_takes, newest_jdk, run_together

GROUP = "HotSpot"
COMPACT = "-XX:+UseCompactObjectHeaders"


@dataclasses.dataclass(frozen=True)
class Collector:
    name: str
    options: tuple


SERIAL = Collector("Serial", ("-XX:+UseSerialGC",))
PARALLEL = Collector("Parallel", ("-XX:+UseParallelGC",))
G1 = Collector("G1", ("-XX:+UseG1GC",))
SHENANDOAH = Collector("Shenandoah", ("-XX:+UseShenandoahGC",))
SHENANDOAH_GENERATIONAL = Collector("Shenandoah generational",
                                    ("-XX:+UseShenandoahGC", "-XX:ShenandoahGCMode=generational"))
ZGC = Collector("ZGC", ("-XX:+UseZGC",))


def contender(env, collector, program, arguments, heap_mib, figures, *, processes=1, compact=True, wanted=()):
    """peers/PROGRAM.java under @collector; figures([what each process printed]) is what run() returns.

    @compact: with compact headers, if the JDK has them; False: without them, and only if it has them, or it would be the
    same twice. @wanted: further options, passed over where the JDK does not know them.
    """
    found = newest_jdk()
    name = f"HotSpot {found[1].split('.')[0] + ' ' if found else ''}{collector.name}" + ("" if compact else ", wide headers")

    def prepare():
        if not found:
            raise Skip("no JDK under /usr/lib/jvm")
        if not java_takes(found[0], *collector.options):
            raise Skip(f"JDK {found[1]} does not have it")
        if not compact and not java_takes(found[0], COMPACT):
            raise Skip("this JDK has no other headers")
        return env.peer_java(program, found[0])

    def run():
        command = [*_java(found[0], collector, heap_mib, (COMPACT,) * compact + tuple(wanted)), "-cp", prepare(), program,
                   *arguments]
        return figures(run_together([command] * processes, env.timeout_s))
    return Contender(name, run, prepare, group=GROUP)


@functools.lru_cache(maxsize=None)
def _java(jdk, collector, heap_mib, wanted):
    return [jdk / "bin" / "java", *collector.options, f"-Xms{heap_mib}m", f"-Xmx{heap_mib}m",
            *(o for o in wanted if java_takes(jdk, *collector.options, o))]
