/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Probe: places where bpftrace, perf or SystemTap can look on (USDT, provider mmgcd). docs/tracing.md lists them with their arguments, and
 * tests/daemon/test_probes.py holds it against the program.
 *   Cost     one nop where nobody listens; arguments are values at hand, since they are there whether anybody listens or not
 *   Without  <sys/sdt.h> when the program was built there are none                                          */
#if MM_HAVE_SDT
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define MM_PROBE(name, ...) STAP_PROBEV(mmgcd, name, __VA_ARGS__)
#else
static inline void mm_probe_uses(int unused, ...)
{
}
#define MM_PROBE(name, ...) ((void)sizeof((mm_probe_uses(0, __VA_ARGS__), 0)))
#endif
