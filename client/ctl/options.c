/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - Options: one table of them, from which getopt, the checks and --help are made. */
#include "client/ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/units.h"
#include "shm/base.h"

/* X(long name, letter getopt gives back, argument for people or NULL, enum ctl_option of commands or 0, what it does) */
/* clang-format off */
#define OPTIONS(X)                                                                                              \
    X("socket",  's', "PATH", 0,                 "ask the daemon there ($MMGC_SOCKET, else " CONNECT_DEFAULT_SOCKET ")") \
    X("timeout", 't', "TIME", 0,                 "wait this long: 500ms, 10s, 2min; 0 is no end (10s; 60s where a heap must stop)") \
    X("json",    'j', NULL,   0,                 "print one JSON document; errors, too")                        \
    X("limit",   'n', "N",    CTL_OPTION_LIMIT,  "show N rows at most")                                         \
    X("bytes",   'b', NULL,   CTL_OPTION_BYTES,  "show sizes in bytes, not in KiB, MiB ...")                    \
    X("sort",    'S', "BY",   CTL_OPTION_SORT,   "first by most bytes (the default), most objects, or name")                        \
    X("client",  'C', "SESSION", CTL_OPTION_CLIENT, "what this client has alone; `mmgcctl clients` shows its number") \
    X("grow",    'G', "SIZE", CTL_OPTION_GROW,   "a full heap's limit is raised by this: 64M, 1G; 0, the default: it is collected") \
    X("up-to",   'U', "SIZE", CTL_OPTION_GROW,   "and not beyond this; then it is collected")                   \
    X("from",    'F', "FILE", CTL_OPTION_SNAPSHOT, "look at the snapshot in this file; then no HEAP is named")  \
    X("format",  'T', "FORMAT", CTL_OPTION_FORMAT, "hprof, heapsnapshot or snapshot; if not given, the file's name says it") \
    X("since",   'I', "MARK", CTL_OPTION_MARK, "what has grown since this mark: a file, or a name without slash and dot") \
    X("mark",    'M', "MARK", CTL_OPTION_MARK, "keep the histogram there, for --since and diff")               \
    X("output",  'o', "FILE", CTL_OPTION_MAP,   "draw into this file: .svg or .png")                        \
    X("by",      'Y', "WHAT", CTL_OPTION_BY,    "show what is live (the default), its age, or its type")    \
    X("columns", 'c', "N",    CTL_OPTION_MAP,   "so many cells in a row (80; 128 in a file)")               \
    X("color",   'K', NULL,   CTL_OPTION_MAP,   "in colours, twice as fine where UTF-8 is understood")       \
    X("anyway",  'A', NULL,   CTL_OPTION_ANYWAY, "even if the heap is quarantined, and nobody vouches for what is in it") \
    X("force",   'f', NULL,   CTL_OPTION_FORCE,  "even if the heap has clients: they get MMGC_E_HEAP_GONE")     \
    X("help",    'h', NULL,   0,                 "print this")                                                  \
    X("version", 'V', NULL,   0,                 "print the version")
/* clang-format on */

#define SHORT_OPTIONS "s:t:jn:bo:fhV" /* those of one letter that people may use */

struct option_row {
    const char *name;
    int letter;
    const char *argument;
    unsigned of_commands;
    const char *help;
};
static const struct option_row rows[] = {
#define OPTION_ROW(name, letter, argument, of_commands, help) \
    { name, letter, argument, of_commands, help },
    OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};

/* What has been read so far. */
struct line {
    struct ctl_options *options;
    uint64_t given; /* bit a row of the table */
    bool timed, help, version;
};

static bool __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
    va_list args;

    fputs("mmgcctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\nTry `mmgcctl --help`.\n", stderr);
    return false;
}

static bool take_sort(struct line *line, const char *by)
{
    static const char *const names[] = {
        [CTL_SORT_BYTES] = "bytes", [CTL_SORT_OBJECTS] = "objects", [CTL_SORT_NAME] = "name"
    };

    for (size_t i = 0; i < MM_ARRAY_LEN(names); i++) {
        if (strcmp(by, names[i]) == 0) {
            line->options->sort = (enum ctl_sort)i;
            return true;
        }
    }
    return wrong("--sort takes bytes, objects or name, not '%s'", by);
}

static bool take_size(const char *who, const char *text, uint64_t *ret_bytes)
{
    return units_parse_size(text, ret_bytes) || wrong("%s takes a size like 4096, 512M or 2G, not '%s'", who, text);
}

static bool take_option(struct line *line, int letter, const char *argument)
{
    struct ctl_options *options = line->options;

    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++)
        if (rows[i].letter == letter)
            line->given |= UINT64_C(1) << i;
    switch (letter) {
    case 's': options->socket = argument; return true;
    case 'j': options->json = true; return true;
    case 'b': options->bytes = true; return true;
    case 'f': options->force = true; return true;
    case 'F': options->from = argument; return true;
    case 'T': options->format = argument; return true;
    case 'I': options->since = argument; return true;
    case 'M': options->mark = argument; return true;
    case 'o': options->output = argument; return true;
    case 'Y': options->by_what = argument; return true;
    case 'K': options->color = true; return true;
    case 'c':
        return (units_parse_count(argument, &options->columns) && options->columns > 0) || wrong("--columns takes a number, not '%s'", argument);
    case 'A': options->anyway = true; return true;
    case 'h': line->help = true; return true;
    case 'V': line->version = true; return true;
    case 'S': return take_sort(line, argument);
    case 'C':
        return units_parse_count(argument, &options->client) || wrong("--client takes a session's number, not '%s'", argument);
    case 'G': return take_size("--grow", argument, &options->grow_bytes);
    case 'U': return take_size("--up-to", argument, &options->up_to_bytes);
    case 'n':
        return units_parse_count(argument, &options->limit) ||
               wrong("--limit takes a number, not '%s'", argument);
    case 't':
        line->timed = true;
        return units_parse_time(argument, &options->timeout_ns) ||
               wrong("--timeout takes a time like 500ms, 10s or 2min, not '%s'", argument);
    default: fputs("Try `mmgcctl --help`.\n", stderr); return false; /* getopt has said why */
    }
}

static bool take_options(struct line *line, int argc, char **argv)
{
    struct option long_options[MM_ARRAY_LEN(rows) + 1] = { 0 };
    int letter;

    argv[0] = program_invocation_short_name; /* how getopt begins what it has to say */
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++)
        long_options[i] = (struct option){
            .name = rows[i].name,
            .has_arg = rows[i].argument == NULL ? no_argument : required_argument,
            .val = rows[i].letter,
        };
    while ((letter = getopt_long(argc, argv, SHORT_OPTIONS, long_options, NULL)) != -1)
        if (!take_option(line, letter, optarg))
            return false;
    return true;
}

/* The word after the heap's. */
static bool check_size(const struct ctl_command *command, int count, char *const *words, struct ctl_options *options)
{
    if (command->takes != CTL_TAKES_HEAP_AND_SIZE)
        return true;
    if (count != 2)
        return wrong("%s needs a heap's name and a size: mmgcctl %s", command->name, command->synopsis);
    return take_size(command->name, words[1], &options->size_bytes);
}

static bool takes_heap(const struct ctl_command *command)
{
    return command->takes == CTL_TAKES_HEAP || command->takes == CTL_TAKES_HEAP_AND_SIZE || command->takes == CTL_TAKES_LEASE;
}

static bool check_operands(const struct ctl_command *command, int count, const char *operand)
{
    if (command->takes == CTL_TAKES_NOTHING && count > 0)
        return wrong("%s takes no '%s'", command->name, operand);
    if (takes_heap(command) && count == 0)
        return wrong("%s needs a heap's name: mmgcctl %s; `mmgcctl list` shows those there are",
                     command->name, command->synopsis);
    if (command->takes == CTL_TAKES_TWO_FILES)
        return true;
    if (count > 1 && command->takes != CTL_TAKES_HEAP_AND_SIZE && command->takes != CTL_TAKES_LEASE)
        return wrong("%s takes one name only: mmgcctl %s", command->name, command->synopsis);
    if (count == 0)
        return true;
    if (command->takes == CTL_MAY_TAKE_COMMAND)
        return ctl_command_find(operand) != NULL || wrong("there is no command '%s'", operand);
    if (wire_name_valid(operand, WIRE_NAME_MAX))
        return true;
    return wrong("that cannot be a heap's name: 1 to %u bytes of UTF-8 without control characters",
                 WIRE_NAME_MAX);
}

/* The two numbers after the heap, as `mmgcctl leases` shows them. */
static bool check_lease(const struct ctl_command *command, int count, char *const *operands, struct ctl_options *options)
{
    if (command->takes != CTL_TAKES_LEASE)
        return true;
    return (count == 3 && units_parse_count(operands[1], &options->client) && units_parse_count(operands[2], &options->slot) &&
            options->slot <= UINT32_MAX) ||
           wrong("%s takes a heap's name and two numbers: mmgcctl %s; `mmgcctl leases` shows them", command->name, command->synopsis);
}

static bool takes_snapshot(const struct ctl_command *command)
{
    return command->takes == CTL_TAKES_SNAPSHOT || command->takes == CTL_TAKES_SNAPSHOT_AND_WHAT || command->takes == CTL_TAKES_HEAP_AND_FILE;
}

/* HEAP, unless there is a file in its place, and what comes after it. */
static bool check_snapshot(const struct ctl_command *command, int count, char *const *words, struct ctl_options *options)
{
    int heaps = options->from == NULL, more = command->takes != CTL_TAKES_SNAPSHOT;

    if (count < heaps + more)
        return wrong("%s needs %s: mmgcctl %s", command->name, heaps != 0 ? "a heap's name, and what comes after it" : "more words", command->synopsis);
    if (count > heaps + more)
        return wrong("%s takes no '%s': mmgcctl %s", command->name, words[heaps + more], command->synopsis);
    if (heaps != 0 && !wire_name_valid(words[0], WIRE_NAME_MAX))
        return wrong("that cannot be a heap's name: 1 to %u bytes of UTF-8 without control characters", WIRE_NAME_MAX);
    options->operand = heaps != 0 ? words[0] : NULL;
    options->target = more != 0 ? words[heaps] : NULL;
    return true;
}

static bool check_files(const struct ctl_command *command, int count, char *const *words, struct ctl_options *options)
{
    if (command->takes != CTL_TAKES_TWO_FILES)
        return true;
    if (count != 2)
        return wrong("%s takes two files: mmgcctl %s", command->name, command->synopsis);
    options->operand = NULL;
    options->before = words[0];
    options->target = words[1];
    return true;
}

static bool check_options(const struct ctl_command *command, uint64_t given)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++)
        if ((given >> i & 1) != 0 && (rows[i].of_commands & ~command->options) != 0)
            return wrong("%s does not know --%s", command->name, rows[i].name);
    return true;
}

static const struct ctl_command *find_command(int count, char *const *words)
{
    const struct ctl_command *command = count == 0 ? NULL : ctl_command_find(words[0]);

    if (count == 0)
        (void)wrong("what shall it do? A command is missing");
    else if (command == NULL)
        (void)wrong("there is no command '%s'", words[0]);
    return command;
}

static const char *default_socket(void)
{
    const char *socket = getenv("MMGC_SOCKET");

    return socket == NULL || socket[0] == '\0' ? CONNECT_DEFAULT_SOCKET : socket;
}

const struct ctl_command *options_parse(int argc, char **argv, struct ctl_options *ret_options,
                                        enum ctl_exit *ret_exit)
{
    struct line line = { .options = ret_options };

    *ret_options = (struct ctl_options){ .socket = default_socket(), .limit = UINT64_MAX };
    *ret_exit = CTL_USAGE;
    if (!take_options(&line, argc, argv))
        return NULL;
    int count = argc - optind;
    char **words = argv + optind;
    if (line.help || line.version) {
        *ret_exit = CTL_DONE;
        if (line.help)
            options_help(stdout, count == 0 ? NULL : ctl_command_find(words[0]));
        else
            puts("mmgcctl (mmgcd) " MM_VERSION);
        return NULL;
    }
    const struct ctl_command *command = find_command(count, words);
    if (command == NULL || !check_options(command, line.given))
        return NULL;
    ret_options->operand = words[1]; /* NULL after the last word */
    bool good = takes_snapshot(command) ? check_snapshot(command, count - 1, words + 1, ret_options)
                                        : check_operands(command, count - 1, words[1]) &&
                                              check_size(command, count - 1, words + 1, ret_options) &&
                                              check_lease(command, count - 1, words + 1, ret_options) &&
                                              check_files(command, count - 1, words + 1, ret_options);
    if (!good)
        return NULL;
    if (!line.timed)
        ret_options->timeout_ns = command->timeout_ns;
    return command;
}

static void help_options(FILE *out, unsigned of_commands)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++) {
        char name[32], letter[8] = "    ";
        if (rows[i].of_commands != 0 && (rows[i].of_commands & of_commands) == 0)
            continue;
        if (strchr(SHORT_OPTIONS, rows[i].letter) != NULL)
            snprintf(letter, sizeof(letter), "-%c, ", rows[i].letter);
        snprintf(name, sizeof(name), "--%s%s%s", rows[i].name, rows[i].argument == NULL ? "" : "=",
                 rows[i].argument == NULL ? "" : rows[i].argument);
        fprintf(out, "  %s%-16s %s\n", letter, name, rows[i].help);
    }
}

void options_help(FILE *out, const struct ctl_command *command)
{
    if (command != NULL) {
        fprintf(out, "usage: mmgcctl [OPTION...] %s\n\n%s: %s.\n\nOptions\n", command->synopsis,
                command->name, command->summary);
        help_options(out, command->options);
        return;
    }
    fputs("usage: mmgcctl [OPTION...] COMMAND [HEAP]\n\nLooks inside the heaps of mmgcd.\n\nCommands\n",
          out);
    for (const struct ctl_command *const *c = ctl_commands; *c != NULL; c++)
        fprintf(out, "  %-22s  %s\n", (*c)->synopsis, (*c)->summary);
    fputs("\nOptions, before or after the command\n", out);
    help_options(out, ~0u);
    fputs("\nExit status: 0 done; 1 refused or failed; 2 wrong use; 3 no daemon; 4 verify found faults.  See mmgcctl(1).\n",
          out);
}
