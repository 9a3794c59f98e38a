/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - Errors: what each code is called, and the sentence people read. */
#include "proto/wire.h"

const char *mmgc_error_sentence(enum mmgc_error code)
{
    switch (code) {
#define ERROR_SENTENCE(name, number, sentence) \
    case MMGC_E_##name: return sentence;
        MMGC_ERRORS(ERROR_SENTENCE)
#undef ERROR_SENTENCE
    case MMGC_E_COUNT: break;
    }
    return "an error this release does not know: the other side is newer, install matching releases";
}

const char *mmgc_error_name(enum mmgc_error code)
{
    switch (code) {
#define ERROR_NAME(name, number, sentence) \
    case MMGC_E_##name: return #name;
        MMGC_ERRORS(ERROR_NAME)
#undef ERROR_NAME
    case MMGC_E_COUNT: break;
    }
    return "UNKNOWN";
}
