/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c - Serve: the page, the metrics and what they are made of, by HTTP, until interrupted.
 *   Apart   from the daemon on purpose: what parses HTTP maps no heap, and may crash without anybody noticing. It sees what its user may */
#include "client/ctl/serve/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#if MM_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "client/ctl/serve/http.h"
#include "client/ctl/serve/listen.h"

static void tell(const char *state)
{
#if MM_HAVE_SYSTEMD
    (void)sd_notify(0, state); /* nobody there is fine */
#else
    (void)state;
#endif
}

/* What ends us. Blocked before there is any thread, so that it waits for sigwait(). */
static sigset_t block_signals(void)
{
    sigset_t ends;

    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return ends;
}

static enum mmgc_error cannot_listen(struct ctl *ctl, const char *where, int error)
{
    if (error == -EINVAL)
        return ctl_failed(ctl, MMGC_E_INVALID, "--listen takes ADDRESS:PORT in numbers, or unix:PATH, not '%s'", where);
    if (error == -EADDRINUSE)
        return ctl_failed(ctl, MMGC_E_SYSTEM, "%s is in use already; --listen takes another", where);
    return ctl_failed(ctl, MMGC_E_SYSTEM, "%s: %s", where, strerror(-error));
}

enum mmgc_error serve_ask(struct ctl *ctl, json_t *document)
{
    const char *where = ctl->options.listen == NULL ? LISTEN_DEFAULT : ctl->options.listen;
    sigset_t ends = block_signals();
    struct listening listening;
    int signal_number = 0;

    int r = listen_open(&listening, where);
    if (r < 0)
        return cannot_listen(ctl, where, r);
    struct http *http = http_start(listening.sock, listening.loopback, ctl->options.socket);
    if (http == NULL) {
        listen_close(&listening);
        return ctl_failed(ctl, MMGC_E_SYSTEM, "no HTTP server could be started on %s", where);
    }
    listening.sock = -1; /* the server's now */
    printf("serving %s until interrupted\n", listening.shown);
    (void)fflush(stdout); /* whoever reads along waits for it */
    tell("READY=1");
    (void)sigwait(&ends, &signal_number);
    tell("STOPPING=1");
    http_stop(http);
    listen_close(&listening);
    return MMGC_E_OK;
}
