/* SPDX-License-Identifier: Apache-2.0 */
/* none.c - Top on a terminal, where there was no ncurses to build it with: then it is text. */
#include "client/ctl/top/top.h"

enum mmgc_error top_live(struct ctl *ctl, bool *ret_done)
{
    (void)ctl;
    *ret_done = false;
    return MMGC_E_OK;
}
