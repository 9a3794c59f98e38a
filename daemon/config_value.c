/* SPDX-License-Identifier: Apache-2.0 */
/* config_value.c - Config value: texts into fields and back, without a corner where one value silently becomes another. */
#include "daemon/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/heap_options.h"
#include "plans/plan.h"
#include "plans/work/engine.h"
#include "shm/base.h"

struct unit {
    const char *name;
    uint64_t factor;
};
static const struct unit size_units[] = {
    { "", 1 }, { "K", 1 << 10 }, { "M", 1 << 20 }, { "G", 1 << 30 }, { NULL, 0 }
};
static const struct unit time_units[] = {
    { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "min", UINT64_C(60000000000) }, { NULL, 0 }
};
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

static const struct unit *units_of(enum config_type type)
{
    bool size = type == CONFIG_TYPE_size || type == CONFIG_TYPE_most_bytes;

    return size ? size_units : type == CONFIG_TYPE_time ? time_units : no_units;
}

static bool parse_number(const char *text, int base, const struct unit *units, uint64_t *ret_number)
{
    char *end;

    if (!isdigit((unsigned char)text[0])) /* strtoull takes blanks and signs */
        return false;
    errno = 0;
    uint64_t number = strtoull(text, &end, base);
    if (errno != 0)
        return false;
    *ret_number = 0;
    if (number == 0 && *end == '\0') /* of whatever unit */
        return true;
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

static bool parse_flag(const char *text, bool *field, const char **ret_why)
{
    static const char *const words[] = { "off", "on", "no", "yes", "false", "true", "0", "1" };

    for (size_t i = 0; i < MM_ARRAY_LEN(words); i++)
        if (strcmp(text, words[i]) == 0) {
            *field = i % 2 != 0;
            return true;
        }
    *ret_why = "it can be on or off";
    return false;
}

static bool parse_plan(const char *text, char *field, size_t bytes, const char **ret_why)
{
    static char why[256];
    size_t length;

    if (plan_find(text) != NULL)
        return parse_text(text, field, bytes, ret_why);
    length = (size_t)snprintf(why, sizeof(why), "it can be one of:");
    for (size_t i = 0; i < PLAN_COUNT && length < sizeof(why); i++)
        length += (size_t)snprintf(why + length, sizeof(why) - length, " %s", plans[i]->name);
    *ret_why = why;
    return false;
}

static bool parse_affinity(const char *text, char *field, size_t bytes, const char **ret_why)
{
    struct engine_config config = { 0 };

    return engine_affinity_parse(text, &config, ret_why) == 0 &&
           parse_text(text, field, bytes, ret_why);
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
    case CONFIG_TYPE_time: return "not a time: write 500us, 250ms, 10s or 2min";
    case CONFIG_TYPE_mode: return "not a mode: write 0666";
    case CONFIG_TYPE_most: return "not a whole number: write one, or unlimited";
    case CONFIG_TYPE_most_bytes: return "not a size: write 64M, 2G or unlimited";
    default: return "not a whole number";
    }
}

/* In the largest unit that divides it; of a zero no unit is needed. */
static void print_number(char *out, size_t size, uint64_t number, enum config_type type)
{
    const struct unit *best = number == 0 ? no_units : &units_of(type)[0];

    for (const struct unit *u = best; u->name != NULL; u++)
        if (number % u->factor == 0)
            best = u;
    snprintf(out, size, type == CONFIG_TYPE_mode ? "%04llo%s" : "%llu%s",
             (unsigned long long)(number / best->factor), best->name);
}

static bool refuse_range(enum config_type type, const struct config_range *range, const char **ret_why)
{
    static char why[128];
    char least[32], most[32];

    print_number(least, sizeof(least), range->least, type);
    print_number(most, sizeof(most), range->most, type);
    snprintf(why, sizeof(why), "it can be %s to %s", least, most);
    *ret_why = why;
    return false;
}

static bool parse_in_range(enum config_type type, const struct config_range *range,
                           const char *text, void *field, size_t bytes, const char **ret_why)
{
    uint64_t number;

    *ret_why = number_sentence(type);
    if (!parse_number(text, type == CONFIG_TYPE_mode ? 8 : 10, units_of(type), &number))
        return false;
    if (number < range->least || number > range->most)
        return refuse_range(type, range, ret_why);
    if (bytes == sizeof(uint64_t))
        memcpy(field, &number, bytes);
    else
        *(unsigned *)field = (unsigned)number;
    return true;
}

static bool parse_most(enum config_type type, const struct config_range *range, const char *text, uint64_t *field,
                       const char **ret_why)
{
    if (strcmp(text, "unlimited") != 0)
        return parse_in_range(type, range, text, field, sizeof(*field), ret_why);
    *field = CONFIG_UNLIMITED;
    return true;
}

static bool parse_group(const char *text, gid_t *field, const char **ret_why)
{
    const struct group *group;
    uint64_t number;

    *ret_why = "there is no such group: write a group's name, its number, or none";
    if (strcmp(text, "none") == 0)
        *field = CONFIG_NO_GROUP;
    else if ((group = getgrnam(text)) != NULL)
        *field = group->gr_gid;
    else if (parse_number(text, 10, no_units, &number) && number < CONFIG_NO_GROUP)
        *field = (gid_t)number;
    else
        return false;
    return true;
}

bool config_value_parse(enum config_type type, const struct config_range *range, const char *text,
                        void *field, size_t bytes, const char **ret_why)
{
    switch (type) {
    case CONFIG_TYPE_text: return parse_text(text, field, bytes, ret_why);
    case CONFIG_TYPE_choice:
        return parse_choice(range->words, text, field) || refuse_choice(range->words, ret_why);
    case CONFIG_TYPE_flag: return parse_flag(text, field, ret_why);
    case CONFIG_TYPE_plan: return parse_plan(text, field, bytes, ret_why);
    case CONFIG_TYPE_affinity: return parse_affinity(text, field, bytes, ret_why);
    case CONFIG_TYPE_trigger: return heap_trigger_parse(text, field, ret_why);
    case CONFIG_TYPE_nursery: return heap_nursery_parse(text, field, ret_why);
    case CONFIG_TYPE_most:
    case CONFIG_TYPE_most_bytes: return parse_most(type, range, text, field, ret_why);
    case CONFIG_TYPE_group: return parse_group(text, field, ret_why);
    case CONFIG_TYPE_size:
    case CONFIG_TYPE_time:
    case CONFIG_TYPE_count:
    case CONFIG_TYPE_mode: return parse_in_range(type, range, text, field, bytes, ret_why);
    }
    return false;
}

static void print_choice(const char *words, int index, char *out, size_t size)
{
    for (; index > 0; index--)
        words += strcspn(words, " ") + 1;
    snprintf(out, size, "%.*s", (int)strcspn(words, " "), words);
}

static void print_trigger(const struct trigger_config *trigger, char *out, size_t size)
{
    char least[32], most[32];

    print_number(least, sizeof(least), trigger->min_bytes, CONFIG_TYPE_size);
    print_number(most, sizeof(most), trigger->max_bytes, CONFIG_TYPE_size);
    if (trigger->kind == TRIGGER_DYNAMIC)
        snprintf(out, size, "dynamic:%s,%s", least, most);
    else
        snprintf(out, size, "%s", trigger->kind == TRIGGER_FIXED ? "fixed" : "delegated");
}

static void print_nursery(const struct heap_nursery *nursery, char *out, size_t size)
{
    const char *kind = heap_nursery_kind_name(nursery->kind);
    char least[32], most[32];

    print_number(least, sizeof(least), nursery->min_bytes, CONFIG_TYPE_size);
    print_number(most, sizeof(most), nursery->max_bytes, CONFIG_TYPE_size);
    if (nursery->kind == HEAP_NURSERY_FIXED)
        snprintf(out, size, "%s:%s", kind, most);
    else if (nursery->kind == HEAP_NURSERY_PROPORTIONAL)
        snprintf(out, size, "%s:%u,%u", kind, nursery->min_percent, nursery->max_percent);
    else
        snprintf(out, size, "%s:%s,%s", kind, least, most);
}

static void print_most(char *out, size_t size, uint64_t most, enum config_type type)
{
    if (most == CONFIG_UNLIMITED)
        snprintf(out, size, "unlimited");
    else
        print_number(out, size, most, type);
}

static void print_group(char *out, size_t size, gid_t gid)
{
    if (gid == CONFIG_NO_GROUP)
        snprintf(out, size, "none");
    else
        snprintf(out, size, "%u", (unsigned)gid);
}

void config_value_print(enum config_type type, const struct config_range *range, const void *field,
                        size_t bytes, char *ret_text, size_t size)
{
    switch (type) {
    case CONFIG_TYPE_text:
    case CONFIG_TYPE_plan:
    case CONFIG_TYPE_affinity: snprintf(ret_text, size, "%s", (const char *)field); return;
    case CONFIG_TYPE_choice:
        print_choice(range->words, *(const int *)field, ret_text, size);
        return;
    case CONFIG_TYPE_flag:
        snprintf(ret_text, size, "%s", *(const bool *)field ? "on" : "off");
        return;
    case CONFIG_TYPE_trigger: print_trigger(field, ret_text, size); return;
    case CONFIG_TYPE_nursery: print_nursery(field, ret_text, size); return;
    case CONFIG_TYPE_most:
    case CONFIG_TYPE_most_bytes: print_most(ret_text, size, *(const uint64_t *)field, type); return;
    case CONFIG_TYPE_group: print_group(ret_text, size, *(const gid_t *)field); return;
    case CONFIG_TYPE_size:
    case CONFIG_TYPE_time:
    case CONFIG_TYPE_count:
    case CONFIG_TYPE_mode:
        print_number(ret_text, size,
                     bytes == sizeof(uint64_t) ? *(const uint64_t *)field : *(const unsigned *)field,
                     type);
        return;
    }
}
