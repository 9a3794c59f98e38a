/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - mmgcd: owns garbage-collected heaps in shared memory for the processes of this machine. mmgcd(8)
 *   One thread runs the loop (server.c); each heap has a collector thread (collector.c) that borrows the engine's workers;
 *   memory is committed by a process of its own (committer_process.c), which is this program with another first argument. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/committer.h"
#include "daemon/config.h"
#include "daemon/server.h"
#include "daemon/spare.h"

/* Looked for from where we were started: when the socket is bound and unlinked, and when the file is read again. */
static bool is_relative(const char *path)
{
    return path != NULL && path[0] != '/' && path[0] != '@';
}

/* To the background: the first process waits until clients can connect, so that a script may go on with the next line.
 * Returns in the second one, with the end of the pipe to say so; or does not return. */
static int go_background(const struct config *config)
{
    int ready[2], status = 0;
    char byte;

    if (pipe(ready) < 0) {
        perror("mmgcd: pipe");
        exit(EXIT_FAILURE);
    }
    pid_t pid = fork();
    if (pid < 0) {
        perror("mmgcd: fork");
        exit(EXIT_FAILURE);
    }
    if (pid == 0) {
        close(ready[0]);
        (void)setsid();
        if (!is_relative(config->socket) && !is_relative(config->file))
            (void)!chdir("/"); /* no file system is kept from being unmounted */
        return ready[1];
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) == 1)
        _exit(EXIT_SUCCESS);
    (void)waitpid(pid, &status, 0); /* it has said why */
    _exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    static struct config config;

    if (argc == 2 && strcmp(argv[1], COMMITTER_ARGUMENT) == 0)
        return committer_main();
    if (spare_start() < 0) {
        fputs("mmgcd: libuv takes no allocator\n", stderr);
        return EXIT_FAILURE;
    }
    switch (config_read(&config, argc, argv)) {
    case CONFIG_DONE: return EXIT_SUCCESS;
    case CONFIG_BAD: return 2; /* with the process goes what was read */
    case CONFIG_RUN: break;
    }
    return server_run(&config, config.foreground ? -1 : go_background(&config));
}
