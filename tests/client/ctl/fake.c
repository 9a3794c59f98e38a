/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/ctl/fake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/runner.h"

struct fake {
    pthread_t thread;
    fake_answer *answer;
    void *context;
    int listener, stop; /* stop: an eventfd */
    char directory[32], path[64];
};

/* True: @fd can be read. False: the fake is to stop. */
static bool wait_for(const struct fake *fake, int fd)
{
    struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = fake->stop, .events = POLLIN } };

    ck_assert_int_gt(poll(fds, 2, -1), 0);
    return fds[1].revents == 0;
}

static void serve(const struct fake *fake, int sock)
{
    bool go_on = true;

    while (go_on && wait_for(fake, sock)) {
        wire_request *request;
        uint32_t serial;
        enum mmgc_error error;
        go_on = wire_recv_request(sock, &request, NULL, &serial, &error) == WIRE_OK &&
                fake->answer(sock, request, fake->context);
        wire_request_free(request);
    }
}

static void *run(void *context)
{
    const struct fake *fake = context;

    while (wait_for(fake, fake->listener)) {
        int sock = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
        ck_assert_int_ge(sock, 0);
        serve(fake, sock);
        close(sock);
    }
    return NULL;
}

struct fake *fake_start(fake_answer *answer, void *context)
{
    struct fake *fake = calloc(1, sizeof(*fake));

    ck_assert_ptr_nonnull(fake);
    *fake = (struct fake){ .answer = answer, .context = context, .directory = "/tmp/fake-XXXXXX" };
    ck_assert_ptr_nonnull(mkdtemp(fake->directory));
    snprintf(fake->path, sizeof(fake->path), "%s/mmgcd.sock", fake->directory);
    fake->listener = packet_listen(fake->path, 0600);
    ck_assert_int_ge(fake->listener, 0);
    fake->stop = eventfd(0, EFD_CLOEXEC);
    ck_assert_int_ge(fake->stop, 0);
    ck_assert_int_eq(pthread_create(&fake->thread, NULL, run, fake), 0);
    return fake;
}

const char *fake_socket(const struct fake *fake)
{
    return fake->path;
}

void fake_stop(struct fake *fake)
{
    char lock[80];

    snprintf(lock, sizeof(lock), "%s.lock", fake->path);
    ck_assert_int_eq(eventfd_write(fake->stop, 1), 0);
    ck_assert_int_eq(pthread_join(fake->thread, NULL), 0);
    close(fake->listener);
    close(fake->stop);
    unlink(fake->path);
    unlink(lock);
    ck_assert_int_eq(rmdir(fake->directory), 0);
    free(fake);
}

bool fake_reply(int sock, const wire_request *request, wire_reply *reply)
{
    reply->serial = request->serial;
    int r = wire_send_reply(sock, reply, NULL);
    ck_assert(r == 0 || r == -EPIPE); /* who waited no longer is no fault of ours */
    return r == 0;
}

bool fake_error(int sock, const wire_request *request, enum mmgc_error code, const char *detail)
{
    wire_error error = wire_error_init();
    wire_reply reply = wire_reply_init();

    error.code = code;
    error.detail = (char *)detail;
    reply.body_case = WIRE_REPLY(ERROR);
    reply.error = &error;
    return fake_reply(sock, request, &reply);
}

bool fake_done(int sock, const wire_request *request)
{
    wire_done done = wire_done_init();
    wire_reply reply = wire_reply_init();

    reply.body_case = WIRE_REPLY(DONE);
    reply.done = &done;
    return fake_reply(sock, request, &reply);
}

bool fake_welcome(int sock, const wire_request *request)
{
    wire_welcome welcome = wire_welcome_init();
    wire_reply reply = wire_reply_init();

    welcome.version = WIRE_VERSION_MAX;
    welcome.daemon_version = (char[]){ "9.8.7" };
    welcome.session = 1;
    welcome.incarnation = UINT64_C(0xfedcba9876543210);
    reply.body_case = WIRE_REPLY(WELCOME);
    reply.welcome = &welcome;
    return fake_reply(sock, request, &reply);
}
