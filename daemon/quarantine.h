/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Quarantine: a heap that breaks an invariant. Nothing is granted in it or collected any more, clients may read what they have, and what
 * was found first is kept for `mmgcctl verify`.
 *   Leads to it   a verification that somebody asks for and that finds more than roots that lead nowhere, which are their clients' own;
 *                 a second trace (sanity) that disagrees; a collection that fails otherwise
 *   Doubt         a collection has passed over a reference to no object: a verification follows, at most one in DOUBT_EVERY_NS, and the log says
 *                 what it finds. No more: a root that is forged can make an object of what is none, and would have the heap put aside for
 *                 everybody, where it harms its own client alone
 *   Threads       loop                                                                                                       */
#include <stdbool.h>
#include <stdint.h>

#include "plans/heap.h"

struct request;
struct shared_heap;

struct quarantine {
    bool doubted;                             /* to be verified when its turn comes, for nobody */
    uint64_t doubt_after_ns;                  /* not again before */
    uint64_t since_ns;                        /* these: once it is quarantined (shared_heap.corrupt) */
    uint64_t collections;                     /* completed by then */
    char why[384];
    char writers[512];                        /* who could write to it then */
    uint32_t row_count;                       /* what a verification had found; of other causes nothing */
    struct heap_fault_row rows[HEAP_FAULT_ROWS];
};

/* For a cause without a verdict. The first cause stays. */
void quarantine_begin(struct shared_heap *h, const char *why);
void quarantine_doubt(struct shared_heap *h);
/* What a verification by doubt has found is for the log. */
void quarantine_report(const struct shared_heap *h, const struct heap_verdict *found);
/* What one has found that was asked for: it may be the end of the heap. */
void quarantine_judge(struct shared_heap *h, const struct heap_verdict *found);
/* Answers @r with Verdict. */
void quarantine_answer(struct shared_heap *h, struct request *r, const struct heap_verdict *found);
