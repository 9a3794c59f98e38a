/* SPDX-License-Identifier: Apache-2.0 */
/* requests_heap.c - Requests about a heap: open, destroy, types, names, collect, look inside. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/request.h"
#include "daemon/server.h"
#include "daemon/session.h"
#include "daemon/shared_heap.h"
#include "shm/units.h"

/* ---- open and destroy ---- */

static enum handled refuse_new(struct request *r, const struct heap_settings *settings, int error, const char *why)
{
    switch (error) {
    case -E2BIG:
        return answer_error(r, MMGC_E_TOO_LARGE,
                            "a heap of %" PRIu64 " bytes: the most is %" PRIu64 " (max_size)",
                            settings->size_bytes, settings->max_size_bytes);
    case -ENOENT: return answer_error(r, MMGC_E_NO_PLAN, "'%s'", settings->plan);
    case -ENOSPC:
        return answer_error(r, MMGC_E_LIMIT, "there are %u heaps, the most there may be (max_heaps of [daemon])",
                            r->session->server->config.max_heaps);
    case -EDQUOT: return answer_error(r, MMGC_E_LIMIT, "%s", why);
    default: return answer_errno(r, error, "making a heap");
    }
}

/* What the creator says over what the administrator says; the message's own fields over its options. False: it was refused. */
static bool choose_settings(struct request *r, const wire_heap_open *open, struct heap_settings *ret)
{
    struct heap_layer said = { 0 };
    char why[HEAP_OPTIONS_WHY_MAX];

    config_heap(&r->session->server->config, open->name, ret);
    uint64_t administrators = ret->limit_bytes;
    if (!heap_layer_parse(&said, open->options, why)) {
        answer_error(r, MMGC_E_INVALID, "%s", why);
        return false;
    }
    heap_layer_apply(&said, ret);
    if (open->max_bytes != 0)
        ret->size_bytes = open->max_bytes;
    if (open->limit_bytes != 0)
        ret->limit_bytes = open->limit_bytes;
    if (open->plan[0] != '\0')
        snprintf(ret->plan, sizeof(ret->plan), "%s", open->plan);
    if (ret->limit_bytes > ret->size_bytes && ret->limit_bytes != administrators) {
        answer_error(r, MMGC_E_INVALID, "its limit of %" PRIu64 " bytes is above its maximum",
                     ret->limit_bytes);
        return false;
    }
    return true;
}

static enum handled answer_opened(struct request *r, struct shared_heap *h, bool created)
{
    struct session *s = r->session;
    wire_heap_opened opened = wire_heap_opened_init();
    wire_reply reply = wire_reply_init();
    int control = shm_segment_reopen_read_only(h->control_segment);
    int arena = s->read_only ? shm_segment_reopen_read_only(h->arena) : shm_segment_fd(h->arena);
    struct packet_fds fds = { .fd = { control, arena, shm_segment_fd(s->segment) }, .count = 3 };

    if (h->log_segment != NULL && !s->read_only) {
        fds.fd[fds.count++] = shm_segment_fd(h->log_segment);
        opened.log_bytes = shm_segment_bytes(h->log_segment);
    }
    if (!s->read_only) {
        fds.fd[fds.count++] = shm_segment_fd(h->leases.segment);
        opened.lease_bytes = shm_segment_bytes(h->leases.segment);
    }
    opened.control_bytes = shm_segment_bytes(h->control_segment);
    opened.arena_bytes = h->max_bytes;
    opened.session_bytes = shm_segment_bytes(s->segment);
    opened.plan = h->control->plan;
    opened.created = created;
    reply.body_case = WIRE_REPLY(HEAP_OPENED);
    reply.heap_opened = &opened;
    if (control < 0 || arena < 0)
        session_end(s, MMGC_E_LIMIT, "the daemon has no more file descriptors");
    else
        answer(r, &reply, &fds);
    if (control >= 0)
        close(control);
    if (s->read_only && arena >= 0)
        close(arena);
    return HANDLED;
}

static enum handled open_heap(struct request *r, struct shared_heap *h, bool created)
{
    struct session *s = r->session;
    char why[QUOTA_WHY_MAX];

    if (!charges_take_files(&s->charges, 1, s->peer.administrator))
        return answer_error(r, MMGC_E_LIMIT, "%s", account_explain(s->charges.account, QUOTA_FILES, 1, why));
    int error = session_enter_heap(s, h, r->message->heap_open->read_only);
    if (error < 0)
        charges_give_back(&s->charges, QUOTA_FILES, 1);
    return error < 0 ? answer_errno(r, error, "making a session's segment") : answer_opened(r, h, created);
}

static enum handled create_heap(struct request *r, const wire_heap_open *open)
{
    struct session *s = r->session;
    struct heap_settings settings;
    struct shared_heap *h;
    char why[QUOTA_WHY_MAX] = "";

    if (!choose_settings(r, open, &settings))
        return HANDLED;
    int error = shared_heap_new(&h, s->server, open->name, &settings, s, why);
    return error < 0 ? refuse_new(r, &settings, error, why) : open_heap(r, h, true);
}

enum handled request_heap_open(struct request *r)
{
    const wire_heap_open *open = r->message->heap_open;
    struct session *s = r->session;
    struct shared_heap *h = registry_find(&s->server->heaps, open->name);

    if (s->heap != NULL)
        return answer_error(r, MMGC_E_ORDER, "this connection has heap '%s' open", s->heap->name);
    if (h == NULL && !open->create)
        return answer_error(r, MMGC_E_NO_HEAP, "'%s'", open->name);
    if (h != NULL && open->create && open->exclusive)
        return answer_error(r, MMGC_E_HEAP_EXISTS, "'%s'", open->name);
    if (h != NULL && !shared_heap_may_open(h, s, open->read_only))
        return answer_error(r, MMGC_E_DENIED, "heap '%s' is user %u's, mode %04o", h->name,
                            (unsigned)h->owner, h->mode);
    return h == NULL ? create_heap(r, open) : open_heap(r, h, false);
}

enum handled request_heap_destroy(struct request *r)
{
    const wire_heap_destroy *destroy = r->message->heap_destroy;
    struct shared_heap *h = registry_find(&r->session->server->heaps, destroy->name);

    if (h == NULL)
        return answer_error(r, MMGC_E_NO_HEAP, "'%s'", destroy->name);
    if (!shared_heap_may_destroy(h, r->session))
        return answer_error(r, MMGC_E_DENIED, "heap '%s' is user %u's", h->name, (unsigned)h->owner);
    if (h->session_count > 0 && !destroy->force)
        return answer_error(r, MMGC_E_HEAP_BUSY, "heap '%s' has %u clients", h->name, h->session_count);
    answer_done(r); /* first: the heap may be the asker's own */
    shared_heap_end(h);
    return HANDLED;
}

/* ---- types ---- */

static void print_offsets(char *out, size_t size, const uint32_t *offsets, size_t count)
{
    size_t length = 0;

    out[0] = '\0';
    for (size_t i = 0; i < count && length + 16 < size; i++)
        length += (size_t)snprintf(out + length, size - length, "%s%u", i == 0 ? "" : ",", offsets[i]);
}

/* The offsets of the older layout are the plans' own; its counts tell enough. */
static enum handled refuse_clash(struct request *r, const struct shm_type_layout *layout, uint32_t id)
{
    const struct shm_type_row *old = &r->session->heap->control->types[id];
    char refs[160], element_refs[160];

    print_offsets(refs, sizeof(refs), layout->refs, layout->ref_count);
    print_offsets(element_refs, sizeof(element_refs), layout->element_refs, layout->element_ref_count);
    return answer_error(r, MMGC_E_TYPE_CLASH,
                        "type '%s' is known as fixed %u, element %u bytes, %u and %u references; "
                        "asked for fixed %u, element %u bytes, references at [%s] and [%s]",
                        layout->name, old->fixed_bytes, old->element_bytes, old->ref_count,
                        old->element_ref_count, layout->fixed_bytes, layout->element_bytes, refs,
                        element_refs);
}

static void publish_types(struct shared_heap *h)
{
    uint32_t published = at_load_relaxed(&h->control->type_count); /* ours alone */
    uint32_t count = heap_type_count(h->heap);

    for (uint32_t id = published; id <= count; id++)
        h->control->types[id] = *heap_type_row(h->heap, id);
    if (count + 1 > published)
        at_store_release(&h->control->type_count, count + 1); /* pairs with the client's acquire */
}

static bool type_is_known(const struct shared_heap *h, const char *name)
{
    uint32_t count = at_load_relaxed(&h->control->type_count);

    for (uint32_t id = 1; id < count; id++)
        if (strcmp(h->control->types[id].name, name) == 0)
            return true;
    return false;
}

/* Defines it, and charges who was the first to do so. -EDQUOT: it would be one type too many; as heap_type_define(). */
static int define_locked(struct shared_heap *h, struct session *s, const struct shm_type_layout *layout, uint32_t *ret_id)
{
    struct charges *charges = shared_heap_definer(h, s->charges.account);
    uint32_t before = heap_type_count(h->heap);

    if (charges == NULL)
        return -ENOMEM;
    bool charged = charges_take(charges, QUOTA_TYPES, 1);
    if (!charged && !type_is_known(h, layout->name))
        return -EDQUOT;
    int error = heap_type_define(h->heap, layout, ret_id);
    if (charged && heap_type_count(h->heap) == before)
        charges_give_back(charges, QUOTA_TYPES, 1);
    return error;
}

static enum handled refuse_type(struct request *r, const struct shm_type_layout *layout, uint32_t id, int error)
{
    struct account *a = r->session->charges.account;
    char why[QUOTA_WHY_MAX];

    switch (error) {
    case -EEXIST: return refuse_clash(r, layout, id);
    case -ENOSPC: return answer_error(r, MMGC_E_TYPE_LIMIT, "%u types", SHM_TYPES_MAX - 1);
    case -EDQUOT: return answer_error(r, MMGC_E_LIMIT, "%s", account_explain(a, QUOTA_TYPES, 1, why));
    default: return answer_errno(r, error, "defining a type");
    }
}

enum handled request_type_define(struct request *r)
{
    const wire_type_define *define = r->message->type_define;
    struct shared_heap *h = r->session->heap;
    wire_type_defined defined = wire_type_defined_init();
    wire_reply reply = wire_reply_init();
    const char *why;
    struct shm_type_layout layout = {
        .name = define->name,
        .fixed_bytes = define->fixed_bytes,
        .element_bytes = define->element_bytes,
        .ref_count = (uint32_t)define->n_refs,
        .element_ref_count = (uint32_t)define->n_element_refs,
        .refs = define->refs,
        .element_refs = define->element_refs,
    };

    if (shm_type_check(&layout, &why) < 0)
        return answer_error(r, MMGC_E_TYPE_LAYOUT, "'%s': %s", define->name, why);
    if (r->session->read_only && !type_is_known(h, define->name))
        return answer_error(r, MMGC_E_READ_ONLY, "heap '%s' has no type '%s' yet", h->name,
                            define->name);
    if (!shared_heap_try_lock(h))
        return answer_later(r, h);
    int error = define_locked(h, r->session, &layout, &defined.id);
    if (error == 0)
        publish_types(h);
    shared_heap_unlock(h);
    if (error < 0)
        return refuse_type(r, &layout, defined.id, error);
    reply.body_case = WIRE_REPLY(TYPE_DEFINED);
    reply.type_defined = &defined;
    return answer(r, &reply, NULL);
}

/* ---- names ---- */

static enum handled answer_name(struct request *r, uint32_t ref)
{
    wire_name_value value = wire_name_value_init();
    wire_reply reply = wire_reply_init();

    value.ref = ref;
    reply.body_case = WIRE_REPLY(NAME_VALUE);
    reply.name_value = &value;
    return answer(r, &reply, NULL);
}

enum handled request_name_set(struct request *r)
{
    const wire_name_set *set = r->message->name_set;
    struct shared_heap *h = r->session->heap;
    uint32_t stands = set->ref;
    int error = 0;

    if ((uint64_t)set->ref << MM_GRANULE_LOG >= h->max_bytes)
        return answer_error(r, MMGC_E_INVALID, "reference %u is outside the heap", set->ref);
    if (!shared_heap_try_lock(h))
        return answer_later(r, h);
    if (set->only_if_absent)
        stands = names_get(&h->names, set->name);
    if (set->ref == 0 && names_get(&h->names, set->name) == 0) {
        error = -ENOENT;
    } else if (!set->only_if_absent || stands == 0) {
        stands = set->ref;
        error = names_set(&h->names, set->name, set->ref);
    }
    shared_heap_unlock(h);
    if (error == -ENOENT)
        return answer_error(r, MMGC_E_NO_NAME, "'%s'", set->name);
    if (error == -ENOSPC)
        return answer_error(r, MMGC_E_LIMIT, "heap '%s' has %zu names, the most it may have (max_names)",
                            h->name, h->names.limit);
    if (error < 0)
        return answer_errno(r, error, "setting a name");
    return set->only_if_absent ? answer_name(r, stands) : answer_done(r);
}

enum handled request_name_get(struct request *r)
{
    const wire_name_get *get = r->message->name_get;
    struct shared_heap *h = r->session->heap;

    if (!shared_heap_try_lock(h))
        return answer_later(r, h);
    uint32_t ref = names_get(&h->names, get->name);
    shared_heap_unlock(h);
    if (ref == 0)
        return answer_error(r, MMGC_E_NO_NAME, "'%s'", get->name);
    return answer_name(r, ref);
}

/* ---- collect, verify, histogram ---- */

struct shared_heap *request_heap_meant(struct request *r, const char *name)
{
    struct session *s = r->session;
    struct shared_heap *h = name[0] == '\0' ? s->heap : registry_find(&s->server->heaps, name);

    if (h == NULL && name[0] == '\0')
        answer_error(r, MMGC_E_ORDER, "no heap is named, and none is open");
    else if (h == NULL)
        answer_error(r, MMGC_E_NO_HEAP, "'%s'", name);
    else if (h->ending)
        answer_error(r, MMGC_E_HEAP_GONE, "heap '%s' was destroyed", h->name);
    else if (h != s->heap && !shared_heap_may_open(h, s, true))
        answer_error(r, MMGC_E_DENIED, "heap '%s' is user %u's, mode %04o", h->name,
                     (unsigned)h->owner, h->mode);
    else
        return h;
    return NULL;
}

enum handled request_collect(struct request *r)
{
    struct shared_heap *h = request_heap_meant(r, r->message->collect->heap);
    wire_collect_started started = wire_collect_started_init();
    wire_reply reply = wire_reply_init();

    if (h == NULL)
        return HANDLED;
    if (h->corrupt)
        return answer_error(r, MMGC_E_CORRUPT, "heap '%s'", h->name);
    if (!h->collects)
        return answer_error(r, MMGC_E_UNSUPPORTED, "plan %s never collects", h->control->plan);
    started.ignored = h->settings.ignore_system_gc;
    started.number = started.ignored ? at_load_acquire(&h->control->collections) : shared_heap_ask_collection(h);
    reply.body_case = WIRE_REPLY(COLLECT_STARTED);
    reply.collect_started = &started;
    answer(r, &reply, NULL);
    shared_heap_pump(h);
    return HANDLED;
}

enum handled request_inspect(struct request *r, const char *name, int work)
{
    struct shared_heap *h = request_heap_meant(r, name);

    if (h == NULL)
        return HANDLED;
    if (h->corrupt && work == WORK_HISTOGRAM) /* a verify is for that, and a snapshot was asked for all the same */
        return answer_error(r, MMGC_E_CORRUPT, "heap '%s' is quarantined: `mmgcctl verify` says why", h->name);
    r->awaited = h;
    r->work = work;
    return HANDLED_LATER;
}

enum handled request_verify(struct request *r)
{
    return request_inspect(r, r->message->verify->heap, WORK_VERIFY);
}

enum handled request_histogram(struct request *r)
{
    return request_inspect(r, r->message->histogram->heap, WORK_HISTOGRAM);
}
