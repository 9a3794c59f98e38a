/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Counts: objects and bytes by type, as JSON rows of name, objects and bytes: of a histogram, a mark or a snapshot; and what has grown between two.
 *   Mark     a histogram in a file, as histogram --json prints it. Named without a slash or a dot it lies in $XDG_STATE_HOME/mmgcctl */
#include "client/ctl/ctl.h"

/* Descending by @key, a whole number, then ascending by name, so that the order is the same every time; by name alone, if it is NULL. */
void counts_sort(json_t *rows, const char *key);
/* Rows of what is in the file: a snapshot or a mark. *ret: json_decref() it. */
enum mmgc_error counts_load(struct ctl *ctl, const char *file, json_t **ret);
enum mmgc_error counts_load_mark(struct ctl *ctl, const char *mark, json_t **ret);       /* FILE or NAME; the same */
enum mmgc_error counts_save_mark(struct ctl *ctl, const char *mark, const json_t *histogram);

/* Sets "types" and totals in @document, as options say: of each type before, now, and how much it has grown. */
void counts_compare(const struct ctl *ctl, json_t *document, const json_t *before, const json_t *now);
void counts_show(const struct ctl *ctl, const json_t *document);        /* that */
