/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Follower: mmgcctl watch --json as a process of its own, its events read one by one.
 *   Failing  no event in ten seconds, or a line that is no JSON object, fails the test                             */
#include <stdio.h>
#include <sys/types.h>

#include <jansson.h>

struct follower {
    pid_t pid;
    int out;                                  /* what it prints */
    FILE *lines;                              /* the same */
};

/* Starts it with the words up to NULL after `watch --json`. */
void follower_start(struct follower *f, const char *socket, ...) __attribute__((sentinel));
/* Whether an event comes within @ms. */
int follower_has(struct follower *f, int ms);
/* The next event; the next of a kind and a heap, others passed over. json_decref() it. */
json_t *follower_next(struct follower *f);
json_t *follower_next_of(struct follower *f, const char *event, const char *heap);
/* Sends @signal, unless it is 0, and waits for its end: its exit status; -1: a signal ended it. */
int follower_end(struct follower *f, int signal);
