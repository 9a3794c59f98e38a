/* SPDX-License-Identifier: Apache-2.0 */
/* config_value.c - Config value: texts into numbers, without a corner where one silently becomes another. */
#include "daemon/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"

struct unit {
    const char *name;
    uint64_t factor;
};
static const struct unit size_units[] = {
    { "", 1 }, { "K", 1 << 10 }, { "M", 1 << 20 }, { "G", 1 << 30 }, { NULL, 0 }
};
static const struct unit time_units[] = {
    { "ms", 1000000 }, { "s", 1000000000 }, { "min", UINT64_C(60000000000) }, { NULL, 0 }
};
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

static bool parse_number(const char *text, int base, const struct unit *units, uint64_t *ret_number)
{
    char *end;

    if (!isdigit((unsigned char)text[0])) /* strtoull takes blanks and signs */
        return false;
    errno = 0;
    uint64_t number = strtoull(text, &end, base);
    if (errno != 0)
        return false;
    for (const struct unit *u = units; u->name != NULL; u++)
        if (strcasecmp(end, u->name) == 0)
            return !__builtin_mul_overflow(number, u->factor, ret_number);
    return false;
}

static bool parse_choice(const char *words, const char *text, int *ret_index)
{
    size_t length = strlen(text);

    for (int index = 0; words != NULL; index++) {
        size_t word = strcspn(words, " ");
        if (word == length && strncmp(words, text, length) == 0) {
            *ret_index = index;
            return true;
        }
        words = words[word] == '\0' ? NULL : words + word + 1;
    }
    return false;
}

static bool parse_text(const char *text, char *field, size_t bytes, const char **ret_why)
{
    size_t length = strlen(text);

    *ret_why = length == 0 ? "it is empty" : "it is too long";
    if (length == 0 || length >= bytes)
        return false;
    memcpy(field, text, length + 1);
    return true;
}

static bool refuse_choice(const char *words, const char **ret_why)
{
    static char why[128];

    snprintf(why, sizeof(why), "it can be one of: %s", words);
    *ret_why = why;
    return false;
}

static const char *number_sentence(enum config_type type)
{
    switch (type) {
    case CONFIG_TYPE_size: return "not a size: write 4096, 64K, 8M or 2G";
    case CONFIG_TYPE_time: return "not a time: write 250ms, 10s or 2min";
    case CONFIG_TYPE_mode: return "not a mode: write 0666";
    default: return "not a whole number";
    }
}

/* In the largest unit that divides it. */
static void print_number(char *out, size_t size, uint64_t number, enum config_type type,
                         const struct unit *units)
{
    const struct unit *best = &units[0];

    for (const struct unit *u = units; u->name != NULL; u++)
        if (number != 0 && number % u->factor == 0)
            best = u;
    snprintf(out, size, type == CONFIG_TYPE_mode ? "%04llo%s" : "%llu%s",
             (unsigned long long)(number / best->factor), best->name);
}

static bool refuse_range(enum config_type type, const struct config_range *range,
                         const struct unit *units, const char **ret_why)
{
    static char why[128];
    char least[32], most[32];

    print_number(least, sizeof(least), range->least, type, units);
    print_number(most, sizeof(most), range->most, type, units);
    snprintf(why, sizeof(why), "it can be %s to %s", least, most);
    *ret_why = why;
    return false;
}

bool config_value_parse(enum config_type type, const struct config_range *range, const char *text,
                        void *field, size_t bytes, const char **ret_why)
{
    uint64_t number;

    if (type == CONFIG_TYPE_text)
        return parse_text(text, field, bytes, ret_why);
    if (type == CONFIG_TYPE_choice)
        return parse_choice(range->words, text, field) || refuse_choice(range->words, ret_why);

    const struct unit *units = type == CONFIG_TYPE_size   ? size_units
                               : type == CONFIG_TYPE_time ? time_units
                                                          : no_units;
    *ret_why = number_sentence(type);
    if (!parse_number(text, type == CONFIG_TYPE_mode ? 8 : 10, units, &number))
        return false;
    if (number < range->least || number > range->most)
        return refuse_range(type, range, units, ret_why);
    if (bytes == sizeof(uint64_t))
        memcpy(field, &number, bytes);
    else
        *(unsigned *)field = (unsigned)number;
    return true;
}
