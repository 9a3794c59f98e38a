/* SPDX-License-Identifier: Apache-2.0 */
/* Stepper: the child halts itself with SIGSTOP before and after the part to be stepped; in between each instruction ends in
 * a SIGTRAP. Any other signal is passed on to it.
 *   Repeated string instructions (a large memset) trap once an element: after a few of them a breakpoint behind the
 *   instruction ends it at full speed, and that is one step. */
#include "tests/support/stepper.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static void halt(void)
{
    syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, __WALL) < 0)
        if (errno != EINTR)
            ck_abort_msg("waiting for the client: %s", strerror(errno));
    return status;
}

bool stepper_permitted(void)
{
    int status;
    pid_t pid = fork();
    if (pid < 0)
        return false;
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(1);
        halt();
        _exit(0);
    }
    status = wait_for(pid);
    bool permitted = WIFSTOPPED(status) && ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 &&
                     (status = wait_for(pid), WIFSTOPPED(status)) && WSTOPSIG(status) == SIGTRAP;
    if (WIFSTOPPED(status)) {
        kill(pid, SIGKILL);
        wait_for(pid);
    }
    return permitted;
}

void stepper_start(struct stepper *s, void (*prepare)(void *), void (*run)(void *), void *context)
{
    pid_t test = getpid();
    fflush(NULL);
    *s = (struct stepper){ .pid = fork() };
    if (s->pid == 0) { /* no ck_assert() in here, see crew_start() */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != test || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(1);
        prepare(context);
        halt();
        run(context);
        halt();
        _exit(0);
    }
    ck_assert_int_gt(s->pid, 0);
    for (int status, signal = 0;;) {
        status = wait_for(s->pid);
        ck_assert_msg(WIFSTOPPED(status),
                      "the client to be stepped ended before its work, status %x", status);
        signal = WSTOPSIG(status);
        if (signal == SIGSTOP)
            break;
        ck_assert_int_eq(ptrace(PTRACE_CONT, s->pid, NULL, (void *)(intptr_t)signal), 0);
    }
    ck_assert_int_eq(
        ptrace(PTRACE_SETOPTIONS, s->pid, NULL, (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD)), 0);
}

/* ---- repeated string instructions ---------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define REPEATS 4u /* single steps at one place before it is ended at once */
#define BREAKPOINT 0xccu

static uint64_t get_place(pid_t pid)
{
    return (uint64_t)ptrace(PTRACE_PEEKUSER, pid, (void *)offsetof(struct user, regs.rip), NULL);
}

static void set_place(pid_t pid, uint64_t place)
{
    ptrace(PTRACE_POKEUSER, pid, (void *)offsetof(struct user, regs.rip), (void *)place);
}

/* rep [rex.w] stos or movs: its length; 0: another instruction. */
static unsigned rep_bytes(uint64_t code)
{
    const unsigned char *byte = (const unsigned char *)&code;
    unsigned n = 1;
    if (byte[0] != 0xf3)
        return 0;
    n += byte[n] == 0x48;
    return byte[n] == 0xaa || byte[n] == 0xab || byte[n] == 0xa4 || byte[n] == 0xa5 ? n + 1 : 0;
}

/* Lets the string instruction at @place run to its end. False: it is none. */
static bool end_repeats(pid_t pid, uint64_t place)
{
    unsigned bytes = rep_bytes((uint64_t)ptrace(PTRACE_PEEKTEXT, pid, (void *)place, NULL));
    if (bytes == 0)
        return false;
    void *at = (void *)(place + bytes);
    uint64_t code = (uint64_t)ptrace(PTRACE_PEEKTEXT, pid, at, NULL);
    ptrace(PTRACE_POKETEXT, pid, at, (void *)((code & ~UINT64_C(0xff)) | BREAKPOINT));
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    int status = wait_for(pid);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
        ck_abort_msg("the client did not come to the end of a string instruction, status %x", status);
    ptrace(PTRACE_POKETEXT, pid, at, (void *)code);
    set_place(pid, (uint64_t)at);
    return true;
}

/* After each step: whether it was yet another repeat, ended now. */
static void pass_repeats(struct stepper *s)
{
    uint64_t place = get_place(s->pid);
    s->repeats = place == s->place ? s->repeats + 1 : 0;
    s->place = place;
    if (s->repeats == REPEATS && end_repeats(s->pid, place))
        s->repeats = 0;
}
#else
static void pass_repeats(struct stepper *s)
{
    (void)s;
}
#endif

/* ---- stepping ------------------------------------------------------------------------------------------------------ */

/* Lets it go on as @request says up to its next stop. True: it is the kind of stop that is counted. */
static bool go_on(struct stepper *s, enum __ptrace_request request, int trap)
{
    if (ptrace(request, s->pid, NULL, (void *)(intptr_t)s->signal) != 0)
        ck_abort_msg("cannot step the client: %s", strerror(errno));
    int status = wait_for(s->pid);
    if (!WIFSTOPPED(status)) /* no ck_assert(): each one that holds is noted down, which costs more than a step */
        ck_abort_msg("the client ended under the steps, status %x", status);
    int signal = WSTOPSIG(status);
    s->returned = signal == SIGSTOP;
    s->signal = signal == SIGSTOP || signal == trap ? 0 : signal;
    if (signal == SIGSEGV || signal == SIGBUS || signal == SIGABRT)
        ck_abort_msg("signal %d in the client at %lx", signal, (unsigned long)s->place);
    return signal == trap;
}

uint64_t stepper_step(struct stepper *s, uint64_t count)
{
    uint64_t done = 0;
    while (done < count && !s->returned)
        if (go_on(s, PTRACE_SINGLESTEP, SIGTRAP)) {
            done++;
            pass_repeats(s);
        }
    return done;
}

uint64_t stepper_calls(struct stepper *s, uint64_t count)
{
    uint64_t done = 0;
    while (done < count && !s->returned)
        done += go_on(s, PTRACE_SYSCALL, SIGTRAP | 0x80);
    return done;
}

bool stepper_read(const struct stepper *s, uint64_t address, void *ret, uint64_t bytes)
{
    struct iovec to = { ret, bytes }, from = { (void *)address, bytes };
    return process_vm_readv(s->pid, &to, 1, &from, 1, 0) == (ssize_t)bytes;
}

void stepper_kill(struct stepper *s)
{
    kill(s->pid, SIGKILL);
    for (int status = 0; !WIFSIGNALED(status) && !WIFEXITED(status);)
        status = wait_for(s->pid);
    s->pid = 0;
}
