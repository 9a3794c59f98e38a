/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - Client: finding the daemon, and what can be asked of it without a heap. */
#include "client/client.h"

#include <errno.h>
#include <mmgc/mmgc.h>
#include <stdlib.h>
#include <string.h>

#include "client/error.h"
#include "client/fork.h"
#include "client/profile.h"
#include "shm/barrier.h"

#define DEFAULT_SOCKET "/run/mmgcd/mmgcd.sock"

struct mmgc_client *client_list;

static const char *default_path(void)
{
    const char *path = secure_getenv("MMGC_SOCKET");

    return path != NULL && path[0] != '\0' ? path : DEFAULT_SOCKET;
}

static void client_free(struct mmgc_client *client)
{
    free(client->path);
    free(client->name);
    free(client);
}

int mmgc_connect(const char *socket_path, const char *name, struct mmgc_client **ret_client)
{
    if (ret_client == NULL)
        return error_set(MMGC_E_INVALID, "ret_client is NULL");
    fork_watch();
    struct mmgc_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return error_system("malloc", -ENOMEM);
    client->path = strdup(socket_path != NULL ? socket_path : default_path());
    client->name = strdup(name != NULL ? name : program_invocation_short_name);
    client->fence = !shm_barrier_register();
    int r = client->path == NULL || client->name == NULL
                ? error_system("malloc", -ENOMEM)
                : connection_open(&client->connection, client->path, client->name);
    if (r != MMGC_OK) {
        client_free(client);
        return r;
    }
    fork_lock();
    client->next = client_list;
    client_list = client;
    fork_unlock();
    profile_client_comes();
    *ret_client = client;
    return MMGC_OK;
}

void mmgc_disconnect(struct mmgc_client *client)
{
    if (client == NULL || client->connection.generation != fork_generation)
        return;
    fork_lock();
    struct mmgc_client **link = &client_list;
    while (*link != NULL && *link != client)
        link = &(*link)->next;
    if (*link == client)
        *link = client->next;
    bool last = client_list == NULL;
    connection_close(&client->connection); /* in the same piece: a child closes what is in the list */
    fork_unlock();
    if (last)
        profile_clients_gone();
    client_free(client);
}

int mmgc_ping(struct mmgc_client *client)
{
    wire_ping ping = wire_ping_init();
    wire_request request = wire_request_init();

    if (client == NULL)
        return error_set(MMGC_E_INVALID, "client is NULL");
    int r = fork_check(client->connection.generation);
    if (r != MMGC_OK)
        return r;
    request.body_case = WIRE_REQUEST(PING);
    request.ping = &ping;
    return connection_call(&client->connection, &request, NULL, WIRE_REPLY(DONE), NULL, NULL);
}

int mmgc_heap_destroy(struct mmgc_client *client, const char *name, bool force)
{
    wire_heap_destroy destroy = wire_heap_destroy_init();
    wire_request request = wire_request_init();

    if (client == NULL || name == NULL)
        return error_set(MMGC_E_INVALID, "client or name is NULL");
    int r = fork_check(client->connection.generation);
    if (r != MMGC_OK)
        return r;
    if (!wire_name_valid(name, WIRE_NAME_MAX))
        return error_set(MMGC_E_NAME_TOO_LONG, NULL);
    destroy.name = (char *)name;
    destroy.force = force;
    request.body_case = WIRE_REQUEST(HEAP_DESTROY);
    request.heap_destroy = &destroy;
    return connection_call(&client->connection, &request, NULL, WIRE_REPLY(DONE), NULL, NULL);
}
