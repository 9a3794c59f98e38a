/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Two modules: what a library that is a client of its own, and is loaded by a program that may have others, can be told to do.
 *   Codes    of <mmgc/error.h>; -1: it has gone wrong otherwise */
#include <stdbool.h>
#include <stdint.h>

struct two_module {
    int (*open)(const char *socket, const char *heap);       /* connects, opens, attaches the calling thread; it is outside */
    int (*grow)(const char *name, int64_t nodes);            /* a list of 0 to @nodes - 1 under @name, with garbage beside it */
    int (*check)(const char *name, int64_t nodes);           /* it is whole */
    int (*enter)(void);
    void (*leave)(void);
    int (*collect)(void);
    int (*ping)(void);
    int (*attach_and_end)(void);                             /* for a thread that ends inside of it */
    void (*close)(void);
};
#define TWO_MODULE_SYMBOL "two_module"
