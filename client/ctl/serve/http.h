/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* HTTP: which request gets which answer. GET and HEAD of /, /metrics and /api/...; nothing is changed by any.
 *   Host     on a loopback address only names of this machine are answered: else a site whose name is made to lead here could read it all
 *   Page     its own styles and scripts alone run, by their hashes; it loads from here alone; nobody frames it
 *   Bounds   HTTP_CONNECTIONS, HTTP_IDLE_S, and HTTP_MEMORY_BYTES for a request's head
 *   Threads  one a connection, so that who waits for a heap to stop keeps nobody else waiting; one atomic word is all they share   */
#include <stdbool.h>
#include <stdint.h>

struct http;

#define HTTP_CONNECTIONS 64u
#define HTTP_IDLE_S 15u
#define HTTP_MEMORY_BYTES 16384u
#define HTTP_STACK_BYTES 524288u
#define HTTP_STOP_EVERY_NS UINT64_C(5000000000)
#define HTTP_STOP_HEADER "X-Mmgcd-Stop"       /* on what stops a heap: any value */

/* Serves on the listening @sock, which it takes over when it succeeds, what the daemon at @socket says. NULL: it cannot. */
struct http *http_start(int sock, bool loopback, const char *socket);
void http_stop(struct http *http);            /* answers what is being asked first */
