/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_snapshot.c - A snapshot whose tables and objects lie: refused, or read from end to end without harm.
 *   Input   rows of 8 bytes: a place in a good snapshot, in words, and what is put there. A row whose place is past its end cuts it short there   */
#include <stdlib.h>
#include <string.h>

#include "tests/client/ctl/snap_world.h"
#include "tests/fuzz/fuzz.h"

#define ROW_BYTES 8u
#define ROWS_MAX 256u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static unsigned char *good, *spoilt;
    static size_t good_count;
    struct snap *s = NULL;
    size_t left;

    if (good == NULL) {
        good = snap_world_sample(&good_count);
        spoilt = malloc(good_count);
    }
    if (spoilt == NULL)
        abort();
    memcpy(spoilt, good, good_count);
    left = good_count;
    for (size_t i = 0; i + ROW_BYTES <= count && i < ROWS_MAX * ROW_BYTES; i += ROW_BYTES) {
        uint32_t place, word;
        memcpy(&place, bytes + i, sizeof(place));
        memcpy(&word, bytes + i + sizeof(place), sizeof(word));
        if (place < good_count / 4)
            memcpy(spoilt + 4 * (size_t)place, &word, sizeof(word));
        else
            left = word % (good_count + 1);
    }
    if (snap_world_open(spoilt, left, &s) == NULL)
        snap_world_read_all(s);
    snap_free(s);
    return 0;
}

/* Every word of the header and of the tables behind it, put to what is large and what is small. */
size_t fuzz_good_input(size_t i, uint8_t *bytes, size_t capacity)
{
    static const uint32_t words[] = { 0, 1, 5, UINT32_MAX };
    uint32_t row[2] = { (uint32_t)(i / MM_ARRAY_LEN(words)), words[i % MM_ARRAY_LEN(words)] };

    if (row[0] >= 512 || capacity < sizeof(row))
        return 0;
    memcpy(bytes, row, sizeof(row));
    return sizeof(row);
}
