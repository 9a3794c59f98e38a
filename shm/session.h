/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Session: one client connection's own segment: where its threads sleep, and its handles.
 * Only that client and the daemon map it. docs/heap-layout.md#session
 *   Handles  slot i holds a granule or 0. The client stores a slot while IN, or clears it by an atomic exchange from
 *            anywhere (S8); the daemon, world stopped, replaces old by new with a compare-and-swap.             */
#include <assert.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"

#define SHM_SESSION_MAGIC UINT64_C(0x7373657363676d6d)
#define SHM_SESSION_VERSION 1u
#define SHM_HANDLES_MAX (1u << 20)

struct shm_session {
    _Atomic uint64_t magic;                  /* [D] release-stored last */
    uint32_t version, features;              /* [D] constant */

    alignas(MM_CACHE_LINE) _Atomic uint32_t go;      /* [D] raised at every resume; this client's threads futex-wait on it (S4) */

    alignas(MM_CACHE_LINE) _Atomic uint32_t handle_high;     /* [C] slots ever used; the daemon reads it once and clamps it */

    alignas(4096) _Atomic uint32_t handles[SHM_HANDLES_MAX]; /* [C][D] see above */
};
static_assert(offsetof(struct shm_session, go) == 64, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, handle_high) == 128, "docs/heap-layout.md#session");
static_assert(offsetof(struct shm_session, handles) == 4096, "docs/heap-layout.md#session");
