/* SPDX-License-Identifier: Apache-2.0 */
/* name.c - Name: roots that the daemon keeps by name, for all clients.
 *   The round trip is made while IN: a reference on the wire would be stale after a collection that moves. It delays a stop
 *   by microseconds, since the daemon's loop answers at once, also while it waits for us to stop. */
#include <mmgc/mmgc.h>

#include "client/error.h"
#include "client/hold.h"
#include "client/thread.h"

static int name_check(const struct mmgc_thread *t, const char *name)
{
    int r = thread_check_in(t);

    if (r != MMGC_OK)
        return r;
    if (name == NULL)
        return error_set(MMGC_E_INVALID, "name is NULL");
    return wire_name_valid(name, WIRE_NAME_MAX) ? MMGC_OK : error_set(MMGC_E_NAME_TOO_LONG, NULL);
}

/* The laundered object that the daemon's reference names. */
static void *object_of(const struct mmgc_thread *t, const wire_reply *reply)
{
    mmgc_ref ref = { reply->name_value->ref };

    return mmgc_deref(t, ref);
}

int mmgc_name_set(struct mmgc_thread *t, const char *name, const void *object)
{
    wire_name_set set = wire_name_set_init();
    wire_request request = wire_request_init();
    int r = name_check(t, name);

    if (r != MMGC_OK)
        return r;
    if (hold_owns(thread_of(t), object))
        return hold_refuse(thread_of(t), object);
    set.name = (char *)name;
    set.ref = mmgc_ref_of(t, object).granule;
    request.body_case = WIRE_REQUEST(NAME_SET);
    request.name_set = &set;
    r = connection_call(&thread_of(t)->heap->connection, &request, NULL, WIRE_REPLY(DONE), NULL, NULL);
    mmgc_keep(object);
    return r;
}

void *mmgc_name_get(struct mmgc_thread *t, const char *name)
{
    wire_name_get get = wire_name_get_init();
    wire_request request = wire_request_init();
    wire_reply *reply;
    int r = name_check(t, name);

    if (r != MMGC_OK)
        return t != NULL ? thread_fail(thread_of(t), r) : NULL;
    get.name = (char *)name;
    request.body_case = WIRE_REQUEST(NAME_GET);
    request.name_get = &get;
    r = connection_call(&thread_of(t)->heap->connection, &request, NULL, WIRE_REPLY(NAME_VALUE),
                        &reply, NULL);
    if (r != MMGC_OK)
        return thread_fail(thread_of(t), r);
    void *object = object_of(t, reply);
    wire_reply_free(reply);
    return object != NULL ? object : thread_fail(thread_of(t), error_set(MMGC_E_NO_NAME, "%s", name));
}

int mmgc_name_claim(struct mmgc_thread *t, const char *name, const void *object, void **ret_object)
{
    wire_name_set set = wire_name_set_init();
    wire_request request = wire_request_init();
    wire_reply *reply;
    int r = name_check(t, name);

    if (r != MMGC_OK)
        return r;
    if (object == NULL || ret_object == NULL)
        return error_set(MMGC_E_INVALID, "object or ret_object is NULL");
    if (hold_owns(thread_of(t), object))
        return hold_refuse(thread_of(t), object);
    set.name = (char *)name;
    set.ref = mmgc_ref_of(t, object).granule;
    set.only_if_absent = true;
    request.body_case = WIRE_REQUEST(NAME_SET);
    request.name_set = &set;
    r = connection_call(&thread_of(t)->heap->connection, &request, NULL, WIRE_REPLY(NAME_VALUE),
                        &reply, NULL);
    mmgc_keep(object);
    if (r != MMGC_OK)
        return r;
    *ret_object = object_of(t, reply);
    wire_reply_free(reply);
    return MMGC_OK;
}
