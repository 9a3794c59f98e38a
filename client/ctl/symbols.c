/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ctl/symbols.h"

#include "client/ctl/document.h"

#if MM_HAVE_DW
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shm/base.h"
#include "shm/units.h"

struct symbols {
    Dwfl *dwfl;
    bool reporting;
};

static char *debug_path; /* NULL: where the system has it */
static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .debuginfo_path = &debug_path,
};

struct symbols *symbols_new(void)
{
    struct symbols *s = need(calloc(1, sizeof(*s)));

    s->dwfl = need(dwfl_begin(&callbacks));
    dwfl_report_begin(s->dwfl);
    s->reporting = true;
    return s;
}

void symbols_free(struct symbols *s)
{
    dwfl_end(s->dwfl);
    free(s);
}

/* ---- objects ---- */

static bool has_build_id(Elf *elf, const char *build_id)
{
    const void *id = NULL;
    ssize_t count = dwelf_elf_gnu_build_id(elf, &id);
    char digits[3];

    if (build_id[0] == '\0')
        return true;
    if (count <= 0 || strlen(build_id) != 2 * (size_t)count)
        return false;
    for (ssize_t i = 0; i < count; i++) {
        (void)snprintf(digits, sizeof(digits), "%02x", ((const unsigned char *)id)[i]);
        if (strncmp(build_id + 2 * i, digits, 2) != 0)
            return false;
    }
    return true;
}

/* How much further the object lay than it says, by the segment that was mapped at @object. */
static bool find_bias(Elf *elf, const struct symbols_object *object, uint64_t *ret_bias)
{
    size_t count = 0;
    GElf_Phdr segment;

    (void)elf_getphdrnum(elf, &count);
    for (size_t i = 0; i < count; i++)
        if (gelf_getphdr(elf, (int)i, &segment) != NULL && segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0 &&
            mm_align_down(segment.p_offset, MM_PAGE_BYTES) == object->offset) {
            *ret_bias = object->start - mm_align_down(segment.p_vaddr, MM_PAGE_BYTES);
            return true;
        }
    return false;
}

static const char *look_at(int fd, const struct symbols_object *object, uint64_t *ret_bias)
{
    (void)elf_version(EV_CURRENT);
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    const char *why = NULL;

    if (elf == NULL || elf_kind(elf) != ELF_K_ELF)
        why = "it is no program";
    else if (!has_build_id(elf, object->build_id))
        why = "the file is another build";
    else if (!find_bias(elf, object, ret_bias))
        why = "the file has no such code";
    (void)elf_end(elf);
    return why;
}

const char *symbols_add(struct symbols *s, const struct symbols_object *object)
{
    uint64_t bias = 0;
    int fd = open(object->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return "the file is not there";
    const char *why = look_at(fd, object, &bias);
    (void)close(fd);
    if (why == NULL && dwfl_report_elf(s->dwfl, object->path, object->path, -1, bias, true) == NULL)
        why = "elfutils does not understand it";
    return why;
}

/* ---- addresses ---- */

static const char *or_nothing(const char *text)
{
    return text != NULL ? text : "";
}

static const char *system_name(Dwarf_Die *die)
{
    Dwarf_Attribute attribute;

    return or_nothing(dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute)));
}

/* Where @die, a function that was inlined, was called. */
static void find_call(Dwarf_Die *unit, Dwarf_Die *die, struct symbol *symbol)
{
    Dwarf_Attribute attribute;
    Dwarf_Word file = 0, line = 0;
    Dwarf_Files *files;
    size_t count = 0;

    bool known = dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) == 0 && dwarf_getsrcfiles(unit, &files, &count) == 0 &&
                 file < count;
    symbol->file = known ? or_nothing(dwarf_filesrc(files, file, NULL, NULL)) : "";
    (void)dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line);
    symbol->line = (int)line;
}

/* From the innermost outwards, by what its debug information says. False: nothing. */
static bool find_functions(Dwarf_Die *unit, Dwarf_Addr pc, struct symbol symbol, void (*found)(void *, const struct symbol *), void *context)
{
    Dwarf_Die *around = NULL, *chain = NULL;
    int count = dwarf_getscopes(unit, pc, &around), length = count > 0 ? dwarf_getscopes_die(&around[0], &chain) : 0;
    bool any = false;

    for (int i = 0; i < length; i++) {
        int tag = dwarf_tag(&chain[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        symbol.name = or_nothing(dwarf_diename(&chain[i]));
        symbol.system_name = system_name(&chain[i]);
        found(context, &symbol);
        any = true;
        if (tag == DW_TAG_subprogram)
            break;
        find_call(unit, &chain[i], &symbol);
    }
    free(around);
    free(chain);
    return any;
}

bool symbols_find(struct symbols *s, uint64_t address, void (*found)(void *context, const struct symbol *symbol), void *context)
{
    struct symbol symbol = { "", "", "", 0 };
    Dwarf_Addr bias = 0;

    if (s->reporting)
        (void)dwfl_report_end(s->dwfl, NULL, NULL);
    s->reporting = false;
    Dwfl_Module *module = dwfl_addrmodule(s->dwfl, address);
    if (module == NULL)
        return false;
    Dwfl_Line *line = dwfl_module_getsrc(module, address);
    if (line != NULL)
        symbol.file = or_nothing(dwfl_lineinfo(line, NULL, &symbol.line, NULL, NULL, NULL));
    Dwarf_Die *unit = dwfl_module_addrdie(module, address, &bias);
    if (unit != NULL && find_functions(unit, address - bias, symbol, found, context))
        return true;
    symbol.name = symbol.system_name = or_nothing(dwfl_module_addrname(module, address));
    if (symbol.name[0] != '\0')
        found(context, &symbol);
    return symbol.name[0] != '\0';
}

#else

struct symbols *symbols_new(void)
{
    static char nothing;

    return (struct symbols *)(void *)&nothing;
}

void symbols_free(struct symbols *s)
{
}

const char *symbols_add(struct symbols *s, const struct symbols_object *object)
{
    return "mmgcctl was compiled without elfutils";
}

bool symbols_find(struct symbols *s, uint64_t address, void (*found)(void *context, const struct symbol *symbol), void *context)
{
    return false;
}

#endif
