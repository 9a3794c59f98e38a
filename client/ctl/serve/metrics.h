/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Metrics: what a Prometheus server scrapes, as OpenMetrics 1.0.0 or as its older text format 0.0.4. docs/monitoring.md lists them.
 *   Names    mmgcd_heap_*, mmgcd_user_*, mmgcd_*; base units, counters end in _total; families that differ between the formats only
 *            in how their head is written
 *   Labels   heap; kind of a pause; user; plan on mmgcd_heap_info alone: rows are bounded by heaps, kinds and users */
#include <stdbool.h>
#include <stddef.h>

#include "client/ctl/stats.h"

#define METRICS_OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define METRICS_TEXT "text/plain; version=0.0.4; charset=utf-8"

/* Whether who sends this Accept header wants OpenMetrics; NULL: no header. */
bool metrics_wants_open(const char *accept);
/* The page; free() it. A daemon that cannot be reached is a page, too: mmgcd_up is 0. @ctl has options alone, no connection. */
char *metrics_page(struct ctl *ctl, bool open, size_t *ret_bytes);
