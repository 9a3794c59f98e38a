/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Urgency: which of our threads runs first where more would run than there are cores. All keep the same share of time.
 *   Prompt   asks for turns of 0.1 ms: when it was woken it runs at once, if who runs has longer turns
 *   Patient  asks for turns of 100 ms, and interrupts nobody when it was woken (SCHED_BATCH): so who wakes runs before it
 *   From     EEVDF, Stoica and Abdel-Wahab 1995, as Linux schedules since 6.12; older ones take no notice of turns
 *   Threads  any, for itself. Threads that it starts afterwards begin with the same                                             */

enum urgency { URGENCY_PROMPT, URGENCY_PATIENT };

/* A wish: nothing says that it was not granted. Does nothing where somebody has chosen a policy for us; the nice value stays. */
void urgency_set(enum urgency urgency);
