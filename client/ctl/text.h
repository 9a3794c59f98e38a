/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Text: strings from the daemon, made fit for a terminal and for JSON.
 *   Trust    they are somebody's choice: a name may hold anything, so nothing of it steers the terminal
 *   Escapes  what is not printed as it is becomes \xNN (one byte) or \u{N} (one character), and a backslash becomes two */
#include <stddef.h>
#include <stdint.h>

/* @s as it may be printed; free() it. Kept: UTF-8 without control characters, line separators and changes of direction. */
char *text_escape(const char *s);
/* @s as JSON may have it: what is no UTF-8 becomes U+FFFD, byte by byte; free() it. */
char *text_to_utf8(const char *s);
/* Columns that @s, which text_escape() made, takes on a terminal. */
size_t text_columns(const char *s);
/* So that it takes @columns at most (4 or more): ".." for its end. In place. */
void text_shorten(char *s, size_t columns);
/* The character at @s (not at its end) and its bytes; 0 bytes: it is no UTF-8. */
size_t text_decode(const char *s, uint32_t *ret_character);
