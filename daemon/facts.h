/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Facts: what the files that answer mmgcctl share.
 *   Threads  loop */
#include <stdbool.h>
#include <stdint.h>

struct session;
struct shared_heap;

struct facts_object {
    char *type;                               /* its name, constant */
    uint64_t bytes;
};
/* What the header before @ref says, for people: it may be forged. Only a page that is there is read, so that a name for
 * nothing commits nothing (soundness S12). False: nothing. */
bool facts_object(const struct shared_heap *h, uint32_t ref, struct facts_object *ret_object);
/* Whether @asker may know of @s, which has @only open; NULL: any heap, or none. */
bool facts_may_see(const struct session *asker, const struct session *s, const struct shared_heap *only);
