/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Snap: a heap's snapshot (shm/snapshot.h) as one reads it: what is where, of which type, and who holds it.
 *   Trust    none: clients wrote the objects, and the file may be anybody's. snap_open() checks all tables, once; the rest is bounds-checked at each
 *            call. No file makes a call here crash, loop, or take memory beyond a small multiple of the file's own size
 *   Owner    the snap owns the memory; all pointers are borrowed from it
 *   Units    references are granules, 0 is null; sizes are bytes
 *   Threads  any, at once: nothing changes after snap_open()
 *   Text     names are UTF-8 or not: escape them before they are shown (text.h)
 *   Errors   a constant sentence, NULL for none                                                             */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/base.h"
#include "shm/snapshot.h"

struct snap;

/* Takes @address, of @bytes, that mmap() gave and that nobody else can write or truncate any more; on failure, too, it is unmapped. */
const char *snap_open(struct snap **ret_snap, void *address, size_t bytes);
/* The same of a file: it is read into memory, so that it may change or vanish meanwhile. *ret_error: errno, or 0 if that is not why. */
const char *snap_open_file(struct snap **ret_snap, const char *path, int *ret_error);
struct snap *snap_free(struct snap *s);       /* NULL in, NULL out */
MM_DEFINE_AUTO(snap, snap_free)

const struct shm_snapshot *snap_header(const struct snap *s);
uint64_t snap_bytes(const struct snap *s);     /* from the header on, to the end of the last section */
const char *snap_string(const struct snap *s, uint32_t at);          /* of STRINGS; "" for what is none */

/* types: ids 1 to count */
uint32_t snap_type_count(const struct snap *s);
const struct shm_type_row *snap_type(const struct snap *s, uint32_t id);                 /* NULL: there is none */
const uint32_t *snap_type_refs(const struct snap *s, uint32_t id);   /* ref_count of the fixed part, then element_ref_count (shm/type.h) */
uint32_t snap_type_find(const struct snap *s, const char *name);     /* 0: there is none */

/* Who holds something. The last one is not in the file: SNAP_IMMORTAL, whose roots are the immortal objects. */
#define SNAP_IMMORTAL 4u                      /* beside enum shm_snapshot_owner_kind */
uint32_t snap_owner_count(const struct snap *s);
struct shm_snapshot_owner snap_owner(const struct snap *s, uint32_t owner);
const char *snap_root_kind_name(uint32_t kind);                      /* "named", "strong", "stack" ...; "unknown" */
bool snap_root_holds(uint32_t kind);          /* it keeps its object alive: all but weak and watched ones */
uint32_t snap_root_count(const struct snap *s);
struct shm_snapshot_root snap_root(const struct snap *s, uint32_t root);                 /* owner < snap_owner_count() */

/* blocks and spaces */
uint32_t snap_block_count(const struct snap *s);
const struct shm_snapshot_block *snap_block(const struct snap *s, uint32_t row);
const struct shm_snapshot_space *snap_space(const struct snap *s, uint32_t space);       /* NULL: there is none; its name ends in a zero byte */

/* objects */
struct snap_object {
    uint32_t ref, type, length;               /* length 0: the type has no elements */
    uint64_t bytes;                           /* header included */
    uint64_t header;
    const unsigned char *payload;             /* bytes - 8 of them */
    uint64_t payload_bytes;
};
/* The object at @ref. False: there is none, or what stands there is no object. */
bool snap_object(const struct snap *s, uint32_t ref, struct snap_object *ret);
/* The same of the object that @place is in: for people, who have addresses of fields. */
bool snap_object_around(const struct snap *s, uint32_t place, struct snap_object *ret);
/* The first good object at or after @from. False: no more. */
bool snap_object_next(const struct snap *s, uint64_t from, struct snap_object *ret);

struct snap_ref {
    uint64_t at;                              /* bytes from the payload */
    enum shm_ref_kind kind;
    bool keeps;                               /* alive what it refers to: strong, queue, link, soft; of an ephemeron the value, but not the key */
    uint32_t to;                              /* as it stands there; 0: null */
};
/* Each reference of the object, in order; an ephemeron's are two. Ends early when @visit says false. */
void snap_each_ref(const struct snap *s, const struct snap_object *o, bool (*visit)(void *context, const struct snap_ref *ref), void *context);
/* References from @from on, @count at most, into @ret: how many; for pages of them. */
size_t snap_refs(const struct snap *s, const struct snap_object *o, uint64_t from, struct snap_ref *ret, size_t count);
