/* SPDX-License-Identifier: Apache-2.0 */
/* Confined: runs $MMGC_CONFINED_PROGRAM with our arguments under a filter as systemd would make it of mmgcd.service, but that kills where that
 * one refuses: what is missing in the unit is not to be missed.
 *   MMGC_CONFINED_CALLS   numbers of the system calls that are allowed
 *   Besides               as MemoryDenyWriteExecute=, RestrictNamespaces= and RestrictAddressFamilies=AF_UNIX have it        */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAN_NOT_RUN 77
#define NAMESPACES \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET)

static struct sock_filter code[BPF_MAXINSNS];
static unsigned short length;

static void emit(struct sock_filter instruction)
{
    if (length == BPF_MAXINSNS)
        exit(CAN_NOT_RUN);
    code[length++] = instruction;
}

static void emit_return(unsigned what)
{
    emit((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

static void emit_load(size_t offset)
{
    emit((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

static void emit_test(unsigned value, unsigned char if_equal, unsigned char else_skip)
{
    emit((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, if_equal, else_skip));
}

/* The call @number ends in @what. */
static void emit_call(unsigned number, unsigned what)
{
    emit_test(number, 0, 1);
    emit_return(what);
}

/* The lower half: little-endian, as x86-64 and arm64 are. */
static void emit_load_argument(unsigned argument)
{
    emit_load(offsetof(struct seccomp_data, args[0]) + argument * sizeof(__u64));
}

/* The call @number is killed if its argument has all of @bits. Here and below the call's number is loaded afterwards. */
static void emit_forbid_bits(unsigned number, unsigned argument, unsigned bits)
{
    emit_test(number, 0, 5);
    emit_load_argument(argument);
    emit((struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits));
    emit_test(bits, 0, 1);
    emit_return(SECCOMP_RET_KILL_PROCESS);
    emit_load(offsetof(struct seccomp_data, nr));
}

static void emit_forbid_namespaces(void)
{
    for (unsigned bit = 1; bit != 0; bit <<= 1)
        if ((NAMESPACES & bit) != 0)
            emit_forbid_bits(SYS_clone, 0, bit);
    emit_call(SYS_clone3, SECCOMP_RET_ERRNO |
                              ENOSYS); /* its flags are in memory: systemd refuses it so, and glibc takes the other */
}

static void emit_forbid_families(void)
{
    emit_test(SYS_socket, 0, 4);
    emit_load_argument(0);
    emit_test(AF_UNIX, 1, 0);
    emit_return(SECCOMP_RET_KILL_PROCESS);
    emit_load(offsetof(struct seccomp_data, nr));
}

static void emit_all(const char *calls)
{
    emit_load(offsetof(struct seccomp_data, nr));
    emit_forbid_bits(SYS_mmap, 2, PROT_WRITE | PROT_EXEC);
    emit_forbid_bits(SYS_shmat, 2, SHM_EXEC);
    emit_forbid_namespaces();
    emit_forbid_families();
    for (char *end; *calls != '\0'; calls = *end == '\0' ? end : end + 1)
        emit_call((unsigned)strtoul(calls, &end, 10), SECCOMP_RET_ALLOW);
    emit_return(SECCOMP_RET_KILL_PROCESS);
}

int main(int argc, char **argv)
{
    const char *calls = getenv("MMGC_CONFINED_CALLS"), *program = getenv("MMGC_CONFINED_PROGRAM");

    if (argc < 1 || calls == NULL || program == NULL)
        return EXIT_FAILURE;
    emit_all(calls);
    struct sock_fprog filter = { length, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0) {
        perror("confined: seccomp");
        return CAN_NOT_RUN;
    }
    execv(program, argv);
    perror(program);
    return 127;
}
