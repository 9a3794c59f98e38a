/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fake: a daemon that answers as a test tells it to, on a socket of its own.
 *   Threads  the answer runs on the fake's thread, one connection after the other; fake_stop() joins it                 */
#include <stdbool.h>

#include "proto/wire.h"

struct fake;

/* Answers one request, a Hello too, on @sock. False: the fake hangs up. */
typedef bool fake_answer(int sock, const wire_request *request, void *context);

struct fake *fake_start(fake_answer *answer, void *context);
const char *fake_socket(const struct fake *fake);
void fake_stop(struct fake *fake);

/* Sends @reply, whose body is set, as the answer to @request. False: who asked has gone. */
bool fake_reply(int sock, const wire_request *request, wire_reply *reply);
bool fake_error(int sock, const wire_request *request, enum mmgc_error code, const char *detail);
bool fake_done(int sock, const wire_request *request);
bool fake_welcome(int sock, const wire_request *request);
