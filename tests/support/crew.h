/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Crew: the client processes of one test: started, watched, told things, killed; and what they have to say when they fail.
 *   Owner    the test, which must stay single-threaded and never be a client itself: nothing of mmgc crosses a fork
 *   Mate     one process. Its struct is memory it shares with the test alone; words with [mate] are stored by the process
 *   Failing  EXPECT() in a mate ends its process; whoever waits for it in the test then fails with what it said            */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CREW_MAX 64u

struct mate {
    pid_t pid;                   /* [test] 0: none, or reaped */
    uint32_t number;             /* [test] in its crew */
    _Atomic uint32_t told;       /* [test] what it should do: the test's own code */
    _Atomic uint32_t said;       /* [mate] how far it is: the test's own code */
    _Atomic uint64_t numbers[8]; /* [mate] whatever it counts */
    char report[768];            /* [mate] why it ended */
};
struct crew {
    struct mate *mates; /* shared; CREW_MAX of them */
    uint32_t count;
};

void crew_init(struct crew *crew);
void crew_fini(struct crew *crew); /* kills who is left */
/* Starts @run in a process of its own, that ends well when @run returns. It dies with the test. A mate whose number is free
 * again (reaped) is used again. */
struct mate *crew_start(struct crew *crew, void (*run)(struct mate *mate, void *arg), void *arg);

/* The test's side; each fails the test with the mate's report if it ended badly, or if nothing comes for @limit_s. */
void mate_join(struct mate *mate, double limit_s);                 /* until it has ended well */
void mate_await(struct mate *mate, uint32_t said, double limit_s); /* until it has said this or more */
void mate_check(struct mate *mate);                                /* it has not failed so far */
void mate_tell(struct mate *mate, uint32_t told);
/* SIGKILL and reap. False: it had ended before; badly is a failed test. */
bool mate_kill(struct mate *mate);
/* How it ended, as waitpid() says; for tests that expect it to be killed. Waits @limit_s. */
int mate_wait_status(struct mate *mate, double limit_s);

/* The mate's side. */
void mate_say(struct mate *mate, uint32_t said);
void mate_listen(struct mate *mate, uint32_t told); /* sleeps until told this or more */
_Noreturn void mate_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define EXPECT(x, ...) ((x) ? (void)0 : mate_fail(__FILE__, __LINE__, "" __VA_ARGS__))
/* A call of mmgc that must answer MMGC_OK. */
#define EXPECT_OK(call) mate_expect_ok((call), #call, __FILE__, __LINE__)
void mate_expect_ok(int code, const char *call, const char *file, int line);

void crew_sleep_us(uint64_t us);
