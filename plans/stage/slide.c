/* SPDX-License-Identifier: Apache-2.0 */
/* slide.c - Stages layout, map and slide: plans that slide push together what the closure has marked (space/slide/slide.h). */
#include "plans/space/slide/forward.h"
#include "plans/stage/collection.h"

void stage_layout(struct worker *w, struct packet *p)
{
    stage_split(w, p);
    for (uint32_t group = (uint32_t)p->args[0]; group < p->args[1]; group++)
        slide_layout(&collection_of(w)->slide, group);
}

void stage_map(struct worker *w, struct packet *p)
{
    stage_split(w, p);
    for (uint32_t group = (uint32_t)p->args[0]; group < p->args[1]; group++)
        slide_map(&collection_of(w)->slide, group);
}

void stage_slide_ready(struct worker *w, struct packet *p)
{
    slide_run_ready(&collection_of(w)->slide, tally_of(w), w, (uint32_t)p->args[0]);
}

void stage_elements(struct worker *w, struct packet *p)
{
    slide_update_elements(&collection_of(w)->slide, w, p);
}

/* As trace_word(): what its owner has put there meanwhile is its own business (S8). */
static void update_word(struct collection *c, struct tracer *r, _Atomic uint32_t *word)
{
    uint32_t was = at_load_relaxed(word), now = was == 0 ? 0 : slide_forward(c->heap, was);

    (void)r;
    if (now != was)
        (void)at_cas_acq_rel(word, &was, now);
}

/* The parts of the slide stage, as one range: groups, then blocks whose references are updated, then words. */
#define UPDATE_BLOCKS 16u
#define UPDATE_WORDS 256u

static uint64_t parts_of(uint64_t count, uint64_t part)
{
    return (count + part - 1) / part;
}

uint64_t stage_slide_parts(const struct collection *c)
{
    return c->slide.count + parts_of(blocks_high(&c->heap->blocks), UPDATE_BLOCKS) +
           parts_of(c->row_words, UPDATE_WORDS);
}

static void slide_part(struct collection *c, struct worker *w, uint64_t part)
{
    uint64_t blocks = blocks_high(&c->heap->blocks), words = c->row_words;

    if (part < c->slide.count) {
        slide_take_turn(&c->slide, tally_of(w), w, (uint32_t)part);
        return;
    }
    part -= c->slide.count;
    if (part < parts_of(blocks, UPDATE_BLOCKS)) {
        for (uint64_t i = part * UPDATE_BLOCKS; i < MM_MIN((part + 1) * UPDATE_BLOCKS, blocks); i++)
            slide_update_block(&c->slide, w, (uint32_t)i);
        return;
    }
    part -= parts_of(blocks, UPDATE_BLOCKS);
    stage_each_word(c, part * UPDATE_WORDS, MM_MIN((part + 1) * UPDATE_WORDS, words), HEAP_ROOTS_EXACT, NULL,
                    update_word); /* weak ones, too: all are followed by now */
}

void stage_slide(struct worker *w, struct packet *p)
{
    stage_split(w, p);
    for (uint64_t part = p->args[0]; part < p->args[1]; part++)
        slide_part(collection_of(w), w, part);
}
