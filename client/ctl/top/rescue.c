/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/top/rescue.h"

#include <curses.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "shm/base.h"

static struct termios settings;
static bool kept;
static char farewell[256];
static size_t farewell_bytes;

void rescue_keep(void)
{
    kept = tcgetattr(STDOUT_FILENO, &settings) == 0;
}

/* What the terminal calls @capability, without its padding, "$<5>". */
static void add(const char *capability)
{
    const char *string = tigetstr((NCURSES_CONST char *)capability);

    if (string == (const char *)-1)
        return;
    while (string != NULL && *string != '\0' && farewell_bytes < sizeof(farewell)) {
        if (string[0] == '$' && string[1] == '<' && strchr(string, '>') != NULL)
            string = strchr(string, '>') + 1;
        else
            farewell[farewell_bytes++] = *string++;
    }
}

static void on_crash(int number)
{
    (void)!write(STDOUT_FILENO, farewell, farewell_bytes);
    if (kept)
        (void)tcsetattr(STDOUT_FILENO, TCSANOW, &settings);
    (void)signal(number, SIG_DFL); /* it comes again */
    (void)raise(number);
}

void rescue_arm(void)
{
    static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

    add("sgr0");
    add("rmkx");
    add("cnorm");
    add("rmcup");
    for (size_t i = 0; i < MM_ARRAY_LEN(crashes); i++)
        (void)signal(crashes[i], on_crash);
}
