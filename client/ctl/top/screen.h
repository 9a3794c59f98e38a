/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Screen: the model drawn on a terminal, by ncurses. Readable without colour: bars are made of '#' (live), '=' (used) and '.'
 *   Colour   only where the terminal has it and NO_COLOR is not set
 *   Text     from the daemon is escaped (text.h) and cut to its column                                                */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ctl/top/model.h"

enum screen_what { SCREEN_HEAPS, SCREEN_CLIENTS, SCREEN_HELP };
struct screen {
    enum screen_what what;
    enum ctl_sort sort;
    bool paused;
    char heap[256];                           /* whose row is marked, or whose clients are shown; empty: the first */
    size_t first;                             /* row shown first */
    uint64_t delay_ns;
    const char *error;                        /* shown in the last line; NULL: none */
};

/* False: this terminal cannot be drawn on. Then nothing has changed. */
bool screen_begin(void);
void screen_end(void);                        /* the terminal is as it was; harmless without a begin */
void screen_resize(void);                     /* the window has another size */
void screen_draw(struct screen *screen, const struct top_model *model);
/* The row @by rows below the marked one is marked; above, if it is negative. */
void screen_move(struct screen *screen, const struct top_model *model, long by);
