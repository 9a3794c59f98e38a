/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - Options: one table of them, from which getopt, the checks and --help are made. */
#include "client/ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/operands.h"
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
    X("sort",    'S', "BY",   CTL_OPTION_SORT,   "histogram by bytes (the default), objects or name; top by used (the default), alloc, collections, pause, clients or name") \
    X("client",  'C', "SESSION", CTL_OPTION_CLIENT, "what this client has alone; `mmgcctl clients` shows its number") \
    X("grow",    'G', "SIZE", CTL_OPTION_GROW,   "a full heap's limit is raised by this: 64M, 1G; 0, the default: it is collected") \
    X("up-to",   'U', "SIZE", CTL_OPTION_GROW,   "and not beyond this; then it is collected")                   \
    X("output",  'o', "FILE", CTL_OPTION_OUTPUT, "write there: a trace, a profile with names, a picture (.svg or .png)") \
    X("in-use",  'u', NULL,   CTL_OPTION_PROFILE, "show what was not yet found dead, not all that was allocated") \
    X("from",    'F', "FILE", CTL_OPTION_SNAPSHOT, "look at the snapshot in this file; then no HEAP is named")  \
    X("format",  'T', "FORMAT", CTL_OPTION_FORMAT, "hprof, heapsnapshot or snapshot; if not given, the file's name says it") \
    X("since",   'E', "MARK", CTL_OPTION_MARK, "what has grown since this mark: a file, or a name without slash and dot") \
    X("mark",    'M', "MARK", CTL_OPTION_MARK, "keep the histogram there, for --since and diff")               \
    X("columns", 'w', "N",    CTL_OPTION_MAP,   "so many cells in a row (80; 128 in a file)")               \
    X("color",   'K', NULL,   CTL_OPTION_MAP,   "in colours, twice as fine where UTF-8 is understood")       \
    X("anyway",  'A', NULL,   CTL_OPTION_ANYWAY, "even if the heap is quarantined, and nobody vouches for what is in it") \
    X("by",      'Y', "WHAT", CTL_OPTION_BY, "retained: type (the default), client, object; map: live (the default), age, type") \
    X("follow",  'L', NULL,   CTL_OPTION_FOLLOW, "from one object to the next: a reference's number, b for back, q to end") \
    X("for",     'R', "TIME", CTL_OPTION_TRACE,  "record this long: 500ms, 10s, 2min")                           \
    X("collections", 'c', "N", CTL_OPTION_TRACE, "record until so many collections are done")                    \
    X("force",   'f', NULL,   CTL_OPTION_FORCE,  "even if the heap has clients: they get MMGC_E_HEAP_GONE")     \
    X("delay",   'd', "TIME", CTL_OPTION_LIVE,   "look again after this long: 500ms, 2s (1s)")                  \
    X("batch",   'B', NULL,   CTL_OPTION_LIVE,   "print text, whatever the terminal can do")                    \
    X("iterations", 'I', "N", CTL_OPTION_LIVE,   "end after N looks; with --json one is the default")           \
    X("listen",  'W', "WHERE", CTL_OPTION_LISTEN, "serve on ADDRESS:PORT or unix:PATH (127.0.0.1:9464)")        \
    X("help",    'h', NULL,   0,                 "print this")                                                  \
    X("version", 'V', NULL,   0,                 "print the version")
/* clang-format on */

#define SHORT_OPTIONS "s:t:jn:bd:o:fhV" /* those of one letter that people may use */

static const struct options_row rows[] = {
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
    const char *sort; /* NULL: not said */
};

bool options_wrong(const char *format, ...)
{
    va_list args;

    fputs("mmgcctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\nTry `mmgcctl --help`.\n", stderr);
    return false;
}

static const char *const sorts[] = {
    [CTL_SORT_BYTES] = "bytes", [CTL_SORT_OBJECTS] = "objects", [CTL_SORT_NAME] = "name",
    [CTL_SORT_USED] = "used",   [CTL_SORT_ALLOC] = "alloc",     [CTL_SORT_COLLECTIONS] = "collections",
    [CTL_SORT_PAUSE] = "pause", [CTL_SORT_CLIENTS] = "clients",
};

const char *options_sort_name(const struct ctl_command *command, size_t i)
{
    size_t first = (command->options & CTL_OPTION_LIVE) != 0 ? CTL_SORT_NAME : CTL_SORT_BYTES;
    size_t end = (command->options & CTL_OPTION_LIVE) != 0 ? MM_ARRAY_LEN(sorts) : CTL_SORT_NAME + 1;

    return i < end - first ? sorts[first + i] : NULL;
}

/* Which names there are depends on the command, which stands anywhere in the line. */
static bool take_sort(const struct ctl_command *command, const char *by, enum ctl_sort *ret_sort)
{
    char all[128] = "";
    size_t used = 0;
    const char *name;

    if (by == NULL)
        return true;
    for (size_t i = 0; (name = options_sort_name(command, i)) != NULL; i++) {
        bool last = options_sort_name(command, i + 1) == NULL;
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s", i == 0 ? "" : last ? " or " : ", ", name);
        for (size_t s = 0; s < MM_ARRAY_LEN(sorts); s++)
            if (sorts[s] == name && strcmp(name, by) == 0)
                *ret_sort = (enum ctl_sort)s;
        if (strcmp(name, by) == 0)
            return true;
    }
    return options_wrong("--sort takes %s, not '%s'", all, by);
}

/* What map draws is its own affair. */
static bool take_by(const struct ctl_command *command, struct ctl_options *options)
{
    static const char *const names[] = { [CTL_BY_TYPE] = "type", [CTL_BY_CLIENT] = "client", [CTL_BY_OBJECT] = "object" };

    if (options->by_what == NULL || (command->options & CTL_OPTION_MAP) != 0)
        return true;
    for (size_t i = 0; i < MM_ARRAY_LEN(names); i++) {
        if (strcmp(options->by_what, names[i]) == 0) {
            options->by = (enum ctl_by)i;
            return true;
        }
    }
    return options_wrong("--by takes type, client or object, not '%s'", options->by_what);
}

bool options_size(const char *who, const char *text, uint64_t *ret_bytes)
{
    return units_parse_size(text, ret_bytes) || options_wrong("%s takes a size like 4096, 512M or 2G, not '%s'", who, text);
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
    case 'u': options->in_use = true; return true;
    case 'o': options->output = argument; return true;
    case 'F': options->from = argument; return true;
    case 'T': options->format = argument; return true;
    case 'E': options->since = argument; return true;
    case 'M': options->mark = argument; return true;
    case 'Y': options->by_what = argument; return true;
    case 'K': options->color = true; return true;
    case 'w':
        return (units_parse_count(argument, &options->columns) && options->columns > 0) || options_wrong("--columns takes a number, not '%s'", argument);
    case 'A': options->anyway = true; return true;
    case 'L': options->follow = true; return true;
    case 'h': line->help = true; return true;
    case 'V': line->version = true; return true;
    case 'S': line->sort = argument; return true;
    case 'C':
        return units_parse_count(argument, &options->client) || options_wrong("--client takes a session's number, not '%s'", argument);
    case 'G': return options_size("--grow", argument, &options->grow_bytes);
    case 'U': return options_size("--up-to", argument, &options->up_to_bytes);
    case 'c':
        return units_parse_count(argument, &options->collections) || options_wrong("--collections takes a number, not '%s'", argument);
    case 'R': return units_parse_time(argument, &options->for_ns) || options_wrong("--for takes a time like 500ms, 10s or 2min, not '%s'", argument);
    case 'B': options->batch = true; return true;
    case 'W': options->listen = argument; return true;
    case 'I':
        return (units_parse_count(argument, &options->iterations) && options->iterations > 0) ||
               options_wrong("--iterations takes a number from 1 on, not '%s'", argument);
    case 'd':
        return (units_parse_time(argument, &options->delay_ns) && options->delay_ns >= UNITS_NS_PER_MS) ||
               options_wrong("--delay takes a time like 500ms or 2s, a millisecond at least, not '%s'", argument);
    case 'n':
        return units_parse_count(argument, &options->limit) ||
               options_wrong("--limit takes a number, not '%s'", argument);
    case 't':
        line->timed = true;
        return units_parse_time(argument, &options->timeout_ns) ||
               options_wrong("--timeout takes a time like 500ms, 10s or 2min, not '%s'", argument);
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
static bool check_options(const struct ctl_command *command, uint64_t given)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++)
        if ((given >> i & 1) != 0 && (rows[i].of_commands & ~command->options) != 0)
            return options_wrong("%s does not know --%s", command->name, rows[i].name);
    return true;
}

static const struct ctl_command *find_command(int count, char *const *words)
{
    const struct ctl_command *command = count == 0 ? NULL : ctl_command_find(words[0]);

    if (count == 0)
        (void)options_wrong("what shall it do? A command is missing");
    else if (command == NULL)
        (void)options_wrong("there is no command '%s'", words[0]);
    return command;
}

const struct ctl_command *options_parse(int argc, char **argv, struct ctl_options *ret_options,
                                        enum ctl_exit *ret_exit)
{
    struct line line = { .options = ret_options };

    *ret_options = (struct ctl_options){ .socket = options_default_socket(), .limit = UINT64_MAX };
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
    if (command == NULL || !check_options(command, line.given) || !take_sort(command, line.sort, &ret_options->sort) ||
        !take_by(command, ret_options))
        return NULL;
    if (!operands_take(command, count - 1, words + 1, ret_options))
        return NULL;
    if (!line.timed)
        ret_options->timeout_ns = command->timeout_ns;
    return command;
}

const struct options_row *options_rows(size_t *ret_count)
{
    *ret_count = MM_ARRAY_LEN(rows);
    return rows;
}

bool options_has_letter(const struct options_row *row)
{
    return strchr(SHORT_OPTIONS, row->letter) != NULL;
}

const char *options_default_socket(void)
{
    const char *socket = getenv("MMGC_SOCKET");

    return socket == NULL || socket[0] == '\0' ? CONNECT_DEFAULT_SOCKET : socket;
}

static void help_options(FILE *out, unsigned of_commands)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++) {
        char name[32], letter[8] = "    ";
        if (rows[i].of_commands != 0 && (rows[i].of_commands & of_commands) == 0)
            continue;
        if (options_has_letter(&rows[i]))
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
