/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/serve/http.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/ctl/serve/api.h"
#include "client/ctl/serve/metrics.h"
#include "client/ctl/serve/page.h"
#include "shm/base.h"

#define API "/api/"
#define JSON "application/json"

struct http {
    struct MHD_Daemon *daemon;
    bool loopback;
    const char *socket;
    _Atomic uint64_t next_stop_ns;            /* a heap may be stopped from then on; UINT64_MAX: one is being */
};
struct answer {
    unsigned status;
    const char *type;
    char *text;                               /* owned, unless `constant` */
    size_t bytes;
    bool constant;
};

/* ---- answers ------------------------------------------------------------------------------------ */

static struct answer refuse(unsigned status, const char *why)
{
    return (struct answer){ status, "text/plain; charset=utf-8", (char *)why, strlen(why), true };
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static struct answer ask(const struct http *http, const struct api_call *call, struct MHD_Connection *connection)
{
    struct answer answer = { .type = JSON };

    answer.text = api_ask(call, http->socket, MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "heap"),
                          MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "what"), &answer.status);
    answer.bytes = strlen(answer.text);
    return answer;
}

/* Nobody who can only reach us may keep a heap stopped: one at a time, and not too often. */
static struct answer ask_for_stop(struct http *http, const struct api_call *call, struct MHD_Connection *connection)
{
    uint64_t next_ns = at_load_relaxed(&http->next_stop_ns);

    if (header(connection, HTTP_STOP_HEADER) == NULL)
        return refuse(MHD_HTTP_FORBIDDEN, "this stops the heap: it is asked with the header " HTTP_STOP_HEADER " alone\n");
    if (next_ns != UINT64_MAX && mm_now_ns() < next_ns)
        return refuse(MHD_HTTP_TOO_MANY_REQUESTS, "a heap was stopped a moment ago: once in five seconds at most\n");
    if (next_ns == UINT64_MAX || !atomic_compare_exchange_strong(&http->next_stop_ns, &next_ns, UINT64_MAX))
        return refuse(MHD_HTTP_SERVICE_UNAVAILABLE, "another request stops a heap: one at a time\n");
    struct answer answer = ask(http, call, connection);
    atomic_store(&http->next_stop_ns, mm_now_ns() + HTTP_STOP_EVERY_NS);
    return answer;
}

static struct answer answer_api(struct http *http, struct MHD_Connection *connection, const char *name)
{
    const struct api_call *call = api_find(name);

    if (call == NULL)
        return refuse(MHD_HTTP_NOT_FOUND, "there is no such call\n");
    return call->stops ? ask_for_stop(http, call, connection) : ask(http, call, connection);
}

static struct answer answer_metrics(struct http *http, struct MHD_Connection *connection)
{
    struct ctl ctl = { .connection.sock = -1, .options = { .socket = http->socket, .limit = UINT64_MAX, .timeout_ns = CTL_TIMEOUT_NS } };
    bool open = metrics_wants_open(header(connection, MHD_HTTP_HEADER_ACCEPT));
    struct answer answer = { .status = MHD_HTTP_OK, .type = open ? METRICS_OPEN : METRICS_TEXT };

    answer.text = metrics_page(&ctl, open, &answer.bytes);
    free(ctl.detail);
    return answer;
}

/* How a browser on this machine calls it: without the port. */
static bool is_this_machine(const char *host)
{
    static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };

    for (size_t i = 0; host != NULL && i < MM_ARRAY_LEN(names); i++) {
        size_t length = strlen(names[i]);
        if (strncasecmp(host, names[i], length) == 0 && (host[length] == '\0' || host[length] == ':'))
            return true;
    }
    return false;
}

static bool is_read_only(const char *method)
{
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

static struct answer answer_to(struct http *http, struct MHD_Connection *connection, const char *url, const char *method)
{
    if (!is_read_only(method))
        return refuse(MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only: nothing is changed here\n");
    if (http->loopback && !is_this_machine(header(connection, MHD_HTTP_HEADER_HOST)))
        return refuse(MHD_HTTP_MISDIRECTED_REQUEST, "this is served to localhost alone\n");
    if (strcmp(url, "/") == 0)
        return (struct answer){ MHD_HTTP_OK, "text/html; charset=utf-8", (char *)serve_page, serve_page_bytes, true };
    if (strcmp(url, "/metrics") == 0)
        return answer_metrics(http, connection);
    if (strncmp(url, API, strlen(API)) == 0)
        return answer_api(http, connection, url + strlen(API));
    return refuse(MHD_HTTP_NOT_FOUND, "there are /, /metrics and /api/\n");
}

/* ---- libmicrohttpd ------------------------------------------------------------------------------ */

static void add_headers(struct MHD_Response *response, const struct answer *answer)
{
    const char *const headers[][2] = {
        { MHD_HTTP_HEADER_CONTENT_TYPE, answer->type },
        { "Content-Security-Policy", serve_page_policy },
        { "X-Content-Type-Options", "nosniff" },
        { "Cross-Origin-Resource-Policy", "same-origin" },
        { "Cross-Origin-Opener-Policy", "same-origin" },
        { "Referrer-Policy", "no-referrer" },
        { MHD_HTTP_HEADER_CACHE_CONTROL, "no-store" },
    };

    for (size_t i = 0; i < MM_ARRAY_LEN(headers); i++)
        (void)MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
}

/* Called first when the head is there; who is answered then loses the connection, as is right for who sends a body. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_bytes, void **state)
{
    if (*state == NULL && is_read_only(method)) {
        *state = context;
        return MHD_YES;
    }
    struct answer answer = answer_to(context, connection, url, method);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer.bytes, answer.text, answer.constant ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);

    if (response == NULL) {
        if (!answer.constant)
            free(answer.text);
        return MHD_NO;
    }
    add_headers(response, &answer);
    enum MHD_Result result = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return result;
}

struct http *http_start(int sock, bool loopback, const char *socket)
{
    struct http *http = need(calloc(1, sizeof(*http)));

    *http = (struct http){ .loopback = loopback, .socket = socket };
    http->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL, NULL, on_request, http,
                                    MHD_OPTION_LISTEN_SOCKET, sock, MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS,
                                    MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                    (size_t)HTTP_MEMORY_BYTES, MHD_OPTION_THREAD_STACK_SIZE, (size_t)HTTP_STACK_BYTES, MHD_OPTION_END);
    if (http->daemon != NULL)
        return http;
    free(http);
    return NULL;
}

void http_stop(struct http *http)
{
    MHD_stop_daemon(http->daemon); /* and closes the socket */
    free(http);
}
