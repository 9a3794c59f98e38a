/* SPDX-License-Identifier: Apache-2.0 */
/* affinity.c - Which cores the workers may run on: MMTk's three choices, and the words for them.
 *   Grammar   os-default | (round-robin | all-in-set) [":" list]      list = range {"," range}      range = n ["-" n]
 *   The list is checked against what the process may use when the engine is made, not when the text is read: the
 *   same text may be meant for another thread, or for later.                                                        */
#include "plans/work/affinity.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int cores_allowed(cpu_set_t *ret)
{
    return sched_getaffinity(0, sizeof(*ret), ret) == 0 ? 0 : -errno;
}

int affinity_check(const struct engine_config *config)
{
    cpu_set_t allowed, both;
    if (config->affinity == AFFINITY_OS_DEFAULT)
        return 0;
    int r = cores_allowed(&allowed);
    if (r < 0)
        return r;
    CPU_AND(&both, &allowed, &config->cpus);
    return CPU_COUNT(&config->cpus) != 0 && CPU_EQUAL(&both, &config->cpus) ? 0 : -EINVAL;
}

unsigned affinity_cores(const struct engine_config *config)
{
    cpu_set_t allowed;
    if (config->affinity != AFFINITY_OS_DEFAULT)
        return (unsigned)CPU_COUNT(&config->cpus);
    return cores_allowed(&allowed) == 0 ? (unsigned)CPU_COUNT(&allowed) : 2;
}

static int nth_core(const cpu_set_t *set, unsigned n) /* @n is below its count */
{
    int core = 0;
    while (!CPU_ISSET(core, set) || n-- != 0)
        core++;
    return core;
}

int affinity_set(const struct engine_config *config, unsigned worker, pthread_attr_t *attr)
{
    cpu_set_t set = config->cpus;
    if (config->affinity == AFFINITY_OS_DEFAULT)
        return 0;
    if (config->affinity == AFFINITY_ROUND_ROBIN) {
        int core = nth_core(&config->cpus, worker % (unsigned)CPU_COUNT(&config->cpus));
        CPU_ZERO(&set);
        CPU_SET(core, &set);
    }
    return -pthread_attr_setaffinity_np(attr, sizeof(set), &set);
}

/* The words. Each of these returns NULL, or what is wrong; @*text moves on. */

static const char *parse_core(const char **text, unsigned *ret)
{
    char *end;
    if (!isdigit((unsigned char)**text))
        return "a core is a number, and a list of them reads like 0-3,8";
    unsigned long core = strtoul(*text, &end, 10); /* ULONG_MAX if it is longer: too high as well */
    if (core >= CPU_SETSIZE)
        return "a core's number is above 1023";
    *ret = (unsigned)core;
    *text = end;
    return NULL;
}

static const char *parse_range(const char **text, cpu_set_t *set)
{
    unsigned from, to;
    const char *why = parse_core(text, &from);
    to = from;
    if (why == NULL && **text == '-') {
        ++*text;
        why = parse_core(text, &to);
    }
    if (why == NULL && to < from)
        why = "a range of cores ends before it begins";
    for (unsigned core = from; why == NULL && core <= to; core++)
        CPU_SET(core, set);
    return why;
}

static const char *parse_list(const char *text, cpu_set_t *set)
{
    CPU_ZERO(set);
    for (;; text++) {
        const char *why = parse_range(&text, set);
        if (why != NULL || *text == '\0')
            return why;
        if (*text != ',')
            return "after a core comes a comma, a dash or the end";
    }
}

static const struct affinity_word {
    const char *word;
    enum engine_affinity affinity;
} words[] = {
    { "os-default", AFFINITY_OS_DEFAULT },
    { "round-robin", AFFINITY_ROUND_ROBIN },
    { "all-in-set", AFFINITY_ALL_IN_SET },
};

static const struct affinity_word *find_word(const char *text, size_t length)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(words); i++)
        if (strlen(words[i].word) == length && strncmp(words[i].word, text, length) == 0)
            return &words[i];
    return NULL;
}

static const char *parse(const char *text, enum engine_affinity *ret, cpu_set_t *set)
{
    size_t length = strcspn(text, ":");
    const struct affinity_word *found = find_word(text, length);
    if (found == NULL)
        return "an affinity is os-default, round-robin or all-in-set";
    *ret = found->affinity;
    if (text[length] != '\0')
        return found->affinity == AFFINITY_OS_DEFAULT ? "os-default takes no list of cores"
                                                      : parse_list(text + length + 1, set);
    return cores_allowed(set) == 0 ? NULL : "this system does not say which cores may be used";
}

int engine_affinity_parse(const char *text, struct engine_config *ret, const char **ret_why)
{
    enum engine_affinity affinity;
    cpu_set_t cpus;
    const char *why = parse(text, &affinity, &cpus);
    if (why != NULL) {
        *ret_why = why;
        return -EINVAL;
    }
    ret->affinity = affinity;
    ret->cpus = cpus;
    return 0;
}
