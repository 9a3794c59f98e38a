/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Worker and engine, from inside: bodies for engine.c (turns over jobs) and job.c (stages), and hooks for tests. */
#include <pthread.h>

#include "plans/work/idle.h"
#include "plans/work/job.h"
#include "plans/work/pool.h"
#include "plans/work/store.h"
#include "plans/work/timeline.h"

/* A turn, after which a worker looks at the next active job: so many packets, or so long, whichever comes first. */
#define ENGINE_BURST 16u
#define ENGINE_TURN_NS 1000000u
#define ENGINE_YIELD_NS 2000000u /* how long a packet runs before worker_should_yield may say so */

struct worker {
    alignas(MM_CACHE_LINE) struct engine *engine; /* [const] */
    unsigned index;                               /* [const] */
    pthread_t thread;                             /* [const] */
    uint32_t random;                              /* [worker] xorshift32, never 0: whom to rob */
    bool searching;                               /* [worker] counted so in engine->idle */
    uint64_t turn;                                /* [worker] id of the job it was in last */
    struct job *job;                              /* [worker] it is in this one */
    const struct packet *running;                 /* [worker] */
    uint64_t running_ns;                          /* [worker] when that began */
    unsigned yield_asked;                         /* [worker] calls of worker_should_yield */
    struct pool_cache cache;                      /* [worker] */
};

struct engine {
    struct store *store;           /* [const] */
    struct store *own_store;       /* [const] that, if engine_config had none */
    _Atomic bool running_here;     /* of one without threads: somebody is in engine_run */
    struct pool pool;
    struct idle idle;
    struct engine_config config;   /* [const] */
    unsigned spin_ns;              /* [const] how long a search lasts before sleep; 0 on one core */
    unsigned count;                /* [const] workers */
    _Atomic bool stopping;         /* engine_unref stores */
    _Atomic uint32_t active;       /* [lock] stores; jobs on the list */
    pthread_mutex_t lock;          /* leaf: guards the list */
    struct job *jobs, **jobs_tail; /* [lock] in order of id */
    uint64_t last_id;              /* [lock] */
    struct worker workers[];
};

/* What @w has done for its job, whose timeline is not NULL. */
void worker_record(struct worker *w, enum timeline_kind kind, const char *name, uint64_t begin_ns, uint64_t ns);
void engine_retire(struct engine *engine,
                   struct job *job); /* takes a drained job off the list. A worker inside it */
void engine_set_seed(struct engine *engine, uint32_t seed); /* hook: victims of theft; before the first run */
