/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Write barrier: what a client writes down before it changes a reference, so that a collection that does not look at the whole
 * heap, or looks while clients run, misses nothing. docs/heap-layout.md#write-barrier
 *   Bit     one a granule of the arena, in the log segment of the heap; set: a store there is to be logged first. Zero for all memory
 *           that nobody needs to hear of: new objects, and every object under plans without a barrier
 *   Unit    what one bit stands for. A store to a slot of an object looks at the bit of the granule
 *           object + ((slot - object) & mask), in bytes: of the object's piece of 256 bytes, or of the slot's own granule
 *   Order   (soundness S1) 0. old is read, and the bit looked at once more: it is still set; 1. the entry into the own ring,
 *           tentative = pushed + 1; 2. the bit is cleared by an atomic AND; who finds it set has the entry that counts: pushed + 1;
 *           who does not takes its own back: tentative = pushed; 3. the field is stored. Each a release after the one before, so that
 *           what a killed client leaves is one of: nothing; an entry too many; all that is needed
 *   Old     nobody stores to the unit before the bit is clear, and it was set after old was read: so every entry, one that came
 *           too late to count as well, has exactly what stood there when the bit was set
 *   Full    a ring without room raises lost instead, clears the bit all the same and never waits: the next collection looks
 *           at everything
 *   Dead    the entry at pushed of a client that died with tentative = pushed + 1 counts if its bit is clear; there may be another
 *           one for its unit, with the same old
 *   Mask    changes only while the world is stopped; a thread reads it from control whenever it goes inside or on        */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"
#include "shm/units.h"

enum shm_barrier_kind {                      /* of a plan; constant */
    SHM_BARRIER_NONE = 0,
    SHM_BARRIER_OBJECTS = 1,                 /* which objects were changed: generational plans */
    SHM_BARRIER_FIELDS = 2                   /* which fields, and what stood there: concurrent and reference-counting plans */
};

/* What control.barrier_mask can be. */
#define SHM_BARRIER_MASK_OFF 0               /* nothing is logged now */
#define SHM_BARRIER_MASK_OBJECTS (-(int32_t)MM_LINE_BYTES)
#define SHM_BARRIER_MASK_FIELDS (-(int32_t)MM_GRANULE_BYTES)

struct shm_log_entry {                       /* [C] hostile */
    _Atomic uint32_t object;                 /* granule of the object that was stored to */
    _Atomic uint32_t offset;                 /* granules from there to the unit */
    _Atomic uint64_t old;                    /* the unit's first granule, as it was: two references, or one and something else */
};
static_assert(sizeof(struct shm_log_entry) == 16, "docs/heap-layout.md#write-barrier");

#define SHM_LOG_CAPACITY 65536u              /* entries of a thread's ring */

struct shm_log {                             /* a thread's ring: its words, one cache line */
    _Atomic uint32_t pushed;                 /* [C] entries ever written that count */
    _Atomic uint32_t tentative;              /* [C] pushed + 1 while the entry there may be the only trace of a store */
    _Atomic uint32_t lost;                   /* [C] stores that found no room, ever */
    _Atomic uint32_t drained;                /* [D] entries ever read: their room may be used again */
};

/* Bytes of the log segment for an arena of @arena_bytes. */
static inline uint64_t shm_log_bytes(uint64_t arena_bytes)
{
    return arena_bytes / MM_GRANULE_BYTES / 8;
}
