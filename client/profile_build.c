/* SPDX-License-Identifier: Apache-2.0 */
/* profile_build.c - Profile build: a location an address, a mapping a piece of code of a loaded object, with its build id: addresses mean
 * something only together with those, and only now: what has been unloaded since is not found. */
#include "client/profile_build.h"

#include <elf.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/units.h"

#define BUILD_ID_MAX 64u /* bytes; 20 as a rule */

struct building {
    pprof_profile *profile;
    uintptr_t *addresses;                    /* ascending, each once: number i is location i + 1 */
    size_t count;
    bool failed;
};

/* ---- mappings ---- */

/* As hexadecimal digits; "" if there is none. */
static void find_build_id(const struct dl_phdr_info *info, char text[2 * BUILD_ID_MAX + 1])
{
    text[0] = '\0';
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_NOTE)
            continue;
        const char *at = (const char *)(info->dlpi_addr + segment->p_vaddr), *end = at + segment->p_memsz;
        while ((size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
            const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)(const void *)at;
            const unsigned char *id = (const unsigned char *)at + sizeof(*note) + mm_align_up(note->n_namesz, 4);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof("GNU") && memcmp(at + sizeof(*note), "GNU", 4) == 0) {
                for (unsigned k = 0; k < MM_MIN(note->n_descsz, BUILD_ID_MAX); k++)
                    (void)snprintf(text + 2 * (size_t)k, 3, "%02x", id[k]);
                return;
            }
            at = (const char *)id + mm_align_up(note->n_descsz, 4);
        }
    }
}

static void find_name(const struct dl_phdr_info *info, bool first, char name[4096])
{
    ssize_t length = first ? readlink("/proc/self/exe", name, 4095) : -1;

    if (length >= 0)
        name[length] = '\0';
    else
        (void)snprintf(name, 4096, "%s", strstr(info->dlpi_name, "linux-vdso") != NULL ? "[vdso]" : info->dlpi_name);
}

/* False: no memory. */
static bool add_segment(pprof_profile *p, const struct dl_phdr_info *info, const ElfW(Phdr) *segment)
{
    char build_id[2 * BUILD_ID_MAX + 1], name[4096];
    pprof_mapping *mapping = pprof_add_mapping(p);

    if (mapping == NULL)
        return false;
    find_build_id(info, build_id);
    find_name(info, p->n_mapping == 1, name);
    mapping->memory_start = mm_align_down(info->dlpi_addr + segment->p_vaddr, MM_PAGE_BYTES);
    mapping->memory_limit = mm_align_up(info->dlpi_addr + segment->p_vaddr + segment->p_memsz, MM_PAGE_BYTES);
    mapping->file_offset = mm_align_down(segment->p_offset, MM_PAGE_BYTES);
    mapping->filename = pprof_string(p, name);
    mapping->build_id = pprof_string(p, build_id);
    return mapping->filename >= 0 && mapping->build_id >= 0;
}

/* The program itself comes first, as pprof wants it. */
static int add_object(struct dl_phdr_info *info, size_t size, void *context)
{
    struct building *b = context;

    for (unsigned i = 0; i < info->dlpi_phnum && !b->failed; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0)
            b->failed = !add_segment(b->profile, info, &info->dlpi_phdr[i]);
    return b->failed;
}

/* ---- locations ---- */

static int compare(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

    return (x > y) - (x < y);
}

static bool gather(struct building *b, const struct profile_copy *copy)
{
    size_t frames = 0, unique = 0;

    for (size_t i = 0; i < copy->count; i++)
        frames += copy->rows[i].depth;
    b->addresses = malloc(frames * sizeof(*b->addresses) + 1);
    if (b->addresses == NULL)
        return false;
    frames = 0;
    for (size_t i = 0; i < copy->count; i++) {
        memcpy(b->addresses + frames, copy->rows[i].stack, copy->rows[i].depth * sizeof(uintptr_t));
        frames += copy->rows[i].depth;
    }
    qsort(b->addresses, frames, sizeof(*b->addresses), compare);
    for (size_t i = 0; i < frames; i++)
        if (unique == 0 || b->addresses[i] != b->addresses[unique - 1])
            b->addresses[unique++] = b->addresses[i];
    b->count = unique;
    return true;
}

static uint64_t mapping_of(const pprof_profile *p, uint64_t address)
{
    for (size_t i = 0; i < p->n_mapping; i++)
        if (address - p->mapping[i]->memory_start < p->mapping[i]->memory_limit - p->mapping[i]->memory_start)
            return i + 1;
    return 0;
}

static bool add_locations(struct building *b)
{
    for (size_t i = 0; i < b->count; i++) {
        pprof_location *location = pprof_add_location(b->profile);
        if (location == NULL)
            return false;
        location->address = b->addresses[i];
        location->mapping_id = mapping_of(b->profile, location->address);
    }
    return true;
}

/* ---- samples ---- */

static bool add_samples(struct building *b, const struct profile_copy *copy)
{
    for (size_t i = 0; i < copy->count; i++) {
        const struct profile_row *row = &copy->rows[i];
        pprof_sample *sample = pprof_add_sample(b->profile, row->depth, PROFILE_VALUES);
        if (sample == NULL)
            return false;
        for (uint32_t k = 0; k < row->depth; k++) {
            const uintptr_t *at = bsearch(&row->stack[k], b->addresses, b->count, sizeof(*at), compare);
            sample->location_id[k] = (uint64_t)(at - b->addresses) + 1;
        }
        for (unsigned k = 0; k < PROFILE_VALUES; k++)
            sample->value[k] = (int64_t)(row->values[k] + 0.5);
    }
    return true;
}

static bool add_facts(pprof_profile *p, const struct profile_copy *copy, const struct profile_facts *facts)
{
    char comment[160];

    (void)snprintf(comment, sizeof(comment), "mmgc %s, stacks by %s: %" PRIu64 " samples, %" PRIu64 " of them never counted as in use", MM_VERSION,
                   facts->way, copy->samples, copy->unwatched);
    p->time_nanos = (int64_t)facts->begun_ns;
    p->duration_nanos = (int64_t)(facts->ended_ns - facts->begun_ns);
    p->default_sample_type = pprof_string(p, "alloc_space");
    return p->default_sample_type >= 0 && pprof_add_comment(p, comment) &&
           pprof_set_period(p, "space", "bytes", (int64_t)facts->interval) != NULL &&
           pprof_add_sample_type(p, "alloc_objects", "count") != NULL && pprof_add_sample_type(p, "alloc_space", "bytes") != NULL &&
           pprof_add_sample_type(p, "inuse_objects", "count") != NULL && pprof_add_sample_type(p, "inuse_space", "bytes") != NULL;
}

pprof_profile *profile_build(const struct profile_copy *copy, const struct profile_facts *facts)
{
    struct building b = { .profile = pprof_new() };

    if (b.profile == NULL)
        return NULL;
    (void)dl_iterate_phdr(add_object, &b);
    bool built = !b.failed && gather(&b, copy) && add_locations(&b) && add_samples(&b, copy) && add_facts(b.profile, copy, facts);
    free(b.addresses);
    if (built)
        return b.profile;
    pprof_free(b.profile);
    return NULL;
}
