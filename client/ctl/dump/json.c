/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/dump/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/ctl/text.h"
#include "shm/base.h"

#define NUMBER_MAX 21                         /* digits and a comma */

static void begin(struct sink *to, const char *key)
{
    sink_text(to, ",\n\"");
    sink_text(to, key);
    sink_text(to, "\":[");
}

void json_begin_numbers(struct sink *to, const char *key)
{
    begin(to, key);
}

static char *add_number(char *at, uint64_t number)
{
    char digits[NUMBER_MAX];
    size_t count = 0;

    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

/* Each row ends with a comma, which json_end_numbers() takes back from the last. */
void json_numbers(struct sink *to, const uint64_t *numbers, size_t count)
{
    char row[10 * NUMBER_MAX + 2], *at = row;

    for (size_t i = 0; i < count; i++) {
        at = add_number(at, numbers[i]);
        *at++ = ',';
    }
    *at++ = '\n';
    memcpy(sink_room(to, (size_t)(at - row)), row, (size_t)(at - row));
}

/* The last two bytes are a comma and a newline: never written before more comes, since a row goes into the sink whole. */
void json_end_numbers(struct sink *to)
{
    to->used -= 2;
    sink_text(to, "]");
}

static void put_string(struct sink *to, const char *text)
{
    char *utf8 = text_to_utf8(text), escape[8];

    sink_put(to, "\"", 1);
    for (const char *c = utf8; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte == '"' || byte == '\\' || byte < 0x20) {
            snprintf(escape, sizeof(escape), "\\u%04x", byte);
            sink_text(to, escape);
        } else {
            sink_put(to, c, 1);
        }
    }
    sink_put(to, "\"", 1);
    free(utf8);
}

void json_begin(struct sink *to, const char *key, const char *first)
{
    begin(to, key);
    put_string(to, first);
}

void json_item(struct sink *to, const char *text)
{
    sink_put(to, ",\n", 2);
    put_string(to, text);
}
