/* SPDX-License-Identifier: Apache-2.0 */
/* live.c - Top on a terminal: draws, waits for a key, a signal or the next look, and again.
 *   T1  signals come only while it waits, so that no handler ever interrupts ncurses; then it ends as by `q`, and dies of the signal
 *   T2  a daemon that is gone is asked again each time: the last numbers stay on the screen, with why they are old                */
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/ctl/top/rescue.h"
#include "client/ctl/top/screen.h"
#include "client/ctl/top/top.h"
#include "client/ctl/units.h"
#include "shm/base.h"

#define DELAY_MIN_NS (UNITS_NS_PER_S / 10)
#define DELAY_MAX_NS (3600 * UNITS_NS_PER_S)
#define KEY_ESCAPE 27
#define PATIENCE_NS (2 * UNITS_NS_PER_S) /* for answers: so long no key is taken */

static const int ends[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };
static volatile sig_atomic_t ended_by, resized;

struct live {
    struct ctl *ctl;
    struct top_model model;
    struct screen screen;
    enum screen_what before_help;
    uint64_t due_ns, looks;
    bool over;
    char error[512];
};

/* ---- signals ------------------------------------------------------------------------------------ */

static void on_end(int number)
{
    ended_by = number;
}

static void on_resize(int number)
{
    resized = number;
}

/* Blocked but in ppoll(), whose mask this returns. */
static sigset_t take_signals(void)
{
    struct sigaction end = { .sa_handler = on_end }, resize = { .sa_handler = on_resize };
    sigset_t blocked, before;

    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < MM_ARRAY_LEN(ends); i++) {
        (void)sigaction(ends[i], &end, NULL);
        (void)sigaddset(&blocked, ends[i]);
    }
    (void)sigaction(SIGWINCH, &resize, NULL);
    (void)sigaddset(&blocked, SIGWINCH);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    return before;
}

static void give_signals_back(void)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(ends); i++)
        (void)signal(ends[i], SIG_DFL);
    (void)signal(SIGWINCH, SIG_DFL);
}

/* ---- keys --------------------------------------------------------------------------------------- */

static void sort_by(struct live *l, enum ctl_sort by)
{
    l->ctl->options.sort = l->screen.sort = by;
    top_sort(&l->model, by);
}

static void look_in(struct live *l)
{
    screen_move(&l->screen, &l->model, 0); /* a name, if none was marked yet */
    if (l->screen.heap[0] == '\0')
        return;
    l->screen.what = SCREEN_CLIENTS;
    l->due_ns = 0;
}

static void change_delay(struct live *l, bool longer)
{
    uint64_t delay_ns = longer ? l->screen.delay_ns * 2 : l->screen.delay_ns / 2;

    l->screen.delay_ns = MM_MAX(MM_MIN(delay_ns, DELAY_MAX_NS), DELAY_MIN_NS);
    l->due_ns = 0;
}

static void take_key(struct live *l, int key)
{
    struct screen *screen = &l->screen;

    if (screen->what == SCREEN_HELP && key != 'q') {
        screen->what = l->before_help;
        return;
    }
    switch (key) {
    case 'q': l->over = true; break;
    case 'h':
    case '?':
        l->before_help = screen->what;
        screen->what = SCREEN_HELP;
        break;
    case ' ': screen->paused = !screen->paused; break;
    case 'j':
    case KEY_DOWN: screen_move(screen, &l->model, 1); break;
    case 'k':
    case KEY_UP: screen_move(screen, &l->model, -1); break;
    case KEY_NPAGE: screen_move(screen, &l->model, MM_MAX(LINES - 6, 1)); break;
    case KEY_PPAGE: screen_move(screen, &l->model, -MM_MAX(LINES - 6, 1)); break;
    case '\r':
    case '\n':
    case KEY_ENTER:
    case KEY_RIGHT: look_in(l); break;
    case KEY_ESCAPE:
    case KEY_BACKSPACE:
    case KEY_LEFT: screen->what = SCREEN_HEAPS; break;
    case 'n': sort_by(l, CTL_SORT_NAME); break;
    case 'u': sort_by(l, CTL_SORT_USED); break;
    case 'a': sort_by(l, CTL_SORT_ALLOC); break;
    case 'g': sort_by(l, CTL_SORT_COLLECTIONS); break;
    case 'p': sort_by(l, CTL_SORT_PAUSE); break;
    case 'c': sort_by(l, CTL_SORT_CLIENTS); break;
    case '+': change_delay(l, false); break;
    case '-': change_delay(l, true); break;
    default: break;
    }
}

/* ---- the loop ----------------------------------------------------------------------------------- */

static enum mmgc_error look(struct live *l)
{
    enum mmgc_error e = top_refresh(&l->model, l->ctl);

    if (e == MMGC_E_OK)
        e = top_refresh_clients(&l->model, l->ctl, l->screen.what == SCREEN_CLIENTS ? l->screen.heap : NULL);
    l->screen.error = NULL;
    if (e != MMGC_E_OK) {
        snprintf(l->error, sizeof(l->error), "asking again: %s (%s)", mmgc_error_sentence(e),
                 l->ctl->detail == NULL ? "" : l->ctl->detail);
        l->screen.error = l->error;
    }
    l->looks++;
    return e;
}

/* Until a key, a signal or the time for the next look. */
static void wait_for_more(struct live *l, const sigset_t *mask)
{
    struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
    uint64_t now_ns = mm_now_ns(), left_ns = l->due_ns > now_ns ? l->due_ns - now_ns : 0;
    struct timespec timeout = { (time_t)(left_ns / UNITS_NS_PER_S), (long)(left_ns % UNITS_NS_PER_S) };

    int r = ppoll(&keys, 1, l->screen.paused ? NULL : &timeout, mask);
    if (r > 0 && (keys.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
        l->over = true; /* the terminal is gone; and what is ready at once lets no signal in */
    if (resized) {
        resized = 0;
        screen_resize();
    }
    for (int key; r > 0 && !l->over && (key = getch()) != ERR;)
        take_key(l, key);
}

static bool is_enough(const struct live *l)
{
    uint64_t iterations = l->ctl->options.iterations;

    return l->over || ended_by != 0 || (iterations != 0 && l->looks >= iterations);
}

/* The first look is before there is a screen: what fails then is told as by any other command. */
static void loop(struct live *l, const sigset_t *mask)
{
    l->due_ns = mm_now_ns() + l->screen.delay_ns;
    for (;;) {
        screen_draw(&l->screen, &l->model);
        if (is_enough(l))
            return;
        wait_for_more(l, mask);
        if (is_enough(l))
            return;
        if (!l->screen.paused && mm_now_ns() >= l->due_ns) {
            (void)look(l);
            l->due_ns = mm_now_ns() + l->screen.delay_ns;
        }
    }
}

enum mmgc_error top_live(struct ctl *ctl, bool *ret_done)
{
    struct live l = { .ctl = ctl, .screen = { .sort = ctl->options.sort, .delay_ns = ctl->options.delay_ns } };

    if (ctl->options.timeout_ns == CTL_TIMEOUT_NS)
        ctl->options.timeout_ns = PATIENCE_NS;
    enum mmgc_error e = look(&l);
    *ret_done = e != MMGC_E_OK;
    if (e != MMGC_E_OK) {
        top_fini(&l.model);
        return e;
    }
    rescue_keep();
    sigset_t mask = take_signals();
    *ret_done = screen_begin();
    if (!*ret_done) {
        give_signals_back();
    } else {
        rescue_arm();
        (void)atexit(screen_end); /* need() ends the program */
        loop(&l, &mask);
        screen_end();
    }
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    top_fini(&l.model);
    ctl->exit = CTL_DONE;
    if (ended_by != 0) {
        (void)signal(ended_by, SIG_DFL);
        (void)raise(ended_by);
    }
    return MMGC_E_OK;
}
