/* SPDX-License-Identifier: Apache-2.0 */
/* user_options.c - User options: the table, and layers of it. */
#include "daemon/user_options.h"

#include <assert.h>
#include <pwd.h>

#include "shm/base.h"

#define OPTION_ROW(key_, field, type_, fallback_, least, most_, words, help_) \
    { .key = key_, \
      .offset = offsetof(struct user_limits, field), \
      .bytes = sizeof(((struct user_limits *)0)->field), \
      .type = CONFIG_TYPE_##type_, \
      .fallback = fallback_, \
      .range = { least, most_, words }, \
      .help = help_ },
static const struct option_row rows[] = { USER_OPTIONS(OPTION_ROW) };
static_assert(MM_ARRAY_LEN(rows) <= 64, "a layer has a bit for each");

const struct option_table user_option_table = { "user", rows, MM_ARRAY_LEN(rows) };

bool user_layer_set(struct user_layer *layer, const struct option_row *row, const char *text,
                    const char **ret_why)
{
    return option_layer_set(&user_option_table, &layer->said, &layer->values, row, text, ret_why);
}

void user_layer_apply(const struct user_layer *layer, struct user_limits *limits)
{
    option_layer_apply(&user_option_table, layer->said, &layer->values, limits);
}

void user_limits_lift(struct user_limits *ret_limits)
{
    for (size_t i = 0; i < QUOTA_CONFIGURED; i++)
        ret_limits->most[i] = CONFIG_UNLIMITED;
    ret_limits->requests_per_second = ret_limits->connections_per_second = CONFIG_UNLIMITED;
}

bool user_find(const char *name, uid_t *ret_uid)
{
    static const struct config_range any = { 0, UINT32_MAX - 1, NULL }; /* the last is nobody's */
    const struct passwd *entry = getpwnam(name);
    unsigned number;
    const char *why;

    if (entry != NULL)
        *ret_uid = entry->pw_uid;
    else if (config_value_parse(CONFIG_TYPE_count, &any, name, &number, sizeof(number), &why))
        *ret_uid = number;
    else
        return false;
    return true;
}
