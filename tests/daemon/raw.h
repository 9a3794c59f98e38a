/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Raw: a client without the client library: every packet and every shared word is the test's own doing.
 *   Threads  one at a time        Failing  no answer in 20 s fails the test                                 */
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"
#include "shm/control.h"
#include "shm/lease.h"
#include "shm/mutator.h"
#include "shm/session.h"
#include "tests/support/daemon.h"
#include "tests/support/request.h"

struct raw {
    bool read_only; /* set before the heap is opened */
    const char *options;                      /* of a heap that is made, even with 0 bytes; NULL: none */
    int sock;                                 /* -1: closed */
    uint32_t serial;
    uint64_t session;
    size_t arena_bytes;
    struct shm_control *control;              /* read-only */
    char *arena;
    struct shm_session *segment;
    _Atomic uint8_t *log;                     /* NULL: it was sent none */
    struct shm_leases *leases;                /* the same */
    char detail[2048];                        /* of the last error */
};
struct raw_thread {
    struct raw *client;
    uint32_t id, mail_serial;
    struct shm_mutator *m;
};

void raw_connect(struct raw *c, const struct daemon *d);      /* no Hello yet */
void raw_close(struct raw *c);
void raw_hello(struct raw *c, const char *name);
void raw_start(struct raw *c, const struct daemon *d, const char *name);      /* both */

/* Who connects. Only root can be somebody else: raw_is_root() says whether this test is, and on stderr if it is not. */
struct raw_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[4];                          /* supplementary ones */
    int group_count;
};
bool raw_is_root(void);
void raw_connect_as(struct raw *c, const struct daemon *d, const struct raw_user *user);
void raw_start_as(struct raw *c, const struct daemon *d, const char *name, const struct raw_user *user);

void raw_send(struct raw *c, wire_request *request);          /* sets its serial */
wire_reply *raw_receive(struct raw *c, struct packet_fds *ret_fds);           /* NULL: the end. Waits */
/* One round trip, events passed over. The caller frees. */
wire_reply *raw_ask(struct raw *c, wire_request *request);
/* The same, for its error: MMGC_E_OK for any other reply. c->detail is its detail. */
enum mmgc_error raw_try(struct raw *c, wire_request *request);
enum mmgc_error raw_ping(struct raw *c);      /* what was sent before it has been dealt with, when it is answered */
/* Reads on to an event, then to the end: its code; MMGC_E_OK: it just ended. Fails if neither comes. */
enum mmgc_error raw_last_word(struct raw *c);

/* Opens @heap, making it if needed with @max_bytes; all mapped. */
enum mmgc_error raw_try_open(struct raw *c, const char *heap, uint64_t max_bytes);
void raw_open(struct raw *c, const char *heap, uint64_t max_bytes);
void raw_attach(struct raw_thread *t, struct raw *c, const char *name);
enum mmgc_error raw_detach(struct raw_thread *t);
uint32_t raw_type(struct raw *c, const char *name, uint32_t fixed_bytes, size_t ref_count, uint32_t *refs);
/* Asks for memory and waits for the mailbox: its error. */
enum mmgc_error raw_grant(struct raw_thread *t, enum shm_grant_class class, uint64_t bytes);
void raw_grant_send(struct raw_thread *t, enum shm_grant_class class, uint64_t bytes);
enum mmgc_error raw_grant_wait(struct raw_thread *t, enum shm_grant_class class);
char *raw_make_cells(struct raw_thread *t, uint32_t type, int count);        /* of 16 bytes, in the first span that it was granted; the first one's payload */
void raw_enter(struct raw_thread *t);         /* as mmgc_enter(): waits while a stop is under way */
void raw_leave(struct raw_thread *t);
uint64_t raw_collect_begin(struct raw *c, const char *heap);  /* its number */
void raw_collect_wait(struct raw *c, uint64_t number);        /* of the heap it has open */
