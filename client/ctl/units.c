/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/base.h"

const char *units_bytes(char text[UNITS_TEXT_MAX], uint64_t bytes)
{
    static const char *const names[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double value = (double)bytes / 1024;
    size_t i = 0;

    if (bytes < 1024) {
        snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 " B", bytes);
        return text;
    }
    while (value >= 1023.95 && i + 1 < MM_ARRAY_LEN(names)) { /* what would be rounded up to 1024.0 */
        value /= 1024;
        i++;
    }
    snprintf(text, UNITS_TEXT_MAX, "%.1f %s", value, names[i]);
    return text;
}

/* @value with three digits that matter at most, or as many as it has before its point. */
static const char *three_digits(char text[UNITS_TEXT_MAX], double value, const char *unit)
{
    snprintf(text, UNITS_TEXT_MAX, "%.*f%s", value < 9.95 && unit[0] != '\0' ? 1 : 0, value, unit);
    return text;
}

const char *units_bytes_short(char text[UNITS_TEXT_MAX], double bytes)
{
    static const char *const names[] = { "", "K", "M", "G", "T", "P", "E" };
    size_t i = 0;

    for (; bytes >= 1023.5 && i + 1 < MM_ARRAY_LEN(names); i++)
        bytes /= 1024;
    return three_digits(text, bytes, names[i]);
}

const char *units_ns_short(char text[UNITS_TEXT_MAX], uint64_t ns)
{
    static const char *const names[] = { "n", "u", "m", "s" };
    double value = (double)ns;
    size_t i = 0;

    if (ns == 0)
        return three_digits(text, 0, "");
    if (ns >= 1000 * UNITS_NS_PER_S) /* nobody compares those */
        return three_digits(text, MM_MIN(value / (3600.0 * 1e9), 9999), "h");
    for (; value >= 999.5 && i + 1 < MM_ARRAY_LEN(names); i++)
        value /= 1000;
    return three_digits(text, value, names[i]);
}

/* The two greatest of days, hours, minutes and seconds. */
static const char *long_time(char text[UNITS_TEXT_MAX], uint64_t seconds)
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } parts[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    size_t i = 0;

    while (i + 1 < MM_ARRAY_LEN(parts) && seconds < parts[i].seconds)
        i++;
    uint64_t rest = seconds % parts[i].seconds;
    int used =
        snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 " %s", seconds / parts[i].seconds, parts[i].name);
    if (i + 1 < MM_ARRAY_LEN(parts) && rest / parts[i + 1].seconds > 0)
        snprintf(text + used, (size_t)(UNITS_TEXT_MAX - used), " %" PRIu64 " %s",
                 rest / parts[i + 1].seconds, parts[i + 1].name);
    return text;
}

const char *units_ns(char text[UNITS_TEXT_MAX], uint64_t ns)
{
    double value = (double)ns;

    if (ns < 1000)
        snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 " ns", ns);
    else if (value < 999.95e3) /* what would be rounded up to 1000.0 us is 1.0 ms */
        snprintf(text, UNITS_TEXT_MAX, "%.1f us", value / 1e3);
    else if (value < 999.95e6)
        snprintf(text, UNITS_TEXT_MAX, "%.1f ms", value / 1e6);
    else if (value < 59.995e9)
        snprintf(text, UNITS_TEXT_MAX, "%.2f s", value / 1e9);
    else
        return long_time(text, ns / UNITS_NS_PER_S + (ns % UNITS_NS_PER_S >= UNITS_NS_PER_S / 2));
    return text;
}

const char *units_age(char text[UNITS_TEXT_MAX], uint64_t ms)
{
    return long_time(text, ms / 1000);
}

/* Digits at the start of @text; strtoull() would also take signs and spaces. */
static bool parse_digits(const char *text, uint64_t *ret_value, const char **ret_end)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *ret_value = strtoull(text, &end, 10);
    *ret_end = end;
    return errno == 0;
}

bool units_parse_count(const char *text, uint64_t *ret_count)
{
    uint64_t count;
    const char *end;

    if (!parse_digits(text, &count, &end) || *end != '\0')
        return false;
    *ret_count = count;
    return true;
}

bool units_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const char units[] = "KMG";
    uint64_t value;
    const char *end;

    if (!parse_digits(text, &value, &end))
        return false;
    const char *unit = *end == '\0' ? NULL : strchr(units, *end);
    if (*end != '\0' && (unit == NULL || end[1] != '\0'))
        return false;
    uint64_t factor = unit == NULL ? 1 : UINT64_C(1) << (10 * (unit - units + 1));
    return !__builtin_mul_overflow(value, factor, ret_bytes);
}

bool units_parse_time(const char *text, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        { "", UNITS_NS_PER_S },
        { "ms", UNITS_NS_PER_MS },
        { "s", UNITS_NS_PER_S },
        { "min", 60 * UNITS_NS_PER_S },
    };
    uint64_t value;
    const char *end;

    if (!parse_digits(text, &value, &end))
        return false;
    for (size_t i = 0; i < MM_ARRAY_LEN(units); i++)
        if (strcmp(end, units[i].name) == 0)
            return !__builtin_mul_overflow(value, units[i].ns, ret_ns);
    return false;
}
