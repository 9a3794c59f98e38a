/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Drop: the closure of what nothing holds any more: an object that loses its last reference takes those in its fields with it.
 *   Items    granules of objects whose VO bit is gone, and whose fields are still to be looked at
 *   Beside clients, who cannot reach any of it (refcount.h)
 *   Hostile  an object is dropped once, by who clears its VO bit; what its header claims is charged to its block (settle.h T4) */
#include "plans/trace/trace.h"

/* Something that is no more referred to @granule: a word that anything may stand in. */
void drop_reference(struct tracer *r, uint32_t granule);
/* The object at @granule goes, if nothing keeps it. */
void drop_unheld(struct tracer *r, uint32_t granule);
/* All objects of @block that the trace has not marked go, and what they refer to loses those references. */
void drop_unmarked(struct tracer *r, uint32_t block);
/* Until the packet that is the stack is empty, or others want this worker, or it is interrupted. */
void drop_drain(struct tracer *r);
/* What is left is to be left to trace.undone. Then what was left there before: an object that is dropped, a part of an array. */
bool drop_interrupted(const struct trace *t);
void drop_resume(struct tracer *r, uint32_t granule);
void drop_resume_slice(struct tracer *r, const struct gray_slice *s);

void drop_run_objects(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
void drop_run_slice(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
void drop_run_rescan(struct trace *t, struct trace_tally *tally, struct worker *w, struct packet *p);
