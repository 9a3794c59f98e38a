/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Units: numbers as people read and write them. Three digits that matter, never "1024.0 KiB". */
#include <stdbool.h>
#include <stdint.h>

#define UNITS_TEXT_MAX 32                     /* what a buffer needs for any of them */
#define UNITS_NS_PER_MS UINT64_C(1000000)
#define UNITS_NS_PER_S UINT64_C(1000000000)

/* Each fills @text and gives it back. */
const char *units_bytes(char text[UNITS_TEXT_MAX], uint64_t bytes);      /* "512 B", "1.5 KiB", "32.0 GiB" */
const char *units_ns(char text[UNITS_TEXT_MAX], uint64_t ns);            /* "870 ns", "23.4 us", "1.2 ms", "1.50 s", "2 min 5 s" */
const char *units_age(char text[UNITS_TEXT_MAX], uint64_t ms);           /* "7 s", "2 min 5 s", "3 h 12 min", "4 d 1 h" */

/* At most five columns, for tables that are short of room: "512", "1.5K", "123M"; "870n", "23u", "1.2m", "15s", "2.5h". */
const char *units_bytes_short(char text[UNITS_TEXT_MAX], double bytes);
const char *units_ns_short(char text[UNITS_TEXT_MAX], uint64_t ns);

/* "10" or "10s", "500ms", "2min": false if it is nothing of that kind, or more than UINT64_MAX ns. */
bool units_parse_time(const char *text, uint64_t *ret_ns);
/* "4096", "64K", "512M", "2G": false if it is nothing of that kind, or more than UINT64_MAX bytes. */
bool units_parse_size(const char *text, uint64_t *ret_bytes);
/* Digits only. */
bool units_parse_count(const char *text, uint64_t *ret_count);
