/* SPDX-License-Identifier: Apache-2.0 */
#include "client/leak.h"

#include <inttypes.h>
#include <mmgc/handle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/misuse.h"
#include "client/row.h"

static int check(const struct mmgc_heap *heap, bool given)
{
    if (heap == NULL || !given)
        return error_set(MMGC_E_INVALID, "an argument is NULL");
    return fork_check(heap->generation);
}

static uint32_t rows_of(const struct mmgc_heap *heap)
{
    uint32_t high = at_load_acquire(&heap->session->row_high);

    return MM_MIN(high, SHM_ROWS_MAX);
}

int mmgc_handle_counts(struct mmgc_heap *heap, struct mmgc_handle_counts *ret_counts)
{
    uint32_t of[SHM_ROW_KINDS] = { 0 };
    int r = MISUSE(check(heap, ret_counts != NULL));

    if (r != MMGC_OK)
        return r;
    for (uint32_t i = 1, end = rows_of(heap); i < end; i++)
        of[shm_row_kind(at_load_relaxed(&heap->session->row_tags[i]))]++;
    *ret_counts = (struct mmgc_handle_counts){
        .strong = of[SHM_ROW_STRONG],
        .weak = of[SHM_ROW_WEAK],
        .soft = of[SHM_ROW_SOFT],
        .shared = of[SHM_ROW_SHARED],
        .exclusive = of[SHM_ROW_EXCLUSIVE],
        .revoked = of[SHM_ROW_REVOKED],
        .guarded = of[SHM_ROW_GUARDED],
        .ready = of[SHM_ROW_READY],
        .watched = of[SHM_ROW_WATCHED],
    };
    return MMGC_OK;
}

int mmgc_heap_leaks(struct mmgc_heap *heap, void (*callback)(void *context, const struct mmgc_leak *leak), void *context)
{
    char name[SHM_ROW_NAME_MAX + 1];
    int r = MISUSE(check(heap, callback != NULL));

    if (r != MMGC_OK)
        return r;
    for (uint32_t i = 1, end = rows_of(heap); i < end; i++) {
        uint32_t tag = at_load_acquire(&heap->session->row_tags[i]);
        const struct shm_row_note *note = &heap->session->row_notes[i];
        if (shm_row_kind(tag) == SHM_ROW_FREE)
            continue;
        uint64_t since_ns = at_load_relaxed(&note->since_ns), now_ns = mm_now_coarse_ns();
        (void)snprintf(name, sizeof(name), "%.*s", (int)SHM_ROW_NAME_MAX, note->name);
        struct mmgc_leak leak = {
            .kind = shm_row_kind_name(shm_row_kind(tag)),
            .name = name,
            .age_ms = since_ns == 0 || since_ns > now_ns ? 0 : (now_ns - since_ns) / UINT64_C(1000000),
            .slot = i,
        };
        callback(context, &leak);
    }
    return MMGC_OK;
}

static void print(void *context, const struct mmgc_leak *leak)
{
    (void)context;
    (void)fprintf(stderr, "mmgc: still held at the heap's close: %s %u '%s', for %" PRIu64 " ms\n", leak->kind, leak->slot, leak->name,
                  leak->age_ms);
}

void leak_report(struct mmgc_heap *heap)
{
    (void)mmgc_heap_leaks(heap, print, NULL);
}

bool leak_wanted(void)
{
    const char *said = getenv("MMGC_LEAKS");

    return said != NULL && strcmp(said, "") != 0 && strcmp(said, "0") != 0;
}
