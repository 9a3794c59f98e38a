/* SPDX-License-Identifier: Apache-2.0 */
/* pprof.c - Pprof: rows of pointers that grow by one, in protobuf-c's own tree, which it frees with free(). */
#include "proto/pprof.h"

#include <stdlib.h>
#include <string.h>

/* One more at the end of @row, of @count things of @bytes; what it is has to be said by the caller. */
static bool grow(void **row, size_t count, size_t bytes)
{
    void *more = reallocarray(*row, count + 1, bytes);

    if (more != NULL)
        *row = more;
    return more != NULL;
}

/* ADD(row of pointers, its count, Type, TYPE): a new message of that type at the row's end, or NULL. */
#define ADD(row, n, Type, TYPE)                                              \
    (__extension__({                                                         \
        Mmgc__Pprof__##Type *one = malloc(sizeof(*one));                     \
        if (one == NULL || !grow((void **)&(row), (n), sizeof(one))) {       \
            free(one);                                                       \
            one = NULL;                                                      \
        } else {                                                             \
            *one = (Mmgc__Pprof__##Type)MMGC__PPROF__##TYPE##__INIT;         \
            (row)[(n)++] = one;                                              \
        }                                                                    \
        one;                                                                 \
    }))

pprof_profile *pprof_new(void)
{
    pprof_profile *p = malloc(sizeof(*p));

    if (p == NULL)
        return NULL;
    *p = (pprof_profile)MMGC__PPROF__PROFILE__INIT;
    if (pprof_string(p, "") == 0)
        return p;
    pprof_free(p);
    return NULL;
}

void pprof_free(pprof_profile *p)
{
    if (p != NULL)
        mmgc__pprof__profile__free_unpacked(p, NULL);
}

int64_t pprof_string(pprof_profile *p, const char *text)
{
    for (size_t i = 0; i < p->n_string_table; i++)
        if (strcmp(p->string_table[i], text) == 0)
            return (int64_t)i;
    char *copy = strdup(text);
    if (copy == NULL || !grow((void **)&p->string_table, p->n_string_table, sizeof(copy))) {
        free(copy);
        return -1;
    }
    p->string_table[p->n_string_table] = copy;
    return (int64_t)p->n_string_table++;
}

const char *pprof_text(const pprof_profile *p, int64_t index)
{
    return index >= 0 && (uint64_t)index < p->n_string_table ? p->string_table[index] : "";
}

/* DEFINE_ADD(name, Type, TYPE): pprof_add_<name>(), of what has its place for an id. */
#define DEFINE_ADD(name, Type, TYPE)                          \
    pprof_##name *pprof_add_##name(pprof_profile *p)          \
    {                                                         \
        pprof_##name *added = ADD(p->name, p->n_##name, Type, TYPE); \
        if (added != NULL)                                    \
            added->id = p->n_##name;                          \
        return added;                                         \
    }
DEFINE_ADD(mapping, Mapping, MAPPING)
DEFINE_ADD(location, Location, LOCATION)
DEFINE_ADD(function, Function, FUNCTION)

pprof_line *pprof_add_line(pprof_location *location)
{
    return ADD(location->line, location->n_line, Line, LINE);
}

static bool name_value(pprof_profile *p, pprof_value_type *value, const char *type, const char *unit)
{
    value->type = pprof_string(p, type);
    value->unit = pprof_string(p, unit);
    return value->type >= 0 && value->unit >= 0;
}

pprof_value_type *pprof_add_sample_type(pprof_profile *p, const char *type, const char *unit)
{
    pprof_value_type *value = ADD(p->sample_type, p->n_sample_type, ValueType, VALUE_TYPE);

    return value != NULL && name_value(p, value, type, unit) ? value : NULL;
}

pprof_value_type *pprof_set_period(pprof_profile *p, const char *type, const char *unit, int64_t period)
{
    pprof_value_type *value = malloc(sizeof(*value));

    if (value == NULL)
        return NULL;
    *value = (pprof_value_type)MMGC__PPROF__VALUE_TYPE__INIT;
    free(p->period_type);
    p->period_type = value;
    p->period = period;
    return name_value(p, value, type, unit) ? value : NULL;
}

bool pprof_add_comment(pprof_profile *p, const char *text)
{
    int64_t index = pprof_string(p, text);

    if (index < 0 || !grow((void **)&p->comment, p->n_comment, sizeof(index)))
        return false;
    p->comment[p->n_comment++] = index;
    return true;
}

pprof_sample *pprof_add_sample(pprof_profile *p, size_t locations, size_t values)
{
    uint64_t *location_id = calloc(locations, sizeof(*location_id));
    int64_t *value = calloc(values, sizeof(*value));
    pprof_sample *sample = location_id != NULL && value != NULL ? ADD(p->sample, p->n_sample, Sample, SAMPLE) : NULL;

    if (sample == NULL) {
        free(location_id);
        free(value);
        return NULL;
    }
    sample->location_id = location_id;
    sample->n_location_id = locations;
    sample->value = value;
    sample->n_value = values;
    return sample;
}

uint8_t *pprof_pack(const pprof_profile *p, size_t *ret_bytes)
{
    size_t count = mmgc__pprof__profile__get_packed_size(p);
    uint8_t *bytes = malloc(count);

    if (bytes != NULL)
        *ret_bytes = mmgc__pprof__profile__pack(p, bytes);
    return bytes;
}

/* ---- checks ----------------------------------------------------------------------------------- */

static bool samples_hold(const pprof_profile *p)
{
    for (size_t i = 0; i < p->n_sample; i++) {
        const pprof_sample *sample = p->sample[i];
        if (sample->n_value != p->n_sample_type)
            return false;
        for (size_t k = 0; k < sample->n_location_id; k++)
            if (sample->location_id[k] - 1 >= p->n_location)
                return false;
    }
    return true;
}

static bool locations_hold(const pprof_profile *p)
{
    for (size_t i = 0; i < p->n_location; i++) {
        const pprof_location *location = p->location[i];
        if (location->id != i + 1 || location->mapping_id > p->n_mapping)
            return false;
        for (size_t k = 0; k < location->n_line; k++)
            if (location->line[k]->function_id - 1 >= p->n_function)
                return false;
    }
    return true;
}

static bool ids_are_places(const pprof_profile *p)
{
    for (size_t i = 0; i < p->n_mapping; i++)
        if (p->mapping[i]->id != i + 1)
            return false;
    for (size_t i = 0; i < p->n_function; i++)
        if (p->function[i]->id != i + 1)
            return false;
    return true;
}

pprof_profile *pprof_unpack(const uint8_t *bytes, size_t count)
{
    pprof_profile *p = mmgc__pprof__profile__unpack(NULL, count, bytes);
    bool whole = p != NULL && p->n_string_table > 0 && p->string_table[0][0] == '\0' && p->n_sample_type > 0 && ids_are_places(p) &&
                 locations_hold(p) && samples_hold(p);

    if (whole)
        return p;
    pprof_free(p);
    return NULL;
}
