/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Write barrier: what a client writes down before it changes a reference, so that a collection that does not look at the whole
 * heap, or looks while clients run, misses nothing. docs/heap-layout.md#write-barrier
 *   Byte    one a line of the arena, in the log segment of the heap; not 0: who stores to a slot in that line asks here first. Zero for
 *           all memory that nobody needs to hear of: new objects, and every object under plans without a barrier. A store looks at
 *           the byte of its slot's line, and as a rule at nothing else
 *   Active  control.barrier_active is raised only while the world is stopped; a thread reads it whenever it goes inside or on. While it
 *           is 0 nothing is logged, and no byte looked at. It is lowered at any time: who is inside learns of it when it next has
 *           something to log. Who had looked before may still log it. Each such entry is in a ring, and the next snapshot, at whose
 *           stop nobody is inside a barrier, sets its bit again before it counts on bits (Late)
 *   LINES   which lines were stored to. 1. the entry into the own ring, pushed + 1; 2. the byte = 0; 3. the field is stored. Each a
 *           release after the one before, so that what a killed client leaves is one of: nothing; an entry too many; all that is
 *           needed. Bytes are only ever cleared, and each whole: so plain stores do. Two that come at once both log: no harm. Of an
 *           entry nothing counts but its slot's line. All that is old and reaches into the line may have been stored to
 *   FIELDS  which fields, and what stood there. Behind the bytes is a bit for each granule of the arena; set: the granule is to be
 *           logged first. Clients leave the byte as it is: it says whether there can be set bits. 1. the granule's old value is read
 *           (acquire), then its bit again: clear, and there is nothing to log; 2. the entry into the own ring, tentative = pushed + 1;
 *           3. the bit is cleared by an atomic AND (release); who finds it set has the entry that counts: pushed + 1; who does not
 *           takes it back: tentative = pushed, then retracted + 1; 4. the field is stored. Each a release after the one before, as
 *           above (soundness S1)
 *   Old     nobody stores to the granule before its bit is clear, and the bit was still set after the old value was read: so it is
 *           exactly what stood there when the bit was set, in a loser's entry, too
 *   Stops   nobody stops between barrier and store. So tentative is no more than pushed at a stop in all threads but those of the dead
 *   Beside  who must know of all stores so far, but stops nobody, reads retracted, tentative, pushed, and the entry at pushed if it is
 *           tentative; and retracted again: if that has not changed, the entry was not being written anew while it was read. A bit
 *           that was clear before had its entry there before, and tentative at the least (client/write_barrier.c, daemon/drain.c)
 *   Keep    under FIELDS, while control.keeps is not 0: who finds an object by a reference that keeps nothing alive pushes an entry of it, with
 *           SHM_LOG_KEEP for an offset, before it uses what it found. Such entries are never tentative
 *   Full    a ring without room raises lost instead, then clears byte or bit all the same and never waits: the next collection looks
 *           at everything, and arms all that it keeps
 *   Dead    under FIELDS the entry at pushed of a client that died with tentative = pushed + 1 counts if its bit is clear. Looked at
 *           once, at the first stop after the death. Who counts (RC) looks after all pushed entries, whose bits are set again by
 *           then, and sets the bit of each that counts: so no granule counts twice
 *   Model   tests/model/log_model.py, satb_model.py, beside_model.py, count_model.py: change the order there first             */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"
#include "shm/units.h"

enum shm_barrier_kind {                      /* of a plan; constant */
    SHM_BARRIER_NONE = 0,
    SHM_BARRIER_LINES = 1,                   /* which lines were stored to: generational plans */
    SHM_BARRIER_FIELDS = 2                   /* which fields, and what stood there: concurrent and reference-counting plans */
};

struct shm_log_entry {                       /* [C] hostile */
    _Atomic uint32_t object;                 /* granule of the object that was stored to */
    _Atomic uint32_t offset;                 /* granules from there to the slot's granule */
    _Atomic uint64_t old;                    /* FIELDS: that granule, as it was: two references, or one and something else */
};
static_assert(sizeof(struct shm_log_entry) == 16, "docs/heap-layout.md#write-barrier");

/* As an entry's offset: nothing was stored; the object itself has been found by a reference that keeps nothing alive, while a cycle marks
 * (control.keeps). FIELDS alone. No honest slot is so far away. */
#define SHM_LOG_KEEP UINT32_MAX
#define SHM_LOG_CAPACITY 65536u              /* entries of a thread's ring */

struct shm_log {                             /* a thread's ring: its words, one cache line */
    _Atomic uint32_t pushed;                 /* [C] entries ever written that count */
    _Atomic uint32_t tentative;              /* [C] pushed + 1 while the entry there may be the only trace of a store */
    _Atomic uint32_t lost;                   /* [C] stores that found no room, ever */
    _Atomic uint32_t drained;                /* [D] entries ever read: their room may be used again */
    _Atomic uint32_t retracted;              /* [C] entries ever taken back: their place is written again */
};

/* Of the log segment for an arena of @arena_bytes: bytes of lines come first, bits of granules from here on. */
static inline uint64_t shm_log_bits_offset(uint64_t arena_bytes)
{
    return arena_bytes / MM_LINE_BYTES;
}
static inline uint64_t shm_log_bytes(uint64_t arena_bytes)
{
    return shm_log_bits_offset(arena_bytes) + arena_bytes / MM_GRANULE_BYTES / 8;
}
