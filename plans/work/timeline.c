/* SPDX-License-Identifier: Apache-2.0 */
/* timeline.c - One writer and one reader a ring, and two counts between them.
 *   T1  events [read, written) are whole, and the reader's: `written` is stored (release) when its event is, and the reader acquires it
 *   T2  the writer puts one in only where written - read < TIMELINE_EVENTS: the place at `written` was taken out, or never used. `read` is stored
 *       (release) when the events before it have been copied, and the writer acquires it: it writes over nothing that is still being read
 *   T3  each count has one storer, who therefore knows it without asking: relaxed loads of one's own
 *   T4  who is a track's writer may change from one run of a task to the next, if something orders the two: a heap's collector thread by the
 *       hand-over of its tasks, workers are always the same                                                         */
#include "plans/work/timeline.h"

size_t timeline_bytes(unsigned tracks)
{
    return sizeof(struct timeline) + tracks * sizeof(struct timeline_track);
}

struct timeline *timeline_init(void *zeroes, unsigned tracks)
{
    struct timeline *t = zeroes;

    t->count = tracks;
    return t;
}

void timeline_put(struct timeline *t, unsigned track, const struct timeline_event *event)
{
    MM_ASSERT(track < t->count);
    struct timeline_track *to = &t->tracks[track];
    uint64_t written = at_load_relaxed(&to->written);                      /* T3 */

    if (written - at_load_acquire(&to->read) >= TIMELINE_EVENTS) {         /* T2: pairs with timeline_take */
        at_store_relaxed(&to->lost, at_load_relaxed(&to->lost) + 1);
        return;
    }
    to->events[written % TIMELINE_EVENTS] = *event;
    at_store_release(&to->written, written + 1);                           /* T1: pairs with timeline_take */
}

size_t timeline_take(struct timeline *t, unsigned track, struct timeline_event *ret, size_t capacity)
{
    MM_ASSERT(track < t->count);
    struct timeline_track *from = &t->tracks[track];
    uint64_t read = at_load_relaxed(&from->read);                          /* T3 */
    uint64_t ready = at_load_acquire(&from->written) - read;               /* T1: pairs with timeline_put */
    size_t n = (size_t)MM_MIN(ready, (uint64_t)capacity);

    for (size_t i = 0; i < n; i++)
        ret[i] = from->events[(read + i) % TIMELINE_EVENTS];
    at_store_release(&from->read, read + n);                               /* T2: pairs with timeline_put */
    return n;
}

uint64_t timeline_lost(const struct timeline *t)
{
    uint64_t lost = 0;

    for (unsigned i = 0; i < t->count; i++)
        lost += at_load_relaxed(&t->tracks[i].lost);
    return lost;
}
