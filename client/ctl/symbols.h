/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Symbols: the functions and lines of addresses in programs that ran: by elfutils, from the programs' files and their debug information.
 *   Without elfutils when it was compiled, nothing is ever found
 *   Threads  one                                                                                         */
#include <stdbool.h>
#include <stdint.h>

struct symbols;

struct symbols_object {                      /* a piece of code that was mapped */
    uint64_t start, limit, offset;           /* offset: of @start in the file */
    const char *path, *build_id;             /* build_id: hexadecimal digits; "": not known */
};
struct symbol {                              /* borrowed for the call */
    const char *name, *system_name, *file;   /* "" where it is not known */
    int line;                                /* 0: not known */
};

struct symbols *symbols_new(void);           /* never NULL; ends the program without memory */
void symbols_free(struct symbols *s);
/* NULL: its addresses can be looked up; else why not, static. All of them before the first is looked up. */
const char *symbols_add(struct symbols *s, const struct symbols_object *object);
/* Calls @found for each function that @address is in: those inlined first, the one that has the code last. False: there is none. */
bool symbols_find(struct symbols *s, uint64_t address, void (*found)(void *context, const struct symbol *symbol), void *context);
