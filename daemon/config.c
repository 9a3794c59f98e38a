/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - Config: defaults, then the file, then the command line.
 *   C1  an option is a row of DAEMON_OPTIONS, HEAP_OPTIONS or USER_OPTIONS and nothing else: file, command line, defaults and
 *       --help follow from it */
#include "daemon/config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config_file.h"

#define OPTION_ROW(key_, field, type_, fallback_, least, most, words, help_) \
    { .key = key_, \
      .offset = offsetof(struct config, field), \
      .bytes = sizeof(((struct config *)0)->field), \
      .type = CONFIG_TYPE_##type_, \
      .fallback = fallback_, \
      .range = { least, most, words }, \
      .help = help_ },
static const struct option_row rows[] = { DAEMON_OPTIONS(OPTION_ROW) };

const struct option_table daemon_option_table = { "daemon", rows, MM_ARRAY_LEN(rows) };

static const struct option_table *const tables[] = { &daemon_option_table, &heap_option_table, &user_option_table };

/* What a table's rows fill. */
static void *fields_of(struct config *config, const struct option_table *table)
{
    return table == &heap_option_table ? (void *)&config->heap : table == &user_option_table ? (void *)&config->user : config;
}

/* How a row is called on the command line: --max-heaps, and --heap-size for what is of [heap], --user-max-heaps of [user]. */
#define OPTION_NAME_MAX 48
static void option_name(const struct option_table *table, const struct option_row *row,
                        char ret_name[OPTION_NAME_MAX])
{
    bool own = table == &daemon_option_table;

    snprintf(ret_name, OPTION_NAME_MAX, "%s%s%s", own ? "" : table->section, own ? "" : "-", row->key);
    for (char *c = ret_name; *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
}

/* ---- what no single value can say ---- */

static bool size_fits(const struct heap_settings *heap, const char *whose)
{
    if (heap->size_bytes <= heap->max_size_bytes)
        return true;
    fprintf(stderr, "mmgcd: %s: size %" PRIu64 " is above max_size %" PRIu64 "\n", whose,
            heap->size_bytes, heap->max_size_bytes);
    return false;
}

static bool fits_together(const struct config *config)
{
    bool fits = size_fits(&config->heap, "heaps");

    for (size_t i = 0; i < config->section_count; i++) {
        struct heap_settings heap = config->heap;
        heap_layer_apply(&config->sections[i].layer, &heap);
        fits = size_fits(&heap, config->sections[i].name) && fits;
    }
    return fits;
}

static bool read_file(struct config *ret_config, const char *file)
{
    *ret_config = (struct config){ .file = file };
    for (size_t i = 0; i < MM_ARRAY_LEN(tables); i++)
        option_set_defaults(tables[i], fields_of(ret_config, tables[i]));
    return file == NULL || config_file_read(ret_config, file);
}

bool config_read_file(struct config *ret_config, const char *file)
{
    return read_file(ret_config, file) && fits_together(ret_config);
}

void config_fini(struct config *config)
{
    free(config->sections);
    free(config->users);
    config->sections = NULL;
    config->users = NULL;
    config->section_count = config->user_count = 0;
}

void config_heap(const struct config *config, const char *name, struct heap_settings *ret_settings)
{
    *ret_settings = config->heap;
    for (size_t i = 0; i < config->section_count; i++)
        if (strcmp(config->sections[i].name, name) == 0)
            heap_layer_apply(&config->sections[i].layer, ret_settings);
}

void config_user(const struct config *config, uid_t uid, struct user_limits *ret_limits, const struct user_section **ret_section)
{
    *ret_section = NULL;
    *ret_limits = config->user;
    if (uid == 0 || uid == geteuid())
        user_limits_lift(ret_limits);
    for (size_t i = 0; i < config->user_count; i++)
        if (config->users[i].uid == uid) {
            *ret_section = &config->users[i];
            user_layer_apply(&config->users[i].layer, ret_limits);
        }
}

/* ---- the command line ---- */

enum { OPT_CONFIG = 1000, OPT_CHECK, OPT_FOREGROUND, OPT_HELP, OPT_VERSION, OPT_LIST };
static const struct option own_options[] = {
    { "config", required_argument, NULL, OPT_CONFIG },
    { "check-config", no_argument, NULL, OPT_CHECK },
    { "foreground", no_argument, NULL, OPT_FOREGROUND },
    { "help", no_argument, NULL, OPT_HELP },
    { "version", no_argument, NULL, OPT_VERSION },
    { "list-options", no_argument, NULL, OPT_LIST },
};

#define ROWS_MAX 64
struct argument_names { /* what getopt_long gives back is an index here, or one of the above */
    char names[ROWS_MAX][OPTION_NAME_MAX];
    const struct option_table *table[ROWS_MAX];
    const struct option_row *row[ROWS_MAX];
    int count;
    struct option options[ROWS_MAX + MM_ARRAY_LEN(own_options) + 1];
};

static void print_help(void)
{
    char name[OPTION_NAME_MAX];

    puts("usage: mmgcd [--config FILE] [--OPTION VALUE]...\n\n"
         "Owns garbage-collected heaps in shared memory for the processes of this machine.\n\n"
         "  --config FILE         read FILE first; what the command line says wins\n"
         "  --check-config        read everything, say what is wrong, and end\n"
         "  --foreground          do not go to the background\n"
         "  --help, --version     print that, and end\n");
    for (size_t t = 0; t < MM_ARRAY_LEN(tables); t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct option_row *row = &tables[t]->rows[i];
            option_name(tables[t], row, name);
            printf(strlen(name) > 19 ? "  --%s\n%24s%s (%s)\n" : "  --%-19s %s%s (%s)\n", name, "",
                   row->help, row->fallback);
        }
    puts("\nSizes take K, M, G; times take ms, s, min. In the file, --max-heaps is max_heaps below [daemon],\n"
         "--heap-size is size below [heap], and --user-max-heaps is max_heaps below [user]. Options of a heap can be\n"
         "said for the heap of that name below [heap NAME], and by who creates it; those of a user below [user NAME].");
}

void config_print_options(void)
{
    for (size_t t = 0; t < MM_ARRAY_LEN(tables); t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct option_row *row = &tables[t]->rows[i];
            printf("%s.%s\t%s\t%s\n", tables[t]->section, row->key, row->fallback, row->help);
        }
}

static void add_argument_names(struct argument_names *args, const struct option_table *table)
{
    MM_ASSERT((size_t)args->count + table->count <= ROWS_MAX);
    for (size_t i = 0; i < table->count; i++) {
        int n = args->count++;
        args->table[n] = table;
        args->row[n] = &table->rows[i];
        option_name(table, &table->rows[i], args->names[n]);
        args->options[n] = (struct option){ args->names[n], required_argument, NULL, n };
    }
}

static void make_argument_names(struct argument_names *args)
{
    *args = (struct argument_names){ 0 };
    for (size_t i = 0; i < MM_ARRAY_LEN(tables); i++)
        add_argument_names(args, tables[i]);
    memcpy(args->options + args->count, own_options, sizeof(own_options));
}

static bool take_argument(struct config *config, const struct argument_names *args, int chosen,
                          const char *value)
{
    const char *why;

    if (option_set(args->row[chosen], fields_of(config, args->table[chosen]), value, &why))
        return true;
    fprintf(stderr, "mmgcd: --%s %s: %s\n", args->names[chosen], value, why);
    return false;
}

/* Which options a walk over argv takes. The first walk looks for the file, the second lets the command line win over it. */
enum taken { TAKE_OWN, TAKE_ALL, TAKE_USERS };

static bool is_taken(const struct argument_names *args, int chosen, enum taken taken)
{
    return taken == TAKE_ALL || (taken == TAKE_USERS && args->table[chosen] == &user_option_table);
}

static enum config_outcome walk(struct config *config, int argc, char **argv, enum taken taken,
                                bool *ret_check)
{
    struct argument_names args;
    int chosen;

    make_argument_names(&args);
    optind = 0; /* glibc: start over */
    while ((chosen = getopt_long(argc, argv, "", args.options, NULL)) != -1) {
        switch (chosen) {
        case OPT_CONFIG: config->file = optarg; break;
        case OPT_CHECK: *ret_check = true; break;
        case OPT_FOREGROUND: config->foreground = true; break;
        case OPT_HELP: print_help(); return CONFIG_DONE;
        case OPT_VERSION: puts("mmgcd " MM_VERSION); return CONFIG_DONE;
        case OPT_LIST: config_print_options(); return CONFIG_DONE;
        case '?': return CONFIG_BAD;
        default:
            if (is_taken(&args, chosen, taken) && !take_argument(config, &args, chosen, optarg))
                return CONFIG_BAD;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "mmgcd: '%s' is no option: see mmgcd --help\n", argv[optind]);
        return CONFIG_BAD;
    }
    return CONFIG_RUN;
}

enum config_outcome config_read(struct config *ret_config, int argc, char **argv)
{
    struct config first = { 0 };
    bool check = false;
    enum config_outcome outcome = walk(&first, argc, argv, TAKE_OWN, &check);

    if (outcome != CONFIG_RUN)
        return outcome;
    if (!read_file(ret_config, first.file))
        return CONFIG_BAD;
    ret_config->argc = argc;
    ret_config->argv = argv;
    outcome = walk(ret_config, argc, argv, TAKE_ALL, &check);
    if (outcome != CONFIG_RUN)
        return outcome;
    if (!fits_together(ret_config))
        return CONFIG_BAD;
    if (check)
        puts("mmgcd: the configuration is valid");
    return check ? CONFIG_DONE : CONFIG_RUN;
}

bool config_reread(struct config *ret_config, const struct config *running)
{
    bool check;

    return config_read_file(ret_config, running->file) &&
           walk(ret_config, running->argc, running->argv, TAKE_USERS, &check) == CONFIG_RUN;
}
