/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Top: heaps as they live, on a terminal or as text. */
#include "client/ctl/top/model.h"

/* Prints options.iterations times, options.delay_ns apart. */
enum mmgc_error top_batch(struct ctl *ctl);
/* Until `q`, a signal or, if they are not 0, options.iterations. *ret_done false: this terminal cannot, or there was no ncurses to build
 * with; nothing was shown. */
enum mmgc_error top_live(struct ctl *ctl, bool *ret_done);
