/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Stepper: a process that runs one instruction at a time, so that a test can kill it between any two.
 *   Owner    the test: one thread, as ptrace demands      Needs  ptrace of an own child: not everywhere, see _permitted
 *   Threads  of the process only the one that runs @run is stepped                                                    */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stepper {
    pid_t pid;      /* 0: none */
    bool returned;  /* @run has come to its end */
    uint64_t place; /* the address of its next instruction (x86-64) */
    unsigned repeats;
    int signal; /* to be delivered with the next step */
};

/* Whether a child may be traced here, tried on one. */
bool stepper_permitted(void);
/* Forks: the child does @prepare at full speed and halts before the first instruction of @run. Fails the test if it ends before. */
void stepper_start(struct stepper *s, void (*prepare)(void *context), void (*run)(void *context),
                   void *context);
/* Lets it do @count more instructions, fewer if @run returns; a system call is one, however long it takes. Returns how many. */
uint64_t stepper_step(struct stepper *s, uint64_t count);
/* Lets it run at full speed over @count beginnings or ends of system calls, fewer if @run returns. Returns how many. */
uint64_t stepper_calls(struct stepper *s, uint64_t count);
/* Copies @bytes of its memory at @address. False: there is none. */
bool stepper_read(const struct stepper *s, uint64_t address, void *ret, uint64_t bytes);
/* SIGKILL, reaped. */
void stepper_kill(struct stepper *s);
