/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/operands.h"

#include "client/ctl/options.h"
#include "client/ctl/units.h"
#include "proto/wire.h"

static bool is_heap(const char *word)
{
    return wire_name_valid(word, WIRE_NAME_MAX) ||
           options_wrong("that cannot be a heap's name: 1 to %u bytes of UTF-8 without control characters", WIRE_NAME_MAX);
}

static bool take_heap(const struct ctl_command *command, int count, char **words, struct ctl_options *options)
{
    if (count == 0)
        return options_wrong("%s needs a heap's name: mmgcctl %s; `mmgcctl list` shows those there are", command->name, command->synopsis);
    options->operand = words[0];
    return is_heap(words[0]);
}

/* @most words at most. */
static bool is_over(const struct ctl_command *command, int count, int most)
{
    return count > most && !options_wrong("%s takes one name only: mmgcctl %s", command->name, command->synopsis);
}

static bool take_size(const struct ctl_command *command, int count, char **words, struct ctl_options *options)
{
    if (!take_heap(command, count, words, options))
        return false;
    if (count != 2)
        return options_wrong("%s needs a heap's name and a size: mmgcctl %s", command->name, command->synopsis);
    return options_size(command->name, words[1], &options->size_bytes);
}

/* The two numbers after the heap, as `mmgcctl leases` shows them. */
static bool take_lease(const struct ctl_command *command, int count, char **words, struct ctl_options *options)
{
    if (!take_heap(command, count, words, options))
        return false;
    return (count == 3 && units_parse_count(words[1], &options->client) && units_parse_count(words[2], &options->slot) &&
            options->slot <= UINT32_MAX) ||
           options_wrong("%s takes a heap's name and two numbers: mmgcctl %s; `mmgcctl leases` shows them", command->name, command->synopsis);
}

/* The number that `mmgcctl clients` shows. */
static bool take_client(const struct ctl_command *command, int count, char **words, struct ctl_options *options)
{
    options->operand = words[0];
    return (count == 1 && units_parse_count(words[0], &options->client)) ||
           options_wrong("%s takes a client's number: mmgcctl %s; `mmgcctl clients` shows them", command->name, command->synopsis);
}

static bool take_file(const struct ctl_command *command, int count, char **words, struct ctl_options *options)
{
    if (count == 0)
        return options_wrong("%s needs a file's name: mmgcctl %s", command->name, command->synopsis);
    options->operand = words[0];
    return !is_over(command, count, 1);
}

static bool take_two_files(const struct ctl_command *command, int count, char **words, struct ctl_options *options)
{
    if (count != 2)
        return options_wrong("%s takes two files: mmgcctl %s", command->name, command->synopsis);
    options->before = words[0];
    options->target = words[1];
    return true;
}

/* A heap, unless the first word is an event's name; then events. */
static bool take_events(int count, char **words, struct ctl_options *options)
{
    uint32_t bit;
    bool heap = count > 0 && !watch_event_parse(words[0], &bit);

    for (int i = heap; i < count; i++) {
        if (!watch_event_parse(words[i], &bit))
            return options_wrong("there is no event '%s': collection, stop-late, client-join, client-leave, heap-made, heap-gone, quarantine, limit,"
                                 " trigger, out-of-memory",
                                 words[i]);
        options->events |= bit;
    }
    options->operand = heap ? words[0] : NULL;
    return !heap || is_heap(words[0]);
}

/* HEAP, unless there is a file in its place, and what comes after it: @least words, and @most. */
static bool take_snapshot(const struct ctl_command *command, int count, char **words, int least, int most, struct ctl_options *options)
{
    int heaps = options->from == NULL;

    if (count < heaps + least)
        return options_wrong("%s needs %s: mmgcctl %s", command->name,
                             heaps == 0   ? "more words"
                             : least != 0 ? "a heap's name, and what comes after it"
                                          : "a heap's name",
                             command->synopsis);
    if (count > heaps + most)
        return options_wrong("%s takes no '%s': mmgcctl %s", command->name, words[heaps + most], command->synopsis);
    options->operand = heaps != 0 ? words[0] : NULL;
    options->target = least != 0 ? words[heaps] : NULL;
    options->condition = count > heaps + least ? words[heaps + least] : NULL;
    return heaps == 0 || is_heap(words[0]);
}

static bool take_command(const struct ctl_command *command, int count, char **words, struct ctl_options *options)
{
    options->operand = words[0];
    return count == 0 || (!is_over(command, count, 1) &&
                          (ctl_command_find(words[0]) != NULL || options_wrong("there is no command '%s'", words[0])));
}

bool operands_take(const struct ctl_command *command, int count, char **words, struct ctl_options *options)
{
    switch (command->takes) {
    case CTL_TAKES_NOTHING: return count == 0 || options_wrong("%s takes no '%s'", command->name, words[0]);
    case CTL_TAKES_HEAP: return !is_over(command, count, 1) && take_heap(command, count, words, options);
    case CTL_TAKES_HEAP_AND_SIZE: return take_size(command, count, words, options);
    case CTL_TAKES_LEASE: return take_lease(command, count, words, options);
    case CTL_TAKES_CLIENT: return take_client(command, count, words, options);
    case CTL_TAKES_FILE: return take_file(command, count, words, options);
    case CTL_TAKES_TWO_FILES: return take_two_files(command, count, words, options);
    case CTL_TAKES_EVENTS: return take_events(count, words, options);
    case CTL_TAKES_SNAPSHOT: return take_snapshot(command, count, words, 0, 0, options);
    case CTL_TAKES_HEAP_AND_FILE:
    case CTL_TAKES_SNAPSHOT_AND_WHAT: return take_snapshot(command, count, words, 1, 1, options);
    case CTL_TAKES_SNAPSHOT_AND_TYPE: return take_snapshot(command, count, words, 1, 2, options);
    case CTL_MAY_TAKE_HEAP: return count == 0 || (!is_over(command, count, 1) && take_heap(command, count, words, options));
    case CTL_MAY_TAKE_COMMAND: return take_command(command, count, words, options);
    }
    return false;
}
