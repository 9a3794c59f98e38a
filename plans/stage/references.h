/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* References: what a collection makes of references that are not strong, when the closure has found all that strong ones reach. In this order,
 * which is the JDK's (java.lang.ref), each step in packets over blocks and over rows of roots:
 *   Soft       those used not long ago, as long as there is room, are followed, and what they lead to
 *   Ephemeron  the value is followed where the key is reachable; again, until nothing comes of it
 *   Weak       weak ones, and soft ones that were not followed, are cleared where their object was not reached; ephemerons with such a key;
 *              handles and watches likewise. Those whose object has moved follow it. Objects with a queue are announced there
 *   Guarded    what was not reached and is guarded is found, all of it before any is followed: none hides another that it refers to
 *   Ready      that lives, with all that it refers to by whatever kind of reference
 *   Phantom    those are cleared whose object has not been reached even now
 *   Blocks     the trace tells blocks where it met objects with such references (metadata.weak); no others are looked at
 *   Plans that count follow all references in their pauses, and do this in whole collections alone
 *   Threads    begin, next: when nothing of the job runs; the packets: any worker              From  java.lang.ref; Hayes, Ephemerons, OOPSLA 1997  */
#include <stdbool.h>
#include <stdint.h>

struct collection;
struct job;
struct packet;
struct packet_kind;
struct worker;

enum reference_step { REFERENCES_OFF, REFERENCES_BEGIN, REFERENCES_SOFT, REFERENCES_EPHEMERON, REFERENCES_WEAK, REFERENCES_GUARDED, REFERENCES_READY,
                      REFERENCES_PHANTOM, REFERENCES_END };

struct references {                          /* a collection's; constant while packets run, but for progress */
    const struct packet_kind *blocks, *rows, *elements;      /* rows of the schedule's table that run the calls below; of the closure's stage */
    enum reference_step step;
    unsigned rounds;                         /* of ephemerons */
    _Atomic uint32_t progress;               /* in this round some value was followed */
    _Atomic uint32_t met_rows;               /* there are rows of roots that are not strong; any worker */
    uint64_t keep_age;                       /* soft ones used so many units ago, or less, are followed */
    uint32_t now;                            /* the clock of their stamps */
};

/* Before any packet runs. */
void references_begin(struct collection *c);
/* The closure has drained. True: packets were added to its stage, ask again when that has drained. */
bool references_next(struct collection *c, struct worker *w);
/* Beside clients no cycle may end that has such references to see to. */
bool references_are_wanted(const struct collection *c);

void stage_reference_blocks(struct worker *w, struct packet *p);
void stage_reference_rows(struct worker *w, struct packet *p);
void stage_reference_elements(struct worker *w, struct packet *p);

/* Stamps of soft references are in units of 2^27 ns (134 ms) of CLOCK_MONOTONIC. */
#define REFERENCE_CLOCK_SHIFT 27u
#define REFERENCE_UNIT_MS 134u
