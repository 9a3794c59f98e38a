/* SPDX-License-Identifier: Apache-2.0 */
/* heap_options.c - Heap options: texts into what one heap is made of. */
#include "daemon/heap_options.h"

#include <string.h>

#include "daemon/config_value.h"

#define SIZE_TEXT_MAX 24u

/* "MIN,MAX" */
static bool parse_bounds(const char *text, struct trigger_config *ret)
{
    static const struct config_range range = { HEAP_TRIGGER_BYTES_MIN, HEAP_TRIGGER_BYTES_MAX, NULL };
    size_t length = strcspn(text, ",");
    char least[SIZE_TEXT_MAX] = "";
    const char *why;

    if (text[length] == '\0' || length >= sizeof(least))
        return false;
    memcpy(least, text, length);
    return config_value_parse(CONFIG_TYPE_size, &range, least, &ret->min_bytes,
                              sizeof(ret->min_bytes), &why) &&
           config_value_parse(CONFIG_TYPE_size, &range, text + length + 1, &ret->max_bytes,
                              sizeof(ret->max_bytes), &why) &&
           ret->min_bytes <= ret->max_bytes;
}

bool heap_trigger_parse(const char *text, struct trigger_config *ret, const char **ret_why)
{
    static const char dynamic[] = "dynamic:";
    struct trigger_config parsed = { .kind = TRIGGER_FIXED };

    *ret_why = "write fixed, delegated or dynamic:MIN,MAX with 2M <= MIN <= MAX <= 32G";
    if (strcmp(text, "delegated") == 0)
        parsed.kind = TRIGGER_DELEGATED;
    else if (strncmp(text, dynamic, sizeof(dynamic) - 1) == 0) {
        parsed.kind = TRIGGER_DYNAMIC;
        if (!parse_bounds(text + sizeof(dynamic) - 1, &parsed))
            return false;
    } else if (strcmp(text, "fixed") != 0)
        return false;
    *ret = parsed;
    return true;
}
