/* SPDX-License-Identifier: Apache-2.0 */
/* wordindex: which words stand in which files, as an object graph that several processes share.
 *
 *   wordindex demo [--mmgcctl PATH] [--no-kill] [-n N] DIR...   N indexers, one killed, a query, a summary
 *   wordindex index --share I --of N DIR...                     one indexer: the I-th of N shares of the files
 *   wordindex query WORD...                                     reads the index
 *   wordindex dump                                              "COUNT FILES WORD" for every word
 *   all: --socket PATH  --heap NAME  --passes N  --heap-mib N                                                       */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"
#include "indexer.h"
#include "query.h"
#include "say.h"

struct command_line {
    struct place place;
    struct indexer_options indexer;
    struct demo_options demo;
};

static int usage(void)
{
    fputs("usage: wordindex demo|index|query|dump [--socket PATH] [--heap NAME] [--heap-mib N] [--passes N]\n"
          "                 [-n N] [--no-kill] [--mmgcctl PATH] [--share I --of N] [DIR...|WORD...]\n",
          stderr);
    return 2;
}

static bool parse(int argc, char **argv, struct command_line *c)
{
    enum { SOCKET = 256, HEAP, HEAP_MIB, PASSES, NO_KILL, MMGCCTL, SHARE, OF };
    static const struct option options[] = {
        {"socket", required_argument, NULL, SOCKET}, {"heap", required_argument, NULL, HEAP},
        {"heap-mib", required_argument, NULL, HEAP_MIB}, {"passes", required_argument, NULL, PASSES},
        {"no-kill", no_argument, NULL, NO_KILL}, {"mmgcctl", required_argument, NULL, MMGCCTL},
        {"share", required_argument, NULL, SHARE}, {"of", required_argument, NULL, OF}, {0}};
    for (int o; (o = getopt_long(argc, argv, "n:", options, NULL)) != -1;)
        switch (o) {
        case SOCKET: c->place.socket = optarg; break;
        case HEAP: c->place.heap = optarg; break;
        case HEAP_MIB: c->place.max_bytes = strtoull(optarg, NULL, 10) << 20; break;
        case PASSES: c->indexer.passes = c->demo.passes = (unsigned)strtoul(optarg, NULL, 10); break;
        case NO_KILL: c->demo.kill = false; break;
        case MMGCCTL: c->demo.mmgcctl = optarg; break;
        case SHARE: c->indexer.share = (unsigned)strtoul(optarg, NULL, 10); break;
        case OF: c->indexer.shares = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'n': c->demo.indexers = (unsigned)strtoul(optarg, NULL, 10); break;
        default: return false;
        }
    return c->indexer.shares > 0 && c->demo.passes > 0;
}

int main(int argc, char **argv)
{
    struct command_line c = {.place = {.heap = "wordindex"},
                             .indexer = {.shares = 1, .passes = 3},
                             .demo = {.indexers = 4, .passes = 3, .kill = true}};
    if (argc < 2 || !parse(argc - 1, argv + 1, &c))
        return usage();
    const char *const *rest = (const char *const *)argv + 1 + optind;
    size_t count = (size_t)(argc - 1 - optind);
    if (strcmp(argv[1], "demo") == 0)
        return demo_run(&c.place, &c.demo, rest, count);
    if (strcmp(argv[1], "index") == 0)
        return indexer_run(&c.place, &c.indexer, rest, count);
    if (strcmp(argv[1], "query") == 0)
        return query_words(&c.place, rest, count);
    if (strcmp(argv[1], "dump") == 0)
        return query_dump(&c.place);
    return usage();
}
