/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - mmgcctl: reads the line, asks the daemon, shows the answer. It never attaches to a heap. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/complete.h"
#include "client/ctl/connect.h"
#include "client/ctl/ctl.h"
#include "client/ctl/options.h"
#include "client/ctl/text.h"
#include "proto/wire.h"

static enum mmgc_error ask(struct ctl *ctl, const struct ctl_command *command, json_t *document)
{
    enum mmgc_error e = command->offline || ctl->options.from != NULL ? MMGC_E_OK : ctl_connect(ctl);

    if (e == MMGC_E_OK)
        e = command->ask(ctl, document);
    ctl_disconnect(ctl);
    if (e != MMGC_E_OK && ctl->exit == CTL_DONE)
        ctl->exit = CTL_FAILED;
    return e;
}

static void report_as_json(const struct ctl *ctl, enum mmgc_error code)
{
    json_auto_t *document = ctl_error_document(ctl, code);

    document_print(document);
}

/* "mmgcctl: info trees: there is no heap of this name: ..." and, if there is one, the detail on a line of its own. */
static void report(const struct ctl *ctl, const struct ctl_command *command, enum mmgc_error code)
{
    char *operand = text_escape(ctl->options.operand == NULL ? "" : ctl->options.operand);
    char *detail = text_escape(ctl->detail == NULL ? "" : ctl->detail);

    fprintf(stderr, "mmgcctl: %s%s%s: %s\n", command->name, *operand == '\0' ? "" : " ", operand,
            mmgc_error_sentence(code));
    if (*detail != '\0')
        fprintf(stderr, "  %s\n", detail);
    if (ctl->exit == CTL_UNREACHABLE)
        fputs("  To start one: `systemctl start mmgcd.socket`, or `mmgcd --foreground --socket PATH`;"
              " to ask another: --socket or MMGC_SOCKET.\n",
              stderr);
    free(operand);
    free(detail);
}

/* A full disk is no success: what was to be printed is the whole point. */
static enum ctl_exit close_stdout(enum ctl_exit exit)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return exit;
    fprintf(stderr, "mmgcctl: cannot write the answer: %s\n", strerror(errno));
    return CTL_FAILED;
}

int main(int argc, char **argv)
{
    struct ctl ctl = { .connection.sock = -1 };
    json_auto_t *document = need(json_object());

    setlocale(LC_CTYPE, ""); /* how wide characters are */
    if (argc > 1 && strcmp(argv[1], "complete") == 0) { /* for shells, whose words are no command line yet */
        complete_print((size_t)argc - 2, argv + 2);
        return close_stdout(CTL_DONE);
    }
    const struct ctl_command *command = options_parse(argc, argv, &ctl.options, &ctl.exit);
    if (command == NULL)
        return close_stdout(ctl.exit);
    ctl.exit = CTL_DONE;
    enum mmgc_error e = ask(&ctl, command, document);
    if (e != MMGC_E_OK && ctl.options.json)
        report_as_json(&ctl, e);
    else if (e != MMGC_E_OK)
        report(&ctl, command, e);
    else if (command->show != NULL && ctl.options.json)
        document_print(document);
    else if (command->show != NULL)
        command->show(&ctl, document);
    free(ctl.detail);
    return close_stdout(ctl.exit);
}
