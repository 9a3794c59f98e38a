/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - Config: the table of options, and the two ways a value reaches it.
 *   C1  an option is a row of CONFIG_OPTIONS and nothing else: file, command line, defaults and --help follow from it
 *   C2  nothing is guessed: an unknown section, key or word is an error that names file and line
 *   libinih gives no line numbers in every build of it, so our reader counts the lines it hands over. */
#include "daemon/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_value.h"

struct option_row {
    const char *section, *key;
    size_t offset, bytes; /* of its field in struct config */
    enum config_type type;
    const char *fallback;
    struct config_range range;
    const char *help;
};

#define OPTION_ROW(section_, key_, field, type_, fallback_, least, most, words, help_) \
    { .section = section_, \
      .key = key_, \
      .offset = offsetof(struct config, field), \
      .bytes = sizeof(((struct config *)0)->field), \
      .type = CONFIG_TYPE_##type_, \
      .fallback = fallback_, \
      .range = { least, most, words }, \
      .help = help_ },
static const struct option_row rows[] = { CONFIG_OPTIONS(OPTION_ROW) };

/* How a row is called on the command line: --max-heaps, and --heap-size for what is of [heap]. */
#define OPTION_NAME_MAX 40
static void option_name(const struct option_row *row, char ret_name[OPTION_NAME_MAX])
{
    const char *prefix = strcmp(row->section, "daemon") == 0 ? "" : "heap-";

    snprintf(ret_name, OPTION_NAME_MAX, "%s%s", prefix, row->key);
    for (char *c = ret_name; *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
}

static bool row_set(const struct option_row *row, struct config *config, const char *value,
                    const char **ret_why)
{
    return config_value_parse(row->type, &row->range, value, (char *)config + row->offset,
                              row->bytes, ret_why);
}

static void set_defaults(struct config *config)
{
    const char *why;

    *config = (struct config){ 0 };
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++)
        MM_ASSERT(row_set(&rows[i], config, rows[i].fallback, &why));
}

/* ---- the file ---- */

struct reader {
    FILE *file;
    const char *path;
    int line;
    bool bad;
    struct config *config;
};

__attribute__((format(printf, 2, 3))) static void reader_complain(struct reader *r,
                                                                  const char *format, ...)
{
    va_list args;

    r->bad = true;
    fprintf(stderr, "mmgcd: %s:%d: ", r->path, r->line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* libinih takes an indented line for a continuation of the one before; here it is a line like any other. */
static char *read_line(char *text, int size, void *stream)
{
    struct reader *r = stream;

    if (fgets(text, size, r->file) == NULL)
        return NULL;
    r->line++;
    if (strchr(text, '\n') == NULL && !feof(r->file)) {
        reader_complain(r, "the line is too long");
        return NULL;
    }
    size_t blank = strspn(text, " \t");
    memmove(text, text + blank, strlen(text + blank) + 1);
    return text;
}

static bool section_exists(const char *section)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].section, section) == 0)
            return true;
    return false;
}

static int take_pair(void *context, const char *section, const char *key, const char *value)
{
    struct reader *r = context;
    const char *why;

    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].section, section) != 0 || strcmp(rows[i].key, key) != 0)
            continue;
        if (!row_set(&rows[i], r->config, value, &why))
            reader_complain(r, "%s = %s: %s", key, value, why);
        return 1;
    }
    if (section[0] == '\0')
        reader_complain(r, "'%s' stands before the first section: write [daemon] or [heap] above it",
                        key);
    else if (!section_exists(section))
        reader_complain(r, "there is no section [%s]: [daemon] and [heap] are", section);
    else
        reader_complain(r, "there is no key '%s' in [%s]", key, section);
    return 1;
}

static bool read_file_into(struct config *config, const char *path)
{
    struct reader r = { .file = fopen(path, "re"), .path = path, .config = config };

    if (r.file == NULL) {
        fprintf(stderr, "mmgcd: %s: %s\n", path, strerror(errno));
        return false;
    }
    int odd_line = ini_parse_stream(read_line, &r, take_pair, &r);
    fclose(r.file);
    if (odd_line > 0 && !r.bad) {
        r.line = odd_line;
        reader_complain(&r, "neither [section] nor key = value");
    }
    return !r.bad;
}

/* ---- what no single value can say ---- */

static bool fits_together(const struct config *config)
{
    if (config->heap_bytes <= config->heap_max_bytes)
        return true;
    fprintf(stderr, "mmgcd: heap size %" PRIu64 " is above heap max_size %" PRIu64 "\n",
            config->heap_bytes, config->heap_max_bytes);
    return false;
}

static bool read_file(struct config *ret_config, const char *file)
{
    set_defaults(ret_config);
    ret_config->file = file;
    return file == NULL || read_file_into(ret_config, file);
}

bool config_read_file(struct config *ret_config, const char *file)
{
    return read_file(ret_config, file) && fits_together(ret_config);
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
#define OPTION_COUNT (MM_ARRAY_LEN(rows) + MM_ARRAY_LEN(own_options) + 1)

static void print_help(void)
{
    char name[OPTION_NAME_MAX];

    puts("usage: mmgcd [--config FILE] [--OPTION VALUE]...\n\n"
         "Owns garbage-collected heaps in shared memory for the processes of this machine.\n\n"
         "  --config FILE         read FILE first; what the command line says wins\n"
         "  --check-config        read everything, say what is wrong, and end\n"
         "  --foreground          do not go to the background\n"
         "  --help, --version     print that, and end\n");
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++) {
        option_name(&rows[i], name);
        printf("  --%-19s %s (%s)\n", name, rows[i].help, rows[i].fallback);
    }
    puts("\nSizes take K, M, G; times take ms, s, min. In the file, --max-heaps is max_heaps below [daemon],\n"
         "and --heap-size is size below [heap].");
}

void config_print_options(void)
{
    for (size_t i = 0; i < MM_ARRAY_LEN(rows); i++)
        printf("%s.%s\t%s\t%s\n", rows[i].section, rows[i].key, rows[i].fallback, rows[i].help);
}

static bool take_argument(struct config *config, const struct option_row *row, const char *value)
{
    char name[OPTION_NAME_MAX];
    const char *why;

    if (row_set(row, config, value, &why))
        return true;
    option_name(row, name);
    fprintf(stderr, "mmgcd: --%s %s: %s\n", name, value, why);
    return false;
}

static void make_options(struct option options[OPTION_COUNT], char names[][OPTION_NAME_MAX])
{
    size_t n = MM_ARRAY_LEN(rows);

    for (size_t i = 0; i < n; i++) {
        option_name(&rows[i], names[i]);
        options[i] = (struct option){ names[i], required_argument, NULL, (int)i };
    }
    memcpy(options + n, own_options, sizeof(own_options));
    options[OPTION_COUNT - 1] = (struct option){ 0 };
}

/* One walk over argv. The first one looks for the file, the second lets the command line win over it. */
static enum config_outcome walk(struct config *config, int argc, char **argv, bool find_file,
                                bool *ret_check)
{
    struct option options[OPTION_COUNT];
    char names[MM_ARRAY_LEN(rows)][OPTION_NAME_MAX];
    int chosen;

    make_options(options, names);
    optind = 0; /* glibc: start over */
    while ((chosen = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (chosen) {
        case OPT_CONFIG: config->file = optarg; break;
        case OPT_CHECK: *ret_check = true; break;
        case OPT_FOREGROUND: config->foreground = true; break;
        case OPT_HELP: print_help(); return CONFIG_DONE;
        case OPT_VERSION: puts("mmgcd " MM_VERSION); return CONFIG_DONE;
        case OPT_LIST: config_print_options(); return CONFIG_DONE;
        case '?': return CONFIG_BAD;
        default:
            if (!find_file && !take_argument(config, &rows[chosen], optarg))
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
    enum config_outcome outcome = walk(&first, argc, argv, true, &check);

    if (outcome != CONFIG_RUN)
        return outcome;
    if (!read_file(ret_config, first.file))
        return CONFIG_BAD;
    outcome = walk(ret_config, argc, argv, false, &check);
    if (outcome != CONFIG_RUN)
        return outcome;
    if (!fits_together(ret_config))
        return CONFIG_BAD;
    if (check)
        puts("mmgcd: the configuration is valid");
    return check ? CONFIG_DONE : CONFIG_RUN;
}
