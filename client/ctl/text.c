/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - Text: what may be printed as it is, and what is escaped.
 *   T1  the result of text_escape() has no byte below 0x20 and no 0x7f, is UTF-8, and two strings never look the same */
#include "client/ctl/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "client/ctl/document.h"
#include "shm/base.h"

#define ESCAPE_MAX 4                          /* what one byte may become: "\xff" */
#define CUT ".." /* a terminal may know no more than ASCII */
#define REPLACEMENT "\xef\xbf\xbd"             /* U+FFFD */

/* Bytes the character at @s says it has, its own bits in *ret_bits and the least it may stand for in *ret_least. */
static size_t lead_byte(unsigned char lead, uint32_t *ret_bits, uint32_t *ret_least)
{
    static const struct {
        unsigned char mask, value;
        uint32_t least;
    } leads[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        if ((lead & leads[i].mask) == leads[i].value) {
            *ret_bits = lead & (unsigned char)~leads[i].mask;
            *ret_least = leads[i].least;
            return i + 1;
        }
    }
    return 0;
}

size_t text_decode(const char *s, uint32_t *ret_character)
{
    uint32_t character, least;
    size_t bytes = lead_byte((unsigned char)s[0], &character, &least);

    for (size_t i = 1; i < bytes; i++) { /* the final NUL is no continuation: never read past */
        unsigned char next = (unsigned char)s[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (next & 0x3f);
    }
    if (bytes == 0 || character < least || character > 0x10ffff || (character & ~0x7ffu) == 0xd800)
        return 0;
    *ret_character = character;
    return bytes;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* Not seen, yet changing how what follows is shown. */
static bool is_format(uint32_t c)
{
    return c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xe0000 && c <= 0xe0fff);
}

char *text_escape(const char *s)
{
    char *escaped = need(malloc(strlen(s) * ESCAPE_MAX + 1)), *to = escaped;

    while (*s != '\0') {
        uint32_t c = 0;
        size_t bytes = text_decode(s, &c);
        if (bytes == 0)
            to += sprintf(to, "\\x%02x", (unsigned char)*s);
        else if (c == '\\')
            to += sprintf(to, "\\\\");
        else if (is_control(c) && bytes == 1)
            to += sprintf(to, "\\x%02x", (unsigned)c);
        else if (is_control(c) || is_format(c))
            to += sprintf(to, "\\u{%x}", (unsigned)c);
        else
            to = (char *)mempcpy(to, s, bytes);
        s += MM_MAX(bytes, 1u);
    }
    *to = '\0';
    return escaped;
}

char *text_to_utf8(const char *s)
{
    char *utf8 = need(malloc(strlen(s) * strlen(REPLACEMENT) + 1)), *to = utf8;

    while (*s != '\0') {
        uint32_t c;
        size_t bytes = text_decode(s, &c);
        to = bytes == 0 ? stpcpy(to, REPLACEMENT) : (char *)mempcpy(to, s, bytes);
        s += MM_MAX(bytes, 1u);
    }
    *to = '\0';
    return utf8;
}

/* Of the character at @s, whose bytes are *ret_bytes. */
static size_t columns_at(const char *s, size_t *ret_bytes)
{
    uint32_t c = '?';

    *ret_bytes = MM_MAX(text_decode(s, &c), 1u);
    int width = wcwidth((wchar_t)c); /* -1 where the locale does not know the character */
    return width < 0 ? 1 : (size_t)width;
}

size_t text_columns(const char *s)
{
    size_t columns = 0, bytes;

    for (; *s != '\0'; s += bytes)
        columns += columns_at(s, &bytes);
    return columns;
}

void text_shorten(char *s, size_t columns)
{
    size_t left = columns - strlen(CUT), bytes, width;

    if (text_columns(s) <= columns)
        return;
    for (; (width = columns_at(s, &bytes)) <= left; s += bytes)
        left -= width;
    strcpy(s, CUT);
}
