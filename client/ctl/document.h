/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Document: the one JSON value that a command's answer is. --json prints it, otherwise show() reads it.
 *   Keys     snake_case with units (used_bytes, last_pause_ns); listed in mmgcctl(1), where scripts find them
 *   Memory   a tool without memory ends at once, saying so: no call here fails                                     */
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* Gives @p back; ends the program when there is none. */
void *need(void *p);

/* Sets @key of @object. Numbers above INT64_MAX, which no honest daemon sends, stop there. Strings that are no UTF-8,
 * which it does not send either, get U+FFFD for what is wrong with them; JSON has its own escapes. */
void document_set(json_t *object, const char *key, json_t *value);            /* takes @value */
void document_text(json_t *object, const char *key, const char *text);
void document_count(json_t *object, const char *key, uint64_t count);
/* @now less @before: it may be negative. */
void document_growth(json_t *object, const char *key, uint64_t before, uint64_t now);
void document_flag(json_t *object, const char *key, bool flag);
void document_real(json_t *object, const char *key, double value);
json_t *document_array(json_t *object, const char *key);       /* borrowed: a new, empty one */
json_t *document_object(json_t *object, const char *key);      /* the same */
json_t *document_row(json_t *array);                           /* borrowed: a new, empty object at its end */
void document_append_count(json_t *array, uint64_t count);

/* Reading; a key that is not there reads as "", 0, false. */
const char *document_get_text(const json_t *object, const char *key);
uint64_t document_get_count(const json_t *object, const char *key);
bool document_get_flag(const json_t *object, const char *key);

/* The rows of @array by the number at @key, ascending or not; those that are equal stay in their order. */
void document_sort(json_t *array, const char *key, bool descending);
/* Drops the rows of @array from @limit on. Returns how many they were. */
uint64_t document_cut(json_t *array, uint64_t limit);
void document_print(const json_t *document);                   /* on stdout */
