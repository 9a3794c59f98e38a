/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Affinity: which cores the workers may run on, from inside: what engine.c asks of the configuration. */
#include <pthread.h>

#include "plans/work/engine.h"

int affinity_check(const struct engine_config *config); /* 0, or -EINVAL as engine_new_with has it */
/* How many cores the workers have between them. */
unsigned affinity_cores(const struct engine_config *config);
/* For the thread of @worker: it never runs anywhere else, not even at first. -errno. */
int affinity_set(const struct engine_config *config, unsigned worker, pthread_attr_t *attr);
