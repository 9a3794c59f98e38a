/* SPDX-License-Identifier: Apache-2.0 */
/* heap_options.c - Heap options: texts into what one heap is made of.
 *   O1  an option is a row of HEAP_OPTIONS and nothing else; a layer is a set of rows that somebody has said
 *   O2  a creator's text has no more effect than its keys: it is cut into words of bounded length before anything
 *       reads it */
#include "daemon/heap_options.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proto/wire.h"
#include "shm/base.h"

#define OPTION_ROW(key_, field, type_, fallback_, least, most, words, creators_, help_) \
    { .key = key_, \
      .offset = offsetof(struct heap_settings, field), \
      .bytes = sizeof(((struct heap_settings *)0)->field), \
      .type = CONFIG_TYPE_##type_, \
      .fallback = fallback_, \
      .range = { least, most, words }, \
      .creators = creators_, \
      .help = help_ },
static const struct option_row rows[] = { HEAP_OPTIONS(OPTION_ROW) };
static_assert(MM_ARRAY_LEN(rows) <= HEAP_OPTIONS_MAX, "a layer has a bit for each");

const struct option_table heap_option_table = { "heap", rows, MM_ARRAY_LEN(rows) };

/* ---- layers ---- */

bool heap_layer_set(struct heap_layer *layer, const struct option_row *row, const char *text,
                    const char **ret_why)
{
    return option_layer_set(&heap_option_table, &layer->said, &layer->values, row, text, ret_why);
}

void heap_layer_apply(const struct heap_layer *layer, struct heap_settings *settings)
{
    option_layer_apply(&heap_option_table, layer->said, &layer->values, settings);
}

/* ---- a creator's text ---- */

#define SEPARATORS " ,"

/* Does "KEY=" stand here? */
static bool begins_option(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz_");

    return length > 0 && text[length] == '=';
}

/* Bytes up to the separator that ends the option at @text. */
static size_t option_length(const char *text)
{
    size_t length = strcspn(text, SEPARATORS);

    while (text[length] == ',') {
        const char *next = text + length + 1;
        if (*next == '\0' || strchr(SEPARATORS, *next) != NULL || begins_option(next))
            break;
        length += 1 + strcspn(next, SEPARATORS);
    }
    return length;
}

static bool refuse_key(const char *key, char ret_why[HEAP_OPTIONS_WHY_MAX])
{
    const struct option_row *row = option_find(&heap_option_table, key);
    size_t length;

    if (row != NULL) {
        snprintf(ret_why, HEAP_OPTIONS_WHY_MAX, "%s: only the administrator sets it, in mmgcd.conf",
                 row->key);
        return false;
    }
    length =
        (size_t)snprintf(ret_why, HEAP_OPTIONS_WHY_MAX, "there is no option '%.64s'; there are", key);
    for (size_t i = 0; i < MM_ARRAY_LEN(rows) && length < HEAP_OPTIONS_WHY_MAX; i++)
        if (rows[i].creators)
            length +=
                (size_t)snprintf(ret_why + length, HEAP_OPTIONS_WHY_MAX - length, " %s", rows[i].key);
    return false;
}

/* Cuts @option at its '='. */
static bool take_option(struct heap_layer *layer, char *option, char ret_why[HEAP_OPTIONS_WHY_MAX])
{
    char *equals = strchr(option, '=');
    const char *why;

    if (equals == NULL) {
        snprintf(ret_why, HEAP_OPTIONS_WHY_MAX, "'%.64s' is not KEY=VALUE", option);
        return false;
    }
    *equals = '\0';
    const struct option_row *row = option_find(&heap_option_table, option);
    if (row == NULL || !row->creators)
        return refuse_key(option, ret_why);
    if (heap_layer_set(layer, row, equals + 1, &why))
        return true;
    snprintf(ret_why, HEAP_OPTIONS_WHY_MAX, "%s=%.64s: %s", row->key, equals + 1, why);
    return false;
}

bool heap_layer_parse(struct heap_layer *layer, const char *options, char ret_why[HEAP_OPTIONS_WHY_MAX])
{
    char option[WIRE_OPTIONS_MAX + 1];

    for (options += strspn(options, SEPARATORS); *options != '\0';
         options += strspn(options, SEPARATORS)) {
        size_t length = option_length(options);
        if (length >= sizeof(option)) {
            snprintf(ret_why, HEAP_OPTIONS_WHY_MAX, "an option is longer than %u bytes",
                     WIRE_OPTIONS_MAX);
            return false;
        }
        memcpy(option, options, length);
        option[length] = '\0';
        if (!take_option(layer, option, ret_why))
            return false;
        options += length;
    }
    return true;
}

/* ---- bounds ---- */

#define NUMBER_TEXT_MAX 24u

struct bounds {
    uint64_t least, most;
};

/* "MIN,MAX", both of @type: sizes or counts. */
static bool parse_bounds(const char *text, enum config_type type, const struct config_range *range, struct bounds *ret)
{
    size_t length = strcspn(text, ",");
    char least[NUMBER_TEXT_MAX] = "";
    const char *why;

    if (text[length] == '\0' || length >= sizeof(least))
        return false;
    memcpy(least, text, length);
    return config_value_parse(type, range, least, &ret->least, sizeof(ret->least), &why) &&
           config_value_parse(type, range, text + length + 1, &ret->most, sizeof(ret->most), &why) && ret->least <= ret->most;
}

/* ---- triggers ---- */

static const struct config_range trigger_range = { HEAP_TRIGGER_BYTES_MIN, HEAP_TRIGGER_BYTES_MAX, NULL };

bool heap_trigger_parse(const char *text, struct trigger_config *ret, const char **ret_why)
{
    static const char dynamic[] = "dynamic:";
    struct trigger_config parsed = { .kind = TRIGGER_FIXED };
    struct bounds bounds;

    *ret_why = "write fixed, delegated or dynamic:MIN,MAX with 2M <= MIN <= MAX <= 32G";
    if (strcmp(text, "delegated") == 0)
        parsed.kind = TRIGGER_DELEGATED;
    else if (strncmp(text, dynamic, sizeof(dynamic) - 1) == 0) {
        parsed.kind = TRIGGER_DYNAMIC;
        if (!parse_bounds(text + sizeof(dynamic) - 1, CONFIG_TYPE_size, &trigger_range, &bounds))
            return false;
        parsed.min_bytes = bounds.least;
        parsed.max_bytes = bounds.most;
    } else if (strcmp(text, "fixed") != 0)
        return false;
    *ret = parsed;
    return true;
}

/* ---- nurseries ---- */

static const char *const nursery_kinds[] = { [HEAP_NURSERY_ADAPTIVE] = "adaptive",
                                             [HEAP_NURSERY_FIXED] = "fixed",
                                             [HEAP_NURSERY_BOUNDED] = "bounded",
                                             [HEAP_NURSERY_PROPORTIONAL] = "proportional" };
static const struct config_range nursery_range = { HEAP_NURSERY_BYTES_MIN, HEAP_NURSERY_BYTES_MAX, NULL };
static const struct config_range percent_range = { 1, 100, NULL };

const char *heap_nursery_kind_name(enum heap_nursery_kind kind)
{
    return nursery_kinds[kind];
}

/* "KIND:", and what follows it; NULL: no such kind. */
static const char *parse_nursery_kind(const char *text, enum heap_nursery_kind *ret)
{
    size_t length = strcspn(text, ":");

    for (size_t i = 0; text[length] == ':' && i < MM_ARRAY_LEN(nursery_kinds); i++)
        if (strlen(nursery_kinds[i]) == length && strncmp(nursery_kinds[i], text, length) == 0) {
            *ret = (enum heap_nursery_kind)i;
            return text + length + 1;
        }
    return NULL;
}

static bool parse_nursery_size(const char *text, struct bounds *ret)
{
    const char *why;
    bool good = config_value_parse(CONFIG_TYPE_size, &nursery_range, text, &ret->most, sizeof(ret->most), &why);

    ret->least = ret->most;
    return good;
}

bool heap_nursery_parse(const char *text, struct heap_nursery *ret, const char **ret_why)
{
    struct heap_nursery parsed = { 0 };
    struct bounds bytes = { 0 }, percents = { 0 };
    const char *rest = parse_nursery_kind(text, &parsed.kind);
    bool good = rest != NULL;

    *ret_why = "write fixed:SIZE, bounded:MIN,MAX or adaptive:MIN,MAX with 64K <= MIN <= MAX <= 32G, or proportional:MIN,MAX with "
               "percents of the heap";
    if (good && parsed.kind == HEAP_NURSERY_FIXED)
        good = parse_nursery_size(rest, &bytes);
    else if (good && parsed.kind == HEAP_NURSERY_PROPORTIONAL)
        good = parse_bounds(rest, CONFIG_TYPE_count, &percent_range, &percents);
    else if (good)
        good = parse_bounds(rest, CONFIG_TYPE_size, &nursery_range, &bytes);
    if (!good)
        return false;
    parsed.min_bytes = bytes.least;
    parsed.max_bytes = bytes.most;
    parsed.min_percent = (unsigned)percents.least;
    parsed.max_percent = (unsigned)percents.most;
    *ret = parsed;
    return true;
}
