/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Run: mmgcctl as its users meet it: arguments in, two streams and a status out. */
#include <jansson.h>

struct ctl_run {
    char *out, *err;                          /* what it printed */
    int status;                               /* its exit status; -1: a signal ended it */
};

/* Runs mmgcctl with @socket as MMGC_SOCKET and the words up to NULL. */
struct ctl_run ctl_run(const char *socket, ...) __attribute__((sentinel));
/* The same with its stdout opened at @stdout_path. */
struct ctl_run ctl_run_onto(const char *stdout_path, const char *socket, ...) __attribute__((sentinel));
void ctl_run_free(struct ctl_run *run);

/* @text is exactly one JSON document: json_decref() it. */
json_t *parse_json(const char *text);
