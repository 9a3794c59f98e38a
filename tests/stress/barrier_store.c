/* SPDX-License-Identifier: Apache-2.0 */
/* barrier_store.c - Barrier store: one function an instruction, so that a wrong order is a line in a table of calls */
#include "tests/stress/barrier_store.h"

#include "shm/base.h"

struct store {                               /* one store under way */
    struct writer *w;
    uint32_t object, unit;                   /* granules: the object, what is stored to */
    uint64_t old;
    uint32_t at;                             /* pushed, as it was */
};

static _Atomic uint64_t *bits_of(const struct store *s)
{
    return &s->w->bits[s->unit / 64];
}

static _Atomic uint8_t *byte_of(const struct store *s)
{
    return &s->w->lines[s->unit / BARRIER_LINE_GRANULES];
}

static bool byte_is_set(struct store *s)
{
    s->w->step(s->w);
    return at_load_relaxed(byte_of(s)) != 0;
}

static void clear_byte(struct store *s)
{
    s->w->step(s->w);
    at_store_release(byte_of(s), 0);
}

static bool is_set(struct store *s)
{
    s->w->step(s->w);
    return at_load_acquire(bits_of(s)) >> (s->unit % 64) & 1;   /* pairs with clear() of whoever came before */
}

static bool clear(struct store *s)           /* whether it was set */
{
    uint64_t bit = UINT64_C(1) << (s->unit % 64);
    s->w->step(s->w);
    if (s->w->order != BARRIER_CLEARS_PLAINLY)
        return atomic_fetch_and_explicit(bits_of(s), ~bit, memory_order_acq_rel) & bit;
    uint64_t word = at_load_relaxed(bits_of(s));
    s->w->step(s->w);
    at_store_release(bits_of(s), word & ~bit);
    return word & bit;
}

static void read_old(struct store *s)
{
    s->w->step(s->w);
    s->old = at_load_acquire((_Atomic uint64_t *)(void *)(s->w->m->base + (uint64_t)s->unit * MM_GRANULE_BYTES));
}

static bool has_room(struct store *s)
{
    s->at = at_load_relaxed(&s->w->m->log.pushed);
    return s->at - at_load_acquire(&s->w->m->log.drained) < SHM_LOG_CAPACITY;   /* pairs with who drains */
}

static void write_entry(struct store *s)
{
    struct shm_log_entry *e = &s->w->m->log_ring[s->at % SHM_LOG_CAPACITY];
    s->w->step(s->w);
    at_store_release(&e->object, s->object);            /* releases: pair with who looks at entries that may be written anew */
    s->w->step(s->w);
    at_store_release(&e->offset, s->unit - s->object);
    s->w->step(s->w);
    at_store_release(&e->old, s->old);
}

static void say_tentative(struct store *s, uint32_t number)
{
    s->w->step(s->w);
    at_store_release(&s->w->m->log.tentative, number);
}

static void retract(struct store *s)
{
    say_tentative(s, s->at);
    s->w->step(s->w);
    at_store_release(&s->w->m->log.retracted, at_load_relaxed(&s->w->m->log.retracted) + 1);    /* pairs with the same */
}

static void push(struct store *s)
{
    s->w->step(s->w);
    at_store_release(&s->w->m->log.pushed, s->at + 1);          /* pairs with who drains */
}

static void lose(struct store *s)
{
    s->w->step(s->w);
    at_store_release(&s->w->m->log.lost, at_load_relaxed(&s->w->m->log.lost) + 1);
}

static void log_line(struct store *s)
{
    bool first = s->w->order == BARRIER_CLEARS_FIRST;

    if (first)
        clear_byte(s);
    if (has_room(s)) {
        write_entry(s);
        push(s);
    } else {
        lose(s);
    }
    if (!first)
        clear_byte(s);
}

static void log_tentatively(struct store *s)
{
    write_entry(s);
    if (s->w->order != BARRIER_NOT_TENTATIVE)
        say_tentative(s, s->at + 1);
    if (clear(s))
        push(s);
    else if (s->w->order != BARRIER_LOSER_LEAVES)
        retract(s);
}

static void log_field(struct store *s)
{
    read_old(s);
    if (s->w->order != BARRIER_LOOKS_ONCE && !is_set(s))
        return;
    if (!has_room(s)) {
        lose(s);
        clear(s);
    } else if (s->w->order == BARRIER_CLEARS_FIRST) {
        if (clear(s)) {
            write_entry(s);
            push(s);
        }
    } else if (s->w->order == BARRIER_CONFIRMS_FIRST) {
        write_entry(s);
        push(s);
        clear(s);
    } else {
        log_tentatively(s);
    }
}

static void log_store(struct store *s)
{
    s->w->step(s->w);
    if (at_load_relaxed(s->w->rests))
        return;
    if (s->w->kind == SHM_BARRIER_LINES)
        log_line(s);
    else if (is_set(s))
        log_field(s);
}

void barrier_store(struct writer *w, uint32_t object, uint32_t slot, uint32_t value)
{
    uint32_t bytes = object * MM_GRANULE_BYTES + MM_GRANULE_BYTES + 4 * slot;
    struct store s = { .w = w, .object = object, .unit = bytes / MM_GRANULE_BYTES };
    _Atomic uint32_t *field = (_Atomic uint32_t *)(void *)(w->m->base + bytes);

    if (w->order == BARRIER_STORES_FIRST) {
        w->step(w);
        at_store_release(field, value);
    }
    if (byte_is_set(&s))
        log_store(&s);
    w->step(w);
    at_store_release(field, value);
}
